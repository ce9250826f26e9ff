"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV: layers with weights, biases and rescaling."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from model import ACTIVATIONS, Graph

WEIGHTS = ["random", "random", "random", "small", "minus 128", "127", "first tap", "with -128"]
ZERO_POINTS = [-128, 127, 0, -128, None, None]  # None: random
# What the multiplier and the bias of a case are like.
SCALING = ["usual", "usual", "usual", "tie", "above one", "tiny", "2^23", "2^25", "2^30", "outer"]


def zero_point(rng):
    value = ZERO_POINTS[rng.integers(len(ZERO_POINTS))]
    return int(rng.integers(-128, 128)) if value is None else value


def output_zero(rng, settings):
    """A zero point that leaves the activation something to do: often the lowest value under RELU."""
    if settings["scaling"] == "tiny" or settings["scaling"].startswith("2^"):
        return int(rng.integers(-20, 21))
    if settings["act"] in ("relu", "relu6"):
        return -128 if rng.integers(3) else int(rng.integers(-128, 60))
    return int(rng.integers(-60, 61)) if rng.integers(3) else zero_point(rng)


def draw_weights(rng, shape, kind):
    """int8 weights. `first tap`: zero but for the first position of the window."""
    if kind == "minus 128":
        return np.full(shape, -128, np.int8)
    if kind == "127":
        return np.full(shape, 127, np.int8)
    if kind == "signs":
        return rng.integers(-1, 2, shape).astype(np.int8)
    if kind == "small":
        return rng.integers(-3, 4, shape).astype(np.int8)
    if kind == "with -128":
        return rng.choice([-128, -127, 127, 1, 0, -1], shape).astype(np.int8)
    w = rng.integers(-127, 128, shape).astype(np.int8)
    if kind == "first tap":
        keep = np.zeros(shape, bool)
        keep[(slice(None), 0, 0) if len(shape) == 4 else (slice(None), 0)] = True
        w = np.where(keep, w, 0).astype(np.int8)
    return w


def draw_scaling(rng, kind, x, w, per_channel):
    """Weight scales, output scale and biases for weights `w` of shape [channel][tap].

    The bias brings the accumulators' mean over random inputs near 0, and the output scale spreads most of them
    over the int8 range: a layer whose outputs all saturate would test little.
    """
    channels, taps = w.shape
    w = w.astype(np.int64)
    count, scale_in = channels if per_channel else 1, x.scale
    spread = np.maximum(np.sqrt((w * w).sum(1)), 1.0) * 74
    centre = np.rint(w.sum(1) * (x.zero + 0.5)).astype(np.int64)
    bias = centre + rng.integers(-1, 2, channels) * (spread * rng.uniform(0, 1, channels)).astype(np.int64)
    if kind == "tie":  # powers of two: a good part of the accumulators lies just between two outputs
        scale_w = np.full(count, 2.0**-7)
        power = max(1, int(np.log2(np.median(spread) / 70)))
        return scale_w, scale_in * 2.0**-7 * 2.0**power, bias | 1
    scale_w = rng.uniform(0.002, 0.03, count)
    typical = scale_in * float(np.mean(scale_w)) * float(np.median(spread))
    scale_out = typical / rng.uniform(40, 160)
    if kind == "above one":
        scale_out = scale_in * float(np.mean(scale_w)) / rng.uniform(1.0, 9.0)
        bias = rng.integers(-20, 20, channels)
    elif kind == "tiny":
        bias = rng.integers(-60_000_000, 60_000_000, channels)
        scale_out = scale_in * float(np.mean(scale_w)) * 10.0 ** rng.uniform(5.7, 6)
    elif kind == "outer":  # channels whose multipliers differ by a factor of up to 10^4
        scale_w = 10.0 ** rng.uniform(-4, 0, count)
        scale_out = scale_in * float(np.exp(np.mean(np.log(scale_w)))) * float(np.median(spread)) / 60
    elif kind.startswith("2^"):
        border = 1 << int(kind[2:])
        sign = rng.choice([-1, 1], channels)
        bias = sign * (border - (rng.uniform(0, 1, channels) * np.minimum(spread, border / 2)).astype(np.int64))
        if kind == "2^30":
            bias = np.clip(bias, -(1 << 30), 1 << 30)
        scale_out = scale_in * float(np.mean(scale_w)) * border / rng.uniform(60, 120)
    return scale_w, scale_out, bias


