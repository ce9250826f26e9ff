//! The Helium kernels as entries of a table.

use super::add::add_fitted_i8_x16;
use super::conv_2d::conv_2d_i8_4x2;
use super::conv_3x3::conv_2d_3x3_i8_4x2;
use super::depthwise_any::depthwise_conv_2d_i8_1x16;
use super::depthwise_conv_2d::depthwise_conv_2d_i8_8x1;
use super::fully_connected::fully_connected_i8_1x8;
use super::pool::{Pool, average_pool_2d_i8_x16, max_pool_2d_i8_x16};
use crate::format::{opcode, packing};
use crate::kernels::reference::broadcast::Operand;
use crate::kernels::{Kernel, joined, reference};
use crate::operator::{Call, Cost, Fault};
use crate::operator::{elementwise, layers, packed, pools};

const fn kernel(
    opcode: u8,
    packing: u8,
    check: fn(&Call<'_>) -> Result<Cost, Fault>,
    run: fn(&Call<'_>),
) -> Kernel {
    Kernel {
        opcode,
        packing,
        check,
        run,
    }
}

/// CONV_2D.
pub const CONV_2D: Kernel = kernel(
    opcode::CONV_2D,
    packing::MVE_PANEL,
    |call| layers::check_conv(call, &packed::MVE_PANEL),
    |call| conv_2d_i8_4x2(&layers::layer(call)),
);
/// FULLY_CONNECTED.
pub const FULLY_CONNECTED: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::MVE_DENSE,
    |call| layers::check_fully_connected(call, &packed::MVE_DENSE),
    |call| fully_connected_i8_1x8(&layers::flat_layer(call)),
);
/// CONV_2D 3x3 on a multiple of 16 channels.
pub const CONV_2D_3X3: Kernel = kernel(
    opcode::CONV_2D,
    packing::MVE_DIRECT,
    |call| layers::check_conv(call, &packed::MVE_DIRECT),
    |call| conv_2d_3x3_i8_4x2(&layers::layer(call)),
);
/// DEPTHWISE_CONV_2D 3x3.
pub const DEPTHWISE_CONV_2D: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::MVE_DEPTHWISE,
    |call| layers::check_depthwise(call, &packed::MVE_DEPTHWISE),
    |call| depthwise_conv_2d_i8_8x1(&layers::layer(call)),
);
/// DEPTHWISE_CONV_2D of any window with one output for each input channel.
pub const DEPTHWISE_CONV_2D_ANY: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::MVE_DEPTHWISE_ANY,
    |call| layers::check_depthwise(call, &packed::MVE_DEPTHWISE_ANY),
    |call| depthwise_conv_2d_i8_1x16(&layers::layer(call)),
);
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = kernel(
    opcode::AVERAGE_POOL_2D,
    packing::CANONICAL,
    pools::check,
    |call| average_pool_2d_i8_x16(&pool(call), call.cells(call.x()), call.cells(call.y())),
);
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Kernel = kernel(
    opcode::MAX_POOL_2D,
    packing::CANONICAL,
    pools::check,
    |call| max_pool_2d_i8_x16(&pool(call), call.cells(call.x()), call.cells(call.y())),
);
/// ADD and SUB in one linear form.
pub const ADD_FITTED: Kernel = kernel(
    opcode::ADD,
    packing::FITTED,
    elementwise::check_add_fitted,
    |call| {
        let ([first, second], y) = (elementwise::operands(call), call.cells(call.y()));
        match (first, second) {
            (Operand::Activation(a), Operand::Activation(b))
                if a.len() == y.len() && b.len() == y.len() =>
            {
                add_fitted_i8_x16(&elementwise::add_fitted(call), [a, b], y);
            }
            _ => (reference::table::ADD_FITTED.run)(call),
        }
    },
);

fn pool(call: &Call<'_>) -> Pool {
    Pool {
        window: call.window(),
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    }
}

/// Every kernel of this instruction set.
pub const OWN: &[Kernel] = &[
    CONV_2D,
    FULLY_CONNECTED,
    CONV_2D_3X3,
    DEPTHWISE_CONV_2D,
    DEPTHWISE_CONV_2D_ANY,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
    ADD_FITTED,
];

/// These, then the reference kernels.
pub static KERNELS: [Kernel; OWN.len() + reference::CANONICAL.len()] =
    joined(OWN, reference::CANONICAL);
