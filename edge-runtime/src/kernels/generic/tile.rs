//! Convolution and depthwise rows over vectors of four 32-bit lanes, for instruction sets that
//! implement [`Vectors`].
//!
//! A tile is `P` pixels by `N` vectors of four channels. A vector of weights is four channels by
//! four taps, so it meets the same four activations in each channel; that of a depthwise layer meets
//! a column of the window of each channel.

use core::mem::MaybeUninit;

use super::constants::Constants;
use super::depthwise::DepthwiseRow;
use super::finish::finish;
use super::rows::Row;
use crate::kernels::packing::dot_16x4::GROUP;

/// Channels of a vector, and taps of a step.
pub(crate) const LANES: usize = 4;
/// Steps that [`Vectors::four_steps`] gets at once.
const STEPS: usize = 4;
/// Pixels whose sums wait for their end together: a multiple of every tile's width, and of two.
pub(crate) const STRIP: usize = 24;

/// The sums of [`STRIP`] pixels by four vectors, or fewer pixels by more vectors: `[pixel][vector][4]`.
pub(crate) type Totals = MaybeUninit<[[[i32; LANES]; 4]; STRIP]>;

/// Vectors of an instruction set. Its functions are the arithmetic of the kernels.
///
/// # Safety
/// All but the plain constants need the instruction set; pointers are readable or writable for what
/// a function says, at any alignment.
pub(crate) trait Vectors: Copy {
    /// Bytes of an activation in scratch.
    const BYTES: usize;
    /// Most pixels of a tile of four vectors (up to 6), and most vectors of a tile of one pixel (4,
    /// 8 or 16): what the registers hold.
    const PIXELS: usize;
    /// See `PIXELS`.
    const WIDEST: usize;

    /// Four channels by four taps.
    type Weights: Copy;
    /// Four activations for each of four channels.
    type Inputs: Copy;
    /// Activations of four steps.
    type Steps: Copy;
    /// Four channels' sums on their way.
    type Sums: Copy;
    /// Four numbers.
    type Lanes: Copy;
    /// Prepared constants of four channels for [`scale`](Self::scale).
    type Scale: Copy;

    /// Sixteen weights.
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// One column each of four channels.
    unsafe fn columns(from: *const u8) -> Self::Inputs;
    /// Four activations, the same for all channels.
    unsafe fn step(from: *const u8) -> Self::Inputs;
    /// Sixteen activations.
    unsafe fn four_steps(from: *const u8) -> Self::Steps;
    /// Step `STEP` of four, the same for all channels, multiplied with weights and added.
    unsafe fn dot_step<const STEP: i32>(
        sums: Self::Sums,
        weights: Self::Weights,
        steps: Self::Steps,
    ) -> Self::Sums;
    /// Multiplies and adds.
    unsafe fn dot(sums: Self::Sums, weights: Self::Weights, inputs: Self::Inputs) -> Self::Sums;
    /// Sums that start with a number for each channel.
    unsafe fn start(from: Self::Lanes) -> Self::Sums;
    /// The sums when they are done.
    unsafe fn total(sums: Self::Sums) -> Self::Lanes;
    /// Four numbers.
    unsafe fn load(from: *const i32) -> Self::Lanes;
    /// Four numbers.
    unsafe fn store(lanes: Self::Lanes, to: *mut i32);

    /// How a shift to the left is kept for [`load_scale`](Self::load_scale).
    fn left(shift: u32) -> i32;
    /// How a shift to the right is kept for [`load_scale`](Self::load_scale), and whether `scale`
    /// can do with it; `wide` for a 64-bit product (of [`SINGLE`](super::finish::SINGLE)).
    fn right(shift: u32, wide: bool) -> Option<i32>;
    /// Multipliers and kept shifts of four channels.
    unsafe fn load_scale(
        multipliers: *const i32,
        left: *const i32,
        right: *const i32,
    ) -> Self::Scale;
    /// Scales four accumulators; `HOW` is one of [`finish`](super::finish)'s, not `ONE_BY_ONE`.
    unsafe fn scale<const HOW: u8>(scale: &Self::Scale, acc: Self::Lanes) -> Self::Lanes;
    /// Sixteen outputs of the zero point, limited: `[zero point, min, max]` in `end`.
    unsafe fn narrow(lanes: [Self::Lanes; 4], end: [i32; 3], to: *mut i8);
}

/// The part of a layer that a tile computes.
pub(crate) struct Part<'a> {
    pub row: &'a Row,
    /// First channel, a multiple of sixteen; there is at least this one.
    pub channel: usize,
    /// Weights of the first step.
    pub weights: *const i8,
    /// Bytes of a step of the group.
    pub step: usize,
}

/// Computes a row of a convolution.
///
/// # Safety
/// As [`Lanes::row`](super::Lanes::row); the constants are prepared by
/// [`prepare`](super::finish::prepare).
pub(crate) unsafe fn row<V: Vectors>(row: &Row) {
    // SAFETY: as many vectors as the group has left, or fewer.
    unsafe {
        parts(row, |part, left| match (row.pixels, left) {
            // The fewer pixels, the more channels at once.
            (1, 13..) if V::WIDEST >= 16 => pixels::<V, 16>(part, 1),
            (1, 5..) if V::WIDEST >= 8 => pixels::<V, 8>(part, 1),
            (_, 3..) => pixels::<V, 4>(part, V::PIXELS),
            _ => pixels::<V, 2>(part, 6),
        });
    }
}

