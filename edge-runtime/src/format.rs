//! The bytes of a model image, as the compiler writes them and the device reads them in place.
//!
//! `FORMAT.md` beside this crate is the document; this module is the same in types. All integers
//! are little-endian, every section starts on a 16-byte boundary, and the records hold natively
//! aligned fields, so that a device reads them where they lie in flash.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[cfg(not(target_endian = "little"))]
compile_error!("model images are read in place, which needs a little-endian target");

/// The first four bytes of every image.
pub const MAGIC: [u8; 4] = *b"DNL\x01";
/// Images of another major version are refused.
pub const FORMAT_MAJOR: u16 = 1;
/// Images of a higher minor version are refused, lower ones are read.
pub const FORMAT_MINOR: u16 = 1;
/// Alignment of the image, of each of its sections and of the arena, in bytes.
pub const ALIGNMENT: usize = 16;
/// Where [`Header::hash`] lies; it is 32 bytes long.
pub const HASH_OFFSET: usize = 16;
/// Bins of every histogram in the drift reference and in the device's statistics.
pub const BINS: usize = 16;
/// "No tensor" in [`OperatorRecord::inputs`].
pub const NO_TENSOR: u16 = u16::MAX;
/// Dimensions of a strided copy, see [`opcode::COPY`].
pub const COPY_RANK: usize = 6;

/// A run of bytes in the image.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Section {
    /// First byte, from the start of the image; a multiple of [`ALIGNMENT`].
    pub offset: u32,
    /// Length in bytes, without the padding to the next section.
    pub len: u32,
}

/// The header: 176 bytes at offset 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// [`FORMAT_MAJOR`].
    pub format_major: u16,
    /// [`FORMAT_MINOR`].
    pub format_minor: u16,
    /// Length of the whole image in bytes, a multiple of [`ALIGNMENT`].
    pub image_len: u32,
    /// Zero.
    pub reserved: u32,
    /// SHA-256 over the 16 bytes before this field and all `image_len - 48` bytes after it.
    pub hash: [u8; 32],
    /// SHA-256 of the graph in its canonical form: the same for every target.
    pub graph_hash: [u8; 32],
    /// Operators and packings that a device must have: bits of [`kernel_set`].
    pub kernel_set: u32,
    /// Arena that a session needs, in bytes.
    pub arena_bytes: u32,
    /// Bound of the stack that `Session::run` uses, in bytes.
    pub stack_bytes: u32,
    /// Multiply-accumulate operations of one inference.
    pub macs: u32,
    /// Index of the input tensor.
    pub input: u16,
    /// Index of the output tensor.
    pub output: u16,
    /// Where in the constants the tensor indices (`u16`) of further inputs, then further outputs
    /// lie; a multiple of 4. Zero where there are none.
    pub further: u32,
    /// How many inputs there are besides `input`.
    pub further_inputs: u16,
    /// How many outputs there are besides `output`.
    pub further_outputs: u16,
    /// Zero.
    pub reserved_tail: u32,
    /// [`TensorRecord`]s.
    pub tensors: Section,
    /// [`OperatorRecord`]s, in the order of execution.
    pub operators: Section,
    /// Packed weights, biases, multipliers and shifts.
    pub constants: Section,
    /// [`FeatureHeader`], then `len` offsets and `len` gains as `f32`; empty where the input comes
    /// quantised.
    pub features: Section,
    /// Labels in UTF-8, one for each element of the output, each ended by `\n`; or empty.
    pub labels: Section,
    /// [`DriftHeader`], then edges and reference counts; or empty.
    pub drift: Section,
    /// [`SelfTestRecord`].
    pub self_test: Section,
    /// Anything in UTF-8 that only the host reads.
    pub metadata: Section,
}

