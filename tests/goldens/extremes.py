"""Cases made on purpose: clamps that leave two or three values, and dense layers whose exact products lie so
close to a tie that 31-bit multipliers round them to the other side."""

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


FAMILIES = [narrow_clamps, fully_connected_close]