def geometry(size, kernel, stride, dilation, same):
    """Output size of a window along one axis."""
    extent = (kernel - 1) * dilation + 1
    return -(-size // stride) if same else (size - extent) // stride + 1


def padding(same):
    return schema.Padding.SAME if same else schema.Padding.VALID


def activation(number):
    return ["none", "relu", "none", "relu6", "none", "relu_n1_to_1", "relu"][number % 7]


def window_layer(rng, g, x, kernel, channels, *, stride=(1, 1), dilation=(1, 1), same=True, multiplier=None,
                 weights="random", scaling="usual", act="none", bias=True, per_channel=True, zero=0):
    """Appends CONV_2D, or DEPTHWISE_CONV_2D where `multiplier` is given (`channels` is then ignored)."""
    batch, height, width, depth = x.shape
    if multiplier is None:
        w = draw_weights(rng, (channels, *kernel, depth), weights)
        matrix, axis = w.reshape(channels, -1), 0
    else:
        channels = depth * multiplier
        w = draw_weights(rng, (1, *kernel, channels), weights)
        matrix, axis = w.reshape(-1, channels).T, 3
    scale_w, scale_out, b = draw_scaling(rng, scaling, x, matrix, per_channel)
    scale_w = np.asarray(scale_w, np.float32)
    inputs = [x, g.constant(w, scale_w, axis=axis)]
    if bias:
        inputs.append(g.constant(b, scale_w * np.float32(x.scale), kind="int32"))
    options = dict(
        padding=padding(same), strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], fusedActivationFunction=ACTIVATIONS[act],
    )
    if multiplier is not None:
        options["depthMultiplier"] = multiplier
    shape = (batch, *(geometry(x.shape[1 + i], kernel[i], stride[i], dilation[i], same) for i in (0, 1)), channels)
    name = "CONV_2D" if multiplier is None else "DEPTHWISE_CONV_2D"
    return g.op(name, inputs, [(shape, scale_out, zero)], **options)


def dense_layer(rng, g, x, channels, *, weights="random", scaling="usual", act="none", bias=True,
                per_channel=False, zero=0, keep=False):
    """Appends FULLY_CONNECTED over the last dimension."""
    depth = x.shape[-1]
    w = draw_weights(rng, (channels, depth), weights)
    scale_w, scale_out, b = draw_scaling(rng, scaling, x, w, per_channel)
    scale_w = np.asarray(scale_w, np.float32)
    inputs = [x, g.constant(w, scale_w)]
    if bias:
        inputs.append(g.constant(b, scale_w * np.float32(x.scale), kind="int32"))
    elif rng.integers(2):  # left out either by index -1 or by a shorter list
        inputs.append(None)
    rows = int(np.prod(x.shape[:-1]))
    shape = (*x.shape[:-1], channels) if keep else (rows, channels)
    return g.op("FULLY_CONNECTED", inputs, [(shape, scale_out, zero)], keepNumDims=keep,
                fusedActivationFunction=ACTIVATIONS[act])


def common(number):
    """Settings that change from case to case with periods of their own, so that combinations differ."""
    scaling = SCALING[(number * 3) % len(SCALING)]
    needs_bias = scaling == "tie" or scaling == "tiny" or scaling.startswith("2^")
    weights = "signs" if scaling == "tie" else WEIGHTS[number % len(WEIGHTS)]
    return dict(weights=weights, scaling=scaling, per_channel=number % 4 != 3,
                act="none" if needs_bias else activation(number), bias=needs_bias or number % 9 != 5)


def conv_2d(rng):
    kernels = [(1, 1), (3, 3), (3, 3), (5, 5), (1, 7), (10, 4), (1, 1), (2, 3), (3, 1)]
    depths = [1, 3, 4, 8, 5, 2, 16, 7, 1, 40, 6, 11]
    channels = [1, 4, 8, 3, 16, 5, 2, 9, 40, 7, 12]
    strides = [(1, 1), (1, 1), (2, 2), (1, 1), (3, 1), (2, 1), (3, 3)]
    dilations = [(1, 1), (1, 1), (1, 1), (2, 2), (1, 1), (3, 1), (1, 1), (1, 2), (3, 3)]
    for number in range(48):
        kernel, stride, dilation = kernels[number % 9], strides[number % 7], dilations[(number * 2) % 9]
        if stride != (1, 1):
            dilation = (1, 1)
        settings = common(number)
        settings["bias"] = True  # LiteRT refuses an int8 CONV_2D without one
        depth, outputs = depths[number % 12], channels[number % 11]
        while kernel[0] * kernel[1] * depth * outputs > 1500:
            depth, outputs = max(1, depth - 1), max(1, outputs - 1)
        if settings["scaling"] == "tiny" or settings["scaling"].startswith("2^"):
            outputs = max(3, outputs)
        same = number % 3 != 1
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        low = [1, 1] if same else extents
        height, width = (max(lo, int(rng.integers(3, 9))) for lo in low)
        batch = 2 if number % 16 == 7 else 1
        g = Graph(f"conv_2d_{number}")
        x = g.input((batch, height, width, depth), rng.uniform(0.005, 0.2), zero_point(rng))
        if settings["scaling"] == "tie":
            x.scale = g.graph.tensors[0].quantization.scale[0] = 0.0625
        g.output(window_layer(rng, g, x, kernel, outputs, stride=stride, dilation=dilation, same=same,
                              zero=output_zero(rng, settings), **settings))
        yield g


