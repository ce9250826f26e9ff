//! The end of the kernels of [`tile`](super::tile): from sums in memory to outputs.

use super::constants::{Constants, PREPARED};
use super::tile::{LANES, Vectors};
use crate::kernels::reference::requantise::Rounding;

/// Rounding [`Double`](Rounding::Double) without shifts to the left, where no output lies below the
/// zero point: halves below zero may round either way, because both results are cut off.
pub(crate) const DOUBLE_RELU: u8 = 0;
/// `Double` without shifts to the left.
pub(crate) const DOUBLE: u8 = 1;
/// `Double`.
pub(crate) const DOUBLE_LEFT: u8 = 2;
/// Rounding [`Single`](Rounding::Single).
pub(crate) const SINGLE: u8 = 3;
/// Rounding [`High32`](Rounding::High32).
pub(crate) const HIGH_32: u8 = 4;
/// What the vectors do not cover: by the reference's own function.
const ONE_BY_ONE: u8 = 5;

/// Prepared constants of a block of sixteen channels; zeros where there is no channel.
#[repr(C)]
struct Block {
    bias: [i32; 16],
    multipliers: [i32; 16],
    left: [i32; 16],
    right: [i32; 16],
    how: u32,
}

const _: () = assert!(size_of::<Block>() <= PREPARED && PREPARED.is_multiple_of(16));

impl Constants {
    fn block(&self, block: usize) -> *const Block {
        self.prepared.wrapping_add(block * PREPARED).cast()
    }

    /// The prepared biases of a block.
    pub(crate) fn bias_of(&self, block: usize) -> *const i32 {
        self.block(block).cast()
    }
}

/// Computes the constants of all channels once for a layer.
///
/// # Safety
/// As [`Lanes::prepare`](super::Lanes::prepare).
pub(crate) unsafe fn prepare<V: Vectors>(constants: &Constants, to: *mut u8) {
    let wide = constants.rounding == Rounding::Single;
    for block in 0..constants.channels.div_ceil(16) {
        let mut values = Block {
            bias: [0; 16],
            multipliers: [0; 16],
            left: [0; 16],
            right: [0; 16],
            how: 0,
        };
        let first = block * 16;
        let count = (constants.channels - first).min(16);
        let mut covered = true;
        let mut any_left = 0;
        // SAFETY: these are channels.
        let shifts = unsafe {
            let copy = |from: *const i32, to: &mut [i32; 16]| {
                from.add(first)
                    .copy_to_nonoverlapping(to.as_mut_ptr(), count);
            };
            copy(constants.bias, &mut values.bias);
            copy(constants.multipliers, &mut values.multipliers);
            core::slice::from_raw_parts(constants.shifts.add(first), count)
        };
        let lanes = values.left.iter_mut().zip(&mut values.right);
        for ((left, right), shift) in lanes.zip(shifts) {
            let shift = i32::from(*shift);
            let down = match constants.rounding {
                Rounding::Double => {
                    *left = shift.clamp(0, 30);
                    (-shift).clamp(0, 31)
                }
                Rounding::Single => 31 - shift.clamp(-31, 30),
                Rounding::High32 => {
                    *left = shift.clamp(0, 7);
                    0
                }
            };
            any_left |= *left;
            *left = V::left(left.unsigned_abs());
            match V::right(down.unsigned_abs(), wide) {
                Some(kept) => *right = kept,
                None => covered = false,
            }
        }
        let how = match constants.rounding {
            _ if !covered => ONE_BY_ONE,
            Rounding::Double if any_left != 0 => DOUBLE_LEFT,
            Rounding::Double if i32::from(constants.min) >= constants.zero_point => DOUBLE_RELU,
            Rounding::Double => DOUBLE,
            Rounding::Single => SINGLE,
            Rounding::High32 => HIGH_32,
        };
        values.how = how.into();
        // SAFETY: the table has room for the block.
        unsafe {
            to.add(block * PREPARED)
                .cast::<Block>()
                .write_unaligned(values)
        }
    }
}

