//! The Helium kernels as entries of a table.

use crate::format::{opcode, packing};
use crate::kernels::{Kernel, joined, reference};
use crate::operator::layers;
use crate::operator::packed;
use crate::operator::{Call, Cost, Fault};
use super::conv_2d::conv_2d_i8_4x2;
use super::fully_connected::fully_connected_i8_1x8;

const fn kernel(
    opcode: u8,
    packing: u8,
    operator: &'static str,
    check: fn(&Call<'_>) -> Result<Cost, Fault>,
    run: fn(&Call<'_>),
) -> Kernel {
    Kernel {
        opcode,
        packing,
        operator,
        instruction_set: "mve",
        check,
        run,
    }
}

/// CONV_2D.
pub const CONV_2D: Kernel = kernel(
    opcode::CONV_2D,
    packing::MVE_PANEL,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::MVE_PANEL),
    |call| conv_2d_i8_4x2(&layers::layer(call)),
);
/// FULLY_CONNECTED.
pub const FULLY_CONNECTED: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::MVE_DENSE,
    "FULLY_CONNECTED",
    |call| layers::check_fully_connected(call, &packed::MVE_DENSE),
    |call| fully_connected_i8_1x8(&layers::flat_layer(call)),
);

/// Every kernel of this instruction set.
pub const OWN: &[Kernel] = &[
    CONV_2D,
    FULLY_CONNECTED,
];

/// These, then the reference kernels.
pub static KERNELS: [Kernel; OWN.len() + reference::CANONICAL.len()] =
    joined(OWN, reference::CANONICAL);
