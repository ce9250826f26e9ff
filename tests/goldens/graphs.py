"""Small graphs of several layers, the shapes that real models have."""

import numpy as np

from layout import ints
from model import ACTIVATIONS, Graph
from recurrent import lstm_layer
from weighted import dense_layer, padding, window_layer


def conv(rng, g, x, channels, kernel=(3, 3), act="relu", **settings):
    zero = -128 if act.startswith("relu") else int(rng.integers(-20, 21))
    return window_layer(rng, g, x, kernel, channels, act=act, zero=zero, **settings)


def depthwise(rng, g, x, act="relu", **settings):
    return conv(rng, g, x, 0, act=act, multiplier=settings.pop("multiplier", 1), **settings)


def add(g, a, b, act="none", factor=1.3):
    return g.op("ADD", [a, b], [(a.shape, max(a.scale, b.scale) * factor, -128 if act == "relu" else 5)],
                fusedActivationFunction=ACTIVATIONS[act])


def average(g, x, size, stride=None):
    stride = stride or size
    shape = (x.shape[0], *((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], size, stride)), x.shape[3])
    return g.op("AVERAGE_POOL_2D", [x], [(shape, x.scale, x.zero)], padding=padding(False), strideH=stride[0],
                strideW=stride[1], filterHeight=size[0], filterWidth=size[1])


def flatten(g, x):
    shape = (x.shape[0], int(np.prod(x.shape[1:])))
    return g.op("RESHAPE", [x, ints(g, (shape[0], -1) if shape[1] % 2 else shape)], [(shape, x.scale, x.zero)],
                newShape=list(shape))


def softmax(g, x):
    return g.op("SOFTMAX", [x], [(x.shape, 1 / 256, -128)], beta=1.0)


def head(rng, g, x, classes=4):
    """Pool, flatten, dense, SOFTMAX."""
    x = average(g, x, x.shape[1:3])
    return softmax(g, dense_layer(rng, g, flatten(g, x), classes))


def residual(rng, g, x, variant):
    x = conv(rng, g, x, 6)
    y = conv(rng, g, conv(rng, g, x, 6), 6, act="none")
    x = add(g, y, x, "relu") if variant % 2 else add(g, x, y)
    if variant > 1:  # a second block that halves the size
        y = conv(rng, g, conv(rng, g, x, 8, stride=(2, 2)), 8, act="none")
        x = add(g, conv(rng, g, x, 8, (1, 1), "none", stride=(2, 2)), y, "relu")
    return head(rng, g, x)


def separable(rng, g, x, variant):
    x = conv(rng, g, x, 8, stride=(2, 2) if variant % 2 else (1, 1))
    for index in range(1 + variant):
        x = depthwise(rng, g, x, act="relu6" if variant == 2 else "relu",
                      stride=(2, 2) if index == 1 else (1, 1))
        x = conv(rng, g, x, 8 + 4 * index, (1, 1), "relu6" if variant == 2 else "relu")
    return head(rng, g, x)


def inverted(rng, g, x, variant):
    x = conv(rng, g, x, 4, act="none")
    y = conv(rng, g, x, 12, (1, 1), "relu6")
    y = depthwise(rng, g, y, "relu6", kernel=(3, 3) if variant % 2 else (5, 5))
    y = conv(rng, g, y, 4, (1, 1), "none")
    return add(g, x, y)


def padded(rng, g, x, variant):
    widths = [[0, 0], [0, 1], [0, 1], [0, 0]] if variant % 2 else [[0, 0], [1, 1], [2, 0], [0, 0]]
    shape = tuple(n + sum(w) for n, w in zip(x.shape, widths))
    x = g.op("PAD", [x, ints(g, widths)], [(shape, x.scale, x.zero)])
    x = conv(rng, g, x, 5, stride=(2, 2), same=False)
    return depthwise(rng, g, x) if variant > 1 else x


