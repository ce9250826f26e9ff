"""Small ONNX models, and what ONNX Runtime makes of them, for the tests of the importer.

    pip install onnx==1.23.2 onnxruntime==1.32.0 numpy
    python generate.py

writes `onnx.bin.gz` beside this file. Run by hand: the file is part of the repository. Integers are
little-endian. First the 8 bytes `DUNONNX1` and a u32 with the number of models; then for each

    u16 + text          its name
    u8                  0: quantised (QDQ), 1: of real numbers
    u32 + bytes         the `.onnx` file
    u32, u32, u32, u32  calibration samples, rows, values of a row's inputs, of its outputs
    f32 ...             the calibration samples, the rows' inputs, the rows' outputs

ONNX Runtime runs without graph optimisations, so that a quantised model means what its
QuantizeLinear and DequantizeLinear say: its operators between them work on real numbers.
"""

import gzip
import io
import os
import struct
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

rng = np.random.default_rng(5)
# Values in all rows of a model, and in all of its calibration samples, about.
ROW_VALUES = 1200
SAMPLE_VALUES = 3600


class Net:
    """A model of real numbers while it grows."""

    def __init__(self, shape, opset=13):
        self.shape, self.opset = list(shape), opset
        self.nodes, self.weights, self.count = [], [], 0

    def const(self, array):
        self.count += 1
        name = f"c{self.count}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"t{self.count}_{i}" if i else f"t{self.count}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, *shape, spread=True):
        fan = int(np.prod(shape[1:])) or 1
        w = rng.normal(0, 1 / np.sqrt(fan), shape).astype(np.float32)
        if spread:
            w *= rng.uniform(0.3, 2.0, [shape[0]] + [1] * (len(shape) - 1)).astype(np.float32)
        return self.const(w.astype(np.float32))

    def bias(self, n):
        return self.const(rng.normal(0, 0.3, n).astype(np.float32))

    def conv(self, x, i, o, k, group=1, bias=True, **attributes):
        kernel = k if isinstance(k, (list, tuple)) else [k, k]
        inputs = [x, self.weight(o, i // group, *kernel)]
        if bias:
            inputs.append(self.bias(o))
        return self.op("Conv", *inputs, kernel_shape=list(kernel), group=group, **attributes)

    def gemm(self, x, i, o, trans=1):
        w = self.weight(o, i) if trans else self.weight(i, o, spread=False)
        return self.op("Gemm", x, w, self.bias(o), transB=trans)

    def norm(self, x, c):
        f = np.float32
        return self.op(
            "BatchNormalization",
            x,
            self.const(rng.uniform(0.5, 1.5, c).astype(f)),
            self.const(rng.normal(0, 0.3, c).astype(f)),
            self.const(rng.normal(0, 0.3, c).astype(f)),
            self.const(rng.uniform(0.5, 2.0, c).astype(f)),
        )

    def model(self, output):
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return model


# Each gives a Net and the name of its output.


def conv_relu():
    n = Net([1, 3, 9, 8])
    x = n.op("Relu", n.conv("x", 3, 8, 3, pads=[1, 1, 1, 1]))
    return n, n.conv(x, 8, 5, 1)


def conv_strided():
    n = Net([1, 2, 11, 10])
    x = n.op("Relu", n.conv("x", 2, 6, 3, pads=[0, 1, 1, 0], strides=[2, 2]))
    return n, n.conv(x, 6, 4, [3, 2], bias=False, auto_pad="SAME_UPPER")


def conv_dilated():
    n = Net([1, 4, 12, 12])
    return n, n.op("Relu", n.conv("x", 4, 4, 3, pads=[2, 2, 2, 2], dilations=[2, 2]))


def conv_depthwise():
    n = Net([1, 8, 10, 10])
    x = n.conv("x", 8, 8, 3, group=8, pads=[1, 1, 1, 1])
    x = n.op("Clip", x, n.const(np.float32(0)), n.const(np.float32(6)))
    x = n.conv(x, 8, 16, 3, group=8, strides=[2, 2], pads=[0, 0, 1, 1])
    return n, n.op("Relu", n.conv(x, 16, 6, 1))


def conv_grouped():
    n = Net([1, 6, 7, 7])
    return n, n.op("Relu", n.conv("x", 6, 9, 3, group=3, pads=[1, 1, 1, 1]))


def conv_1d():
    n = Net([1, 3, 32])
    x = n.op("Relu", n.conv("x", 3, 8, [5], pads=[2, 2], strides=[2]))
    x = n.op("MaxPool", x, kernel_shape=[2], strides=[2])
    x = n.op("Flatten", n.conv(x, 8, 4, [3]))
    return n, n.gemm(x, 4 * 6, 5)


def conv_transposed():
    n = Net([1, 4, 5, 6])
    w = n.const(rng.normal(0, 0.3, [4, 3, 3, 3]).astype(np.float32))
    x = n.op("ConvTranspose", "x", w, n.bias(3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    return n, n.op("Relu", x)


def mlp():
    n = Net([1, 20])
    x = n.op("Relu", n.gemm("x", 20, 16))
    x = n.op("Relu", n.gemm(x, 16, 12, trans=0))
    return n, n.gemm(x, 12, 7)


def mlp_softmax():
    n = Net([1, 24])
    x = n.op("MatMul", "x", n.weight(24, 10, spread=False))
    x = n.op("Relu", n.op("Add", x, n.bias(10)))
    return n, n.op("Softmax", n.gemm(x, 10, 6), axis=-1)


def flatten_gemm():
    n = Net([1, 3, 8, 8])
    x = n.op("Relu", n.conv("x", 3, 5, 3))
    x = n.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return n, n.gemm(n.op("Flatten", x), 5 * 9, 10)


def reshape_gemm():
    n = Net([1, 4, 6, 6])
    x = n.op("Relu", n.conv("x", 4, 6, 3, strides=[2, 2], pads=[1, 1, 1, 1]))
    x = n.op("Reshape", x, n.const(np.array([1, -1], np.int64)))
    return n, n.op("Softmax", n.gemm(x, 54, 5), axis=1)


def residual():
    n = Net([1, 8, 8, 8])
    x = n.op("Relu", n.conv("x", 8, 8, 3, pads=[1, 1, 1, 1]))
    y = n.conv(x, 8, 8, 3, pads=[1, 1, 1, 1])
    x = n.op("Relu", n.op("Add", x, y))
    x = n.op("GlobalAveragePool", x)
    return n, n.gemm(n.op("Flatten", x), 8, 10)


def squeeze_excite():
    n = Net([1, 8, 6, 6])
    x = n.op("Relu", n.conv("x", 8, 8, 3, pads=[1, 1, 1, 1]))
    s = n.op("GlobalAveragePool", x)
    s = n.op("Relu", n.conv(s, 8, 4, 1))
    s = n.op("Sigmoid", n.conv(s, 4, 8, 1))
    return n, n.op("Mul", x, s)


def pools():
    n = Net([1, 4, 13, 13])
    x = n.op("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = n.op("Relu", n.conv(x, 4, 6, 1))
    return n, n.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0])


def average_counted():
    n = Net([1, 3, 9, 9])
    x = n.op("Relu", n.conv("x", 3, 4, 1))
    x = n.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    return n, n.conv(x, 4, 4, 1)


def pool_ceil():
    n = Net([1, 3, 10, 8])
    x = n.op("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    return n, n.conv(x, 3, 4, 1)


def concat():
    n = Net([1, 4, 7, 7])
    a = n.op("Relu", n.conv("x", 4, 5, 3, pads=[1, 1, 1, 1]))
    b = n.op("Relu", n.conv("x", 4, 3, 1))
    x = n.op("Concat", a, b, axis=1)
    return n, n.conv(x, 8, 4, 1)


def pad_conv():
    n = Net([1, 3, 6, 6])
    x = n.op("Pad", "x", n.const(np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64)))
    return n, n.op("Relu", n.conv(x, 3, 4, 3))


def transpose_nhwc():
    n = Net([1, 7, 6, 3])
    x = n.op("Transpose", "x", perm=[0, 3, 1, 2])
    x = n.op("Relu", n.conv(x, 3, 5, 3, pads=[1, 1, 1, 1]))
    x = n.op("Transpose", x, perm=[0, 2, 3, 1])
    return n, n.op("Reshape", x, n.const(np.array([1, 210], np.int64)))


def resize_nearest():
    n = Net([1, 4, 5, 6])
    x = n.op("Relu", n.conv("x", 4, 4, 1))
    scales = n.const(np.array([1, 1, 2, 2], np.float32))
    x = n.op("Resize", x, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return n, n.conv(x, 4, 3, 3)


def resize_linear():
    n = Net([1, 3, 5, 4])
    x = n.op("Relu", n.conv("x", 3, 4, 1))
    sizes = n.const(np.array([1, 4, 9, 8], np.int64))
    return n, n.op("Resize", x, "", "", sizes, mode="linear")


def activations():
    n = Net([1, 4, 6, 6], opset=14)
    x = n.op("LeakyRelu", n.conv("x", 4, 6, 3), alpha=0.1)
    x = n.op("HardSwish", n.conv(x, 6, 6, 1))
    x = n.op("Tanh", n.conv(x, 6, 6, 1))
    return n, n.op("Sigmoid", n.conv(x, 6, 4, 1))


def silu():
    n = Net([1, 5, 6, 5])
    x = n.conv("x", 5, 6, 3)
    return n, n.op("Mul", x, n.op("Sigmoid", x))


def reduce_mean():
    n = Net([1, 6, 5, 4])
    x = n.op("Relu", n.conv("x", 6, 8, 3, pads=[1, 1, 1, 1]))
    x = n.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return n, n.gemm(x, 8, 5)


def normalised_input():
    n = Net([1, 3, 8, 8])
    x = n.op("Sub", "x", n.const(np.array([0.2, -0.1, 0.4], np.float32).reshape(1, 3, 1, 1)))
    x = n.op("Mul", x, n.const(np.array([1.5, 0.7, 1.1], np.float32).reshape(1, 3, 1, 1)))
    x = n.op("Relu", n.conv(x, 3, 4, 3, strides=[2, 2]))
    return n, n.op("Mul", x, n.const(np.float32(0.75)))


def slices():
    n = Net([1, 8, 6, 6])
    x = n.op("Relu", n.conv("x", 8, 8, 1))
    i64 = lambda *v: n.const(np.array(v, np.int64))
    a = n.op("Slice", x, i64(0, 1), i64(4, 6), i64(1, 3), i64(1, 2))
    b = n.op("Slice", x, i64(4, 0), i64(8, 5), i64(1, 3), i64(1, 2))
    return n, n.conv(n.op("Add", a, b), 4, 3, 1)


def split():
    n = Net([1, 6, 5, 5])
    a, b = n.op("Split", n.op("Relu", n.conv("x", 6, 6, 1)), n.const(np.array([2, 4], np.int64)), axis=1, outputs=2)
    return n, n.op("Concat", n.conv(b, 4, 3, 1), n.conv(a, 2, 3, 1), axis=1)


def dense_rows():
    n = Net([1, 5, 8])
    x = n.op("MatMul", "x", n.weight(8, 6, spread=False))
    x = n.op("Relu", n.op("Add", x, n.bias(6)))
    x = n.op("Transpose", x, perm=[0, 2, 1])
    return n, n.op("MatMul", x, n.weight(5, 4, spread=False))


def segmentation():
    n = Net([1, 3, 8, 8])
    a = n.op("Relu", n.conv("x", 3, 6, 3, pads=[1, 1, 1, 1]))
    b = n.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = n.op("Relu", n.conv(b, 6, 8, 3, pads=[1, 1, 1, 1]))
    b = n.op("Resize", b, "", n.const(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    x = n.op("Concat", a, b, axis=1)
    return n, n.op("Softmax", n.conv(x, 14, 3, 1), axis=1)


def norm_net():
    n = Net([1, 3, 10, 10])
    x = n.op("Relu", n.norm(n.conv("x", 3, 8, 3, bias=False, pads=[1, 1, 1, 1]), 8))
    x = n.op("Relu", n.norm(n.conv(x, 8, 8, 3, group=8, strides=[2, 2], pads=[1, 1, 1, 1]), 8))
    x = n.op("GlobalAveragePool", n.op("Relu", n.norm(n.conv(x, 8, 12, 1), 12)))
    return n, n.gemm(n.op("Flatten", x), 12, 6)


def norm_first():
    n = Net([1, 3, 8, 8])
    x = n.norm("x", 3)
    x = n.op("Relu", n.conv(x, 3, 6, 3))
    return n, n.gemm(n.op("Flatten", x), 6 * 36, 5)


def shape_graph():
    # As exporters write `x.view(x.size(0), -1)`.
    n = Net([1, 3, 8, 8])
    x = n.op("Relu", n.conv("x", 3, 4, 3, strides=[2, 2]))
    batch = n.op("Gather", n.op("Shape", x), n.const(np.array(0, np.int64)), axis=0)
    batch = n.op("Unsqueeze", batch, n.const(np.array([0], np.int64)))
    shape = n.op("Concat", batch, n.const(np.array([-1], np.int64)), axis=0)
    return n, n.gemm(n.op("Reshape", x, shape), 36, 6)


def residual_deep():
    n = Net([1, 3, 12, 12])
    x = n.op("Relu", n.norm(n.conv("x", 3, 8, 3, bias=False, pads=[1, 1, 1, 1]), 8))
    for _ in range(3):
        y = n.op("Relu", n.norm(n.conv(x, 8, 8, 3, bias=False, pads=[1, 1, 1, 1]), 8))
        y = n.norm(n.conv(y, 8, 8, 3, bias=False, pads=[1, 1, 1, 1]), 8)
        x = n.op("Relu", n.op("Add", x, y))
    x = n.op("GlobalAveragePool", x)
    return n, n.op("Softmax", n.gemm(n.op("Flatten", x), 8, 10), axis=1)


def gelu_mlp():
    n = Net([1, 16])
    x = n.gemm("x", 16, 24)
    half = n.op("Mul", x, n.const(np.float32(0.5)))
    erf = n.op("Erf", n.op("Mul", x, n.const(np.float32(0.70710678))))
    x = n.op("Mul", half, n.op("Add", erf, n.const(np.float32(1))))
    return n, n.gemm(x, 24, 5)


def exported_activations():
    # As exporters spell them out.
    n = Net([1, 6, 5, 5])
    x = n.conv("x", 6, 8, 1)
    y = n.op("Clip", n.op("Add", x, n.const(np.float32(3))), n.const(np.float32(0)), n.const(np.float32(6)))
    x = n.conv(n.op("Mul", x, n.op("Div", y, n.const(np.float32(6)))), 8, 8, 1)
    y = n.conv(n.op("Mul", x, n.op("Sigmoid", x)), 8, 8, 1)
    return n, n.op("Mul", y, n.op("Tanh", n.op("Softplus", y)))


def mobile():
    n = Net([1, 3, 16, 16])
    clip = lambda x: n.op("Clip", x, n.const(np.float32(0)), n.const(np.float32(6)))
    x = clip(n.norm(n.conv("x", 3, 8, 3, bias=False, strides=[2, 2], pads=[1, 1, 1, 1]), 8))
    for i, o, stride in [(8, 8, 1), (8, 12, 2), (12, 12, 1)]:
        y = clip(n.norm(n.conv(x, i, 4 * i, 1, bias=False), 4 * i))
        y = clip(n.norm(n.conv(y, 4 * i, 4 * i, 3, group=4 * i, bias=False, strides=[stride] * 2, pads=[1] * 4), 4 * i))
        y = n.norm(n.conv(y, 4 * i, o, 1, bias=False), o)
        x = n.op("Add", x, y) if i == o and stride == 1 else y
    x = n.op("GlobalAveragePool", clip(n.norm(n.conv(x, 12, 32, 1, bias=False), 32)))
    return n, n.gemm(n.op("Flatten", x), 32, 10)


# Single operators between a QuantizeLinear each.


def single(shape, kind, *inputs, **attributes):
    def build():
        n = Net(shape)
        return n, n.op(kind, "x", *(n.const(i) for i in inputs), **attributes)

    return build


def one_conv(o, k, **attributes):
    def build():
        n = Net([1, 6, 9, 8])
        return n, n.conv("x", 6, o, k, **attributes)

    return build


def one_gemm():
    n = Net([1, 40])
    return n, n.gemm("x", 40, 30)


def one_square():
    n = Net([1, 6, 7, 5])
    return n, n.op("Mul", "x", "x")


def one_double():
    n = Net([1, 6, 7, 5])
    return n, n.op("Add", "x", "x")


SINGLE = {
    "one_conv": one_conv(9, 3, pads=[1, 1, 1, 1]),
    "one_pointwise": one_conv(12, 1, strides=[2, 1]),
    "one_depthwise": one_conv(6, 3, group=6, pads=[1, 1, 1, 1]),
    "one_gemm": one_gemm,
    "one_square": one_square,
    "one_double": one_double,
    "one_leaky": single([1, 6, 7, 5], "LeakyRelu", alpha=0.1),
    "one_sigmoid": single([1, 6, 7, 5], "Sigmoid"),
    "one_softmax": single([1, 40], "Softmax", axis=-1),
    "one_mean": single([1, 6, 8, 8], "GlobalAveragePool"),
}

QDQ = [
    # int8 or uint8 activations, scales for each channel or not
    (conv_relu, "i8", True), (conv_relu, "u8", False), (conv_strided, "i8", True), (conv_dilated, "u8", True),
    (conv_depthwise, "i8", True), (conv_depthwise, "u8", False), (conv_grouped, "i8", True), (conv_1d, "i8", True),
    (conv_transposed, "i8", False), (mlp, "i8", False), (mlp, "u8", True), (mlp_softmax, "i8", True),
    (flatten_gemm, "i8", True), (flatten_gemm, "u8", False), (reshape_gemm, "i8", False), (residual, "i8", True),
    (residual, "u8", True), (squeeze_excite, "i8", True), (pools, "i8", True), (average_counted, "u8", True),
    (pool_ceil, "i8", False), (concat, "i8", True), (concat, "u8", True), (pad_conv, "i8", True),
    (transpose_nhwc, "i8", True), (resize_nearest, "i8", True), (resize_linear, "u8", True), (activations, "i8", True),
    (silu, "i8", True), (reduce_mean, "i8", True), (slices, "i8", True), (split, "i8", True), (dense_rows, "i8", False),
    (segmentation, "u8", True), (norm_net, "i8", True),
    (mobile, "i8", True), (mobile, "u8", False), (residual_deep, "i8", True), (exported_activations, "i8", True),
]
FLOAT = [
    conv_relu, conv_depthwise, conv_1d, conv_transposed, mlp, mlp_softmax, flatten_gemm, residual, squeeze_excite, pools,
    concat, transpose_nhwc, activations, silu, reduce_mean, normalised_input, dense_rows, segmentation, norm_net,
    norm_first, shape_graph, residual_deep, gelu_mlp, split,
    mobile, exported_activations,
]


def samples(shape, count):
    # Multiples of 1/32: the archive is smaller.
    return [(np.round(rng.normal(0, 1, shape) * 32) / 32).astype(np.float32) for _ in range(count)]


class Reader(CalibrationDataReader):
    def __init__(self, rows):
        self.rows = iter(rows)

    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {"x": row}


def quantised(model, kind, per_channel, rows):
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a.onnx"), os.path.join(folder, "b.onnx")
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            Reader(rows),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QInt8 if kind == "i8" else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
        )
        return onnx.load(target)


def run(model, rows):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": row})[0].astype(np.float32) for row in rows]


def main():
    out = io.BytesIO()
    out.write(b"DUNONNX1" + struct.pack("<I", len(QDQ) + 2 * len(SINGLE) + len(FLOAT)))
    work = [(f"{build.__name__}_{kind}{'_channels' if per else ''}", 0, build, kind, per) for build, kind, per in QDQ]
    work += [(f"{name}_{kind}", 0, build, kind, True) for name, build in SINGLE.items() for kind in ("i8", "u8")]
    work += [(build.__name__, 1, build, None, None) for build in FLOAT]
    for name, real, build, kind, per in work:
        net, output = build()
        model = net.model(output)
        size = int(np.prod(net.shape))
        calibration = samples(net.shape, max(8, min(64, SAMPLE_VALUES // size)))
        rows = samples(net.shape, max(3, min(12, ROW_VALUES // size)))
        if real:
            # What the samples do not reach is cut off: the tests are about what quantising costs else.
            rows = calibration[: len(rows)]
        else:
            model = quantised(model, kind, per, calibration)
            calibration = []
        outputs = run(model, rows)
        text, data = name.encode(), model.SerializeToString()
        out.write(struct.pack("<H", len(text)) + text + struct.pack("<B", real))
        out.write(struct.pack("<I", len(data)) + data)
        out.write(struct.pack("<4I", len(calibration), len(rows), rows[0].size, outputs[0].size))
        for array in [*calibration, *rows, *outputs]:
            out.write(np.ascontiguousarray(array, "<f4").tobytes())
        print(name, len(data), [n.op_type for n in model.graph.node].count("QuantizeLinear"), outputs[0].shape)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx.bin.gz")
    with open(path, "wb") as file:
        file.write(gzip.compress(out.getvalue(), 9, mtime=0))
    print(len(out.getvalue()), os.path.getsize(path))


if __name__ == "__main__":
    main()
