//! Constants as the kernels read them: weights in each packing, canonical ones among them.

pub mod add_fit;
mod blocks;
pub mod depthwise_16x4;
pub mod depthwise_dsp;
pub mod dot_16x4;
pub mod dsp_blocks;
pub mod mve;
pub mod pair_blocks;
pub mod rows_128;
pub mod winograd_16x2;
pub mod winograd_dsp;

use crate::layer::{LayerKind, LayerSource};

/// The weights of a layer in canonical packing.
pub fn canonical(layer: &LayerSource<'_>) -> Vec<u8> {
    let channels = layer.bias.len();
    if layer.kind == LayerKind::DepthwiseConv2d {
        // Tap by tap, all channels of each.
        let taps = layer.taps();
        let places = (0..taps).flat_map(|tap| (0..channels).map(move |c| c * taps + tap));
        return places
            .map(|place| layer.weights[place].cast_unsigned())
            .collect();
    }
    layer.weights.iter().map(|w| w.cast_unsigned()).collect()
}

/// The constants section while it grows.
#[derive(Clone, Debug, Default)]
pub struct Constants {
    bytes: Vec<u8>,
}

impl Constants {
    /// Appends bytes at the next multiple of `alignment`; returns where they start.
    pub fn push(&mut self, bytes: &[u8], alignment: usize) -> usize {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(alignment), 0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start
    }

    /// All of it, padded to 4 bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests;