def inception(rng, g, x, variant):
    x = conv(rng, g, x, 4)
    branches = [conv(rng, g, x, 3, (1, 1)), conv(rng, g, conv(rng, g, x, 2, (1, 1)), 4)]
    if variant:
        pooled = g.op("MAX_POOL_2D", [x], [(x.shape, x.scale, x.zero)], padding=padding(True), strideH=1, strideW=1,
                      filterHeight=3, filterWidth=3)
        branches.append(conv(rng, g, pooled, 2, (1, 1)))
    scale = max(b.scale for b in branches)  # CONCATENATION wants one scale: requantise
    branches = [b if b.scale == scale else g.op("QUANTIZE", [b], [(b.shape, scale, -128)]) for b in branches]
    total = sum(b.shape[3] for b in branches)
    x = g.op("CONCATENATION", branches, [((*x.shape[:3], total), scale, -128)], axis=3)
    return head(rng, g, x) if variant > 1 else conv(rng, g, x, 3)


def squeeze_excite(rng, g, x, variant):
    x = conv(rng, g, x, 6)
    keep = variant % 2 == 0
    shape = (1, 1, 1, 6) if keep else (1, 6)
    s = g.op("MEAN", [x, ints(g, [1, 2])], [(shape, x.scale * 0.7, -128)], keepDims=keep)
    if keep and variant:  # as 1x1 convolutions
        s = conv(rng, g, conv(rng, g, s, 3, (1, 1)), 6, (1, 1), "none")
    else:
        s = dense_layer(rng, g, dense_layer(rng, g, s, 3, act="relu", zero=-128), 6)
        s = g.op("RESHAPE", [s, ints(g, (1, 1, 1, 6))], [((1, 1, 1, 6), s.scale, s.zero)], newShape=[1, 1, 1, 6])
    if variant % 3 == 2:
        s = g.op("HARD_SWISH", [s], [(s.shape, s.scale * 0.9, s.zero)])
    s = g.op("LOGISTIC", [s], [(s.shape, 1 / 256, -128)])
    return g.op("MUL", [x, s], [(x.shape, x.scale * 0.8, -128)])


def autoencoder(rng, g, x, variant):
    x = flatten(g, x)
    for channels in [16, 16, 4, 16, 16][variant:]:
        x = dense_layer(rng, g, x, channels, act="relu", zero=-128)
    return dense_layer(rng, g, x, 24)


def upsample(rng, g, x, variant):
    low = conv(rng, g, x, 4, stride=(2, 2))
    size = (2 * low.shape[1], 2 * low.shape[2])
    if variant % 2:
        up = g.op("RESIZE_NEAREST_NEIGHBOR", [low, ints(g, size)], [((1, *size, 4), low.scale, low.zero)])
    else:
        up = g.op("RESIZE_BILINEAR", [low, ints(g, size)], [((1, *size, 4), low.scale, low.zero)],
                  halfPixelCenters=variant > 1)
    same = conv(rng, g, x, 4)
    if up.shape != same.shape:
        up = g.op("SLICE", [up, ints(g, [0] * 4), ints(g, same.shape)], [(same.shape, up.scale, up.zero)])
    return conv(rng, g, add(g, up, same), 2, (1, 1), "none")