/// A tensor: 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct TensorRecord {
    /// Batch (always 1), height, width, channels.
    pub shape: [u16; 4],
    /// First byte in the arena, a multiple of [`ALIGNMENT`], or in the constants, see
    /// [`storage`].
    pub arena_offset: u32,
    /// Elements, the product of `shape`.
    pub len: u32,
    /// Real value of one quantised step: `real = scale * (q - zero_point)`; finite and above zero.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
    /// One of [`element`].
    pub element: u32,
    /// One of [`storage`].
    pub storage: u32,
}

/// Element types of a tensor.
pub mod element {
    /// Signed 8-bit.
    pub const I8: u32 = 0;
    /// Signed 16-bit: only for states.
    pub const I16: u32 = 1;
}

/// Where a tensor lives.
pub mod storage {
    /// In the arena, from the operator that writes it to the last that reads it.
    pub const ARENA: u32 = 0;
    /// In the constants: operators read it, none writes it.
    pub const CONSTANT: u32 = 1;
    /// In the arena for good: a recurrent operator reads and writes it, and it outlives the run.
    /// A reset fills it with the zero point.
    pub const STATE: u32 = 2;
}

/// An operator: 80 bytes. Offsets point into the `constants` section and are multiples of 4
/// (16 for weights).
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OperatorRecord {
    /// One of [`opcode`].
    pub opcode: u8,
    /// One of [`rounding`]; zero for operators that do not requantise.
    pub rounding: u8,
    /// One of [`packing`]: how `weights` are laid out.
    pub packing: u8,
    /// Lowest output value after the fused activation (an `i8`).
    pub clamp_min: i8,
    /// Highest output value after the fused activation.
    pub clamp_max: i8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Tensor indices; unused ones are [`NO_TENSOR`].
    pub inputs: [u16; 2],
    /// Tensor index.
    pub output: u16,
    /// Height, width of the kernel or pool; 1 where there is none.
    pub kernel: [u16; 2],
    /// Vertical, horizontal stride.
    pub stride: [u16; 2],
    /// Rows above and columns left of the input that are padded with its zero point. What is
    /// padded below and to the right follows from the shapes.
    pub padding: [u16; 2],
    /// Vertical, horizontal dilation, at least 1.
    pub dilation: [u16; 2],
    /// A second state tensor (the cell of an LSTM), otherwise zero.
    pub state: u16,
    /// First byte of the packed weights.
    pub weights: u32,
    /// Their length in bytes.
    pub weights_len: u32,
    /// `i32` per output channel, the input's zero point already folded in:
    /// `bias[o] - zero_point * sum(weights[o])`.
    pub bias: u32,
    /// `i32` multiplier per output channel, see [`rounding`].
    pub multipliers: u32,
    /// `i8` shift per output channel, see [`rounding`]; padded to 4 bytes.
    pub shifts: u32,
    /// First byte of scratch in the arena.
    pub scratch: u32,
    /// Its length in bytes.
    pub scratch_len: u32,
    /// Numbers of the operator's own, see [`opcode`]; zero where there are none.
    pub parameters: [i32; 5],
}

