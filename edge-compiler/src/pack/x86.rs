//! What the packings of x86-64 have in common: offsets for unsigned activations, affine forms of
//! the requantisation, then weights.

use edge_runtime::kernels::packing::affine::{Affine, End};

/// Fills `len` bytes: for each channel the offset `-128 * sum(weights)` as little-endian `i32` at
/// the front, after them the affine form of each end, and each weight at its place. `places` gives, for channel and tap, the place in the
/// packed bytes and the index in `weights`.
pub(super) fn pack(
    len: usize,
    channels: usize,
    taps: usize,
    weights: &[i8],
    ends: &[End],
    places: impl Fn(usize, usize) -> (Option<usize>, usize),
) -> Vec<u8> {
    let mut packed = vec![0; len];
    for channel in 0..channels {
        let mut sum = 0_i32;
        for tap in 0..taps {
            let (place, index) = places(channel, tap);
            let weight = weights.get(index).copied().unwrap_or(0);
            if let Some(byte) = place.and_then(|place| packed.get_mut(place)) {
                *byte = weight.cast_unsigned();
                sum = sum.wrapping_add(weight.into());
            }
        }
        if let Some(offset) = packed.get_mut(channel * 4..channel * 4 + 4) {
            offset.copy_from_slice(&sum.wrapping_mul(-128).to_le_bytes());
        }
    }
    let lanes = channels.next_multiple_of(16);
    for lane in 0..lanes {
        let affine = match ends.get(lane) {
            Some(end) => Affine::find(end),
            // A lane that is no channel must not keep the others of its block from theirs.
            None if lane >= channels => Some(Affine {
                scale: 0.5,
                add: 0.0,
            }),
            None => None,
        };
        let [scale, add] = affine.map_or([f32::NAN; 2], |affine| [affine.scale, affine.add]);
        for (index, value) in [(lanes + lane, scale), (2 * lanes + lane, add)] {
            if let Some(bytes) = packed.get_mut(index * 4..index * 4 + 4) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    packed
}
