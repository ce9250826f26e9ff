//! The x86-64 kernels as entries of a table.

use crate::format::{opcode, packing};
use crate::kernels::{Kernel, joined, reference};
use crate::operator::layers;
use crate::operator::packed;
use crate::operator::{Call, Cost, Fault};
use super::{conv_2d, depthwise_conv_2d, fully_connected};

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
        instruction_set: "x86",
        check,
        run,
    }
}

/// CONV_2D.
pub const CONV_2D: Kernel = kernel(
    opcode::CONV_2D,
    packing::X86_DOT,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::X86_DOT),
    |call| conv_2d(&layers::layer(call)),
);
/// FULLY_CONNECTED.
pub const FULLY_CONNECTED: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::X86_DOT,
    "FULLY_CONNECTED",
    |call| layers::check_fully_connected(call, &packed::X86_DOT),
    |call| fully_connected(&layers::flat_layer(call)),
);
/// DEPTHWISE_CONV_2D.
pub const DEPTHWISE_CONV_2D: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::X86_DEPTHWISE,
    "DEPTHWISE_CONV_2D",
    |call| layers::check_depthwise(call, &packed::X86_DEPTHWISE),
    |call| depthwise_conv_2d(&layers::layer(call)),
);

/// Every kernel of this instruction set.
pub const OWN: &[Kernel] = &[
    CONV_2D,
    FULLY_CONNECTED,
    DEPTHWISE_CONV_2D,
];

/// These, then the reference kernels in every packing.
pub static KERNELS: [Kernel; OWN.len() + reference::KERNELS.len()] =
    joined(OWN, &reference::KERNELS);
