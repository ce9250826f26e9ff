//! The portable kernels as entries of a table.

use super::add::add_fitted;
use super::conv_2d::conv_2d_pairs;
use super::depthwise_conv_2d::depthwise_conv_2d;
use super::pool_2d::{average_pool_2d, max_pool_2d};
use crate::format::{opcode, packing};
use crate::kernels::reference::average_pool_2d::AveragePool2d;
use crate::kernels::reference::max_pool_2d::MaxPool2d;
use crate::kernels::{Kernel, joined, reference};
use crate::operator::{elementwise, layers, packed, pools};

/// FULLY_CONNECTED with paired weights.
pub const FULLY_CONNECTED: Kernel = Kernel {
    opcode: opcode::FULLY_CONNECTED,
    packing: packing::PAIRS,
    check: |call| layers::check_fully_connected(call, &packed::PAIRS),
    run: |call| conv_2d_pairs(&layers::flat_layer(call)),
};
/// CONV_2D with paired weights.
pub const CONV_2D: Kernel = Kernel {
    opcode: opcode::CONV_2D,
    packing: packing::PAIRS,
    check: |call| layers::check_conv(call, &packed::PAIRS),
    run: |call| conv_2d_pairs(&layers::layer(call)),
};

/// DEPTHWISE_CONV_2D with weights channel by channel.
pub const DEPTHWISE_CONV_2D: Kernel = Kernel {
    opcode: opcode::DEPTHWISE_CONV_2D,
    packing: packing::DEPTHWISE_CHANNELS,
    check: |call| layers::check_depthwise(call, &packed::DEPTHWISE_CHANNELS),
    run: |call| depthwise_conv_2d(&layers::layer(call)),
};

/// ADD and SUB in one linear form.
pub const ADD_FITTED: Kernel = Kernel {
    opcode: opcode::ADD,
    packing: packing::FITTED,
    check: elementwise::check_add_fitted,
    run: |call| {
        let (operands, y) = (elementwise::operands(call), call.cells(call.y()));
        let broadcast = elementwise::broadcast(call);
        add_fitted(&elementwise::add_fitted(call), &broadcast, operands, y);
    },
};
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = Kernel {
    opcode: opcode::AVERAGE_POOL_2D,
    packing: packing::CANONICAL,
    check: pools::check,
    run: |call| {
        let settings = AveragePool2d {
            window: call.window(),
            min: call.record.clamp_min,
            max: call.record.clamp_max,
        };
        average_pool_2d(&settings, call.cells(call.x()), call.cells(call.y()));
    },
};
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Kernel = Kernel {
    opcode: opcode::MAX_POOL_2D,
    packing: packing::CANONICAL,
    check: pools::check,
    run: |call| {
        let settings = MaxPool2d {
            window: call.window(),
            min: call.record.clamp_min,
            max: call.record.clamp_max,
        };
        max_pool_2d(&settings, call.cells(call.x()), call.cells(call.y()));
    },
};

/// Every portable kernel.
pub const OWN: &[Kernel] = &[
    FULLY_CONNECTED,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    ADD_FITTED,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
];

/// These, then the reference kernels.
pub static KERNELS: [Kernel; OWN.len() + reference::CANONICAL.len()] =
    joined(OWN, reference::CANONICAL);

/// These, then the reference kernels in every packing: it runs any image.
pub static ANY: [Kernel; OWN.len() + reference::KERNELS.len()] = joined(OWN, &reference::KERNELS);
