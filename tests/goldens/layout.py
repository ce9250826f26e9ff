"""Operators that move values: reshapes, pads, slices, joins, splits, transposes, resizes; float inputs and outputs."""

import numpy as np

from model import ACTIVATIONS, Graph
from weighted import window_layer, zero_point


def start(rng, name, number, shape):
    g = Graph(f"{name}_{number}")
    return g, g.input(shape, float(rng.uniform(0.01, 0.1)), zero_point(rng))


def like(x, shape):
    """The description of an output that holds the same values as `x`."""
    return (tuple(int(n) for n in shape), x.scale, x.zero)


def ints(g, values):
    return g.constant(np.asarray(values), kind="int32")


def reshape(rng):
    cases = [((1, 4, 4, 3), (1, 48)), ((1, 4, 4, 3), (1, -1)), ((2, 6), (3, 4)), ((24,), (1, 2, 3, 4)),
             ((1, 2, 3, 4), (24,)), ((1, 5, 1, 7), (5, 7)), ((1, 1, 1, 9), (1, 9)), ((4, 6), (2, -1, 3)),
             ((1, 8), (1, 8)), ((2, 3, 4), (-1,))]
    for number, (shape, new) in enumerate(cases):
        g, x = start(rng, "reshape", number, shape)
        resolved = np.zeros(shape).reshape(new).shape
        inputs = [x] if number % 4 == 3 else [x, ints(g, new)]
        g.output(g.op("RESHAPE", inputs, [like(x, resolved)], newShape=list(new)))
        yield g


def squeeze(rng):
    cases = [((1, 1, 1, 7), [1, 2]), ((1, 4, 1, 3), [2]), ((1, 1, 5), []), ((1, 1, 1, 7), [-2]), ((1, 6), [0]),
             ((2, 1, 3, 1), [1, 3]), ((1, 3, 1, 2), [0, 2]), ((1, 9, 1), [2])]
    for number, (shape, axes) in enumerate(cases):
        g, x = start(rng, "squeeze", number, shape)
        out = np.zeros(shape).squeeze(tuple(axes) if axes else None).shape
        g.output(g.op("SQUEEZE", [x], [like(x, out)], squeezeDims=axes))
        yield g


def expand_dims(rng):
    cases = [((7,), 0), ((7,), -1), ((2, 3), 1), ((1, 4, 5), 3), ((1, 4, 5), -2), ((3, 3), 0), ((3, 3), 2), ((1, 8), 1)]
    for number, (shape, axis) in enumerate(cases):
        g, x = start(rng, "expand_dims", number, shape)
        out = np.expand_dims(np.zeros(shape), axis).shape
        axis_tensor = ints(g, axis if number % 2 else [axis])
        g.output(g.op("EXPAND_DIMS", [x, axis_tensor], [like(x, out)]))
        yield g


def pads(rng, name, count):
    for number in range(count):
        rank = [4, 4, 3, 2, 4, 1][number % 6]
        shape = tuple(int(v) for v in rng.integers(1, 6, rank))
        widths = rng.integers(0, 4, (rank, 2))
        if rank == 4 and number % 2 == 0:
            shape, widths[0], widths[3] = (1, *shape[1:]), 0, 0
        g, x = start(rng, name.lower(), number, shape)
        inputs = [x, ints(g, widths)]
        if name == "PADV2":
            inputs.append(g.constant(rng.integers(-128, 128, 1), x.scale, x.zero))
        g.output(g.op(name, inputs, [like(x, np.array(shape) + widths.sum(1))]))
        yield g


def pad(rng):
    yield from pads(rng, "PAD", 16)


def padv2(rng):
    yield from pads(rng, "PADV2", 10)


def transpose(rng):
    cases = [(0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1), (3, 2, 1, 0), (1, 0), (0, 1), (2, 0, 1), (0, 2, 1), (1, 2, 0),
             (0, 1, 3, 2), (1, 0, 2, 3), (0, 3, 2, 1), (2, 1, 0), (3, 0, 1, 2)]
    for number, order in enumerate(cases):
        shape = tuple(int(v) for v in rng.integers(2, 7, len(order)))
        if len(order) == 4 and order[0] == 0 and number % 2:
            shape = (1, *shape[1:])
        g, x = start(rng, "transpose", number, shape)
        g.output(g.op("TRANSPOSE", [x, ints(g, order)], [like(x, np.zeros(shape).transpose(order).shape)]))
        yield g


def concatenation(rng):
    for number in range(16):
        rank = [4, 4, 2, 3, 4, 1][number % 6]
        axis = number % rank
        base = rng.integers(1, 5, rank)
        g = Graph(f"concatenation_{number}")
        scale, zero = float(rng.uniform(0.01, 0.1)), zero_point(rng)
        parts, total = [], 0
        for index in range(2 + number % 3):
            shape = base.copy()
            shape[axis] = int(rng.integers(1, 5))
            total += shape[axis]
            if index == 1 and number % 5 == 4:
                parts.append(g.constant(rng.integers(-128, 128, shape), scale, zero))
            else:
                parts.append(g.input(tuple(shape), scale, zero))
        out = base.copy()
        out[axis] = total
        signed = axis - rank if number % 4 == 3 else axis
        g.output(g.op("CONCATENATION", parts, [(tuple(out), scale, zero)], axis=signed))
        yield g