/// Operators. `FORMAT.md` says what each does with its parameters.
pub mod opcode {
    /// `y = W x + b` on the flattened input; weights `[output][input]`.
    pub const FULLY_CONNECTED: u8 = 1;
    /// 2-D convolution; weights `[output][height][width][input]`.
    pub const CONV_2D: u8 = 2;
    /// Greatest value of each pool.
    pub const MAX_POOL_2D: u8 = 3;
    /// The same bytes in another shape; a copy only where the plan gives it another place.
    pub const RESHAPE: u8 = 4;
    /// Over the channels, in the fixed-point arithmetic of TFLite.
    pub const SOFTMAX: u8 = 5;
    /// A stand-alone ReLU, ReLU6 or ReLU_N1_TO_1: clamps to `clamp_min..=clamp_max`; input and
    /// output have one scale and zero point.
    pub const CLAMP: u8 = 6;
    /// Each output channel from one input channel; weights `[height][width][output]`.
    pub const DEPTHWISE_CONV_2D: u8 = 7;
    /// Rounded mean of each pool, padding not counted.
    pub const AVERAGE_POOL_2D: u8 = 8;
    /// Sum or difference of two tensors, broadcast.
    pub const ADD: u8 = 9;
    /// Product of two tensors, broadcast.
    pub const MUL: u8 = 10;
    /// A table of 256 entries for each element: any function of one int8.
    pub const LOOKUP: u8 = 11;
    /// Negative elements times a slope that is the second input, broadcast.
    pub const PRELU: u8 = 12;
    /// A strided copy into a part of the output. Several may write one tensor.
    pub const COPY: u8 = 13;
    /// The whole output becomes `clamp_min`.
    pub const FILL: u8 = 14;
    /// Rounded mean over one run of dimensions.
    pub const MEAN: u8 = 15;
    /// Each output pixel is one of the input's, by tables of rows and columns.
    pub const RESIZE_NEAREST: u8 = 16;
    /// Each output pixel from four of the input's.
    pub const RESIZE_BILINEAR: u8 = 17;
    /// Transposed 2-D convolution; weights `[output][height][width][input]`.
    pub const TRANSPOSE_CONV: u8 = 18;
    /// A sequence through a long short-term memory.
    pub const LSTM: u8 = 19;
    /// A rank-1 filter over time, see TFLite's SVDF.
    pub const SVDF: u8 = 20;
}

/// Layouts of packed weights; each is described in `kernels::packing`.
pub mod packing {
    /// Row by row as the opcode says, without padding: every device has it.
    pub const CANONICAL: u8 = 0;
    /// Blocks of four channels for Cortex-M with DSP, weights of 16 bits.
    pub const DSP_I16: u8 = 1;
    /// The same with weights of 8 bits.
    pub const DSP_I8: u8 = 2;
    /// 3x3 weights transformed for Winograd's F(2x2, 3x3), for Cortex-M with DSP.
    pub const DSP_WINOGRAD_2X2: u8 = 3;
    /// The same for F(4x4, 3x3).
    pub const DSP_WINOGRAD_4X4: u8 = 4;
    /// Depthwise 3x3 weights for Cortex-M with DSP.
    pub const DSP_DEPTHWISE: u8 = 5;
    /// Canonical depthwise 3x3 weights that a Cortex-M with DSP packs for itself as it runs.
    pub const DSP_DEPTHWISE_SMALL: u8 = 7;
    /// Pairs of channels of a convolution for Helium.
    pub const MVE_PANEL: u8 = 8;
    /// Groups of eight outputs of a fully connected layer for Helium.
    pub const MVE_DENSE: u8 = 8;
    /// 3x3 weights of 16 input channels at a time for Helium.
    pub const MVE_DIRECT: u8 = 9;
    /// Depthwise 3x3 weights for Helium.
    pub const MVE_DEPTHWISE: u8 = 10;
    /// Depthwise weights of any window for Helium.
    pub const MVE_DEPTHWISE_ANY: u8 = 11;
    /// Blocks of four channels, two taps a word, for cores without packed arithmetic.
    pub const PAIRS: u8 = 12;
    /// Depthwise weights `[output channel][tap]`, for cores without packed arithmetic.
    pub const DEPTHWISE_CHANNELS: u8 = 14;
    /// Blocks of 16 channels by 4 taps for x86-64, 64-bit ARM and WebAssembly.
    pub const DOT_16X4: u8 = 16;
    /// Depthwise weights in blocks of 16 channels by 4 rows for the same.
    pub const DEPTHWISE_16X4: u8 = 17;
    /// 3x3 weights transformed for Winograd's F(4x4, 3x3), for x86-64.
    pub const WINOGRAD_16X2: u8 = 18;
    /// Fully connected weights input by input, for x86-64.
    pub const ROWS_128: u8 = 19;
    /// [`super::opcode::ADD`] in one linear form: `clamp((a · x1 + b · x2 + c) >> shift)` with
    /// parameters a, b, c, shift.
    pub const FITTED: u8 = 6;
}

