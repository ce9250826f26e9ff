"""Operators without weights that compute: sums, products, pools, means, look-ups, SOFTMAX, PRELU."""

import numpy as np

from model import ACTIVATIONS, Graph
from weighted import activation, geometry, padding, zero_point

# (first shape, second shape, is the second constant)
PAIRS = [
    ((1, 4, 5, 3), (1, 4, 5, 3), False), ((1, 6, 6, 2), (1, 6, 6, 2), False), ((1, 33), (1, 33), False),
    ((1, 4, 4, 5), (), True), ((1, 4, 4, 5), (1,), True), ((1, 4, 4, 7), (7,), True),
    ((1, 3, 4, 6), (1, 1, 1, 6), False), ((1, 1, 1, 4), (1, 5, 3, 4), False), ((1, 4, 5, 3), (1, 4, 5, 1), False),
    ((1, 5, 1, 3), (1, 1, 4, 3), False), ((2, 3, 4), (2, 3, 4), False), ((2, 4, 3, 2), (4, 3, 2), False),
    ((1, 4, 5, 3), (1, 4, 5, 3), True), ((4, 8), (8,), True), ((1, 4, 3, 1), (5,), True),
    ((1, 16, 16, 1), (1, 16, 16, 1), False), ((3, 1, 2), (4, 2), False), ((1, 2, 3, 4, 2), (1, 2, 3, 4, 2), False),
]


def pair(rng, g, number, like=None):
    first, second, constant = PAIRS[number % len(PAIRS)]
    scales = [float(10.0 ** rng.uniform(-2.5, -0.3)) for _ in range(2)]
    kind = number % 6
    if kind == 1:
        scales[1] = scales[0]
    if kind == 3:  # powers of two: sums on ties
        scales = [2.0 ** -int(rng.integers(3, 6)), 2.0 ** -int(rng.integers(3, 6))]
    if kind == 4:
        scales[1] = scales[0] * rng.uniform(20, 300)
    zeros = [zero_point(rng), zero_point(rng)]
    a = g.input(first, scales[0], zeros[0])
    if constant:
        b = g.constant(rng.integers(-128, 128, second), scales[1], zeros[1])
    else:
        b = g.input(second, scales[1], zeros[1])
    return (b, a, np.broadcast_shapes(first, second)) if number % 7 == 5 else (a, b, np.broadcast_shapes(first, second))


def sums(rng, name, count):
    for number in range(count):
        g = Graph(f"{name.lower()}_{number}")
        a, b, shape = pair(rng, g, number)
        scale = max(a.scale, b.scale) * rng.uniform(0.7, 2.5)
        if number % 6 == 3:
            scale = max(a.scale, b.scale) * 2.0 ** int(rng.integers(0, 3))
        if number % 11 == 6:  # an output scale far from the inputs'
            scale = max(a.scale, b.scale) * (0.03 if number % 2 else 40)
        y = (shape, scale, zero_point(rng) if number % 4 == 0 else int(rng.integers(-60, 60)))
        g.output(g.op(name, [a, b], [y], fusedActivationFunction=ACTIVATIONS[activation(number)]))
        yield g


def add(rng):
    yield from sums(rng, "ADD", 40)


def sub(rng):
    yield from sums(rng, "SUB", 20)


def mul(rng):
    for number in range(36):
        g = Graph(f"mul_{number}")
        a, b, shape = pair(rng, g, number)
        scale = a.scale * b.scale * rng.uniform(40, 300)
        if number % 6 == 3:
            scale = a.scale * b.scale * 2.0 ** int(rng.integers(4, 9))
        if number % 11 == 6:
            scale = a.scale * b.scale * (0.4 if number % 2 else 30000)
        y = (shape, scale, zero_point(rng) if number % 4 == 0 else int(rng.integers(-60, 60)))
        g.output(g.op("MUL", [a, b], [y], fusedActivationFunction=ACTIVATIONS[activation(number)]))
        yield g


def pools(rng, name, count):
    for number in range(count):
        shape = (2 if number % 9 == 8 else 1, *(int(v) for v in rng.integers([3, 3, 1], [9, 9, 9])))
        kernel = [(2, 2), (3, 3), shape[1:3], (1, 4), (5, 2), (1, 1), (3, 1)][number % 7]
        stride = [(2, 2), (1, 1), (1, 1), (1, 2), (3, 1), (2, 3)][number % 6]
        same = number % 3 != 1
        if not same:
            kernel = tuple(min(k, n) for k, n in zip(kernel, shape[1:3]))
        out = (shape[0], *(geometry(shape[1 + i], kernel[i], stride[i], 1, same) for i in (0, 1)), shape[3])
        scale, zero = float(rng.uniform(0.01, 0.1)), zero_point(rng)
        g = Graph(f"{name.lower()}_{number}")
        x = g.input(shape, scale, zero)
        g.output(g.op(name, [x], [(out, scale, zero)], padding=padding(same), strideH=stride[0], strideW=stride[1],
                      filterHeight=kernel[0], filterWidth=kernel[1],
                      fusedActivationFunction=ACTIVATIONS[activation(number)]))
        yield g


def average_pool_2d(rng):
    yield from pools(rng, "AVERAGE_POOL_2D", 26)


