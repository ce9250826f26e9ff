//! The portable kernels as entries of a table.

use super::add::add_fitted;
use super::conv_2d::conv_2d_pairs;
use super::depthwise_conv_2d::{self, depthwise_conv_2d, depthwise_conv_2d_pairs};
use super::pool_2d::{average_pool_2d, max_pool_2d};
use crate::format::{opcode, packing};
use crate::kernels::Kernel;
use crate::kernels::packing::pair_blocks;
use crate::kernels::reference::average_pool_2d::AveragePool2d;
use crate::kernels::reference::max_pool_2d::MaxPool2d;
use crate::operator::layers::{self, Packed};
use crate::operator::{elementwise, pools};

/// How [`packing::PAIRS`] keeps a layer's constants, and what the portable kernel takes.
pub(crate) const PAIRS: Packed = Packed {
    weights_len: |window| {
        let [_, _, channels] = window.output;
        let [height, width] = window.kernel;
        let [_, _, depth] = window.input;
        let taps = height.checked_mul(width)?.checked_mul(depth)?;
        let blocks = channels.div_ceil(pair_blocks::CHANNELS);
        let quads = taps.div_ceil(pair_blocks::QUAD);
        let words = quads.checked_mul(pair_blocks::QUAD_WORDS)?.checked_add(1)?;
        words.checked_mul(blocks)?.checked_mul(4)?.try_into().ok()
    },
    scratch_len: super::conv_2d::scratch_len,
    channels_apart: true,
};

/// [`packing::PAIRS`] of a depthwise convolution, which has one input channel.
pub(crate) const DEPTHWISE_PAIRS: Packed = Packed {
    weights_len: |window| {
        let [_, _, depth] = window.input;
        if depth == 1 { (PAIRS.weights_len)(window) } else { None }
    },
    scratch_len: depthwise_conv_2d::pairs_scratch_len,
    channels_apart: true,
};

/// How [`packing::CHANNELS`] keeps the constants of a depthwise convolution.
pub(crate) const CHANNELS: Packed = Packed {
    weights_len: layers::CANONICAL_DEPTHWISE.weights_len,
    scratch_len: depthwise_conv_2d::scratch_len,
    channels_apart: true,
};

/// FULLY_CONNECTED with paired weights.
pub const FULLY_CONNECTED: Kernel = Kernel {
    opcode: opcode::FULLY_CONNECTED,
    packing: packing::PAIRS,
    operator: "FULLY_CONNECTED",
    instruction_set: "portable",
    check: |call| layers::check_fully_connected(call, &PAIRS),
    run: |call| conv_2d_pairs(&layers::flat_layer(call)),
};
/// CONV_2D with paired weights.
pub const CONV_2D: Kernel = Kernel {
    opcode: opcode::CONV_2D,
    packing: packing::PAIRS,
    operator: "CONV_2D",
    instruction_set: "portable",
    check: |call| layers::check_conv(call, &PAIRS),
    run: |call| conv_2d_pairs(&layers::layer(call)),
};

/// DEPTHWISE_CONV_2D with weights channel by channel.
pub const DEPTHWISE_CONV_2D: Kernel = Kernel {
    opcode: opcode::DEPTHWISE_CONV_2D,
    packing: packing::CHANNELS,
    operator: "DEPTHWISE_CONV_2D",
    instruction_set: "portable",
    check: |call| layers::check_depthwise(call, &CHANNELS),
    run: |call| depthwise_conv_2d(&layers::layer(call)),
};
/// DEPTHWISE_CONV_2D of one input channel with paired weights.
pub const DEPTHWISE_CONV_2D_PAIRS: Kernel = Kernel {
    opcode: opcode::DEPTHWISE_CONV_2D,
    packing: packing::PAIRS,
    operator: "DEPTHWISE_CONV_2D",
    instruction_set: "portable",
    check: |call| layers::check_depthwise(call, &DEPTHWISE_PAIRS),
    run: |call| depthwise_conv_2d_pairs(&layers::layer(call)),
};

/// ADD and SUB in one linear form.
pub const ADD_FITTED: Kernel = Kernel {
    opcode: opcode::ADD,
    packing: packing::FITTED,
    operator: "ADD",
    instruction_set: "portable",
    check: elementwise::check_add_fitted,
    run: |call| {
        let (operands, y) = (elementwise::operands(call), call.cells(&call.y()));
        let broadcast = elementwise::broadcast(call);
        add_fitted(&elementwise::add_fitted(call), &broadcast, operands, y);
    },
};
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = Kernel {
    opcode: opcode::AVERAGE_POOL_2D,
    packing: packing::CANONICAL,
    operator: "AVERAGE_POOL_2D",
    instruction_set: "portable",
    check: pools::check,
    run: |call| {
        let settings = AveragePool2d {
            window: call.window(),
            min: call.record.clamp_min,
            max: call.record.clamp_max,
        };
        average_pool_2d(&settings, call.cells(&call.x()), call.cells(&call.y()));
    },
};
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Kernel = Kernel {
    opcode: opcode::MAX_POOL_2D,
    packing: packing::CANONICAL,
    operator: "MAX_POOL_2D",
    instruction_set: "portable",
    check: pools::check,
    run: |call| {
        let settings = MaxPool2d {
            window: call.window(),
            min: call.record.clamp_min,
            max: call.record.clamp_max,
        };
        max_pool_2d(&settings, call.cells(&call.x()), call.cells(&call.y()));
    },
};

/// Every portable kernel. They come before the reference kernels in a table.
pub const KERNELS: &[Kernel] = &[
    FULLY_CONNECTED,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    DEPTHWISE_CONV_2D_PAIRS,
    ADD_FITTED,
    AVERAGE_POOL_2D,
    MAX_POOL_2D,
];
