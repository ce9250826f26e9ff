//! Layers with weights: FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV.

use super::{Call, Cost, Fault, Inputs, Sharing, product};
use crate::format::rounding;
use crate::kernels::layer::Layer;
use crate::kernels::reference::Window;
use crate::kernels::reference::requantise::Rounding;

/// How a packing keeps a layer's constants.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    /// Whether these bytes are the packed weights of a window.
    pub holds: fn(&Window, &[u8]) -> bool,
    /// Bytes of scratch that the kernel needs.
    pub scratch_len: fn(&Window) -> usize,
    /// Whether bias, multipliers and shifts are arrays of their own.
    pub channels_apart: bool,
}

/// Canonical weights of a fully connected layer or a convolution.
pub(crate) const CANONICAL: Packed = Packed {
    holds: |window, weights| {
        let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
        let [height, width] = window.kernel;
        product(&[channels, height, width, depth]) == Ok(weights.len() as u32)
    },
    scratch_len: |_| 0,
    channels_apart: true,
};

/// Canonical weights of a depthwise convolution.
pub(crate) const CANONICAL_DEPTHWISE: Packed = Packed {
    holds: |window, weights| {
        let [_, _, channels] = window.output;
        let [height, width] = window.kernel;
        product(&[channels, height, width]) == Ok(weights.len() as u32)
    },
    scratch_len: |_| 0,
    channels_apart: true,
};

pub(crate) fn check_fully_connected(call: &Call<'_>, packed: &Packed) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    call.no_window()?;
    let (x, y) = (call.x(), call.y());
    let [_, height, width, _] = y.shape;
    if height != 1 || width != 1 {
        return Err(Fault::Geometry);
    }
    check_constants(call, packed, &flattened(call))?;
    Ok(Cost::of_macs(product(&[x.elements(), y.elements()])?))
}

pub(crate) fn check_conv(call: &Call<'_>, packed: &Packed) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Raster)?;
    let window = call.window();
    check_window(&window)?;
    check_constants(call, packed, &window)?;
    let ([_, _, depth], [height, width]) = (window.input, window.kernel);
    Ok(Cost::of_macs(product(&[
        call.y().elements(),
        height,
        width,
        depth,
    ])?))
}

pub(crate) fn check_depthwise(call: &Call<'_>, packed: &Packed) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Raster)?;
    let window = call.window();
    check_window(&window)?;
    let ([_, _, depth], [_, _, channels]) = (window.input, window.output);
    if !channels.is_multiple_of(depth) {
        return Err(Fault::Geometry);
    }
    check_constants(call, packed, &window)?;
    let [height, width] = window.kernel;
    Ok(Cost::of_macs(product(&[
        call.y().elements(),
        height,
        width,
    ])?))
}

pub(crate) fn check_transpose_conv(call: &Call<'_>) -> Result<Cost, Fault> {
    call.check_record(Inputs::One, Sharing::Never)?;
    let window = call.window();
    let [kernel_y, kernel_x] = window.kernel;
    let [stride_y, stride_x] = window.stride;
    if kernel_y == 0 || kernel_x == 0 || stride_y == 0 || stride_x == 0 || window.dilation != [1, 1]
    {
        return Err(Fault::Geometry);
    }
    check_constants(call, &CANONICAL, &window)?;
    let ([_, _, channels], [in_height, in_width, depth]) = (window.output, window.input);
    let macs = product(&[in_height, in_width, kernel_y, kernel_x, depth, channels])?;
    // The kernel looks at every tap of every output.
    let work = product(&[call.y().elements(), kernel_y, kernel_x, depth])?;
    Ok(Cost {
        macs,
        work: work.max(macs),
    })
}

/// A fully connected layer as a window of one pixel.
#[cfg_attr(not(target_os = "none"), inline(always))]
fn flattened(call: &Call<'_>) -> Window {
    Window {
        input: [1, 1, call.x().elements()],
        output: [1, 1, call.y().elements()],
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
    }
}

/// The layer as its kernel gets it.
pub(crate) fn layer<'a>(call: &Call<'a>) -> Layer<'a> {
    bind(call, call.window())
}

/// A fully connected layer as its kernel gets it.
// A kernel of one pixel may take no longer than to write all this to memory and read it again.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) fn flat_layer<'a>(call: &Call<'a>) -> Layer<'a> {
    bind(call, flattened(call))
}

