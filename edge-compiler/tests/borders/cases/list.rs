//! The conditions, and a sweep over what no condition speaks of.

use edge_compiler::{Activation, Optimize, RoundingMode};
use edge_runtime::format::packing;

use super::{Kind, Lowest, Settings, real};

/// A condition: a layer that meets it, one just beyond, and what the compiler makes of them: the
/// packing and the first byte of the packed weights, which is their form or mode.
pub struct Border {
    pub what: &'static str,
    pub target: &'static str,
    pub optimize: Optimize,
    pub near: Settings,
    pub far: Settings,
    pub chosen: [(u8, u8); 2],
}

/// For the Cortex-M4F.
pub const M4F: &str = "mps2-an386";
/// For the Cortex-M55.
pub const M55: &str = "mps3-an547";

/// All of them.
pub fn borders() -> Vec<Border> {
    use packing::{
        CANONICAL, DSP_DEPTHWISE, DSP_I8, DSP_I16, DSP_WINOGRAD_2X2, DSP_WINOGRAD_4X4,
        MVE_DEPTHWISE, MVE_DIRECT, MVE_PANEL,
    };
    // The codes of the forms and modes in the packings' headers.
    const FIXED: u8 = 0;
    const PLAIN: u8 = 1;
    const GENERAL: u8 = 2;
    const RAW: u8 = 3;
    const LINEAR: u8 = 4;
    const SMALL: u8 = 5;
    const SMALL_LINEAR: u8 = 6;
    const MERGED: u8 = 0;
    const TIES: u8 = 1;
    let mut borders = Vec::new();
    let mut border =
        |what, target, optimize, near: Settings, change: &dyn Fn(&mut Settings), chosen| {
            let mut far = near;
            change(&mut far);
            borders.push(Border {
                what,
                target,
                optimize,
                near,
                far,
                chosen,
            });
        };
    let speed = Optimize::Speed;
    let base = Settings::new;
    let reach = |kind, reach, shift| Settings {
        reach,
        real: real(shift),
        ..base(kind)
    };
    let further: &dyn Fn(&mut Settings) = &|far| far.reach += 1;
    let smaller: &dyn Fn(&mut Settings) = &|far| far.real /= 2.0;
    let larger: &dyn Fn(&mut Settings) = &|far| far.real *= 2.0;
    let beside: &dyn Fn(&mut Settings) = &|far| far.zero_point += 1;

    // Blocks of 16-bit weights.
    for (what, bits, shift) in [
        ("accumulators times 2^8", 23, -5),
        ("accumulators times 2^6", 25, -7),
    ] {
        let near = reach(Kind::Pointwise, (1 << bits) - 1, shift);
        border(
            what,
            M4F,
            speed,
            near,
            further,
            [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
        );
    }
    let near = reach(Kind::Pointwise, (1 << 23) - 1, -12);
    border(
        "accumulators of the plain form",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, PLAIN), (DSP_I16, LINEAR)],
    );
    let near = reach(Kind::Dense, (1 << 29) - 1, -11);
    border(
        "accumulators times 2^2",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
    );
    let near = reach(Kind::Square, (1 << 30) - 1, -14);
    border(
        "accumulators times 2",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, LINEAR), (DSP_I16, RAW)],
    );
    let near = reach(Kind::Pointwise, 0, -11);
    border(
        "the last shift of the fixed form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = reach(Kind::Pointwise, 0, -5);
    border(
        "the first shift of the fixed form",
        M4F,
        speed,
        near,
        larger,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = reach(Kind::Dense, 0, -15);
    border(
        "the last shift of the plain form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );
    let near = reach(Kind::Dense, 0, 6);
    border(
        "the first shift of the plain form",
        M4F,
        speed,
        near,
        larger,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );
    let near = base(Kind::Pointwise);
    border(
        "ties that show",
        M4F,
        speed,
        near,
        beside,
        [(DSP_I16, FIXED), (DSP_I16, LINEAR)],
    );
    let near = Settings {
        zero_point: -127,
        ..base(Kind::Pointwise)
    };
    border(
        "a clamp at the zero point",
        M4F,
        speed,
        near,
        &|far| far.activation = Activation::Relu,
        [(DSP_I16, LINEAR), (DSP_I16, GENERAL)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-15),
        ..base(Kind::Odd)
    };
    border(
        "the last shift with ties",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, LINEAR), (DSP_I16, RAW)],
    );
    let near = Settings {
        rounding: RoundingMode::Single,
        zero_point: 5,
        real: real(-11),
        ..base(Kind::Dense)
    };
    border(
        "single rounding, the fixed form",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_I16, FIXED), (DSP_I16, PLAIN)],
    );
    let near = Settings {
        rounding: RoundingMode::High32,
        zero_point: 5,
        reach: (1 << 23) - 1,
        real: 1.1e-5,
        ..base(Kind::Dense)
    };
    border(
        "accumulators with the high word",
        M4F,
        speed,
        near,
        further,
        [(DSP_I16, PLAIN), (DSP_I16, RAW)],
    );

    // Blocks of 8-bit weights.
    let size = Optimize::Size;
    for (what, shift, form) in [
        ("accumulators with 8-bit weights", -7, GENERAL),
        ("accumulators with 8-bit weights, halved", -9, SMALL),
    ] {
        let near = reach(Kind::Pointwise, (1 << 23) - 1, shift);
        border(
            what,
            M4F,
            size,
            near,
            further,
            [(DSP_I8, form), (DSP_I16, FIXED)],
        );
    }
    // The product's high word is 103 times the accumulator, and with two roundings it has to be below
    // 2^28, to be below 2^15 after all but the last of the shift.
    let near = reach(Kind::Pointwise, 2_606_166, -7);
    border(
        "halves of 16 bits",
        M4F,
        size,
        near,
        further,
        [(DSP_I8, SMALL), (DSP_I8, GENERAL)],
    );
    // Here it is 103 / 128 of the accumulator, and the bound is 2^21.
    let near = Settings {
        zero_point: -127,
        ..reach(Kind::Pointwise, 2_605_848, -7)
    };
    border(
        "halves of 16 bits with ties",
        M4F,
        size,
        near,
        further,
        [(DSP_I8, SMALL_LINEAR), (DSP_I8, GENERAL)],
    );
    border(
        "ties that show with 8-bit weights",
        M4F,
        size,
        base(Kind::Pointwise),
        beside,
        [(DSP_I8, SMALL), (DSP_I8, SMALL_LINEAR)],
    );
    border(
        "8-bit weights that borrow",
        M4F,
        size,
        base(Kind::Pointwise),
        &|far| far.lowest = Lowest::Borrowed,
        [(DSP_I8, SMALL), (DSP_I16, FIXED)],
    );
    border(
        "8-bit weights that borrow, dense",
        M4F,
        size,
        base(Kind::DenseBlocks),
        &|far| far.lowest = Lowest::Everywhere,
        [(DSP_I8, SMALL), (CANONICAL, 0)],
    );

    // Winograd's convolutions.
    let near = reach(Kind::Square, (1 << 25) - 1, -10);
    border(
        "accumulators times 64",
        M4F,
        speed,
        near,
        further,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_2X2, MERGED)],
    );
    let near = reach(Kind::Square, (1 << 29) - 1, -13);
    border(
        "accumulators times 4",
        M4F,
        speed,
        near,
        further,
        [(DSP_WINOGRAD_2X2, MERGED), (DSP_I16, LINEAR)],
    );
    border(
        "ties that show, transformed",
        M4F,
        speed,
        base(Kind::Square),
        beside,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_4X4, TIES)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Square)
    };
    border(
        "ties without a shift",
        M4F,
        speed,
        near,
        larger,
        [(DSP_WINOGRAD_4X4, TIES), (DSP_I16, GENERAL)],
    );
    let near = reach(Kind::Square, 0, -16);
    border(
        "the last shift that merges",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_WINOGRAD_4X4, MERGED), (DSP_WINOGRAD_4X4, TIES)],
    );

    // Depthwise convolutions.
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Depthwise)
    };
    border(
        "ties without a shift, depthwise",
        M4F,
        speed,
        near,
        larger,
        [(DSP_DEPTHWISE, 2), (CANONICAL, 0)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-21),
        ..base(Kind::Depthwise)
    };
    border(
        "the last shift, depthwise",
        M4F,
        speed,
        near,
        smaller,
        [(DSP_DEPTHWISE, 2), (CANONICAL, 0)],
    );

    // Helium.
    let near = reach(Kind::Pointwise, 0, 0);
    border(
        "a shift to the left",
        M55,
        speed,
        near,
        larger,
        [(MVE_PANEL, 0), (MVE_PANEL, 2)],
    );
    border(
        "ties that show, Helium",
        M55,
        speed,
        base(Kind::Square),
        beside,
        [(MVE_DIRECT, 0), (MVE_DIRECT, 1)],
    );
    let near = Settings {
        zero_point: 5,
        real: real(-1),
        ..base(Kind::Depthwise)
    };
    border(
        "no shift, Helium",
        M55,
        speed,
        near,
        larger,
        [(MVE_DEPTHWISE, 1), (MVE_DEPTHWISE, 2)],
    );
    border(
        "a clamp at the zero point, Helium",
        M55,
        speed,
        base(Kind::Odd),
        &|far| {
            far.zero_point = 5;
            far.activation = Activation::Relu;
        },
        [(MVE_PANEL, 0), (MVE_PANEL, 2)],
    );
    let near = Settings {
        rounding: RoundingMode::Single,
        real: real(-2),
        ..base(Kind::Dense)
    };
    border(
        "single rounding, Helium",
        M55,
        speed,
        near,
        larger,
        [(packing::MVE_DENSE, 3), (packing::MVE_DENSE, 4)],
    );
    borders
}

/// Every kind with every shift at an end of a form, clamped and not, in all roundings: whatever is
/// chosen, the bytes have to be those of the reference.
pub fn sweep() -> Vec<Settings> {
    let mut all = Vec::new();
    let ends = [-22, -16, -15, -12, -11, -5, -2, -1, 0, 1];
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        for (place, shift) in ends.into_iter().enumerate() {
            let choice = index + place;
            all.push(Settings {
                real: real(shift),
                zero_point: [-128, -127, 0, 5, 127][choice % 5],
                activation: [Activation::None, Activation::Relu][choice / 2 % 2],
                rounding: [RoundingMode::Double, RoundingMode::Single][choice / 3 % 2],
                lowest: [Lowest::Nowhere, Lowest::Borrowed, Lowest::Everywhere][choice % 3],
                ..Settings::new(kind)
            });
        }
    }
    all
}
