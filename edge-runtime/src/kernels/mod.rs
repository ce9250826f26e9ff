//! The operators. Each instruction set has a folder of its own; [`mod@reference`] is the definition
//! that any other must match byte for byte.
//!
//! A runtime has a table of [`Kernel`]s, and a model runs on those of the table that it names by
//! operator and packing. [`native`] is the best table for where the program runs; a firmware that
//! wants only the operators of its models names a table of its own
//! ([`crate::Model::load_with`]), and the linker leaves out the rest.
//!
//! A kernel takes cells and a struct of its settings. It never panics: with lengths that do not
//! fit together (which no loaded model has) some outputs are left as they were.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg_attr(
    not(all(target_arch = "arm", feature = "dsp")),
    allow(dead_code, reason = "only those kernels ask for single cases")
)]
pub mod cases;
#[cfg(all(target_arch = "arm", feature = "dsp"))]
pub mod dsp;
pub mod footprint;
pub mod generic;
pub mod layer;
#[cfg(all(target_arch = "arm", feature = "mve"))]
pub mod mve;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod packing;
pub mod portable;
pub mod reference;
mod table;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm;
#[cfg(target_arch = "x86_64")]
pub mod x86;

use crate::format::{kernel_set, opcode};
pub use crate::operator::overlap::raster_gap;
use crate::operator::{Call, Cost, Fault};
pub use table::{cases_of_image, of_image, of_image_len};

/// One operator in one packing, as one instruction set runs it.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// Its [`crate::format::opcode`].
    pub opcode: u8,
    /// The [`crate::format::packing`] of its weights.
    pub packing: u8,
    /// Checks a record once, when a model is loaded.
    pub(crate) check: fn(&Call<'_>) -> Result<Cost, Fault>,
    /// Runs a record that was checked.
    pub(crate) run: fn(&Call<'_>),
}

impl core::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Kernel")
            .field("operator", &operator_name(self.opcode))
            .field("packing", &self.packing)
            .finish_non_exhaustive()
    }
}

/// The best kernels that this program has for the machine it runs on.
pub const fn native() -> &'static [Kernel] {
    #[cfg(all(target_arch = "arm", feature = "mve"))]
    return &mve::KERNELS;
    #[cfg(all(target_arch = "arm", feature = "dsp", not(feature = "mve")))]
    return &dsp::KERNELS;
    #[cfg(target_arch = "x86_64")]
    return &x86::KERNELS;
    #[cfg(target_arch = "aarch64")]
    return &neon::KERNELS;
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return &wasm::KERNELS;
    // A device has no use for what was packed for others.
    #[cfg(all(
        target_os = "none",
        not(target_arch = "aarch64"),
        not(all(target_arch = "arm", any(feature = "dsp", feature = "mve")))
    ))]
    return &portable::KERNELS;
    #[cfg(not(any(
        target_os = "none",
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )))]
    return &portable::ANY;
}

/// [`native`] for images that need no other [`cases`] than the ones given, for which the kernels are
/// compiled: those of [`cases_of_image`], for short loops without [`cases::UNROLLED`].
pub const fn native_for<const CASES: u64>() -> &'static [Kernel] {
    #[cfg(all(target_arch = "arm", feature = "dsp", not(feature = "mve")))]
    return &dsp::Table::<CASES>::KERNELS;
    #[cfg(not(all(target_arch = "arm", feature = "dsp", not(feature = "mve"))))]
    return native();
}

/// Two tables one behind the other: what stands in the first is found first.
#[expect(
    clippy::indexing_slicing,
    reason = "tables are joined when a program is compiled, where an error is the compiler's"
)]
pub(crate) const fn joined<const N: usize>(first: &[Kernel], second: &[Kernel]) -> [Kernel; N] {
    assert!(first.len() + second.len() == N);
    let mut all = [reference::table::CLAMP; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < first.len() {
            first[index]
        } else {
            second[index - first.len()]
        };
        index += 1;
    }
    all
}

/// The kernel of a table for an operator in a packing: the first that fits.
pub fn find(kernels: &'static [Kernel], opcode: u8, packing: u8) -> Option<&'static Kernel> {
    kernels
        .iter()
        .find(|kernel| kernel.opcode == opcode && kernel.packing == packing)
}

/// What a table can run: bits of [`crate::format::kernel_set`].
pub fn supported(kernels: &[Kernel]) -> u32 {
    kernels.iter().fold(0, |set, kernel| {
        set | kernel_set::bits(kernel.opcode, kernel.packing)
    })
}

/// The name of an operator, as TFLite has it where TFLite has it; `None` for an unknown opcode.
pub const fn operator_name(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        opcode::FULLY_CONNECTED => "FULLY_CONNECTED",
        opcode::CONV_2D => "CONV_2D",
        opcode::MAX_POOL_2D => "MAX_POOL_2D",
        opcode::RESHAPE => "RESHAPE",
        opcode::SOFTMAX => "SOFTMAX",
        opcode::CLAMP => "CLAMP",
        opcode::DEPTHWISE_CONV_2D => "DEPTHWISE_CONV_2D",
        opcode::AVERAGE_POOL_2D => "AVERAGE_POOL_2D",
        opcode::ADD => "ADD",
        opcode::MUL => "MUL",
        opcode::LOOKUP => "LOOKUP",
        opcode::PRELU => "PRELU",
        opcode::COPY => "COPY",
        opcode::FILL => "FILL",
        opcode::MEAN => "MEAN",
        opcode::RESIZE_NEAREST => "RESIZE_NEAREST_NEIGHBOR",
        opcode::RESIZE_BILINEAR => "RESIZE_BILINEAR",
        opcode::TRANSPOSE_CONV => "TRANSPOSE_CONV",
        opcode::LSTM => "UNIDIRECTIONAL_SEQUENCE_LSTM",
        opcode::SVDF => "SVDF",
        _ => return None,
    })
}
