//! The x86-64 kernels as entries of a table.

use super::{
    add_fitted, average_pool_2d, conv_2d, conv_2d_winograd, depthwise_conv_2d, fully_connected,
    max_pool_2d,
};
use crate::format::{opcode, packing};
use crate::kernels::reference::broadcast::Operand;
use crate::kernels::{Kernel, joined, reference};
use crate::operator::{Call, Cost, Fault};
use crate::operator::{elementwise, layers, packed, pools};

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
/// CONV_2D, 3x3 with stride 1.
pub const CONV_2D_WINOGRAD: Kernel = kernel(
    opcode::CONV_2D,
    packing::X86_WINOGRAD,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::X86_WINOGRAD),
    |call| conv_2d_winograd(&layers::layer(call)),
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
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = kernel(
    opcode::AVERAGE_POOL_2D,
    packing::CANONICAL,
    "AVERAGE_POOL_2D",
    pools::check,
    |call| {
        let (window, x, y) = (call.window(), call.cells(&call.x()), call.cells(&call.y()));
        average_pool_2d(&window, limits(call), x, y);
    },
);
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Kernel = kernel(
    opcode::MAX_POOL_2D,
    packing::CANONICAL,
    "MAX_POOL_2D",
    pools::check,
    |call| {
        let (window, x, y) = (call.window(), call.cells(&call.x()), call.cells(&call.y()));
        max_pool_2d(&window, limits(call), x, y);
    },
);
/// ADD and SUB in one linear form.
pub const ADD_FITTED: Kernel = kernel(
    opcode::ADD,
    packing::FITTED,
    "ADD",
    elementwise::check_add_fitted,
    |call| {
        let ([first, second], y) = (elementwise::operands(call), call.cells(&call.y()));
        match (first, second) {
            (Operand::Activation(a), Operand::Activation(b))
                if a.len() == y.len() && b.len() == y.len() =>
            {
                add_fitted(&elementwise::add_fitted(call), a, b, y);
            }
            _ => (reference::table::ADD_FITTED.run)(call),
        }
    },
);

fn limits(call: &Call<'_>) -> [i8; 2] {
    [call.record.clamp_min, call.record.clamp_max]
}

/// Every kernel of this instruction set.
pub const OWN: &[Kernel] = &[
    CONV_2D,
    CONV_2D_WINOGRAD,
    FULLY_CONNECTED,
    DEPTHWISE_CONV_2D,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
    ADD_FITTED,
];

/// These, then the reference kernels in every packing.
pub static KERNELS: [Kernel; OWN.len() + reference::KERNELS.len()] =
    joined(OWN, &reference::KERNELS);
