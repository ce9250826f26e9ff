"""Writes prepared.bin: single operators with random settings, run by LiteRT's reference kernels.

    pip install ai-edge-litert==2.3.0 numpy flatbuffers      # CPython 3.11
    python prepared.py

`../prepared.rs` reads the file and documents its layout. Everything is drawn from one seed, so that
running this again gives the same bytes. What LiteRT refuses is left out and counted.
"""

import pathlib
import struct

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

B = s.BuiltinOperator
O = s.BuiltinOptions
rng = np.random.default_rng(20260817)
out = bytearray()
count = {}
refused = {}
TYPES = {np.dtype(np.int8): s.TensorType.INT8, np.dtype(np.int16): s.TensorType.INT16,
         np.dtype(np.int32): s.TensorType.INT32}


class T:
    """A tensor: shape, scales, zero point; a constant if it has data."""

    def __init__(self, shape, scale=None, zero=0, data=None, kind=np.int8, axis=0, variable=False):
        self.shape, self.zero, self.data, self.axis, self.variable = shape, zero, data, axis, variable
        self.scales = None if scale is None else np.atleast_1d(np.asarray(scale, np.float32))
        self.kind = np.dtype(kind) if data is None else data.dtype

    def make(self, name, buffer):
        t = s.TensorT()
        t.name, t.shape, t.type, t.buffer = name, list(self.shape), TYPES[self.kind], buffer
        t.isVariable = self.variable
        if self.scales is not None:
            t.quantization = s.QuantizationParametersT()
            t.quantization.scale = [float(v) for v in self.scales]
            t.quantization.zeroPoint = [self.zero] * len(self.scales)
            t.quantization.quantizedDimension = self.axis
        return t