#[inline(always)] // A window passed on is a copy on the stack.
fn bind<'a>(call: &Call<'a>, window: Window) -> Layer<'a> {
    let (x, y, record) = (call.x(), call.y(), call.record);
    let [_, _, channels] = window.output;
    // Offsets of arrays that the packing does not keep apart are zero and never read.
    Layer {
        window,
        weights: call.weights(),
        bias: call.i32s(record.bias, channels),
        multipliers: call.i32s(record.multipliers, channels),
        shifts: call.i8s(record.shifts, channels),
        // Loaded models have only known codes.
        rounding: Rounding::from_code(record.rounding).unwrap_or(Rounding::Double),
        pad: x.zero_point.clamp(-128, 127) as i8,
        zero_point: y.zero_point,
        min: record.clamp_min,
        max: record.clamp_max,
        input: call.cells(x),
        output: call.cells(y),
        scratch: call.scratch(),
    }
}

/// Both axes of a sliding window, see [`axis_follows`].
pub(crate) fn check_window(window: &Window) -> Result<(), Fault> {
    let ([in_height, in_width, _], [out_height, out_width, _]) = (window.input, window.output);
    let [kernel_y, kernel_x] = window.kernel;
    let [stride_y, stride_x] = window.stride;
    let [padding_y, padding_x] = window.padding;
    let [dilation_y, dilation_x] = window.dilation;
    let rows = [
        in_height, out_height, kernel_y, stride_y, padding_y, dilation_y,
    ];
    let columns = [
        in_width, out_width, kernel_x, stride_x, padding_x, dilation_x,
    ];
    if axis_follows(rows) && axis_follows(columns) {
        Ok(())
    } else {
        Err(Fault::Geometry)
    }
}

/// One axis (input, output, kernel, stride, padding, dilation) of a sliding window: the padding
/// before the input and the one that follows behind it are each shorter than the (dilated) kernel,
/// and no step of the kernel is left out.
fn axis_follows(axis: [usize; 6]) -> bool {
    if axis.iter().any(|value| *value > 0xFFFF) {
        return false;
    }
    let [input, output, kernel, stride, padding, dilation] = axis.map(|value| value as u32);
    if input < 1 || kernel < 1 || stride < 1 || dilation < 1 || output < 1 {
        return false;
    }
    // Products of 16 bits each: nothing wraps.
    let extent = (kernel - 1).wrapping_mul(dilation).wrapping_add(1);
    let before_last = (output - 1).wrapping_mul(stride);
    let covered = padding.wrapping_add(input);
    // Behind the input lie `before_last + extent - covered` rows.
    let behind_all = before_last.saturating_add(extent).saturating_add(stride);
    padding < extent && before_last < covered && behind_all > covered
}

fn check_constants(call: &Call<'_>, packed: &Packed, window: &Window) -> Result<(), Fault> {
    call.no_parameters()?;
    call.no_state()?;
    call.check_weights(call.record.weights_len as usize)?;
    if !(packed.holds)(window, call.weights()) {
        return Err(Fault::Weights);
    }
    if (call.record.scratch_len as usize) < (packed.scratch_len)(window) {
        return Err(Fault::Scratch);
    }
    let range = match call.record.rounding {
        rounding::DOUBLE | rounding::SINGLE => -31..=30,
        rounding::HIGH_32 => 0..=7,
        _ => return Err(Fault::Rounding),
    };
    let record = call.record;
    if !packed.channels_apart {
        let any = record.bias | record.multipliers | record.shifts;
        return (any == 0).then_some(()).ok_or(Fault::Unused);
    }
    let [_, _, channels] = window.output;
    let words = channels.checked_mul(4).ok_or(Fault::Channels)?;
    let found = |offset, len| call.checked_bytes(offset, len, 4).ok_or(Fault::Channels);
    found(record.bias, words)?;
    let multipliers = found(record.multipliers, words)?;
    let shifts = found(record.shifts, channels)?;
    // Little-endian: the sign is in the last byte.
    let (multipliers, _) = multipliers.as_chunks::<4>();
    if multipliers.iter().any(|[_, _, _, last]| *last >= 0x80) {
        return Err(Fault::Multiplier);
    }
    let mut shifts = shifts.iter();
    if shifts.any(|shift| !range.contains(&shift.cast_signed())) {
        return Err(Fault::Shift);
    }
    Ok(())
}
