//! From scales to integer parameters: what an interpreter works out when it loads a model, worked
//! out once on the host, with the roundings of LiteRT 2.3.0 (which types a product is taken in
//! decides its last bit).
//!
//! `None` means that the scales give no parameters: one is not a positive number, or LiteRT
//! refuses them too.

pub mod add;
pub mod fully_connected;
pub mod lstm;
pub mod mean;
pub mod mul;
pub mod prelu;
pub mod resize;
pub mod svdf;
pub mod tables;

use crate::graph::RoundingMode;
use crate::scales::{self, Multiplier};

/// Scale and zero point of a tensor: `real = scale * (q - zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// Above zero.
    pub scale: f32,
    /// -128..=127.
    pub zero_point: i32,
}

/// TFLite's QuantizeMultiplier: `real = value * 2^(shift - 31)`. Zero gives zero.
pub fn multiplier(real: f64) -> Option<Multiplier> {
    if real == 0.0 {
        return Some(Multiplier { value: 0, shift: 0 });
    }
    scales::multiplier(real, RoundingMode::Double)
}

#[cfg(test)]
mod tests;
