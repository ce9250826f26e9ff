//! CMSDK timer 0 at 25 MHz: the milliseconds of the board, and its counter of instructions.
//!
//! QEMU's `-icount shift=6` advances the clock by 64 ns an instruction, so the timer moves by 1.6
//! ticks an instruction and counts them exactly, run after run, whatever the host does meanwhile.

use core::{
    arch::asm,
    ptr::{read_volatile, write_volatile},
};

const TIMER0: usize = 0x4000_0000;
const CTRL: usize = TIMER0;
/// The register that counts down.
pub const COUNTER: usize = TIMER0 + 0x4;
const RELOAD: usize = TIMER0 + 0x8;
const CTRL_ENABLE: u32 = 1;
const TICKS_PER_MS: u64 = 25_000;

/// Ticks since the timer was started, modulo 2^32; 40 ns each.
pub fn ticks() -> u32 {
    // SAFETY: reading the counter of timer 0 has no effect on anything.
    !unsafe { read_volatile(COUNTER as *const u32) }
}

/// Counts instructions from where it was started.
///
/// A reading is the time in ticks, rounded down, and an instruction takes 1.6 of them. So the same
/// stretch differs by a tick, depending on where in a tick it begins: five instructions are eight
/// ticks, and there are five places to begin. Which one it is shows in the first five readings, and
/// with it every later reading belongs to exactly one instruction.
pub struct Counter {
    /// Ticks at the start.
    start: u32,
    /// How far into that tick the start was, in fifths of a tick.
    phase: u32,
}

impl Counter {
    /// Starts to count after the next few instructions.
    pub fn start() -> Self {
        let (mut t0, t1, t2, t3, t4): (u32, u32, u32, u32, u32);
        // SAFETY: reads the timer's counter, which changes nothing. One block, so that exactly one
        // instruction lies between two readings.
        unsafe {
            asm!(
                "ldr {t1}, [{t0}]",
                "ldr {t2}, [{t0}]",
                "ldr {t3}, [{t0}]",
                "ldr {t4}, [{t0}]",
                "ldr {t0}, [{t0}]",
                t0 = inout(reg) COUNTER => t0,
                t1 = out(reg) t1,
                t2 = out(reg) t2,
                t3 = out(reg) t3,
                t4 = out(reg) t4,
                options(nostack, readonly),
            );
        }
        // In order of time: t1, t2, t3, t4, t0. The counter counts down.
        let since = [t2, t3, t4, t0].map(|later| t1.wrapping_sub(later));
        let phase = (0..5).find(|phase| {
            let expected = [1, 2, 3, 4].map(|instructions| (phase + 8 * instructions) / 5);
            since == expected
        });
        // Something else than QEMU with `shift=6`: the counts are then right to within one.
        Counter {
            start: !t1,
            phase: phase.unwrap_or(0),
        }
    }

    /// Instructions since the start, up to 2.6 thousand million of them, with those of the two
    /// readings.
    pub fn read(&self) -> u32 {
        self.at(ticks())
    }

    /// Instructions from the start to when [`ticks`] read `ticks`.
    pub fn at(&self, ticks: u32) -> u32 {
        let fifths = 5 * u64::from(ticks.wrapping_sub(self.start));
        // The first instruction in that tick; no second one fits in.
        fifths.saturating_sub(u64::from(self.phase)).div_ceil(8) as u32
    }
}

/// Milliseconds since boot. Has to be asked at least once in 170 s, before the timer wraps.
pub struct Clock {
    last: u32,
    elapsed: u64,
}

impl Clock {
    /// Starts the timer.
    pub fn start() -> Self {
        // SAFETY: only this function writes to timer 0, and `main` calls it once.
        unsafe {
            write_volatile(RELOAD as *mut u32, u32::MAX);
            write_volatile(COUNTER as *mut u32, u32::MAX);
            write_volatile(CTRL as *mut u32, CTRL_ENABLE);
        }
        Clock {
            last: ticks(),
            elapsed: 0,
        }
    }

    /// Milliseconds since `start`.
    pub fn now_ms(&mut self) -> u64 {
        let now = ticks();
        self.elapsed += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.elapsed / TICKS_PER_MS
    }
}
