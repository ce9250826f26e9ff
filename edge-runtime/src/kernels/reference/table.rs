//! The reference kernels as entries of a table.

use super::add::{add, add_fitted};
use super::average_pool_2d::{AveragePool2d, average_pool_2d};
use super::clamp::clamp;
use super::conv_2d::{Conv2d, conv_2d};
use super::copy::{copy, fill};
use super::depthwise_conv_2d::{DepthwiseConv2d, depthwise_conv_2d};
use super::fully_connected::{FullyConnected, fully_connected};
use super::lookup::lookup;
use super::max_pool_2d::{MaxPool2d, max_pool_2d};
use super::mean::mean;
use super::mul::mul;
use super::packed::KERNELS as PACKED;
use super::prelu::prelu;
use super::requantise::Requantise;
use super::reshape::reshape;
use super::resize_bilinear::resize_bilinear;
use super::resize_nearest::resize_nearest;
use super::softmax::softmax;
use super::svdf::svdf;
use super::transpose_conv::{TransposeConv, transpose_conv};
use super::unidirectional_sequence_lstm::unidirectional_sequence_lstm;
use super::weights::{Canonical, CanonicalDepthwise, Weights};
use crate::format::{opcode, packing};
use crate::kernels::layer::Layer;
use crate::kernels::{Kernel, joined};
use crate::operator::{Call, Cost, Fault, elementwise, layers, pools, recurrent, rows, shape};
use zerocopy::FromBytes;

