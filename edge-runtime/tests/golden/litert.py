"""Writes litert.bin: single operators with random settings, run by LiteRT's reference kernels.

    pip install ai-edge-litert==2.3.0 numpy flatbuffers
    python litert.py

`../litert.rs` reads the file and documents its layout. Everything is drawn from one seed, so that
running this again gives the same bytes.
"""

import math
import pathlib
import struct

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

rng = np.random.default_rng(20240607)
out = bytearray()


def quantise_multiplier(real):
    fraction, exponent = math.frexp(real)
    multiplier = int(math.floor(fraction * (1 << 31) + 0.5))
    if multiplier == 1 << 31:
        multiplier, exponent = multiplier // 2, exponent + 1
    return multiplier, exponent


def tensor(name, shape, kind, scales, zero_point, buffer=0, axis=0):
    t = s.TensorT()
    t.name, t.shape, t.type, t.buffer = name, list(shape), kind, buffer
    t.quantization = s.QuantizationParametersT()
    t.quantization.scale = [float(x) for x in scales]
    t.quantization.zeroPoint = [zero_point] * len(scales)
    t.quantization.quantizedDimension = axis
    return t


def run(code, version, options_type, options, tensors, constants, x):
    """One operator in a model of its own; tensor 0 is the input, the last one the output."""
    model = s.ModelT()
    model.version = 3
    opcode = s.OperatorCodeT()
    opcode.builtinCode = opcode.deprecatedBuiltinCode = code
    opcode.version = version
    model.operatorCodes = [opcode]
    model.buffers = [s.BufferT()]
    for constant in constants:
        buffer = s.BufferT()
        buffer.data = np.frombuffer(constant, np.uint8)
        model.buffers.append(buffer)
    operator = s.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs = list(range(len(tensors) - 1))
    operator.outputs = [len(tensors) - 1]
    operator.builtinOptionsType, operator.builtinOptions = options_type, options
    graph = s.SubGraphT()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = [0], [len(tensors) - 1]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(
        model_content=bytes(builder.Output()),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def i8(shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def softmax():
    for scale in [0.003, 0.0147, 0.05, 0.171, 0.9, 4.0, 17.0]:
        for channels in [1, 2, 3, 6, 12, 100, 500]:
            shape = (1, 1, 3, channels) if channels < 100 else (1, 1, 1, channels)
            x = i8(shape)
            x[0, 0, 0] = rng.integers(90, 128, channels)
            options = s.SoftmaxOptionsT()
            options.beta = 1.0
            tensors = [
                tensor("x", shape, s.TensorType.INT8, [scale], 3),
                tensor("y", shape, s.TensorType.INT8, [1 / 256], -128),
            ]
            y = run(s.BuiltinOperator.SOFTMAX, 2, s.BuiltinOptions.SoftmaxOptions, options,
                    tensors, [], x)
            real = min(float(np.float32(scale)) * (1 << 26), (1 << 31) - 1.0)
            multiplier, shift = quantise_multiplier(real)
            smallest = -math.floor(31 * (1 << 26) / (1 << shift))
            out.extend(struct.pack("<BIiiiI", 3, channels, multiplier, shift, smallest, x.size))
            out.extend(x.tobytes() + y.tobytes())


def geometry(size, kernel, stride, dilation, same):
    extent = (kernel - 1) * dilation + 1
    if same:
        count = -(-size // stride)
        return count, max((count - 1) * stride + extent - size, 0) // 2
    return (size - extent) // stride + 1, 0


def accumulating():
    for case in range(24):
        dense = case % 4 == 3
        same = bool(rng.integers(0, 2))
        height, width, depth, channels = [int(v) for v in rng.integers([5, 5, 1, 1], [10, 10, 6, 7])]
        kernel = [int(v) for v in rng.integers(1, 4, 2)]
        dilation = [int(v) for v in rng.integers(1, 3, 2)] if case % 2 else [1, 1]
        stride = [1, 1] if dilation != [1, 1] else [int(v) for v in rng.integers(1, 4, 2)]
        if dense:
            height, width, kernel, stride, dilation = 1, 1, [1, 1], [1, 1], [1, 1]
            depth, channels = int(rng.integers(1, 40)), int(rng.integers(1, 12))
        rows, top = geometry(height, kernel[0], stride[0], dilation[0], same)
        columns, left = geometry(width, kernel[1], stride[1], dilation[1], same)
        zero_in, zero_out = int(rng.integers(-128, 128)), int(rng.integers(-128, 128))
        scale_in, scale_out = rng.uniform(0.002, 0.2), rng.uniform(0.02, 0.4)
        scales = rng.uniform(0.0005, 0.03, 1 if dense else channels).astype(np.float32)
        weights = rng.integers(-127, 128, (channels, *kernel, depth)).astype(np.int8)
        bias = rng.integers(-8000, 8000, channels).astype(np.int32)
        x = i8((1, height, width, depth))
        per_channel = np.broadcast_to(scales, channels)
        factors = [
            quantise_multiplier(float(np.float32(scale_in)) * float(w) / float(np.float32(scale_out)))
            for w in per_channel
        ]
        if dense:
            options = s.FullyConnectedOptionsT()
            code, version, kind = (s.BuiltinOperator.FULLY_CONNECTED, 4,
                                   s.BuiltinOptions.FullyConnectedOptions)
            shapes = [(1, depth), (channels, depth), (channels,), (1, channels)]
        else:
            options = s.Conv2DOptionsT()
            options.padding = s.Padding.SAME if same else s.Padding.VALID
            options.strideH, options.strideW = stride
            options.dilationHFactor, options.dilationWFactor = dilation
            code, version, kind = s.BuiltinOperator.CONV_2D, 3, s.BuiltinOptions.Conv2DOptions
            shapes = [x.shape, weights.shape, (channels,), (1, rows, columns, channels)]
        tensors = [
            tensor("x", shapes[0], s.TensorType.INT8, [scale_in], zero_in),
            tensor("w", shapes[1], s.TensorType.INT8, scales, 0, 1),
            tensor("b", shapes[2], s.TensorType.INT32, scales * np.float32(scale_in), 0, 2),
            tensor("y", shapes[3], s.TensorType.INT8, [scale_out], zero_out),
        ]
        y = run(code, version, kind, options, tensors, [weights.tobytes(), bias.tobytes()],
                x.reshape(shapes[0]))
        folded = bias - zero_in * weights.reshape(channels, -1).astype(np.int32).sum(1)
        out.extend(struct.pack("<B14I", 1 if dense else 2, height, width, depth, rows, columns,
                               channels, *kernel, *stride, top, left, *dilation))
        out.extend(struct.pack("<ii", zero_in, zero_out))
        out.extend(folded.astype(np.int32).tobytes())
        out.extend(np.array([m for m, _ in factors], np.int32).tobytes())
        out.extend(np.array([e for _, e in factors], np.int8).tobytes())
        out.extend(weights.tobytes() + x.tobytes() + y.tobytes())


def pooling():
    for _ in range(12):
        height, width, depth = [int(v) for v in rng.integers([5, 5, 1], [10, 10, 6])]
        kernel, stride = rng.integers(1, 5, 2).tolist(), rng.integers(1, 4, 2).tolist()
        same = bool(rng.integers(0, 2))
        rows, top = geometry(height, kernel[0], stride[0], 1, same)
        columns, left = geometry(width, kernel[1], stride[1], 1, same)
        x = i8((1, height, width, depth))
        options = s.Pool2DOptionsT()
        options.padding = s.Padding.SAME if same else s.Padding.VALID
        options.strideH, options.strideW = stride
        options.filterHeight, options.filterWidth = kernel
        tensors = [
            tensor("x", x.shape, s.TensorType.INT8, [0.1], -5),
            tensor("y", (1, rows, columns, depth), s.TensorType.INT8, [0.1], -5),
        ]
        y = run(s.BuiltinOperator.MAX_POOL_2D, 2, s.BuiltinOptions.Pool2DOptions, options,
                tensors, [], x)
        out.extend(struct.pack("<B14I", 4, height, width, depth, rows, columns, depth, *kernel,
                               *stride, top, left, 1, 1))
        out.extend(x.tobytes() + y.tobytes())


softmax()
accumulating()
pooling()
pathlib.Path(__file__).with_name("litert.bin").write_bytes(out)
print(len(out), "bytes")