def shuffle(rng, g, x, variant):
    """Channel split, one half convolved, joined again, channels interleaved by RESHAPE and TRANSPOSE."""
    x = conv(rng, g, x, 6)
    _, h, w, c = x.shape
    half = ((1, h, w, c // 2), x.scale, x.zero)
    a, b = g.op("SPLIT", [ints(g, 3), x], [half, half], numSplits=2)
    b = conv(rng, g, b, 3, (1, 1))
    b = g.op("QUANTIZE", [b], [half])
    x = g.op("CONCATENATION", [a, b], [((1, h, w, c), x.scale, x.zero)], axis=-1)
    groups = (1, h, w, 2, c // 2) if variant % 2 else (h, w, 2, c // 2)
    order = (0, 1, 2, 4, 3) if variant % 2 else (0, 1, 3, 2)
    y = g.op("RESHAPE", [x, ints(g, groups)], [(groups, x.scale, x.zero)], newShape=list(groups))
    swapped = tuple(groups[i] for i in order)
    y = g.op("TRANSPOSE", [y, ints(g, order)], [(swapped, x.scale, x.zero)])
    return g.op("RESHAPE", [y, ints(g, x.shape)], [(x.shape, x.scale, x.zero)], newShape=list(x.shape))


def attention_gate(rng, g, x, variant):
    """Two activations that broadcast against each other, then SUB from a constant."""
    x = conv(rng, g, x, 4)
    _, h, w, c = x.shape
    rows = g.op("MEAN", [x, ints(g, [2])], [((1, h, 1, c), x.scale, -100)], keepDims=True)
    columns = g.op("MEAN", [x, ints(g, [1])], [((1, 1, w, c), x.scale, -100)], keepDims=True)
    both = g.op("MUL" if variant % 2 else "ADD", [rows, columns], [((1, h, w, c), x.scale * 1.5, -60)])
    gate = g.op("TANH", [both], [(both.shape, 1 / 128, 0)])
    one = g.constant(np.array([127]), 1 / 127, 0)
    gate = g.op("SUB", [one, gate], [(gate.shape, 1.9 / 255, -120)])
    return g.op("MUL", [x, gate], [(x.shape, x.scale * 1.1, -128)])


def keyword(rng, g, x, variant):
    """Rows of features through an LSTM, the last step sliced off, dense, SOFTMAX."""
    x = g.op("RESHAPE", [x, ints(g, (1, x.shape[1], -1))],
             [((1, x.shape[1], x.shape[2] * x.shape[3]), x.scale, x.zero)])
    y = lstm_layer(rng, g, x, 6)
    steps = y.shape[1]
    if variant % 2:
        y = g.op("STRIDED_SLICE", [y, ints(g, [0, -1, 0]), ints(g, [0, 0, 0]), ints(g, [1, 1, 1])],
                 [((1, 6), y.scale, y.zero)], beginMask=5, endMask=5, shrinkAxisMask=2)
    else:
        y = flatten(g, y)
    return softmax(g, dense_layer(rng, g, y, 3)) if steps else y


def two_ends(rng, g, x, variant):
    """Two outputs, one of them used further; an input that is also an output's operand."""
    a = conv(rng, g, x, 3)
    b = conv(rng, g, a, 3, (1, 1), "none")
    g.output(a)
    if variant:
        same = g.op("QUANTIZE", [x], [(x.shape, b.scale, b.zero)])
        g.output(g.op("MAX_POOL_2D", [same], [((1, x.shape[1] // 2, x.shape[2] // 2, x.shape[3]), same.scale,
                                              same.zero)], padding=padding(False), strideH=2, strideW=2,
                      filterHeight=2, filterWidth=2))
    return b


def chain(rng, g, x, variant):
    """Operators that only move bytes, one after another."""
    _, h, w, c = x.shape
    x = g.op("TRANSPOSE", [x, ints(g, (0, 3, 1, 2))], [((1, c, h, w), x.scale, x.zero)])
    parts = g.op("UNPACK", [x], [((1, h, w), x.scale, x.zero)] * c, num=c, axis=1)
    parts = parts[::-1] if c > 1 else [parts]
    x = g.op("PACK", parts, [((1, h, w, c), x.scale, x.zero)], valuesCount=c, axis=3)
    if variant:
        x = g.op("PADV2", [x, ints(g, [[0, 0], [1, 0], [0, 1], [0, 0]]), g.constant(np.array([9]), x.scale, x.zero)],
                 [((1, h + 1, w + 1, c), x.scale, x.zero)])
    x = g.op("EXPAND_DIMS", [x, ints(g, 0)], [((1, *x.shape), x.scale, x.zero)])
    x = g.op("SQUEEZE", [x], [(x.shape[1:], x.scale, x.zero)], squeezeDims=[0])
    return conv(rng, g, x, 3)


KINDS = [(residual, 4), (separable, 4), (inverted, 3), (padded, 4), (inception, 4), (squeeze_excite, 5),
         (autoencoder, 3), (upsample, 4), (shuffle, 2), (attention_gate, 3), (keyword, 3), (two_ends, 2), (chain, 2)]


def graph(rng):
    number = 0
    for build, variants in KINDS:
        for variant in range(variants):
            g = Graph(f"graph_{build.__name__}_{variant}")
            height, width, depth = [(8, 8, 3), (7, 9, 2), (10, 6, 1), (6, 6, 4)][number % 4]
            x = g.input((1, height, width, depth), float(rng.uniform(0.02, 0.1)), [-128, 0, 3, -1][number % 4])
            if number % 2:  # a batch size that converters leave open
                g.graph.tensors[x.index].shapeSignature = [-1, *x.shape[1:]]
            g.output(build(rng, g, x, variant))
            number += 1
            yield g


FAMILIES = [graph]
