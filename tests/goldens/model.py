"""Writes small .tflite models and runs them with LiteRT's reference kernels."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

# Operator -> version of its int8 form, options table. Versions are those that TensorFlow's converter writes.
OPERATORS = {
    "ADD": (2, "AddOptions"),
    "AVERAGE_POOL_2D": (2, "Pool2DOptions"),
    "BATCH_TO_SPACE_ND": (2, "BatchToSpaceNDOptions"),
    "CONCATENATION": (2, "ConcatenationOptions"),
    "CONV_2D": (3, "Conv2DOptions"),
    "DEPTHWISE_CONV_2D": (3, "DepthwiseConv2DOptions"),
    "DEQUANTIZE": (2, "DequantizeOptions"),
    "EXPAND_DIMS": (1, "ExpandDimsOptions"),
    "FULLY_CONNECTED": (4, "FullyConnectedOptions"),
    "HARD_SWISH": (1, "HardSwishOptions"),
    "LEAKY_RELU": (2, "LeakyReluOptions"),
    "LOGISTIC": (2, None),
    "MAX_POOL_2D": (2, "Pool2DOptions"),
    "MEAN": (2, "ReducerOptions"),
    "MUL": (2, "MulOptions"),
    "PACK": (2, "PackOptions"),
    "PAD": (2, "PadOptions"),
    "PADV2": (2, "PadV2Options"),
    "PRELU": (1, None),
    "QUANTIZE": (2, "QuantizeOptions"),
    "RELU": (2, None),
    "RELU6": (2, None),
    "RELU_N1_TO_1": (1, None),
    "RESHAPE": (1, "ReshapeOptions"),
    "RESIZE_BILINEAR": (3, "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": (3, "ResizeNearestNeighborOptions"),
    "SLICE": (2, "SliceOptions"),
    "SOFTMAX": (2, "SoftmaxOptions"),
    "SPACE_TO_BATCH_ND": (2, "SpaceToBatchNDOptions"),
    "SPLIT": (2, "SplitOptions"),
    "SPLIT_V": (2, "SplitVOptions"),
    "SQUEEZE": (1, "SqueezeOptions"),
    "STRIDED_SLICE": (2, "StridedSliceOptions"),
    "SUB": (3, "SubOptions"),
    "SVDF": (3, "SVDFOptions"),
    "TANH": (2, None),
    "TRANSPOSE": (2, "TransposeOptions"),
    "TRANSPOSE_CONV": (3, "TransposeConvOptions"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (3, "UnidirectionalSequenceLSTMOptions"),
    "UNPACK": (2, "UnpackOptions"),
}

TYPES = {
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}

ACTIVATIONS = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
    "relu_n1_to_1": schema.ActivationFunctionType.RELU_N1_TO_1,
    "tanh": schema.ActivationFunctionType.TANH,
}


class Tensor:
    """What a case needs to know of a tensor that it has made."""

    def __init__(self, index, shape, scale, zero, kind):
        self.index, self.shape, self.scale, self.zero, self.kind = index, shape, scale, zero, kind


class Graph:
    """A model under construction: one subgraph, tensors numbered in the order of their making."""

    def __init__(self, name, note=""):
        self.name, self.note = name, note
        self.operators_used = []
        self.inputs, self.outputs = [], []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.buffers, self.codes = [schema.BufferT()], []
        self.rows = None  # rows that a case chose itself: [row][input] -> int8 array

    def tensor(self, shape, scale=None, zero=0, kind="int8", data=None, axis=0, variable=False):
        t = schema.TensorT()
        t.name = str(len(self.graph.tensors))
        t.shape, t.type, t.isVariable = [int(n) for n in shape], TYPES[kind], variable
        t.quantization = schema.QuantizationParametersT()
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            t.quantization.scale = [float(s) for s in scales]
            t.quantization.zeroPoint = [int(zero)] * len(scales)
            t.quantization.quantizedDimension = axis
        t.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, kind).tobytes(), np.uint8)
            self.buffers.append(buffer)
            t.buffer = len(self.buffers) - 1
        self.graph.tensors.append(t)
        return Tensor(len(self.graph.tensors) - 1, tuple(int(n) for n in shape), scale, zero, kind)

    def input(self, shape, scale, zero, kind="int8"):
        t = self.tensor(shape, scale if kind == "int8" else None, zero, kind)
        self.inputs.append(t)
        return t

    def constant(self, values, scale=None, zero=0, kind="int8", axis=0):
        values = np.asarray(values)
        return self.tensor(values.shape, scale, zero, kind, values, axis)

    def op(self, name, inputs, outputs, intermediates=(), **options):
        """Appends an operator. `outputs`: one (shape, scale, zero point) for every output; an input may be None."""
        version, table = OPERATORS[name]
        if name not in self.codes:
            self.codes.append(name)
        o = schema.OperatorT()
        o.opcodeIndex = self.codes.index(name)
        o.inputs = [-1 if t is None else t.index for t in inputs]
        made = [self.tensor(*spec) if isinstance(spec, tuple) else spec for spec in outputs]
        o.outputs = [t.index for t in made]
        if intermediates:
            o.intermediates = [t.index for t in intermediates]
        if table is not None:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            o.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                if not hasattr(o.builtinOptions, key):
                    raise ValueError(f"{table} has no field {key}")
                setattr(o.builtinOptions, key, value)
        elif options:
            raise ValueError(f"{name} has no options")
        self.graph.operators.append(o)
        self.operators_used.append(name)
        return made[0] if len(made) == 1 else made

    def output(self, *tensors):
        self.outputs.extend(tensors)

    def bytes(self):
        model = schema.ModelT()
        model.version, model.buffers = 3, self.buffers
        model.operatorCodes = []
        for name in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = OPERATORS[name][0]
            model.operatorCodes.append(code)
        self.graph.inputs = [t.index for t in self.inputs]
        self.graph.outputs = [t.index for t in self.outputs]
        model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def patterned(rng, shape, pattern, zero):
    """An int8 tensor: random, or a pattern that reaches the ends of the range."""
    if pattern == "random":
        return rng.integers(-128, 128, shape).astype(np.int8)
    if pattern == "ramp":
        return (np.arange(np.prod(shape, dtype=int)) * 7 % 256 - 128).astype(np.int8).reshape(shape)
    if pattern == "alternate":
        return np.where(np.arange(np.prod(shape, dtype=int)) % 2, 127, -128).astype(np.int8).reshape(shape)
    if pattern == "near":  # close to the zero point, where small sums and ties are
        return np.clip(rng.integers(-4, 5, shape) + zero, -128, 127).astype(np.int8)
    return np.full(shape, {"min": -128, "max": 127}[pattern], np.int8)


PATTERNS = ["min", "max", "ramp", "alternate", "near", "random"]


def make_rows(rng, graph, number, count):
    """`count` rows: the first random, the others by turns."""
    rows = []
    for row in range(count):
        pattern = "random" if row == 0 else PATTERNS[(number + row) % len(PATTERNS)]
        rows.append([patterned(rng, t.shape, pattern, t.zero) for t in graph.inputs])
    return rows


def run(content, graph, rows):
    """int8 outputs of every row, concatenated in the model's order. Raises where LiteRT refuses the model.

    A float input gets the value that its int8 stands for; a float output is turned back into the int8
    that DEQUANTIZE read. Variables are reset before every row unless the note says `keep_state`.
    """
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    results = []
    for row in rows:
        if "keep_state" not in graph.note:
            interpreter.reset_all_variables()
        for t, x in zip(graph.inputs, row, strict=True):
            if t.kind == "float32":
                x = ((x.astype(np.float32) - np.float32(t.zero)) * np.float32(t.scale)).astype(np.float32)
            interpreter.set_tensor(t.index, x)
        interpreter.invoke()
        parts = []
        for t in graph.outputs:
            y = interpreter.get_tensor(t.index)
            if y.shape != t.shape:
                raise ValueError(f"{graph.name}: LiteRT gives {y.shape}, the model says {t.shape}")
            if t.kind == "float32":
                q = np.rint(y / np.float32(t.scale)).astype(np.int64) + t.zero
                if not np.array_equal((q - t.zero).astype(np.float32) * np.float32(t.scale), y):
                    raise ValueError(f"{graph.name}: a float output is no multiple of its scale")
                y = q.astype(np.int8)
            parts.append(y.astype(np.int8).tobytes())
        results.append(b"".join(parts))
    return results