def model(code, version, options_type, options, inputs, output, intermediates=()):
    m = s.ModelT()
    m.version = 3
    opcode = s.OperatorCodeT()
    opcode.builtinCode = code
    opcode.deprecatedBuiltinCode = min(code, 127)
    opcode.version = version
    m.operatorCodes = [opcode]
    m.buffers = [s.BufferT()]
    tensors, indices = [], []

    def add(t):
        if t is None:
            return -1
        buffer = 0
        if t.data is not None:
            m.buffers.append(s.BufferT())
            m.buffers[-1].data = np.frombuffer(t.data.tobytes(), np.uint8)
            buffer = len(m.buffers) - 1
        tensors.append(t.make(f"t{len(tensors)}", buffer))
        return len(tensors) - 1

    operator = s.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs = [add(t) for t in inputs]
    operator.intermediates = [add(t) for t in intermediates]
    operator.outputs = [add(output)]
    operator.builtinOptionsType, operator.builtinOptions = options_type, options
    graph = s.SubGraphT()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs = [i for i, t in zip(operator.inputs, inputs)
                    if t is not None and t.data is None and not t.variable]
    graph.outputs = operator.outputs
    m.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def run(content, runs):
    """Outputs of several invocations, each with its list of inputs."""
    interpreter = Interpreter(model_content=content,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    places = [d["index"] for d in interpreter.get_input_details()]
    outputs = []
    for values in runs:
        for place, value in zip(places, values):
            interpreter.set_tensor(place, value)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return outputs


def case(kind, ints, floats, tensors):
    count[kind] = count.get(kind, 0) + 1
    out.extend(struct.pack("<BHHB", kind, len(ints), len(floats), len(tensors)))
    out.extend(np.asarray(ints, np.int64).astype(np.int32).tobytes())
    out.extend(np.asarray(floats, np.float32).tobytes())
    for t in tensors:
        t = np.ascontiguousarray(t)
        out.extend(struct.pack("<I", t.nbytes) + t.tobytes())


def attempt(kind, function):
    try:
        function()
    except (ValueError, RuntimeError) as error:
        refused.setdefault(kind, []).append(str(error).splitlines()[0])


def i8(shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def zero():
    return int(rng.choice([-128, 127, 0, *rng.integers(-128, 128, 6)]))


def scale(low=0.002, high=0.4):
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def strides(shape, full):
    """Elements to the next row, column, channel; 0 where the input has only one."""
    result, step = [], 1
    for n, whole in zip(reversed(shape), reversed(full)):
        result.append(0 if n == 1 and whole != 1 else step)
        step *= n
    return result[::-1]


ACTIVATIONS = [s.ActivationFunctionType.NONE, s.ActivationFunctionType.RELU,
               s.ActivationFunctionType.RELU6, s.ActivationFunctionType.RELU_N1_TO_1]


def limits(activation, so, zo):
    quantise = lambda real: zo + int(np.floor(abs(np.float32(real) / so) + 0.5) * np.sign(real))
    low, high = [(None, None), (0, None), (0, 6), (-1, 1)][ACTIVATIONS.index(activation)]
    return (-128 if low is None else max(-128, quantise(low)),
            127 if high is None else min(127, quantise(high)))


def shapes():
    full = [int(v) for v in rng.integers(1, 5, 2)] + [int(rng.integers(1, 9))]
    small = [1 if rng.integers(0, 2) else n for n in full]
    return [(full, full), (full, small), (small, full), (full, [1, 1, full[2]]), (full, [1, 1, 1])][
        int(rng.integers(0, 5))], full


def binary(kind, index):
    code, version, options_type, options = [
        (B.ADD, 2, O.AddOptions, s.AddOptionsT()), (B.SUB, 3, O.SubOptions, s.SubOptionsT()),
        (B.MUL, 2, O.MulOptions, s.MulOptionsT())][kind]
    (a, b), full = shapes()
    if index % 8 == 0:
        a = b = full = [4, 8, 32]
    activation = ACTIVATIONS[int(rng.integers(0, 4))] if index % 2 else ACTIVATIONS[0]
    options.fusedActivationFunction = activation
    s1, s2, z1, z2, zo = scale(), scale(), zero(), zero(), zero()
    so = scale(0.005, 0.5) if kind < 2 else np.float32(s1 * s2 * scale(5, 200))
    x1, x2 = i8([1, *a]), i8([1, *b])
    content = model(code, version, options_type, options,
                    [T(x1.shape, s1, z1), T(x2.shape, s2, z2)], T([1, *full], so, zo))
    y, = run(content, [[x1, x2]])
    case(kind, [z1, z2, zo, *full, *strides(a, full), *strides(b, full), *limits(activation, so, zo)],
         [s1, s2, so], [x1, x2, y])


def prelu(_):
    full = [int(v) for v in rng.integers(1, 5, 2)] + [int(rng.integers(1, 9))]
    alpha = [[1, 1, full[2]], full, [1, 1, 1]][int(rng.integers(0, 3))]
    si, sa, so, zi, za, zo = scale(), scale(), scale(), zero(), zero(), zero()
    x, a = i8([1, *full]), i8(alpha)
    content = model(B.PRELU, 1, O.NONE, None, [T(x.shape, si, zi), T(alpha, sa, za, a)],
                    T(x.shape, so, zo))
    y, = run(content, [[x]])
    case(3, [zi, za, zo, *full, *strides(full, full), *strides(alpha, full)], [si, sa, so], [x, a, y])


def table(index):
    functions = [
        (B.LOGISTIC, 2, O.NONE, None), (B.TANH, 2, O.NONE, None),
        (B.QUANTIZE, 2, O.QuantizeOptions, s.QuantizeOptionsT()), (B.RELU, 2, O.NONE, None),
        (B.RELU6, 2, O.NONE, None), (B.RELU_N1_TO_1, 1, O.NONE, None),
        (B.LEAKY_RELU, 2, O.LeakyReluOptions, s.LeakyReluOptionsT()),
        (B.HARD_SWISH, 1, O.HardSwishOptions, s.HardSwishOptionsT()),
    ]
    function = index % len(functions)
    code, version, options_type, options = functions[function]
    si, so, zi, zo, extra = scale(), scale(0.004, 0.3), zero(), zero(), np.float32(0)
    if function < 2:
        si = scale(0.005, 0.3)
        so, zo = np.float32(1 / [256, 128][function]), [-128, 0][function]
    if function == 6:
        extra = np.float32(rng.choice([0.01, 0.1, 0.3, 1.0, 1.7, -0.25, -1.5, 0.0]))
        options.alpha = float(extra)
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 1, 1, 256)
    y, = run(model(code, version, options_type, options, [T(x.shape, si, zi)], T(x.shape, so, zo)), [[x]])
    case(4, [function, zi, zo], [si, so, extra], [y])


def mean(index):
    shape = [1, *(int(v) for v in rng.integers(1, 8, 3))]
    if index % 5 == 0:
        shape = [1, int(rng.integers(5, 26)), int(rng.integers(5, 26)), 3]
    axes = [[1, 2], [1], [2], [3], [1, 2, 3], [2, 3]][int(rng.integers(0, 6))]
    outer = int(np.prod(shape[:axes[0]]))
    reduce = int(np.prod([shape[a] for a in axes]))
    inner = int(np.prod(shape[axes[-1] + 1:]))
    options = s.ReducerOptionsT()
    options.keepDims = bool(rng.integers(0, 2))
    si, so, zi, zo = scale(), scale(), zero(), zero()
    if index % 3 == 0:
        so, zo = si, zi
    x = i8(shape)
    result = [1 if a in axes else n for a, n in enumerate(shape) if options.keepDims or a not in axes]
    named = [a - 4 if rng.integers(0, 2) else a for a in axes]
    content = model(B.MEAN, 2, O.ReducerOptions, options,
                    [T(shape, si, zi), T([len(axes)], data=np.array(named, np.int32))],
                    T(result, so, zo))
    y, = run(content, [[x]])
    case(5, [outer, reduce, inner, zi, zo], [si, so], [x, y])


def resize(kind, index):
    h, w, oh, ow = (int(v) for v in rng.integers(1, 12, 4))
    c = int(rng.integers(1, 4))
    align, half = [(False, False), (True, False), (False, True)][index % 3]
    options = [s.ResizeNearestNeighborOptionsT(), s.ResizeBilinearOptionsT()][kind - 6]
    options.alignCorners, options.halfPixelCenters = align, half
    si, zi = scale(), zero()
    x = i8([1, h, w, c])
    code = [B.RESIZE_NEAREST_NEIGHBOR, B.RESIZE_BILINEAR][kind - 6]
    options_type = [O.ResizeNearestNeighborOptions, O.ResizeBilinearOptions][kind - 6]
    content = model(code, 3, options_type, options,
                    [T(x.shape, si, zi), T([2], data=np.array([oh, ow], np.int32))],
                    T([1, oh, ow, c], si, zi))
    y, = run(content, [[x]])
    case(kind, [h, w, c, oh, ow, align, half], [], [x, y])


def geometry(size, kernel, stride, dilation, same):
    extent = (kernel - 1) * dilation + 1
    if same:
        n = -(-size // stride)
        return n, max((n - 1) * stride + extent - size, 0) // 2
    return (size - extent) // stride + 1, 0


def weights(channels, shape, axis, si, so):
    scales = np.array([scale(0.0005, 0.03) for _ in range(channels)], np.float32)
    w = rng.integers(-128, 128, shape).astype(np.int8)
    bias = rng.integers(-8000, 8000, channels).astype(np.int32)
    return scales, w, bias, T(shape, scales, 0, w, axis=axis), T(
        [channels], scales * si, 0, bias)


def transpose_conv(index):
    h, w, depth, channels = (int(v) for v in rng.integers([1, 1, 1, 1], [6, 6, 6, 6]))
    kernel = [int(v) for v in rng.integers(1, 5, 2)]
    stride = [int(v) for v in rng.integers(1, 4, 2)]
    same = bool(rng.integers(0, 2))
    size = [n * t if same else (n - 1) * t + max(k, t) for n, t, k in zip((h, w), stride, kernel)]
    pads = [geometry(n, k, t, 1, same)[1] for n, k, t in zip(size, kernel, stride)]
    si, so, zi, zo = scale(), scale(0.02, 0.5), zero(), zero()
    scales, values, bias, tw, tb = weights(channels, (channels, *kernel, depth), 0, si, so)
    options = s.TransposeConvOptionsT()
    options.padding = s.Padding.SAME if same else s.Padding.VALID
    options.strideH, options.strideW = stride
    x = i8([1, h, w, depth])
    inputs = [T([4], data=np.array([1, *size, channels], np.int32)), tw, T(x.shape, si, zi)]
    if index % 2:
        inputs.append(tb)
    else:
        bias[:] = 0
    content = model(B.TRANSPOSE_CONV, 3, O.TransposeConvOptions, options, inputs,
                    T([1, *size, channels], so, zo))
    y, = run(content, [[x]])
    case(8, [h, w, depth, *size, channels, *kernel, *stride, *pads, 1, 1, zi, zo, *bias],
         [si, so, *scales], [values, x, y])


def depthwise(index):
    h, w, depth = (int(v) for v in rng.integers([4, 4, 1], [9, 9, 7]))
    factor = [1, 1, 2, 3, 8][index % 5]
    if factor == 8:
        depth = 1
    channels = depth * factor
    kernel = [int(v) for v in rng.integers(1, 4, 2)]
    dilation = [int(v) for v in rng.integers(1, 3, 2)] if index % 3 == 0 else [1, 1]
    stride = [1, 1] if dilation != [1, 1] else [int(v) for v in rng.integers(1, 4, 2)]
    same = bool(rng.integers(0, 2)) or min(h, w) < 5
    size, pads = zip(*(geometry(n, k, t, d, same)
                       for n, k, t, d in zip((h, w), kernel, stride, dilation)))
    if min(size) < 1:
        return
    si, so, zi, zo = scale(), scale(0.02, 0.5), zero(), zero()
    scales, values, bias, tw, tb = weights(channels, (1, *kernel, channels), 3, si, so)
    options = s.DepthwiseConv2DOptionsT()
    options.padding = s.Padding.SAME if same else s.Padding.VALID
    options.strideH, options.strideW = stride
    options.dilationHFactor, options.dilationWFactor = dilation
    options.depthMultiplier = factor
    x = i8([1, h, w, depth])
    content = model(B.DEPTHWISE_CONV_2D, 3, O.DepthwiseConv2DOptions, options,
                    [T(x.shape, si, zi), tw, tb], T([1, *size, channels], so, zo))
    y, = run(content, [[x]])
    case(9, [h, w, depth, *size, channels, *kernel, *stride, *pads, *dilation, zi, zo, *bias],
         [si, so, *scales], [values, x, y])


def average_pool(index):
    h, w, c = (int(v) for v in rng.integers([1, 1, 1], [10, 10, 5]))
    kernel = [int(v) for v in rng.integers(1, 6, 2)]
    stride = [int(v) for v in rng.integers(1, 4, 2)]
    same = bool(rng.integers(0, 2)) or h < kernel[0] or w < kernel[1]
    size, pads = zip(*(geometry(n, k, t, 1, same) for n, k, t in zip((h, w), kernel, stride)))
    options = s.Pool2DOptionsT()
    options.padding = s.Padding.SAME if same else s.Padding.VALID
    options.strideH, options.strideW = stride
    options.filterHeight, options.filterWidth = kernel
    activation = ACTIVATIONS[index % 4]
    options.fusedActivationFunction = activation
    si, zi = scale(), zero()
    x = i8([1, h, w, c])
    content = model(B.AVERAGE_POOL_2D, 2, O.Pool2DOptions, options, [T(x.shape, si, zi)],
                    T([1, *size, c], si, zi))
    y, = run(content, [[x]])
    case(10, [h, w, c, *size, c, *kernel, *stride, *pads, 1, 1, *limits(activation, si, zi)], [],
         [x, y])


def lstm(index):
    inputs, cells, steps = (int(v) for v in rng.integers([1, 1, 1], [9, 9, 7]))
    si, zi, sh, zh = scale(0.005, 0.05), zero(), np.float32(1 / 128), int(rng.integers(-20, 20))
    power = int(rng.integers(-15, -8)) if index % 2 else -11
    coupled = index % 4 == 3
    clip = [0.0, 0.0, 3.0][index % 3]
    tensors, ints, floats, gates = [], [], [], []
    w_in = [T([cells, inputs], scale(0.005, 0.05), 0, i8([cells, inputs])) for _ in range(4)]
    w_h = [T([cells, cells], scale(0.005, 0.05), 0, i8([cells, cells])) for _ in range(4)]
    b = [rng.integers(-3000, 3000, cells).astype(np.int32) for _ in range(4)]
    bias = [T([cells], w.scales[0] * si, 0, v) for w, v in zip(w_in, b)]
    if coupled:
        w_in[0] = w_h[0] = bias[0] = None
    options = s.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = s.ActivationFunctionType.TANH
    options.cellClip = clip
    options.timeMajor = False
    state = [T([1, cells], sh, zh, variable=True),
             T([1, cells], 2.0 ** power, 0, kind=np.int16, variable=True)]
    x = [i8([1, steps, inputs]) for _ in range(2)]
    content = model(
        B.UNIDIRECTIONAL_SEQUENCE_LSTM, 1, O.UnidirectionalSequenceLSTMOptions, options,
        [T(x[0].shape, si, zi), *w_in, *w_h, None, None, None, *bias, None, None, *state,
         None, None, None, None],
        T([1, steps, cells], sh, zh),
        [*(T([], 1.0, 0, kind=np.int16) for _ in range(4)), T([], sh, zh)])
    y = run(content, [[v] for v in x])  # the state is kept between the two
    for gate in range(4):
        if w_in[gate] is None:
            tensors += [np.zeros(0, np.int8)] * 2
            floats += [0, 0]
            ints_gate = [0] * cells
        else:
            tensors += [w_in[gate].data, w_h[gate].data]
            floats += [w_in[gate].scales[0], w_h[gate].scales[0]]
            ints_gate = list(b[gate])
        ints += ints_gate
    case(11, [steps, inputs, cells, coupled, zi, zh, *ints], [si, sh, 2.0 ** power, clip, *floats],
         [*tensors, *x, *y])


def svdf(_):
    inputs, units, memory = (int(v) for v in rng.integers([1, 1, 1], [9, 6, 9]))
    rank = int(rng.integers(1, 4))
    filters = units * rank
    si, zi, sf, ss, st, so, zo = (scale(0.005, 0.05), zero(), scale(0.005, 0.05),
                                  scale(0.0005, 0.003), scale(0.0001, 0.001), scale(0.02, 0.2), zero())
    wf, wt = i8([filters, inputs]), rng.integers(-9000, 9000, [filters, memory]).astype(np.int16)
    b = rng.integers(-3000, 3000, units).astype(np.int32)
    options = s.SVDFOptionsT()
    options.rank = rank
    # The integer kernel demands RELU, and does not apply it.
    options.fusedActivationFunction = s.ActivationFunctionType.RELU
    x = [i8([1, inputs]) for _ in range(memory + 2)]
    content = model(B.SVDF, 3, O.SVDFOptions, options,
                    [T([1, inputs], si, zi), T(wf.shape, sf, 0, wf), T(wt.shape, st, 0, wt),
                     T([units], ss * st, 0, b),
                     T([1, memory * filters], ss, 0, kind=np.int16, variable=True)],
                    T([1, units], so, zo))
    y = run(content, [[v] for v in x])
    case(12, [inputs, units, rank, memory, zi, zo, *b], [si, sf, ss, st, so],
         [wf, wt, np.concatenate(x), np.concatenate(y)])


for index in range(24):
    attempt("add", lambda: binary(0, index))
    attempt("sub", lambda: binary(1, index))
    attempt("mul", lambda: binary(2, index))
    attempt("prelu", lambda: prelu(index))
for index in range(80):
    attempt("table", lambda: table(index))
for index in range(30):
    attempt("mean", lambda: mean(index))
    attempt("nearest", lambda: resize(6, index))
    attempt("bilinear", lambda: resize(7, index))
    attempt("transpose_conv", lambda: transpose_conv(index))
    attempt("depthwise", lambda: depthwise(index))
    attempt("average_pool", lambda: average_pool(index))
for index in range(16):
    attempt("lstm", lambda: lstm(index))
    attempt("svdf", lambda: svdf(index))
pathlib.Path(__file__).with_name("prepared.bin").write_bytes(out)
print(len(out), "bytes", count)
for kind, errors in refused.items():
    print(kind, len(errors), sorted(set(errors)))