/// How a 32-bit accumulator becomes an output. `m` is the channel's multiplier, `s` its shift.
pub mod rounding {
    /// TFLite's two steps: saturating rounding doubling high multiply of `acc << max(s, 0)` by `m`,
    /// then a rounding (half away from zero) right shift by `max(-s, 0)`. `-31 <= s <= 30`.
    pub const DOUBLE: u8 = 1;
    /// One step: `(acc * m + 2^(30 - s)) >> (31 - s)` in 64 bits, `-31 <= s <= 30`.
    pub const SINGLE: u8 = 2;
    /// `((acc << s) * m + 2^31) >> 32` with `m = round(2^32 * M / 2^s)` below 2^31 and `0 <= s <= 7`.
    pub const HIGH_32: u8 = 3;
}

/// Bits of [`Header::kernel_set`]: bit `opcode` for each operator, and bit `24 + packing / 4` for
/// each packing but the canonical one, which every device has.
pub mod kernel_set {
    use super::packing;

    /// The bits that an operator in a packing needs.
    pub const fn bits(opcode: u8, packing: u8) -> u32 {
        let operator = 1_u32.wrapping_shl(opcode as u32);
        if packing == packing::CANONICAL {
            operator
        } else {
            operator | (1_u32 << 24).wrapping_shl(packing as u32 / 4)
        }
    }
}

/// Start of the feature section: 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FeatureHeader {
    /// One of [`feature_kind`].
    pub kind: u32,
    /// Samples (`f32`) of one window as the sensor delivers them.
    pub window: u32,
    /// Features of one window; equals the length of the input tensor.
    pub len: u32,
    /// Spectrum: bands per channel. Compressed values: kinds per sensor. Zero otherwise.
    pub bands: u32,
    /// Samples per second, for people and drivers; zero where it has no meaning.
    pub sample_rate_hz: f32,
    /// Zero.
    pub reserved: [u32; 3],
}

/// Feature pipelines. Each ends with `(x[i] - offset[i]) * gain[i]`, then quantisation to the input.
pub mod feature_kind {
    /// No pipeline; never written, the section is empty.
    pub const NONE: u32 = 0;
    /// The samples themselves, standardised: `window == len`.
    pub const STANDARDISE: u32 = 1;
    /// Log spectrum and log envelope spectrum of a vibration, interleaved: `len == 2 * bands`.
    pub const VIBRATION: u32 = 2;
    /// Signed logarithms relative to the mean over the sensors, then those means:
    /// `len == window + bands`, where `bands` is the number of kinds of values (may be 0).
    pub const COMPRESS: u32 = 3;
}

/// Start of the drift section: 16 bytes; then per monitored feature 15 ascending `i8` edges and a
/// zero byte (16 bytes), then per feature [`BINS`] `u32` counts, then [`BINS`] counts of the
/// confidence, then one `u32` count per class as predicted on the reference windows.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct DriftHeader {
    /// Monitored features: 0, or as many as the pipeline has.
    pub features: u32,
    /// Windows that were counted.
    pub windows: u32,
    /// Outputs of the model.
    pub classes: u32,
    /// Zero.
    pub reserved: u32,
}

/// The self-test: 48 bytes. Input `i` is the byte `i` of the generator that `FORMAT.md` specifies,
/// started with `seed`; the model is run `rounds` times on consecutive bytes, and `expected` is the
/// SHA-256 over all outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct SelfTestRecord {
    /// Start of the generator; never zero.
    pub seed: u32,
    /// Inferences, 1..=8.
    pub rounds: u32,
    /// Zero.
    pub reserved: [u32; 2],
    /// SHA-256 of the outputs, one after the other.
    pub expected: [u8; 32],
}

const _: () = {
    assert!(size_of::<Header>() == 176);
    assert!(size_of::<TensorRecord>() == 32);
    assert!(size_of::<OperatorRecord>() == 80);
    assert!(size_of::<FeatureHeader>() == 32);
    assert!(size_of::<DriftHeader>() == 16);
    assert!(size_of::<SelfTestRecord>() == 48);
};
