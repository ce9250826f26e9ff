//! What a kernel of a layer with weights gets: one struct for convolutions, depthwise
//! convolutions and fully connected layers, whatever the instruction set.

use core::cell::Cell;

use super::reference::Window;
use super::reference::requantise::Rounding;

/// A layer, its constants and its place in the arena.
///
/// Input and output are cells because the plan may let them overlap: see *Overlap* in `FORMAT.md`.
/// The rule is that of a kernel that computes whole output pixels in raster order, reads all that
/// a pixel needs before it writes the pixel, and never looks back: such a kernel gives the right
/// bytes. A kernel may work in another order as long as the bytes are the same.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Shapes and window. A fully connected layer of `n` inputs and `o` outputs is a 1x1 window on
    /// `[1, 1, n] -> [1, 1, o]`.
    pub window: Window,
    /// Packed weights, on a 16-byte boundary, laid out as the kernel's packing says.
    pub weights: &'a [u8],
    /// One for each output channel, the input's zero point folded in; empty where the packing
    /// keeps it between the weights.
    pub bias: &'a [i32],
    /// One for each output channel, or empty as `bias`.
    pub multipliers: &'a [i32],
    /// One for each output channel, or empty as `bias`.
    pub shifts: &'a [i8],
    /// The same for all channels.
    pub rounding: Rounding,
    /// What padding reads as: the zero point of the input.
    pub pad: i8,
    /// Of the output, -128..=127.
    pub zero_point: i32,
    /// Lowest output after the fused activation.
    pub min: i8,
    /// Highest output after the fused activation.
    pub max: i8,
    /// `[height][width][channel]`.
    pub input: &'a [Cell<i8>],
    /// `[height][width][channel]`.
    pub output: &'a [Cell<i8>],
    /// On a 16-byte boundary, as long as the kernel's `scratch_len` says; overlaps nothing.
    pub scratch: &'a [Cell<i8>],
}