const fn kernel(
    opcode: u8,
    check: fn(&Call<'_>) -> Result<Cost, Fault>,
    run: fn(&Call<'_>),
) -> Kernel {
    Kernel {
        opcode,
        packing: packing::CANONICAL,
        check,
        run,
    }
}

/// FULLY_CONNECTED.
pub const FULLY_CONNECTED: Kernel = kernel(
    opcode::FULLY_CONNECTED,
    |call| layers::check_fully_connected(call, &layers::CANONICAL),
    run_flat,
);
/// CONV_2D.
pub const CONV_2D: Kernel = kernel(
    opcode::CONV_2D,
    |call| layers::check_conv(call, &layers::CANONICAL),
    |call| run_conv(&layers::layer(call), canonical),
);
/// DEPTHWISE_CONV_2D.
pub const DEPTHWISE_CONV_2D: Kernel = kernel(
    opcode::DEPTHWISE_CONV_2D,
    |call| layers::check_depthwise(call, &layers::CANONICAL_DEPTHWISE),
    |call| run_depthwise(&layers::layer(call), canonical_depthwise),
);
/// MAX_POOL_2D.
pub const MAX_POOL_2D: Kernel = kernel(opcode::MAX_POOL_2D, pools::check, |call| {
    let settings = MaxPool2d {
        window: call.window(),
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    };
    max_pool_2d(&settings, call.cells(call.x()), call.cells(call.y()));
});
/// AVERAGE_POOL_2D.
pub const AVERAGE_POOL_2D: Kernel = kernel(opcode::AVERAGE_POOL_2D, pools::check, |call| {
    let settings = AveragePool2d {
        window: call.window(),
        min: call.record.clamp_min,
        max: call.record.clamp_max,
    };
    average_pool_2d(&settings, call.cells(call.x()), call.cells(call.y()));
});
/// RESHAPE.
pub const RESHAPE: Kernel = kernel(opcode::RESHAPE, shape::check_reshape, |call| {
    reshape(call.cells(call.x()), call.cells(call.y()));
});
/// SOFTMAX.
pub const SOFTMAX: Kernel = kernel(opcode::SOFTMAX, rows::check_softmax, |call| {
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    softmax(&rows::softmax(call), x, y);
});
/// CLAMP.
pub const CLAMP: Kernel = kernel(opcode::CLAMP, elementwise::check_clamp, |call| {
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    clamp(call.record.clamp_min, call.record.clamp_max, x, y);
});

/// TRANSPOSE_CONV.
pub const TRANSPOSE_CONV: Kernel = kernel(
    opcode::TRANSPOSE_CONV,
    layers::check_transpose_conv,
    |call| {
        let layer = layers::layer(call);
        let settings = TransposeConv {
            window: layer.window,
            pad: layer.pad,
            weights: canonical(&layer),
            requantise: requantise(&layer),
        };
        transpose_conv(&settings, layer.input, layer.output);
    },
);
/// ADD and SUB.
pub const ADD: Kernel = kernel(opcode::ADD, elementwise::check_add, |call| {
    let y = call.cells(call.y());
    add(&elementwise::add(call), elementwise::operands(call), y);
});
/// ADD and SUB in one linear form.
pub const ADD_FITTED: Kernel = Kernel {
    packing: packing::FITTED,
    ..kernel(opcode::ADD, elementwise::check_add_fitted, |call| {
        let (operands, y) = (elementwise::operands(call), call.cells(call.y()));
        let broadcast = elementwise::broadcast(call);
        add_fitted(&elementwise::add_fitted(call), &broadcast, operands, y);
    })
};
/// MUL.
pub const MUL: Kernel = kernel(opcode::MUL, elementwise::check_mul, |call| {
    let y = call.cells(call.y());
    mul(&elementwise::mul(call), elementwise::operands(call), y);
});
/// PRELU.
pub const PRELU: Kernel = kernel(opcode::PRELU, elementwise::check_prelu, |call| {
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    prelu(&elementwise::prelu(call), x, call.operand(call.second()), y);
});
/// Any function of one element, as a table.
pub const LOOKUP: Kernel = kernel(opcode::LOOKUP, elementwise::check_lookup, |call| {
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    if let Ok(table) = signed(call.weights()).try_into() {
        lookup(table, x, y);
    }
});
/// Strided copies.
pub const COPY: Kernel = kernel(opcode::COPY, shape::check_copy, |call| {
    if let Some(settings) = shape::copy(call) {
        copy(&settings, call.operand(call.x()), call.cells(call.y()));
    }
});
/// One value everywhere.
pub const FILL: Kernel = kernel(opcode::FILL, shape::check_fill, |call| {
    fill(call.record.clamp_min, call.cells(call.y()));
});
/// MEAN.
pub const MEAN: Kernel = kernel(opcode::MEAN, rows::check_mean, |call| {
    mean(
        &rows::mean(call),
        call.cells(call.x()),
        call.cells(call.y()),
    );
});
/// RESIZE_NEAREST_NEIGHBOR.
pub const RESIZE_NEAREST: Kernel = kernel(
    opcode::RESIZE_NEAREST,
    shape::check_resize_nearest,
    |call| {
        let (x, y) = (call.cells(call.x()), call.cells(call.y()));
        resize_nearest(&shape::resize_nearest(call), x, y);
    },
);
/// RESIZE_BILINEAR.
pub const RESIZE_BILINEAR: Kernel = kernel(
    opcode::RESIZE_BILINEAR,
    shape::check_resize_bilinear,
    |call| {
        let (x, y) = (call.cells(call.x()), call.cells(call.y()));
        resize_bilinear(&shape::resize_bilinear(call), x, y);
    },
);
/// UNIDIRECTIONAL_SEQUENCE_LSTM.
pub const LSTM: Kernel = kernel(opcode::LSTM, recurrent::check_lstm, |call| {
    let hidden = call.cells(call.second());
    let cell = recurrent::state(call, call.info(call.record.state));
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    unidirectional_sequence_lstm(&recurrent::lstm(call), x, hidden, cell, y);
});
/// SVDF.
pub const SVDF: Kernel = kernel(opcode::SVDF, recurrent::check_svdf, |call| {
    let state = recurrent::state(call, call.second());
    let (x, y) = (call.cells(call.x()), call.cells(call.y()));
    svdf(&recurrent::svdf(call), x, state, y);
});

/// Every reference kernel, in every packing: it runs any image.
pub static KERNELS: [Kernel; CANONICAL.len() + PACKED.len()] = joined(CANONICAL, PACKED);

/// Those in canonical packing, and of ADD in both forms.
pub const CANONICAL: &[Kernel] = &[
    FULLY_CONNECTED,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    MAX_POOL_2D,
    AVERAGE_POOL_2D,
    RESHAPE,
    SOFTMAX,
    CLAMP,
    TRANSPOSE_CONV,
    ADD,
    ADD_FITTED,
    MUL,
    PRELU,
    LOOKUP,
    COPY,
    FILL,
    MEAN,
    RESIZE_NEAREST,
    RESIZE_BILINEAR,
    LSTM,
    SVDF,
];

fn canonical<'a>(layer: &Layer<'a>) -> Canonical<'a> {
    let [_, _, channels] = layer.window.output;
    let weights = signed(layer.weights);
    Canonical {
        weights,
        taps: weights.len().checked_div(channels).unwrap_or(0),
        bias: layer.bias,
        multipliers: layer.multipliers,
        shifts: layer.shifts,
    }
}