/// Goes through the channels. `run` gets the number of vectors that are left, with those that fill
/// the last block not counted, as far as their weights lie side by side, and says how many it took:
/// a multiple of four, or the rest of the layer.
///
/// # Safety
/// The weights of `row` are what its field says.
pub(crate) unsafe fn parts(row: &Row, mut run: impl FnMut(&Part<'_>, usize) -> usize) {
    let blocks = row.constants.channels.div_ceil(16);
    let steps = row.kernel_rows * row.segments * row.steps;
    let vectors = row.constants.channels.div_ceil(LANES);
    let mut vector = 0;
    while vector < vectors {
        let block = vector / 4;
        let group = block - block % GROUP;
        let part = Part {
            row,
            channel: vector * LANES,
            // SAFETY: the packing has `blocks * steps * 64` bytes of weights.
            weights: unsafe { row.weights.add((group * steps + block % GROUP) * 64) },
            step: (blocks - group).min(GROUP) * 64,
        };
        vector += run(&part, (vectors - vector).min((group + GROUP) * 4 - vector));
    }
}

/// All pixels in tiles of nearly the same width, at most `most` (of 6). Returns `N`.
///
/// # Safety
/// `N` vectors from `part.channel` lie in blocks of the group; else as [`row`].
unsafe fn pixels<V: Vectors, const N: usize>(part: &Part<'_>, most: usize) -> usize {
    let row = part.row;
    let mut totals = Totals::uninit();
    let totals = totals.as_mut_ptr().cast::<i32>();
    let mut strip = 0;
    while strip < row.pixels {
        let pixels = (row.pixels - strip).min(if N <= 4 { STRIP } else { 1 });
        let mut at = 0;
        while at < pixels {
            let left = pixels - at;
            let width = left.div_ceil(left.div_ceil(most.max(1)).max(1));
            let start = strip + at;
            let to = totals.wrapping_add(at * N * LANES);
            // SAFETY: the pixels are in the row, and there is room for their sums.
            unsafe {
                match width {
                    1 => tile::<V, 1, N>(part, start, to),
                    2 if N <= 4 => tile::<V, 2, N>(part, start, to),
                    3 if N <= 4 => tile::<V, 3, N>(part, start, to),
                    4 if N <= 4 => tile::<V, 4, N>(part, start, to),
                    5 if N <= 4 => tile::<V, 5, N>(part, start, to),
                    6 if N <= 4 => tile::<V, 6, N>(part, start, to),
                    _ => return N,
                }
            }
            at += width;
        }
        // SAFETY: all sums of the strip are written.
        unsafe {
            let output = row.output.add(strip * row.constants.channels);
            finish::<V>(&row.constants, part.channel, N, totals, output, pixels);
        }
        strip += pixels;
    }
    N
}

/// # Safety
/// Pixels `start..start + P` are in the row, `totals` is writable for their sums; else as
/// [`pixels`].
#[inline(never)]
unsafe fn tile<V: Vectors, const P: usize, const N: usize>(
    part: &Part<'_>,
    start: usize,
    totals: *mut i32,
) {
    let row = part.row;
    // SAFETY: taps, and what a step reads behind a segment, lie in the ring or in the slack behind
    // it; the weights have as many steps as there are; prepared constants fill whole blocks.
    unsafe {
        let bias: [V::Sums; N] = core::array::from_fn(|n| {
            V::start(V::load(
                row.constants
                    .bias_of(part.channel / 16 + n / 4)
                    .add(n % 4 * LANES),
            ))
        });
        let mut sums = [bias; P];
        let mut weights = part.weights;
        let mut slot = row.first;
        for _ in 0..row.kernel_rows {
            for segment in 0..row.segments {
                let mut x = row
                    .ring
                    .add(slot * row.row_bytes + segment * row.segment_bytes)
                    .add(start * row.pixel_bytes);
                let mut steps = row.steps;
                while steps >= STEPS {
                    let xs: [V::Steps; P] =
                        core::array::from_fn(|p| V::four_steps(x.add(p * row.pixel_bytes)));
                    four::<V, 0, P, N>(&mut sums, weights, &xs);
                    four::<V, 1, P, N>(&mut sums, weights.add(part.step), &xs);
                    four::<V, 2, P, N>(&mut sums, weights.add(part.step * 2), &xs);
                    four::<V, 3, P, N>(&mut sums, weights.add(part.step * 3), &xs);
                    weights = weights.add(part.step * STEPS);
                    x = x.add(LANES * STEPS * V::BYTES);
                    steps -= STEPS;
                }
                while steps > 0 {
                    let xs: [V::Inputs; P] =
                        core::array::from_fn(|p| V::step(x.add(p * row.pixel_bytes)));
                    for n in 0..N {
                        let w = V::weights(weights.add(n * 16));
                        for (sums, x) in sums.iter_mut().zip(xs) {
                            if let Some(sum) = sums.get_mut(n) {
                                *sum = V::dot(*sum, w, x);
                            }
                        }
                    }
                    weights = weights.add(part.step);
                    x = x.add(LANES * V::BYTES);
                    steps -= 1;
                }
            }
            slot += row.row_step;
            if slot >= row.ring_rows {
                slot -= row.ring_rows;
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                V::store(V::total(*sum), totals.add((p * N + n) * LANES));
            }
        }
    }
}

/// One of four steps.
///
/// # Safety
/// `weights` are those of `N` vectors; the machine has the instruction set.
#[inline(always)]
unsafe fn four<V: Vectors, const STEP: i32, const P: usize, const N: usize>(
    sums: &mut [[V::Sums; N]; P],
    weights: *const i8,
    xs: &[V::Steps; P],
) {
    for n in 0..N {
        // SAFETY: passed on.
        unsafe {
            let w = V::weights(weights.add(n * 16));
            for (sums, x) in sums.iter_mut().zip(xs) {
                if let Some(sum) = sums.get_mut(n) {
                    *sum = V::dot_step::<STEP>(*sum, w, *x);
                }
            }
        }
    }
}

/// Computes a row of a depthwise convolution.
///
/// # Safety
/// As [`Columns::depthwise_row`](super::Columns::depthwise_row); the constants are prepared by
/// [`prepare`](super::finish::prepare).
pub(crate) unsafe fn depthwise_row<V: Vectors>(row: &DepthwiseRow) {
    let channels = row.constants.channels;
    let three = row.bands == 1 && row.kernel_columns == 3;
    for block in 0..channels.div_ceil(16) {
        // SAFETY: the block has a channel.
        unsafe {
            match (channels - block * 16 > 8, three) {
                (true, true) => depthwise_block::<V, 4, true>(row, block),
                (true, false) => depthwise_block::<V, 4, false>(row, block),
                (false, true) => depthwise_block::<V, 2, true>(row, block),
                (false, false) => depthwise_block::<V, 2, false>(row, block),
            }
        }
    }
}

/// The first `N` vectors of a block; `THREE` for a kernel of one band and three columns.
///
/// # Safety
/// The block has a channel; else as [`depthwise_row`].
#[inline(never)]
unsafe fn depthwise_block<V: Vectors, const N: usize, const THREE: bool>(
    row: &DepthwiseRow,
    block: usize,
) {
    let constants: &Constants = &row.constants;
    let taps = row.bands * row.kernel_columns;
    let vector = LANES * 4 * V::BYTES; // of columns
    // SAFETY: the block has, by the packing, as many weights; columns are readable for a block
    // behind the last; prepared constants fill whole blocks.
    unsafe {
        let weights = row.weights.add(block * taps * 64);
        let columns = row.columns.add(block * 4 * vector);
        let load = |weights: *const i8| -> [V::Weights; N] {
            core::array::from_fn(|n| V::weights(weights.add(n * 16)))
        };
        let bias: [V::Sums; N] =
            core::array::from_fn(|n| V::start(V::load(constants.bias_of(block).add(n * LANES))));
        // Of a kernel of three columns; else whatever.
        let last = if THREE { 64 } else { 0 };
        let w = [
            load(weights),
            load(weights.add(last)),
            load(weights.add(last * 2)),
        ];
        let mut totals = Totals::uninit();
        let totals = totals.as_mut_ptr().cast::<i32>();
        let mut from = columns;
        let mut left = row.width; // of a row, if there are several
        let mut pixel = 0;
        while pixel < row.pixels {
            let pixels = (row.pixels - pixel).min(STRIP);
            let mut to = totals;
            for _ in 0..pixels {
                let x = from;
                from = from.wrapping_add(row.pixel_bytes);
                left -= 1;
                if left == 0 {
                    let row_before = row.width * row.pixel_bytes;
                    from = from.wrapping_add(row.row_bytes).wrapping_sub(row_before);
                    left = row.width;
                }
                let mut sums = bias;
                let mut tap = |x: *const u8, w: &[V::Weights; N]| {
                    for (n, (sum, w)) in sums.iter_mut().zip(w).enumerate() {
                        *sum = V::dot(*sum, *w, V::columns(x.add(n * vector)));
                    }
                };
                if THREE {
                    let [first, second, third] = &w;
                    tap(x, first);
                    tap(x.add(row.tap_bytes), second);
                    tap(x.add(row.tap_bytes * 2), third);
                } else {
                    let mut weights = weights;
                    for band in 0..row.bands {
                        let mut x = x.add(band * row.band_bytes);
                        for _ in 0..row.kernel_columns {
                            tap(x, &load(weights));
                            x = x.wrapping_add(row.tap_bytes);
                            weights = weights.add(64);
                        }
                    }
                }
                for (n, sum) in sums.iter().enumerate() {
                    V::store(V::total(*sum), to.add(n * LANES));
                }
                to = to.add(N * LANES);
            }
            let output = row.output.add(pixel * constants.channels);
            finish::<V>(constants, block * 16, N, totals, output, pixels);
            pixel += pixels;
        }
    }
}
