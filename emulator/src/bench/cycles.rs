//! Cycles of a Cortex-M4, estimated from how often each instruction was executed.
//!
//! Costs are those of table 3-1 of the *Cortex-M4 Technical Reference Manual* (Arm 100166), for
//! memory without wait states, with P, the refill of the pipeline, at 2 cycles, so that a taken
//! branch costs 3 (the table says 1 + P with P from 1 to 3):
//!
//! | class | cycles |
//! | --- | --- |
//! | load or store of one register | 2; 1 right behind another load or store, as their address and data phases overlap |
//! | LDRD, STRD | 1 + 2 |
//! | LDM, STM, PUSH, POP, VLDM, VSTM of N words | 1 + N |
//! | any load of the PC | P more |
//! | branch | 1 + P taken, 1 not taken |
//! | TBB, TBH | 2 + P |
//! | UDIV, SDIV | 7 (the table says 2 to 12, by operands) |
//! | VDIV, VSQRT | 14 |
//! | floating-point multiply-accumulate | 3 |
//! | anything else, all multiplications included | 1 |
//!
//! How often a conditional branch was taken follows from how often the instruction behind it was
//! executed. Where that one is also the target of another branch the estimate is low by 2 cycles for
//! each execution that is mistaken for a fall through.

use super::{Code, Counts};

/// Refill of the pipeline after a change of the PC.
const REFILL: u64 = 2;
const DIVISION: u64 = 7;
const FLOAT_DIVISION: u64 = 14;

/// What decides the cost of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// A load or store of one register (a VLDR or VSTR of 64 bits too).
    Single {
        /// Whether it loads the PC.
        branches: bool,
    },
    /// LDRD, STRD.
    Double,
    /// A load or store of several registers.
    Multiple {
        /// 32-bit words.
        words: u64,
        /// Whether it loads the PC.
        branches: bool,
    },
    /// A branch, a call or a write of the PC by an arithmetic instruction.
    Branch {
        /// By its own condition code or by comparison with zero; one in an IT block is not
        /// conditional by itself.
        conditional: bool,
    },
    /// TBB, TBH.
    TableBranch,
    /// IT: the next `covered` instructions, 1 to 4, are conditional.
    IfThen {
        /// How many.
        covered: u8,
    },
    /// UDIV, SDIV.
    Divide,
    /// VDIV, VSQRT.
    FloatDivide,
    /// VMLA, VMLS, VFMA and their negated forms.
    FloatMultiplyAccumulate,
    /// Everything that takes a cycle.
    Other,
}

/// An instruction, as far as its cost goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its length: 2 or 4.
    pub bytes: u32,
    /// What it costs.
    pub class: Class,
}

/// Cycles of a Cortex-M4 for what `counts` says was executed of `code`; see the module's table.
/// Instructions outside of the code count one cycle.
pub fn estimate(code: &Code, counts: &Counts) -> u64 {
    let mut cycles = counts.elsewhere;
    // Of the instruction that lies right before this one, where that was executed at all.
    let mut previous_end = None;
    let mut previous_is_memory = false;
    let mut covered = 0_u8;
    for (address, count) in &counts.at {
        let halfword = |at: u32| {
            let offset = at.wrapping_sub(code.address) as usize;
            let bytes = code.bytes.get(offset..).and_then(|rest| rest.first_chunk());
            u16::from_le_bytes(*bytes.unwrap_or(&[0; 2]))
        };
        let instruction = decode(halfword(*address), halfword(address.wrapping_add(2)));
        let next = address.wrapping_add(instruction.bytes);
        if previous_end != Some(*address) {
            previous_is_memory = false;
            covered = 0;
        }
        let taken = || count.saturating_sub(counts.of(next));
        let in_block = covered > 0;
        let jump = |branches: bool| match (branches, in_block) {
            (false, _) => 0,
            (true, false) => count * REFILL,
            (true, true) => taken() * REFILL,
        };
        covered = covered.saturating_sub(1);
        let mut memory = false;
        cycles += match instruction.class {
            Class::Single { branches } => {
                memory = true;
                count * if previous_is_memory { 1 } else { 2 } + jump(branches)
            }
            Class::Double => {
                memory = true;
                count * 3
            }
            Class::Multiple { words, branches } => {
                memory = true;
                count * (1 + words) + jump(branches)
            }
            Class::Branch { conditional: true } => count + taken() * REFILL,
            Class::Branch { conditional: false } => count + jump(true),
            Class::TableBranch => count * (2 + REFILL),
            Class::IfThen { covered: following } => {
                covered = following;
                *count
            }
            Class::Divide => count * DIVISION,
            Class::FloatDivide => count * FLOAT_DIVISION,
            Class::FloatMultiplyAccumulate => count * 3,
            Class::Other => *count,
        };
        previous_end = Some(next);
        previous_is_memory = memory;
    }
    cycles
}