def split(rng):
    for number in range(12):
        rank = [4, 2, 3, 4][number % 4]
        axis, count = number % rank, [2, 3, 4, 2, 1][number % 5]
        part = tuple(int(v) for v in rng.integers(1, 5, rank))
        shape = tuple(n * count if i == axis else n for i, n in enumerate(part))
        g, x = start(rng, "split", number, shape)
        axis_tensor = ints(g, axis - rank if number % 3 == 2 else axis)
        parts = g.op("SPLIT", [axis_tensor, x], [like(x, part)] * count, numSplits=count)
        g.output(*(parts if count > 1 else [parts]))
        yield g


def split_v(rng):
    for number in range(8):
        rank = [4, 2, 3, 4][number % 4]
        axis, count = number % rank, [2, 3, 4][number % 3]
        sizes = [int(v) for v in rng.integers(1, 4, count)]
        base = [int(v) for v in rng.integers(1, 5, rank)]
        shape = tuple(sum(sizes) if i == axis else n for i, n in enumerate(base))
        g, x = start(rng, "split_v", number, shape)
        written = [-1 if number % 2 and i == 1 else n for i, n in enumerate(sizes)]
        outputs = [like(x, [n if i == axis else b for i, b in enumerate(base)]) for n in sizes]
        g.output(*g.op("SPLIT_V", [x, ints(g, written), ints(g, axis)], outputs, numSplits=count))
        yield g


def bits(flags):
    return sum(1 << i for i, flag in enumerate(flags) if flag)


def strided_slice(rng):
    for number in range(20):
        rank = [4, 3, 2, 4, 1][number % 5]
        shape = tuple(int(v) for v in rng.integers(2, 7, rank))
        begin, end, stride, index = [], [], [], []
        masks = {"begin": [], "end": [], "shrink": []}
        for size in shape:
            kind = int(rng.integers(0, 6))
            step = int(rng.integers(1, 3)) * (-1 if kind == 4 else 1)
            low, high = 0, size
            begin_masked, end_masked, shrink = kind == 1, kind == 2, kind == 5 and rank > 1 and number % 2 == 1
            if kind in (0, 2, 3):
                low = int(rng.integers(0, size))
            if kind in (0, 1, 3):
                high = int(rng.integers(low + 1, size + 1))
            if kind == 4:
                low, high = size - 1, int(rng.integers(-1, size - 1))
                end_masked = high == -1
            if shrink:
                low = int(rng.integers(0, size))
                high, step = low + 1, 1
                index.append(low)
            else:
                first = None if begin_masked else low
                index.append(slice(first, None if end_masked else high, step))
            # kind 3 counts from the end; masked bounds hold values that must not matter
            begin.append(3 if begin_masked else low - size if kind == 3 else low)
            end.append(1 if end_masked else high - size if kind == 3 and high < size else high)
            stride.append(step)
            for name, flag in (("begin", begin_masked), ("end", end_masked), ("shrink", shrink)):
                masks[name].append(flag)
        g, x = start(rng, "strided_slice", number, shape)
        out = np.zeros(shape)[tuple(index)].shape
        g.output(g.op("STRIDED_SLICE", [x, ints(g, begin), ints(g, end), ints(g, stride)], [like(x, out)],
                      beginMask=bits(masks["begin"]), endMask=bits(masks["end"]),
                      shrinkAxisMask=bits(masks["shrink"])))
        yield g


def slices(rng):
    for number in range(10):
        rank = [4, 3, 2, 4, 1][number % 5]
        shape = tuple(int(v) for v in rng.integers(2, 7, rank))
        begin = [int(rng.integers(0, n)) for n in shape]
        size = [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin)]
        written = [-1 if b + s == n else s for n, b, s in zip(shape, begin, size)]
        g, x = start(rng, "slice", number, shape)
        g.output(g.op("SLICE", [x, ints(g, begin), ints(g, written)], [like(x, size)]))
        yield g


def resizes(rng, name, count):
    for number in range(count):
        shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 4)))
        size = [int(v) for v in rng.integers(1, 11, 2)]
        if number % 4 == 0:
            size = [2 * shape[1], 2 * shape[2]]
        mode = number % 3
        g, x = start(rng, name.lower(), number, shape)
        g.output(g.op(name, [x, ints(g, size)], [like(x, (1, *size, shape[3]))],
                      alignCorners=mode == 1, halfPixelCenters=mode == 2))
        yield g


def resize_nearest_neighbor(rng):
    yield from resizes(rng, "RESIZE_NEAREST_NEIGHBOR", 18)


