use super::{Class, Instruction, decode, estimate};
use crate::bench::{Code, Counts};

/// Encodings as GNU as 2.40 gives them.
const NARROW: [(&str, u16, Class); 22] = [
    ("ldr r0, [pc, #4]", 0x4801, one(false)),
    ("ldr r1, [r2, r3]", 0x58d1, one(false)),
    ("strb r1, [r2, #3]", 0x70d1, one(false)),
    ("ldr r0, [sp, #8]", 0x9802, one(false)),
    ("push {r4, r5, lr}", 0xb530, several(3, false)),
    ("pop {r4, r5}", 0xbc30, several(2, false)),
    ("pop {r4, pc}", 0xbd10, several(2, true)),
    ("ldmia r0!, {r1, r2, r3}", 0xc80e, several(3, false)),
    ("stmia r0!, {r1}", 0xc002, several(1, false)),
    ("beq .", 0xd0fe, branch(true)),
    ("b .", 0xe7fe, branch(false)),
    ("cbz r0, .+6", 0xb108, branch(true)),
    ("cbnz r7, .+70", 0xbb0f, branch(true)),
    ("bx lr", 0x4770, branch(false)),
    ("blx r3", 0x4798, branch(false)),
    ("mov pc, lr", 0x46f7, branch(false)),
    ("mov r8, r0", 0x4680, Class::Other),
    ("nop", 0xbf00, Class::Other),
    ("it eq", 0xbf08, Class::IfThen { covered: 1 }),
    ("ittet ne", 0xbf1b, Class::IfThen { covered: 4 }),
    ("muls r0, r1", 0x4348, Class::Other),
    ("uxtb r0, r1", 0xb2c8, Class::Other),
];

const WIDE: [(&str, u16, u16, Class); 37] = [
    ("ldr.w r0, [r1, #4]", 0xf8d1, 0x0004, one(false)),
    ("ldr r0, [r1], #4", 0xf851, 0x0b04, one(false)),
    ("ldr.w pc, [r0]", 0xf8d0, 0xf000, one(true)),
    ("ldrsb.w r0, [r1, #1]", 0xf991, 0x0001, one(false)),
    ("strh.w r0, [r1, #2]", 0xf8a1, 0x0002, one(false)),
    ("pld [r0]", 0xf890, 0xf000, Class::Other),
    ("ldrd r0, r1, [r2]", 0xe9d2, 0x0100, Class::Double),
    ("strd r0, r1, [r2], #8", 0xe8e2, 0x0102, Class::Double),
    ("ldrex r0, [r1]", 0xe851, 0x0f00, one(false)),
    ("tbb [r0, r1]", 0xe8d0, 0xf001, Class::TableBranch),
    ("tbh [r0, r1, lsl #1]", 0xe8d0, 0xf011, Class::TableBranch),
    ("ldmia.w r0!, {r4-r8}", 0xe8b0, 0x01f0, several(5, false)),
    ("stmdb sp!, {r4-r11, lr}", 0xe92d, 0x4ff0, several(9, false)),
    ("pop.w {r4-r8, pc}", 0xe8bd, 0x81f0, several(6, true)),
    ("b.w .+4096", 0xf000, 0xbffe, branch(false)),
    ("bl .+4096", 0xf000, 0xfffe, branch(false)),
    ("beq.w .+4096", 0xf000, 0x87fe, branch(true)),
    ("dsb", 0xf3bf, 0x8f4f, Class::Other),
    ("mrs r0, msp", 0xf3ef, 0x8008, Class::Other),
    ("sdiv r0, r1, r2", 0xfb91, 0xf0f2, Class::Divide),
    ("udiv r0, r1, r2", 0xfbb1, 0xf0f2, Class::Divide),
    ("smull r0, r1, r2, r3", 0xfb82, 0x0103, Class::Other),
    ("umlal r0, r1, r2, r3", 0xfbe2, 0x0103, Class::Other),
    ("smlad r0, r1, r2, r3", 0xfb21, 0x3002, Class::Other),
    ("add.w r0, r1, r2", 0xeb01, 0x0002, Class::Other),
    ("movw r0, #4660", 0xf241, 0x2034, Class::Other),
    ("vldr s0, [r0]", 0xed90, 0x0a00, one(false)),
    ("vldmia r0!, {s0-s7}", 0xecb0, 0x0a08, several(8, false)),
    ("vpush {d8-d10}", 0xed2d, 0x8b06, several(6, false)),
    ("vmov s0, r0", 0xee00, 0x0a10, Class::Other),
    ("vmov r0, r1, s0, s1", 0xec51, 0x0a10, Class::Other),
    ("vadd.f32 s0, s1, s2", 0xee30, 0x0a81, Class::Other),
    ("vmul.f32 s0, s1, s2", 0xee20, 0x0a81, Class::Other),
    (
        "vfma.f32 s0, s1, s2",
        0xeea0,
        0x0a81,
        Class::FloatMultiplyAccumulate,
    ),
    ("vdiv.f32 s0, s1, s2", 0xee80, 0x0a81, Class::FloatDivide),
    ("vsqrt.f32 s0, s1", 0xeeb1, 0x0ae0, Class::FloatDivide),
    ("vcvt.s32.f32 s0, s1", 0xeebd, 0x0ae0, Class::Other),
];

