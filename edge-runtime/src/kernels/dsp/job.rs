//! What a kernel of inner products is given.

/// Arguments of a kernel; what it needs is copied to the stack, where the kernel keeps count in it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Widened activations; of a pair of pixels word by word in turn.
    pub panel: *const u32,
    /// First channel of the first pixel; for `Form::Raw` eight (or four) `i32` instead.
    pub output: *mut u8,
    /// First channel of the second pixel.
    pub second: *mut u8,
    /// Where `output` ends: four bytes further for each block. Not read for `Form::Raw`.
    pub output_end: *mut u8,
    /// Where the first pair's activations end.
    pub panel_end: *const u32,
    /// Code bytes skipped by the first, shorter pass through the unrolled loop.
    pub entry: usize,
    /// Code of the form.
    pub form: usize,
    /// First block.
    pub weights: *const u8,
    /// Pairs of pixels, their activations one after another, their outputs too.
    pub pairs: usize,
    /// From a pixel's output to the next one's.
    pub stride: usize,
    /// The lowest output, in four bytes. Of a small form, in two halves: twice the zero point above
    /// -128, and one.
    pub min: u32,
    /// The highest output, in four bytes. Of a small form the addend.
    pub max: u32,
}

/// A kernel. It reads `words` of activations a pixel and the blocks' streams, and writes four
/// bytes a block and pixel (`Form::Raw`: all accumulators of one block, and returns).
pub(super) type Kernel = unsafe extern "C" fn(*const Job);

/// A kernel and how it is driven.
#[derive(Clone, Copy)]
pub(super) struct Driven {
    /// The kernel.
    pub kernel: Kernel,
    /// [`Job::entry`] for a number of words.
    pub entry: fn(usize) -> usize,
    /// Pixels that it computes at a time: one or two.
    pub pixels: usize,
    /// Bytes of a panel for each word of a pixel and pixel: 4, or 2 where it widens on the way.
    pub word: usize,
}