def resize_bilinear(rng):
    yield from resizes(rng, "RESIZE_BILINEAR", 21)


def pack(rng):
    for number in range(10):
        rank, count = [3, 2, 1, 3][number % 4], [2, 3, 4, 1][number % 4 if number < 8 else 1]
        shape = tuple(int(v) for v in rng.integers(1, 6, rank))
        axis = number % (rank + 1)
        g = Graph(f"pack_{number}")
        scale, zero = float(rng.uniform(0.01, 0.1)), zero_point(rng)
        parts = [g.input(shape, scale, zero) for _ in range(count)]
        out = np.stack([np.zeros(shape)] * count, axis).shape
        g.output(g.op("PACK", parts, [(out, scale, zero)], valuesCount=count,
                      axis=axis - rank - 1 if number % 3 == 2 else axis))
        yield g


def unpack(rng):
    for number in range(10):
        rank, count = [4, 3, 2, 4][number % 4], [2, 3, 4, 1][(number // 2) % 4]
        axis = number % rank
        part = [int(v) for v in rng.integers(1, 6, rank - 1)]
        shape = (*part[:axis], count, *part[axis:])
        g, x = start(rng, "unpack", number, shape)
        parts = g.op("UNPACK", [x], [like(x, part)] * count, num=count,
                     axis=axis - rank if number % 3 == 2 else axis)
        g.output(*(parts if count > 1 else [parts]))
        yield g


def float_io(rng):
    """QUANTIZE behind a float input, DEQUANTIZE before a float output, or both."""
    for number in range(16):
        g = Graph(f"float_io_{number}", "io")
        shape = [(1, 4, 4, 2), (1, 12), (3, 5), (1, 6, 1, 2)][number % 4]
        scale, zero = float(np.float32(10.0 ** rng.uniform(-2.5, 0))), zero_point(rng)
        quantised_in, float_out = number % 3 != 1, number % 3 != 2
        if quantised_in:
            x = g.input(shape, None, zero, "float32")
            x.scale = scale
            q = g.op("QUANTIZE", [x], [(shape, scale, zero)])
        else:
            q = g.input(shape, scale, zero)
        if number % 2:
            q = g.op("LOGISTIC", [q], [(shape, 1 / 256, -128)])
        elif number % 4 == 2:
            q = g.op("ADD", [q, q], [(shape, q.scale * 2, zero)], fusedActivationFunction=ACTIVATIONS["relu"])
        if float_out:
            y = g.tensor(shape, None, q.zero, "float32")
            y.scale, y.zero = q.scale, q.zero
            q = g.op("DEQUANTIZE", [q], [y])
        g.output(q)
        yield g


def dilated_by_batch(rng):
    """A dilated convolution as TensorFlow writes it: SPACE_TO_BATCH_ND, VALID layer, BATCH_TO_SPACE_ND."""
    for number in range(14):
        height, width = (int(v) for v in rng.integers(6, 10, 2))
        depth = int(rng.integers(1, 5))
        block = [(2, 2), (3, 3), (2, 1), (1, 2), (2, 3)][number % 5]
        kernel = [(3, 3), (2, 2), (3, 1), (3, 3)][number % 4]
        g, x = start(rng, "dilated_by_batch", number, (1, height, width, depth))
        same = number % 3 != 1
        reach = [(k - 1) * b for k, b in zip(kernel, block)]
        before = [r // 2 if same else 0 for r in reach]
        after = [r - p if same else 0 for r, p in zip(reach, before)]
        need = [-(n + p + q) % b for n, p, q, b in zip((height, width), before, after, block)]
        paddings = [[p, q + e] for p, q, e in zip(before, after, need)]
        inner = [(n + sum(p)) // b for n, p, b in zip((height, width), paddings, block)]
        blocks = block[0] * block[1]
        space = g.op("SPACE_TO_BATCH_ND", [x, ints(g, block), ints(g, paddings)],
                     [like(x, (blocks, *inner, depth))])
        y = window_layer(rng, g, space, kernel, int(rng.integers(1, 5)), same=False,
                         multiplier=1 if number % 2 else None, act="relu" if number % 4 == 0 else "none",
                         zero=-128 if number % 4 == 0 else int(rng.integers(-30, 30)))
        full = [n * b for n, b in zip(y.shape[1:3], block)]
        keep = [height, width] if same else [n - r for n, r in zip((height, width), reach)]
        crops = [[0, f - k] for f, k in zip(full, keep)]
        g.output(g.op("BATCH_TO_SPACE_ND", [y, ints(g, block), ints(g, crops)],
                      [(((1, *keep, y.shape[3])), y.scale, y.zero)]))
        yield g


FAMILIES = [reshape, squeeze, expand_dims, pad, padv2, transpose, concatenation, split, split_v, strided_slice, slices,
            resize_nearest_neighbor, resize_bilinear, pack, unpack, float_io, dilated_by_batch]
