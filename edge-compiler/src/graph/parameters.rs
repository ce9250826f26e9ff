//! Parameters of operators.

use serde::{Deserialize, Serialize};

use super::Tensor;

/// A window that slides over an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Height, width.
    pub kernel: [usize; 2],
    /// Vertical, horizontal.
    pub stride: [usize; 2],
    /// How positions outside the input are treated.
    pub padding: Padding,
    /// Vertical, horizontal.
    pub dilation: [usize; 2],
}

impl SlidingWindow {
    /// Rows above and columns left of the input. A window that does not fit, which no checked
    /// graph has, has none.
    pub fn before(&self, input: &Tensor) -> [u16; 2] {
        let Self {
            kernel,
            stride,
            padding,
            dilation,
        } = *self;
        let plane = crate::shape::output_plane(padding, input.shape, kernel, stride, dilation);
        plane.map_or([0; 2], |(_, before)| before.map(|n| n as u16))
    }

    /// As the runtime has it.
    pub fn on(&self, input: &Tensor, output: &Tensor) -> edge_runtime::kernels::reference::Window {
        let hwc = |tensor: &Tensor| [tensor.shape[1], tensor.shape[2], tensor.shape[3]];
        edge_runtime::kernels::reference::Window {
            input: hwc(input),
            output: hwc(output),
            kernel: self.kernel,
            stride: self.stride,
            padding: self.before(input).map(usize::from),
            dilation: self.dilation,
        }
    }
}

/// Dimensions of a [`StridedCopy`].
pub const COPY_RANK: usize = edge_runtime::format::COPY_RANK;

/// See [`super::OperatorKind::Copy`]. Unused dimensions have size 1, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StridedCopy {
    /// Elements along each dimension.
    pub sizes: [usize; COPY_RANK],
    /// Elements from one to the next in the input.
    pub input_strides: [isize; COPY_RANK],
    /// Elements from one to the next in the output.
    pub output_strides: [isize; COPY_RANK],
    /// The first element read.
    pub input_start: usize,
    /// The first element written.
    pub output_start: usize,
}

impl StridedCopy {
    /// The least and the greatest element that is read, and written; `None` for a size of 0 or
    /// a place before the first element.
    pub fn reach(&self) -> Option<[(usize, usize); 2]> {
        let reach = |start: usize, strides: &[isize; COPY_RANK]| {
            let (mut least, mut greatest) = (start, start);
            for (&size, &stride) in self.sizes.iter().zip(strides) {
                let way = stride.checked_mul(isize::try_from(size.checked_sub(1)?).ok()?)?;
                if way < 0 {
                    least = least.checked_add_signed(way)?;
                } else {
                    greatest = greatest.checked_add_signed(way)?;
                }
            }
            Some((least, greatest))
        };
        Some([
            reach(self.input_start, &self.input_strides)?,
            reach(self.output_start, &self.output_strides)?,
        ])
    }

    /// Elements that it copies; saturating.
    pub fn elements(&self) -> usize {
        self.sizes
            .iter()
            .fold(1, |n: usize, &d| n.saturating_mul(d))
    }
}

/// Constants of an operator with `o` output channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Symmetric int8; the order is given where they are used, output channels outermost.
    pub values: Vec<i8>,
    /// One for each output channel, or a single one for all; finite and above zero.
    pub scales: Vec<f32>,
    /// One for each output channel, in units of `input scale * weight scale`.
    pub bias: Vec<i32>,
}

impl Weights {
    /// Scale of one output channel; 0 where there is none.
    pub fn scale(&self, channel: usize) -> f32 {
        match self.scales.as_slice() {
            [one] => *one,
            many => many.get(channel).copied().unwrap_or(0.0),
        }
    }
}

/// A clamp in real values, applied to the quantised output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing but the range of int8.
    #[default]
    None,
    /// At least 0.
    Relu,
    /// 0..=6.
    Relu6,
    /// -1..=1.
    ReluN1To1,
}

impl Activation {
    /// Lowest and highest quantised output, as TFLite computes them: `zero_point + round(x/scale)`,
    /// the quotient in f32, half away from zero, within -128..=127.
    pub fn range(self, scale: f32, zero_point: i32) -> (i8, i8) {
        // `as i32` saturates, so that a tiny scale gives the bound of int8, not nonsense.
        let quantise = |x: f32| {
            zero_point
                .saturating_add((x / scale).round() as i32)
                .clamp(-128, 127) as i8
        };
        match self {
            Self::None => (i8::MIN, i8::MAX),
            Self::Relu => (quantise(0.0), i8::MAX),
            Self::Relu6 => (quantise(0.0), quantise(6.0)),
            Self::ReluN1To1 => (quantise(-1.0), quantise(1.0)),
        }
    }
}

/// How positions outside the input are treated, exactly as in TFLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Padding {
    /// `ceil(input / stride)` outputs; the odd padded row or column lies below or to the right.
    Same,
    /// Only whole kernels.
    Valid,
    /// As many rows and columns as stated, then only whole kernels.
    Explicit {
        /// Above, left.
        before: [usize; 2],
        /// Below, right.
        after: [usize; 2],
    },
}

/// How an int32 accumulator becomes int8: see `edge_runtime::format::rounding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundingMode {
    /// Two roundings, as TFLite's convolution and TensorFlow Lite Micro throughout.
    Double,
    /// One rounding, as LiteRT's reference for fully connected layers.
    Single,
    /// One rounding of a 32-bit high product: the cheapest; for models trained here.
    High32,
}
