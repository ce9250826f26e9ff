//! Which extensions of 64-bit ARM the machine has, without `std`.

use core::sync::atomic::{AtomicU8, Ordering};

/// What the kernels can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The baseline: NEON.
    Neon,
    /// Dot products of bytes (FEAT_DotProd).
    Dot,
    /// And products of byte matrices (FEAT_I8MM).
    Matrix,
}

/// The level of this machine. Found once: the registers trap to the operating system.
pub fn level() -> Level {
    static LEVEL: AtomicU8 = AtomicU8::new(0);
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Neon,
        2 => Level::Dot,
        3 => Level::Matrix,
        _ => {
            let level = detect();
            LEVEL.store(level as u8 + 1, Ordering::Relaxed);
            level
        }
    }
}

/// What the program was built for, and on Linux and Android what the processor says: there, since
/// Linux 4.11, the kernel answers for the registers that only it may read (Documentation/arch/arm64/
/// cpu-feature-registers.rst). Other systems have no such answer, and a program finds out no more
/// than it was built for; every Apple target is built with dot products.
fn detect() -> Level {
    let [dot, matrix] = identify();
    if matrix || cfg!(all(target_feature = "i8mm", target_feature = "dotprod")) {
        Level::Matrix
    } else if dot || cfg!(target_feature = "dotprod") {
        Level::Dot
    } else {
        Level::Neon
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
fn identify() -> [bool; 2] {
    let (isar0, isar1): (u64, u64);
    // SAFETY: the kernel emulates these reads; they change nothing else.
    unsafe {
        core::arch::asm!(
            "mrs {isar0}, ID_AA64ISAR0_EL1",
            "mrs {isar1}, ID_AA64ISAR1_EL1",
            isar0 = out(reg) isar0,
            isar1 = out(reg) isar1,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    // Fields of four bits: DP at 44 of the one, I8MM at 52 of the other.
    let dot = isar0 >> 44 & 0xf != 0;
    [dot, dot && isar1 >> 52 & 0xf != 0]
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
fn identify() -> [bool; 2] {
    [false, false]
}