pub(crate) fn canonical_depthwise<'a>(layer: &Layer<'a>) -> CanonicalDepthwise<'a> {
    let [_, _, channels] = layer.window.output;
    CanonicalDepthwise {
        weights: signed(layer.weights),
        channels,
        bias: layer.bias,
        multipliers: layer.multipliers,
        shifts: layer.shifts,
    }
}

fn signed(bytes: &[u8]) -> &[i8] {
    <[i8]>::ref_from_bytes(bytes).unwrap_or_default()
}

/// [`fully_connected`] on canonical weights, shorter: one row of inputs.
fn run_flat(call: &Call<'_>) {
    // Its output is one pixel, so that the channels are those of the flattened layer.
    let layer = layers::layer(call);
    let requantise = requantise(&layer);
    let mut weights = signed(layer.weights).iter();
    let constants = layer.bias.iter().zip(layer.multipliers).zip(layer.shifts);
    for (y, ((bias, multiplier), shift)) in layer.output.iter().zip(constants) {
        let acc = layer
            .input
            .iter()
            .zip(&mut weights)
            .fold(*bias, |acc, (x, weight)| {
                acc.wrapping_add(i32::from(*weight) * i32::from(x.get()))
            });
        y.set(requantise.apply(acc, *multiplier, *shift));
    }
}

/// Runs a fully connected layer in a packing that `decode` reads.
pub(crate) fn run_fully_connected<'a, W: Weights>(
    layer: &Layer<'a>,
    decode: impl FnOnce(&Layer<'a>) -> W,
) {
    let ([_, _, inputs], [_, _, outputs]) = (layer.window.input, layer.window.output);
    let settings = FullyConnected {
        inputs,
        outputs,
        weights: decode(layer),
        requantise: requantise(layer),
    };
    fully_connected(&settings, layer.input, layer.output);
}

/// Runs a convolution in a packing that `decode` reads.
pub(crate) fn run_conv<'a, W: Weights>(layer: &Layer<'a>, decode: impl FnOnce(&Layer<'a>) -> W) {
    let settings = Conv2d {
        window: layer.window,
        pad: layer.pad,
        weights: decode(layer),
        requantise: requantise(layer),
    };
    conv_2d(&settings, layer.input, layer.output);
}

/// Runs a depthwise convolution in a packing that `decode` reads.
pub(crate) fn run_depthwise<'a, W: Weights>(
    layer: &Layer<'a>,
    decode: impl FnOnce(&Layer<'a>) -> W,
) {
    let settings = DepthwiseConv2d {
        window: layer.window,
        pad: layer.pad,
        weights: decode(layer),
        requantise: requantise(layer),
    };
    depthwise_conv_2d(&settings, layer.input, layer.output);
}

fn requantise(layer: &Layer<'_>) -> Requantise {
    Requantise {
        rounding: layer.rounding,
        zero_point: layer.zero_point,
        min: layer.min,
        max: layer.max,
    }
}