/// Writes the outputs of `pixels` pixels: `vectors` times four channels from `channel`, as many of
/// them as there are.
///
/// # Safety
/// `constants` hold what their fields say, are prepared, and `channel`, a multiple of sixteen, is
/// one; `totals` are `[pixel][vector][4]`, the bias included; `output` is the first of as many
/// pixels, all channels of which are writable.
#[inline(never)]
pub(crate) unsafe fn finish<V: Vectors>(
    constants: &Constants,
    channel: usize,
    vectors: usize,
    totals: *mut i32,
    output: *mut i8,
    pixels: usize,
) {
    let mut vector = 0;
    while vector < vectors && channel + vector * LANES < constants.channels {
        let strip = Strip {
            constants,
            channel: channel + vector * LANES,
            totals: totals.wrapping_add(vector * LANES),
            stride: vectors * LANES,
            vectors: (vectors - vector).min(4),
            output: output.wrapping_add(channel + vector * LANES),
            pixels,
        };
        // SAFETY: the block has a channel.
        unsafe {
            match (*constants.block(strip.channel / 16)).how as u8 {
                DOUBLE_RELU => strip.write::<V, DOUBLE_RELU>(),
                DOUBLE => strip.write::<V, DOUBLE>(),
                DOUBLE_LEFT => strip.write::<V, DOUBLE_LEFT>(),
                SINGLE => strip.write::<V, SINGLE>(),
                HIGH_32 => strip.write::<V, HIGH_32>(),
                _ => strip.one_by_one(),
            }
        }
        vector += 4;
    }
}

/// A block of channels of some pixels.
struct Strip<'a> {
    constants: &'a Constants,
    /// A multiple of sixteen.
    channel: usize,
    totals: *const i32,
    /// Numbers from the totals of a pixel to those of the next.
    stride: usize,
    /// With totals, of the four of the block.
    vectors: usize,
    output: *mut i8,
    pixels: usize,
}

impl Strip<'_> {
    /// # Safety
    /// As [`finish`].
    #[inline]
    unsafe fn write<V: Vectors, const HOW: u8>(&self) {
        let constants = self.constants;
        let block = constants.block(self.channel / 16);
        // SAFETY: the block is prepared.
        let block = unsafe { &*block };
        let at = |of: &[i32; 16], v: usize| of.as_ptr().wrapping_add(v * LANES);
        // SAFETY: four vectors of constants.
        let scales: [V::Scale; 4] = core::array::from_fn(|v| unsafe {
            V::load_scale(
                at(&block.multipliers, v),
                at(&block.left, v),
                at(&block.right, v),
            )
        });
        let end = [
            constants.zero_point,
            constants.min.into(),
            constants.max.into(),
        ];
        let left = (constants.channels - self.channel).min(16);
        for pixel in 0..self.pixels {
            // SAFETY: the pixel has totals and outputs; a missing vector repeats the first one, and
            // its outputs are no channels.
            unsafe {
                let totals = self.totals.add(pixel * self.stride);
                let to = self.output.add(pixel * constants.channels);
                let lanes: [V::Lanes; 4] = if self.vectors == 4 {
                    let [a, b, c, d] = &scales;
                    [
                        V::scale::<HOW>(a, V::load(totals)),
                        V::scale::<HOW>(b, V::load(totals.add(LANES))),
                        V::scale::<HOW>(c, V::load(totals.add(LANES * 2))),
                        V::scale::<HOW>(d, V::load(totals.add(LANES * 3))),
                    ]
                } else {
                    let [a, b, ..] = &scales;
                    let first = V::scale::<HOW>(a, V::load(totals));
                    let second = V::scale::<HOW>(b, V::load(totals.add(LANES)));
                    [first, second, first, second]
                };
                if left == 16 {
                    V::narrow(lanes, end, to);
                } else {
                    let mut bytes = [0_i8; 16];
                    V::narrow(lanes, end, bytes.as_mut_ptr());
                    if left == 8 {
                        to.cast::<[i8; 8]>()
                            .write_unaligned(bytes.as_ptr().cast::<[i8; 8]>().read_unaligned());
                    } else {
                        bytes.as_ptr().copy_to_nonoverlapping(to, left);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`finish`].
    #[cold]
    unsafe fn one_by_one(&self) {
        let constants = self.constants;
        let channels = (constants.channels - self.channel).min(16);
        for pixel in 0..self.pixels {
            for lane in 0..channels {
                // SAFETY: it is a channel of a pixel with totals.
                unsafe {
                    let acc = *self.totals.add(pixel * self.stride + lane);
                    let scaled = constants.rounding.scale(
                        acc,
                        *constants.multipliers.add(self.channel + lane),
                        *constants.shifts.add(self.channel + lane),
                    );
                    let value = scaled.saturating_add(constants.zero_point);
                    let value = value.max(constants.min.into()).min(constants.max.into());
                    *self.output.add(pixel * constants.channels + lane) = value as i8;
                }
            }
        }
    }
}