def max_pool_2d(rng):
    yield from pools(rng, "MAX_POOL_2D", 20)


def mean(rng):
    axes = [[1, 2], [1], [2], [3], [-1], [-3, -2], [2, 1], [1, 2, 3], [0], [1, 3]]
    for number in range(36):
        rank = 4 if number % 4 else [3, 2, 4, 1][number // 4 % 4]
        axis = axes[number % 10] if rank == 4 else [[0], [-1], [rank - 1]][number % 3]
        shape = tuple(int(v) for v in rng.integers(2, 8, rank))
        if rank == 4 and number % 3:
            shape = (1, *shape[1:])
        reduced = {a % rank for a in axis}
        keep = number % 3 == 1
        out = tuple(1 if i in reduced else n for i, n in enumerate(shape) if keep or i not in reduced)
        scale, zero = float(rng.uniform(0.01, 0.1)), zero_point(rng)
        scale_out, zero_out = scale * rng.uniform(0.4, 1.5), int(np.clip(zero + rng.integers(-40, 41), -128, 127))
        if number % 9 == 4:
            zero_out = zero_point(rng)
        if number % 4 == 2:
            scale_out, zero_out = scale, zero
        if number % 8 == 5:
            scale_out = scale * 2.0 ** -int(rng.integers(0, 3))
        g = Graph(f"mean_{number}")
        x = g.input(shape, scale, zero)
        axis_tensor = g.constant(np.array(axis), kind="int32")
        g.output(g.op("MEAN", [x, axis_tensor], [(out, scale_out, zero_out)], keepDims=keep))
        yield g


def softmax(rng):
    for number in range(20):
        shape = [(1, 10), (3, 7), (12,), (1, 2, 5), (1, 2, 2, 6), (1, 1), (1, 64), (2, 3, 1, 4)][number % 8]
        beta = [1.0, 1.0, 0.5, 2.0, 1.0, 0.1][number % 6]
        g = Graph(f"softmax_{number}")
        x = g.input(shape, float(10.0 ** rng.uniform(-2.3, 0.7)), zero_point(rng))
        g.output(g.op("SOFTMAX", [x], [(shape, 1 / 256, -128)], beta=beta))
        yield g


EVERY = (1, 4, 8, 8)  # room for every int8 value


def look_ups(rng, name, count, output, **options):
    """An operator of one input that is a function of each value: row 0 holds every int8."""
    for number in range(count):
        g = Graph(f"{name.lower()}_{number}")
        scale = float(10.0 ** rng.uniform(-2.6, -0.4))
        zero = zero_point(rng)
        scale_out, zero_out = output(number, scale, zero)
        settings = {k: v(number) for k, v in options.items()}
        x = g.input(EVERY, scale, zero)
        g.output(g.op(name, [x], [(EVERY, scale_out, zero_out)], **settings))
        g.rows = [[np.arange(-128, 128).astype(np.int8).reshape(EVERY)]]
        yield g


def logistic(rng):
    yield from look_ups(rng, "LOGISTIC", 12, lambda number, scale, zero: (1 / 256, -128))


def tanh(rng):
    yield from look_ups(rng, "TANH", 12, lambda number, scale, zero: (1 / 128, 0))


def differing(rng):
    def output(number, scale, zero):
        if number % 4 == 0:
            return scale, zero
        factor = [1.0, rng.uniform(0.3, 1.0), rng.uniform(1.0, 3.0), 2.0 ** int(rng.integers(-3, 4))][number % 4]
        return scale * factor, [-128, zero, int(rng.integers(-128, 128))][number % 3]
    return output


def hard_swish(rng):
    yield from look_ups(rng, "HARD_SWISH", 24, differing(rng))


def relu(rng):
    yield from look_ups(rng, "RELU", 10, differing(rng))


def relu6(rng):
    yield from look_ups(rng, "RELU6", 10, differing(rng))


def relu_n1_to_1(rng):
    yield from look_ups(rng, "RELU_N1_TO_1", 10, differing(rng))


def leaky_relu(rng):
    alphas = [0.1, 0.3, 0.01, 0.5, 1.5, 0.0, -0.25]
    yield from look_ups(rng, "LEAKY_RELU", 21, differing(rng), alpha=lambda number: alphas[number % 7])


def quantize(rng):
    yield from look_ups(rng, "QUANTIZE", 16, differing(rng))


def prelu(rng):
    for number in range(14):
        shape = (1, 5, 6, 4)
        slopes = [(1, 1, 4), (5, 6, 4), (1,), (1, 6, 1), (4,), (5, 1, 4)][number % 6]
        scale, zero = float(10.0 ** rng.uniform(-2, -0.7)), zero_point(rng)
        scale_out, zero_out = differing(rng)(number, scale, zero)
        g = Graph(f"prelu_{number}")
        x = g.input(shape, scale, zero)
        alpha = g.constant(rng.integers(-128, 128, slopes), float(rng.uniform(0.001, 0.02)), zero_point(rng))
        g.output(g.op("PRELU", [x, alpha], [(shape, scale_out, zero_out)]))
        yield g


FAMILIES = [add, sub, mul, average_pool_2d, max_pool_2d, mean, softmax, logistic, tanh, hard_swish, relu, relu6,
            relu_n1_to_1, leaky_relu, quantize, prelu]