def depthwise_conv_2d(rng):
    kernels = [(3, 3), (3, 3), (5, 5), (1, 1), (3, 3), (1, 7), (10, 4), (2, 2)]
    for number in range(40):
        multiplier, depth = [(1, 8), (1, 3), (2, 4), (8, 1), (1, 16), (3, 5), (1, 1), (1, 33), (1, 12)][number % 9]
        kernel = kernels[number % 8]
        dilation = [(1, 1), (1, 1), (2, 2), (1, 1), (3, 2)][number % 5]
        stride = [(1, 1), (2, 2), (1, 1), (3, 3), (1, 1), (2, 2), (1, 1)][number % 7]
        if dilation != (1, 1):
            stride = (1, 1)
        same = number % 4 != 2
        low = [1, 1] if same else [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        height, width = (max(lo, int(rng.integers(3, 9))) for lo in low)
        g = Graph(f"depthwise_conv_2d_{number}")
        x = g.input((2 if number % 16 == 9 else 1, height, width, depth), rng.uniform(0.005, 0.2),
                    zero_point(rng))
        settings = common(number + 1)
        if settings["scaling"] == "tie":
            x.scale = g.graph.tensors[0].quantization.scale[0] = 0.0625
        g.output(window_layer(rng, g, x, kernel, 0, stride=stride, dilation=dilation, same=same,
                              multiplier=multiplier, zero=output_zero(rng, settings), **settings))
        yield g


def fully_connected(rng):
    for number in range(40):
        depth = [1, 7, 16, 33, 64, 128, 10, 100, 3][number % 9]
        channels = [4, 10, 1, 12, 6, 8, 3, 16][number % 8]
        lead = [(1,), (1,), (3,), (1, 4), (2, 3), (1,), (1, 2, 3)][number % 7]
        keep = len(lead) > 1 and number % 2 == 0
        g = Graph(f"fully_connected_{number}")
        settings = common(number + 2)
        settings["per_channel"] = number % 4 == 1
        scale = 0.0625 if settings["scaling"] == "tie" else rng.uniform(0.005, 0.2)
        x = g.input((*lead, depth), scale, zero_point(rng))
        g.output(dense_layer(rng, g, x, channels, keep=keep, zero=output_zero(rng, settings), **settings))
        yield g


def fully_connected_wide(rng):
    """Long rows of large weights: accumulators beyond 2^23 that the inputs, not the bias, bring about."""
    for number in range(8):
        depth, channels = [600, 1024, 640, 777, 1000, 900, 550, 800][number], 3
        g = Graph(f"fully_connected_wide_{number}")
        x = g.input((1, depth), 0.02, zero_point(rng))
        signs = np.where(np.arange(depth) // (7 + number) % 2, 1, -1) if number % 2 else np.ones(depth, int)
        w = np.stack([signs * 127, -signs * 127, signs * (120 + number)]).astype(np.int8)
        reach = 255.0 * 127 * depth
        b = (rng.uniform(-0.2, 0.2, channels) * reach).astype(np.int64)
        b -= w.astype(np.int64).sum(1) * (-x.zero - 1)
        inputs = [x, g.constant(w, 0.005), g.constant(b, 0.02 * 0.005, kind="int32")]
        g.output(g.op("FULLY_CONNECTED", inputs, [((1, channels), 0.02 * 0.005 * reach / 230, number * 3 - 9)]))
        yield g


def transpose_conv(rng):
    for number in range(20):
        kernel = [(3, 3), (2, 2), (4, 4), (1, 1), (3, 2), (5, 5)][number % 6]
        stride = [(1, 1), (2, 2), (2, 2), (3, 1), (1, 2), (3, 3)][number % 6 if number < 12 else (number + 1) % 6]
        depth, channels = [(3, 4), (1, 2), (8, 3), (5, 1), (2, 8)][number % 5]
        same = number % 2 == 0
        height, width = (int(v) for v in rng.integers(2, 5, 2))
        settings = common(number + 1)
        scale = 0.0625 if settings["scaling"] == "tie" else rng.uniform(0.005, 0.2)
        g = Graph(f"transpose_conv_{number}")
        x = g.input((1, height, width, depth), scale, zero_point(rng))
        w = draw_weights(rng, (channels, *kernel, depth), settings["weights"])
        scale_w, scale_out, b = draw_scaling(rng, settings["scaling"], x, w.reshape(channels, -1),
                                             settings["per_channel"])
        scale_w = np.asarray(scale_w, np.float32)
        if same:
            shape = (1, height * stride[0] - number % 3 % stride[0], width * stride[1], channels)
        else:
            shape = (1, *((n - 1) * s + max(k, s) for n, s, k in zip((height, width), stride, kernel)), channels)
        inputs = [g.constant(shape, kind="int32"), g.constant(w, scale_w), x]
        if settings["bias"] and number % 3:
            inputs.append(g.constant(b, scale_w * np.float32(scale), kind="int32"))
        g.output(g.op("TRANSPOSE_CONV", inputs, [(shape, scale_out, output_zero(rng, settings))],
                      padding=padding(same), strideH=stride[0], strideW=stride[1],
                      fusedActivationFunction=ACTIVATIONS[settings["act"]]))
        yield g


FAMILIES = [conv_2d, depthwise_conv_2d, fully_connected, fully_connected_wide, transpose_conv]
