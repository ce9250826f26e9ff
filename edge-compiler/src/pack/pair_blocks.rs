//! Weights in blocks of four output channels, two taps a word: see
//! [`edge_runtime::kernels::packing::pair_blocks`].

use edge_runtime::kernels::packing::pair_blocks::{CHANNELS, QUAD, fits, runs_fit};

/// Packs `[output channel][tap]` weights, `taps` of each channel. `None` where the layer cannot have
/// this packing: without taps, or where two weights of -128 stand in one pair.
///
/// Each block takes the longest runs that its weights allow.
pub fn pack(weights: &[i8], taps: usize) -> Option<Vec<u8>> {
    if taps == 0 || !weights.len().is_multiple_of(taps) || !fits(weights, taps) {
        return None;
    }
    let mut words = Vec::new();
    for block in weights.chunks(taps * CHANNELS) {
        words.push(if runs_fit(block, taps, 4) { 4 } else { 2 });
        let weight = |channel: usize, tap: usize| {
            let there = tap < taps && channel * taps + tap < block.len();
            if there {
                i32::from(block[channel * taps + tap])
            } else {
                0
            }
        };
        for quad in (0..taps).step_by(QUAD) {
            for channel in 0..CHANNELS {
                for tap in [quad, quad + 2] {
                    words.push(weight(channel, tap) + (weight(channel, tap + 1) << 16));
                }
            }
        }
    }
    Some(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests;
