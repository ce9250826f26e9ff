//! Which of the instruction sets that have kernels the machine has, without `std`.

use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use core::sync::atomic::{AtomicU8, Ordering};

/// What the kernels can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing beyond the baseline of x86-64.
    None,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, VL, VBMI, VBMI2 and VNNI.
    Avx512Vnni,
}

const UNKNOWN: u8 = 0;

/// The level of this machine. Found once: CPUID is slow, most of all in a virtual machine.
pub fn level() -> Level {
    static LEVEL: AtomicU8 = AtomicU8::new(UNKNOWN);
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::None,
        2 => Level::Avx2,
        3 => Level::Avx512Vnni,
        _ => {
            let level = detect();
            LEVEL.store(level as u8 + 1, Ordering::Relaxed);
            level
        }
    }
}

/// Bits of CPUID and XCR0 as in Intel's manual, volume 1, chapters 13 and 14.
fn detect() -> Level {
    // Of leaf 1: ECX FMA, POPCNT, OSXSAVE, AVX.
    const LEAF_1: u32 = 1 << 12 | 1 << 23 | 1 << 27 | 1 << 28;
    const AVX2: u32 = 1 << 5;
    // Of leaf 7: EBX F, BW, VL and ECX VBMI, VBMI2, VNNI.
    const AVX512_EBX: u32 = 1 << 16 | 1 << 30 | 1 << 31;
    const AVX512_ECX: u32 = 1 << 1 | 1 << 6 | 1 << 11;
    // State that the operating system keeps: SSE and AVX; mask, upper halves, upper registers.
    const YMM: u64 = 0b110;
    const ZMM: u64 = 0b1110_0110;
    if cfg!(miri) {
        // It interprets neither CPUID nor XGETBV, but AVX2: with
        // `RUSTFLAGS=-Ctarget-feature=+avx2,+fma` it checks those kernels.
        return if cfg!(all(target_feature = "avx2", target_feature = "fma")) {
            Level::Avx2
        } else {
            Level::None
        };
    }
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & LEAF_1 != LEAF_1 {
        return Level::None;
    }
    // SAFETY: OSXSAVE says that XGETBV exists.
    let state = unsafe { enabled_state() };
    let leaf = __cpuid_count(7, 0);
    if state & YMM != YMM || leaf.ebx & AVX2 == 0 {
        Level::None
    } else if state & ZMM == ZMM
        && leaf.ebx & AVX512_EBX == AVX512_EBX
        && leaf.ecx & AVX512_ECX == AVX512_ECX
    {
        Level::Avx512Vnni
    } else {
        Level::Avx2
    }
}

/// XCR0.
#[target_feature(enable = "xsave")]
fn enabled_state() -> u64 {
    // SAFETY: register 0 exists wherever the instruction does.
    unsafe { _xgetbv(0) }
}
