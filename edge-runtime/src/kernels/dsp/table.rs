//! The kernels of the DSP extension as entries of a table.

use super::add::add_fitted_i8_4;
use super::average_pool::average_pool_i8_1x4;
use super::conv_2d;
use super::depthwise::{depthwise_i16_2x2, depthwise_i16_2x2_canonical};
use super::depthwise_general::depthwise_i8_1x4;
use super::fully_connected;
use super::max_pool::max_pool_i8_1x4;
use super::winograd::winograd_f2_i16_2x4;
use super::winograd_f4::winograd_f4_i16_2x4;
use crate::format::{opcode, packing};
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
        instruction_set: "dsp",
        check,
        run,
    }
}

/// CONV_2D with 16-bit weights.
pub const CONV_2D_I16: Kernel = kernel(
    opcode::CONV_2D,
    packing::DSP_I16,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::DSP_I16),
    conv_2d::run_i16,
);
/// CONV_2D with 8-bit weights.
pub const CONV_2D_I8: Kernel = kernel(
    opcode::CONV_2D,
    packing::DSP_I8,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::DSP_I8),
    conv_2d::run_i8,
);
/// CONV_2D 3x3 by F(2x2, 3x3).
pub const CONV_2D_WINOGRAD: Kernel = kernel(
    opcode::CONV_2D,
    packing::DSP_WINOGRAD_2X2,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::DSP_WINOGRAD_2X2),
    |call| winograd_f2_i16_2x4(&layers::layer(call)),
);
/// CONV_2D 3x3 by F(4x4, 3x3).
pub const CONV_2D_WINOGRAD_4X4: Kernel = kernel(
    opcode::CONV_2D,
    packing::DSP_WINOGRAD_4X4,
    "CONV_2D",
    |call| layers::check_conv(call, &packed::DSP_WINOGRAD_4X4),
    |call| winograd_f4_i16_2x4(&layers::layer(call)),
);
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = kernel(
    opcode::AVERAGE_POOL_2D,
    packing::CANONICAL,
    "AVERAGE_POOL_2D",
    pools::check,
    |call| {
        let (window, x, y) = (call.window(), call.cells(&call.x()), call.cells(&call.y()));
        average_pool_i8_1x4(&window, call.record.clamp_min, call.record.clamp_max, x, y);
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
        max_pool_i8_1x4(&window, call.record.clamp_min, call.record.clamp_max, x, y);
    },
);
/// FULLY_CONNECTED with 16-bit weights.
pub const FULLY_CONNECTED_I16: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::DSP_I16,
    "FULLY_CONNECTED",
    |call| layers::check_fully_connected(call, &packed::DSP_I16_DENSE),
    fully_connected::run_i16,
);
/// FULLY_CONNECTED with 8-bit weights.
pub const FULLY_CONNECTED_I8: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    packing::DSP_I8,
    "FULLY_CONNECTED",
    |call| layers::check_fully_connected(call, &packed::DSP_I8_DENSE),
    fully_connected::run_i8,
);
/// DEPTHWISE_CONV_2D 3x3.
pub const DEPTHWISE_CONV_2D: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::DSP_DEPTHWISE,
    "DEPTHWISE_CONV_2D",
    |call| layers::check_depthwise(call, &packed::DSP_DEPTHWISE),
    |call| depthwise_i16_2x2(&layers::layer(call)),
);
/// DEPTHWISE_CONV_2D 3x3 on canonical weights.
pub const DEPTHWISE_CONV_2D_SMALL: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::DSP_DEPTHWISE_SMALL,
    "DEPTHWISE_CONV_2D",
    |call| layers::check_depthwise(call, &packed::DSP_DEPTHWISE_SMALL),
    |call| depthwise_i16_2x2_canonical(&layers::layer(call)),
);
/// DEPTHWISE_CONV_2D of any window.
pub const DEPTHWISE_CONV_2D_ANY: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    packing::CANONICAL,
    "DEPTHWISE_CONV_2D",
    |call| layers::check_depthwise(call, &layers::CANONICAL_DEPTHWISE),
    |call| depthwise_i8_1x4(&layers::layer(call)),
);
/// ADD and SUB of two activations of one shape in one linear form.
pub const ADD_FITTED: Kernel = kernel(
    opcode::ADD,
    packing::FITTED,
    "ADD",
    elementwise::check_add_fitted_flat,
    |call| {
        let inputs = [call.cells(call.x()), call.cells(call.second())];
        add_fitted_i8_4(&elementwise::add_fitted(call), inputs, call.cells(call.y()));
    },
);

/// Every kernel of this instruction set.
pub const OWN: &[Kernel] = &[
    CONV_2D_I16,
    CONV_2D_I8,
    CONV_2D_WINOGRAD,
    FULLY_CONNECTED_I16,
    FULLY_CONNECTED_I8,
    DEPTHWISE_CONV_2D,
    DEPTHWISE_CONV_2D_SMALL,
    DEPTHWISE_CONV_2D_ANY,
    ADD_FITTED,
    CONV_2D_WINOGRAD_4X4,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
];

/// These, then the reference kernels.
pub static KERNELS: [Kernel; OWN.len() + reference::CANONICAL.len()] =
    joined(OWN, reference::CANONICAL);
