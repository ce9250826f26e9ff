"""Cases made on purpose: clamps that leave two or three values, dense layers whose exact products lie so close
to a tie that 31-bit multipliers round them to the other side, and layers of the sizes that fast kernels tile."""

import math
from fractions import Fraction

import numpy as np

from model import ACTIVATIONS, Graph
from weighted import dense_layer, window_layer, zero_point


def narrow_clamps(rng):
    for number in range(18):
        act = ["relu6", "relu_n1_to_1", "relu"][number % 3]
        zero = [-128, 127, 126, 0, -127, 100][number // 3]
        scale_out = [3.0, 0.7, 1.0][number % 3]
        g = Graph(f"narrow_clamps_{number}")
        kind = (number + number // 3) % 5
        if kind == 4:
            a, b = g.input((1, 4, 4, 3), scale_out * 0.4, -20), g.input((1, 4, 4, 3), scale_out * 0.1, zero_point(rng))
            g.output(g.op("ADD", [a, b], [(a.shape, scale_out, zero)], fusedActivationFunction=ACTIVATIONS[act]))
        elif kind == 3:
            a, b = g.input((1, 4, 4, 3), 0.5, -20), g.input((1, 4, 4, 3), scale_out * 0.1, zero_point(rng))
            g.output(g.op("MUL", [a, b], [(a.shape, scale_out, zero)], fusedActivationFunction=ACTIVATIONS[act]))
        else:
            x = g.input((1, 5, 5, 3) if kind else (1, 20), 0.05, zero_point(rng))
            if kind == 0:
                y = dense_layer(rng, g, x, 6, act=act, zero=zero)
            else:
                y = window_layer(rng, g, x, (3, 3), 5, act=act, zero=zero, multiplier=2 if kind == 2 else None)
            # the layer chose a scale of its own: put the one in its place that leaves few values
            g.graph.tensors[y.index].quantization.scale = [scale_out]
            y.scale = scale_out
            g.output(y)
        yield g


def close_to_tie(scale):
    """An accumulator below 2^30 for which `round(acc * scale)`, computed in f64 as LiteRT's FULLY_CONNECTED does,
    differs from the nearest value under a multiplier of 31 bits; None where there is none among the convergents
    of the continued fraction of 2 * scale, whose odd numerators are the closest approaches to a tie."""
    fraction, exponent = math.frexp(scale)
    multiplier, shift = math.floor(fraction * 2**31 + 0.5), 31 - exponent
    rest = Fraction(2 * scale)
    before, p, q_before, q = 0, 1, 1, 0
    while True:
        whole = rest.numerator // rest.denominator
        before, p, q_before, q = p, whole * p + before, q, whole * q + q_before
        if q > 1 << 30:
            return None
        if p % 2 and p < 240:
            fixed = (q * multiplier + (1 << (shift - 1))) >> shift
            if math.floor(q * scale + 0.5) != fixed:
                return q
        if rest == whole:
            return None
        rest = 1 / (rest - whole)


def fully_connected_close(rng):
    for number in range(6):
        channels = [4, 1, 8, 3, 6, 5][number]
        scale_in = np.float32(rng.uniform(0.01, 0.1))
        scale_out = np.float32(scale_in * 0.01 * 2.0 ** rng.uniform(17, 22))
        scales, bias = [], []
        while len(scales) < channels:
            scale_w = np.float32(10 ** rng.uniform(-3, -1))
            accumulator = close_to_tie(float(scale_in) * float(scale_w) / float(scale_out))
            if accumulator is not None:
                scales.append(scale_w)
                bias.append(accumulator * int(rng.choice([-1, 1])))
        g = Graph(f"fully_connected_close_{number}")
        x = g.input((1, 3), float(scale_in), zero_point(rng))
        w = np.zeros((channels, 3), np.int8)
        w[:, 0] = 1
        scales = np.array(scales, np.float32)
        inputs = [x, g.constant(w, scales), g.constant(bias, scales * scale_in, kind="int32")]
        g.output(g.op("FULLY_CONNECTED", inputs, [((1, channels), float(scale_out), int(rng.integers(-8, 9)))]))
        # the first input at its zero point gives the accumulator wanted, the next rows its neighbours
        steps = [0, 1, -1]
        g.rows = [[np.clip([[x.zero + step, 5, -9]], -128, 127).astype(np.int8)] for step in steps]
        yield g


# (operator, input, kernel or None, channels or depth multiplier, stride)
TILED = [
    ("conv", (1, 4, 5, 16), (1, 1), 32, 1),
    ("conv", (1, 3, 3, 32), (1, 1), 32, 1),
    ("conv", (1, 2, 7, 64), (1, 1), 16, 1),
    ("conv", (1, 6, 6, 8), (3, 3), 8, 1),
    ("conv", (1, 8, 8, 16), (3, 3), 16, 1),
    ("conv", (1, 9, 7, 16), (3, 3), 16, 1),
    ("conv", (1, 8, 8, 16), (3, 3), 12, 2),
    ("conv", (1, 7, 5, 4), (3, 3), 16, 1),
    ("conv", (1, 10, 10, 3), (3, 3), 16, 1),
    ("conv", (1, 9, 9, 3), (3, 3), 8, 2),
    ("conv", (1, 12, 6, 1), (10, 4), 16, 2),
    ("conv", (1, 5, 5, 20), (1, 1), 24, 1),
    ("depthwise", (1, 6, 6, 16), (3, 3), 1, 1),
    ("depthwise", (1, 7, 5, 32), (3, 3), 1, 1),
    ("depthwise", (1, 8, 8, 64), (3, 3), 1, 2),
    ("depthwise", (1, 9, 9, 8), (3, 3), 1, 2),
    ("depthwise", (1, 5, 6, 24), (5, 5), 1, 1),
    ("depthwise", (1, 4, 4, 1), (3, 3), 8, 1),
    ("dense", (1, 128), None, 32, 1),
    ("dense", (1, 64), None, 48, 1),
    ("dense", (1, 256), None, 12, 1),
    ("dense", (1, 80), None, 10, 1),
]


def tiled(rng):
    for number, (kind, shape, kernel, channels, stride) in enumerate(TILED):
        g = Graph(f"tiled_{kind}_{number}")
        relu = number % 3 != 2
        x = g.input(shape, float(rng.uniform(0.02, 0.1)), [-128, int(rng.integers(-30, 31)), -128, 1][number % 4])
        settings = dict(act="relu" if relu else "none", zero=-128 if relu else int(rng.integers(-30, 31)),
                        weights="small" if number % 2 else "random", per_channel=kind != "dense")
        if kind == "dense":
            g.output(dense_layer(rng, g, x, channels, **settings))
        else:
            g.output(window_layer(rng, g, x, kernel, channels, stride=(stride, stride), same=number % 5 != 3,
                                  multiplier=channels if kind == "depthwise" else None, **settings))
        yield g


FAMILIES = [narrow_clamps, fully_connected_close, tiled]
