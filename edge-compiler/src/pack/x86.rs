//! What the packings of x86-64 have in common: offsets for unsigned activations, then weights.

/// Fills `len` bytes: for each channel the offset `-128 * sum(weights)` as little-endian `i32` at
/// the front, and each weight at its place. `places` gives, for channel and tap, the place in the
/// packed bytes and the index in `weights`.
pub(super) fn pack(
    len: usize,
    channels: usize,
    taps: usize,
    weights: &[i8],
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
    packed
}