/// Decodes the instruction that starts with the half-word `first`, after the *Armv7-M Architecture
/// Reference Manual* (Arm DDI 0403), chapter A5; `second` is the half-word behind it.
pub fn decode(first: u16, second: u16) -> Instruction {
    // A5.1: these prefixes announce a second half-word.
    if first >= 0xE800 {
        Instruction {
            bytes: 4,
            class: wide(first, second),
        }
    } else {
        Instruction {
            bytes: 2,
            class: narrow(first),
        }
    }
}

/// A5.2, by ranges of the half-word.
fn narrow(code: u16) -> Class {
    let registers = u64::from((code & 0xFF).count_ones());
    let one = Class::Single { branches: false };
    let branch = |conditional| Class::Branch { conditional };
    match code {
        // ADD and MOV with the PC as destination.
        0x4400..=0x44FF | 0x4600..=0x46FF if code & 0x87 == 0x87 => branch(false),
        0x4700..=0x47FF => branch(false),
        // LDR literal; register offset, immediate offset, from the stack pointer.
        0x4800..=0x9FFF => one,
        0xB100..=0xB1FF | 0xB300..=0xB3FF | 0xB900..=0xB9FF | 0xBB00..=0xBBFF => branch(true),
        0xB400..=0xB5FF | 0xBC00..=0xBDFF => {
            // Bit 8: the link register of PUSH, the PC of POP.
            let last = code & 0x100 != 0;
            Class::Multiple {
                words: registers + u64::from(last),
                branches: last && code >= 0xBC00,
            }
        }
        0xBF00..=0xBFFF if code & 0xF != 0 => Class::IfThen {
            covered: 4 - (code & 0xF).trailing_zeros() as u8,
        },
        0xC000..=0xCFFF => Class::Multiple {
            words: registers,
            branches: false,
        },
        0xD000..=0xDDFF => branch(true),
        0xE000..=0xE7FF => branch(false),
        _ => Class::Other,
    }
}

/// A5.3, by the bits that it names op1, op2 and op.
fn wide(first: u16, second: u16) -> Class {
    let registers = u64::from(second.count_ones());
    // A5.3.5: load and store multiple.
    if first & 0xFE40 == 0xE800 {
        return Class::Multiple {
            words: registers,
            branches: first & 0x10 != 0 && second & 0x8000 != 0,
        };
    }
    // A5.3.6: double, exclusive, table branch.
    if first & 0xFE40 == 0xE840 {
        return if first & 0xFFF0 == 0xE8D0 && second & 0x00E0 == 0 {
            Class::TableBranch
        } else if first & 0x0120 != 0 {
            Class::Double
        } else {
            Class::Single { branches: false }
        };
    }
    // A5.3.7 to A5.3.10: load and store single; a byte or half-word "loaded into the PC" is a hint.
    if first & 0xFE00 == 0xF800 {
        let word = first & 0x0060 == 0x0040;
        let load = first & 0x10 != 0;
        let pc = second & 0xF000 == 0xF000;
        return match (load && pc, word) {
            (true, false) => Class::Other,
            (branches, _) => Class::Single { branches },
        };
    }
    // A5.3.4: branches and miscellaneous control.
    if first & 0xF800 == 0xF000 && second & 0x8000 != 0 {
        let always = second & 0x5000 != 0;
        let miscellaneous = first & 0x0380 == 0x0380;
        return match (always, miscellaneous) {
            (true, _) => Class::Branch { conditional: false },
            (false, false) => Class::Branch { conditional: true },
            (false, true) => Class::Other,
        };
    }
    // A5.3.17: long multiply and divide.
    if (first & 0xFFF0 == 0xFB90 || first & 0xFFF0 == 0xFBB0) && second & 0xF0 == 0xF0 {
        return Class::Divide;
    }
    if first & 0xEC00 == 0xEC00 && second & 0x0E00 == 0x0A00 {
        return float(first, second);
    }
    Class::Other
}

/// A6.4 to A6.7: coprocessors 10 and 11.
fn float(first: u16, second: u16) -> Class {
    if first & 0xFE00 == 0xEC00 {
        // Transfers of two core registers have none of these bits.
        if first & 0x01A0 == 0 {
            return Class::Other;
        }
        // VLDR and VSTR: pre-indexed without write-back.
        if first & 0x0120 == 0x0100 {
            return Class::Single { branches: false };
        }
        return Class::Multiple {
            words: u64::from(second & 0xFF),
            branches: false,
        };
    }
    // Bit 4: transfers between core and extension registers.
    if first & 0xFF00 != 0xEE00 || second & 0x10 != 0 {
        return Class::Other;
    }
    // opc1 without the bit that extends a register's number, and the two opc3 bits.
    match (first & 0xB0, second & 0xC0) {
        (0x80, 0x00 | 0x80) => Class::FloatDivide,
        (0xB0, 0xC0) if first & 0xF == 1 => Class::FloatDivide,
        (0x00 | 0x10 | 0x90 | 0xA0, _) => Class::FloatMultiplyAccumulate,
        _ => Class::Other,
    }
}

#[cfg(test)]
#[path = "cycles_tests.rs"]
mod tests;