const fn one(branches: bool) -> Class {
    Class::Single { branches }
}

const fn several(words: u64, branches: bool) -> Class {
    Class::Multiple { words, branches }
}

const fn branch(conditional: bool) -> Class {
    Class::Branch { conditional }
}

#[test]
fn instructions_fall_into_their_classes() {
    for (text, code, class) in NARROW {
        assert_eq!(
            decode(code, 0xffff),
            Instruction { bytes: 2, class },
            "{text}"
        );
    }
    for (text, first, second, class) in WIDE {
        assert_eq!(
            decode(first, second),
            Instruction { bytes: 4, class },
            "{text}"
        );
    }
}

fn cycles(halfwords: &[u16], counts: &[(u32, u64)]) -> u64 {
    let code = Code {
        address: 0x100,
        bytes: halfwords
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .collect(),
    };
    let counts = Counts {
        at: counts.iter().map(|(at, n)| (0x100 + at, *n)).collect(),
        elsewhere: 0,
    };
    estimate(&code, &counts)
}

#[test]
fn loads_behind_each_other_overlap() {
    // ldr, ldr, nop, ldr
    let halfwords = [0x6800, 0x6801, 0xbf00, 0x6802];
    let all = [(0, 10), (2, 10), (4, 10), (6, 10)];
    assert_eq!(cycles(&halfwords, &all), 20 + 10 + 10 + 20);
    // One whose neighbour was jumped over stands alone.
    assert_eq!(cycles(&halfwords, &all[1..]), 20 + 10 + 20);
}

#[test]
fn a_loop_pays_for_the_branches_it_takes() {
    // subs, bne back to it, bx lr: 100 rounds, then out.
    let halfwords = [0x3801, 0xd1fd, 0x4770];
    let counts = [(0, 100), (2, 100), (4, 1)];
    assert_eq!(cycles(&halfwords, &counts), 100 + (100 + 2 * 99) + 3);
}

#[test]
fn a_return_in_an_it_block_is_conditional() {
    // it eq, bxeq lr, nop: 7 of 10 return.
    let halfwords = [0xbf08, 0x4770, 0xbf00];
    let counts = [(0, 10), (2, 10), (4, 3)];
    assert_eq!(cycles(&halfwords, &counts), 10 + (10 + 2 * 7) + 3);
    // Without the IT all of them do.
    let halfwords = [0xbf00, 0x4770, 0xbf00];
    assert_eq!(cycles(&halfwords, &counts), 10 + 30 + 3);
}

#[test]
fn several_registers_and_the_pc() {
    // push {r4, r5, lr}; pop {r4, r5, pc}
    assert_eq!(cycles(&[0xb530, 0xbd30], &[(0, 1), (2, 1)]), 4 + 6);
    // udiv
    assert_eq!(cycles(&[0xfbb1, 0xf0f2], &[(0, 3)]), 21);
}
