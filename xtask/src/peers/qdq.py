"""Rewrites an int8 .tflite model as ONNX with QuantizeLinear and DequantizeLinear around each
operator (QDQ), the form that ONNX Runtime fuses into its int8 kernels.

Only the operators of the MLPerf Tiny models. Activations are NCHW inside and NHWC at the input.
ONNX Runtime rounds otherwise than LiteRT: the outputs are close, not equal.
"""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

B = schema.BuiltinOperator
A = schema.ActivationFunctionType


class Converter:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.read(), 0))
        self.graph = self.model.subgraphs[0]
        self.nodes, self.constants, self.names = [], [], {}

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def data(self, index):
        tensor = self.graph.tensors[index]
        kind = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}[tensor.type]
        raw = np.frombuffer(bytes(self.model.buffers[tensor.buffer].data), kind)
        return raw.reshape(tensor.shape)

    def quantisation(self, index):
        """Names of scale and zero point of an activation."""
        if f"{index}_scale" not in self.names:
            parameters = self.graph.tensors[index].quantization
            scale = np.float32(parameters.scale[0])
            zero_point = np.int8(parameters.zeroPoint[0])
            self.names[f"{index}_scale"] = (
                self.constant(f"{index}_scale", scale),
                self.constant(f"{index}_zero", zero_point),
            )
        return list(self.names[f"{index}_scale"])

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def real(self, index, user):
        """An activation as real numbers: a DequantizeLinear of its own for each user."""
        name = f"{index}_real_{user}"
        return self.node("DequantizeLinear", [self.names[index], *self.quantisation(index)], name)

    def quantised(self, index, real):
        inputs = [real, *self.quantisation(index)]
        self.names[index] = self.node("QuantizeLinear", inputs, f"{index}_q")

    def weights(self, user, index, bias_index, values, axis):
        """Weights and bias as real numbers, per channel where the model has it so."""
        scale = np.array(self.graph.tensors[index].quantization.scale, np.float32)
        attributes = {"axis": axis} if len(scale) > 1 else {}
        shape = () if len(scale) == 1 else scale.shape
        w = self.constant(f"{user}_w", values)
        scale_name = self.constant(f"{user}_w_scale", scale.reshape(shape))
        zero = self.constant(f"{user}_w_zero", np.zeros(shape, np.int8))
        weights = self.node("DequantizeLinear", [w, scale_name, zero], f"{user}_w_real", **attributes)
        bias = self.data(bias_index)
        input_scale = self.graph.tensors[self.graph.operators[user].inputs[0]].quantization.scale[0]
        bias_scale = (np.float32(input_scale) * scale).astype(np.float32)
        b = self.constant(f"{user}_b", bias)
        scale_name = self.constant(f"{user}_b_scale", bias_scale.reshape(shape))
        zero = self.constant(f"{user}_b_zero", np.zeros(shape, np.int32))
        attributes = {"axis": 0} if len(scale) > 1 else {}
        bias = self.node("DequantizeLinear", [b, scale_name, zero], f"{user}_b_real", **attributes)
        return weights, bias

    def activated(self, user, real, function):
        if function == A.NONE:
            return real
        if function == A.RELU:
            return self.node("Relu", [real], f"{user}_relu")
        raise ValueError(f"activation {function}")

    def pads(self, options, input_index, output_index, kernel):
        strides = [options.strideH, options.strideW]
        if options.padding == schema.Padding.VALID:
            return strides, [0, 0, 0, 0]
        sizes = self.graph.tensors[input_index].shape[1:3]
        outputs = self.graph.tensors[output_index].shape[1:3]
        before, after = [], []
        for size, out, k, stride in zip(sizes, outputs, kernel, strides):
            total = max((int(out) - 1) * stride + k - int(size), 0)
            before.append(total // 2)
            after.append(total - total // 2)
        return strides, before + after

    def operator(self, user, operator):
        code = self.model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        options, output = operator.builtinOptions, operator.outputs[0]
        inputs = list(operator.inputs)
        if kind in (B.CONV_2D, B.DEPTHWISE_CONV_2D):
            depthwise = kind == B.DEPTHWISE_CONV_2D
            values = self.data(inputs[1])  # OHWI, or 1HWO
            values = values.transpose(3, 0, 1, 2) if depthwise else values.transpose(0, 3, 1, 2)
            weights, bias = self.weights(user, inputs[1], inputs[2], values, 0)
            kernel = list(values.shape[2:])
            strides, pads = self.pads(options, inputs[0], output, kernel)
            real = self.node(
                "Conv",
                [self.real(inputs[0], user), weights, bias],
                f"{user}_out",
                kernel_shape=kernel,
                strides=strides,
                pads=pads,
                group=values.shape[0] if depthwise else 1,
            )
            self.quantised(output, self.activated(user, real, options.fusedActivationFunction))
        elif kind == B.FULLY_CONNECTED:
            weights, bias = self.weights(user, inputs[1], inputs[2], self.data(inputs[1]), 0)
            arguments = [self.real(inputs[0], user), weights, bias]
            real = self.node("Gemm", arguments, f"{user}_out", transB=1)
            self.quantised(output, self.activated(user, real, options.fusedActivationFunction))
        elif kind == B.ADD:
            real = self.node("Add", [self.real(index, user) for index in inputs], f"{user}_out")
            self.quantised(output, self.activated(user, real, options.fusedActivationFunction))
        elif kind == B.AVERAGE_POOL_2D:
            kernel = [options.filterHeight, options.filterWidth]
            strides, pads = self.pads(options, inputs[0], output, kernel)
            real = self.node(
                "AveragePool",
                [self.real(inputs[0], user)],
                f"{user}_out",
                kernel_shape=kernel,
                strides=strides,
                pads=pads,
            )
            self.quantised(output, real)
        elif kind == B.RESHAPE:
            # Behind a pool of one pixel, where NCHW and NHWC are the same.
            shape = np.array(self.graph.tensors[output].shape, np.int64)
            arguments = [self.names[inputs[0]], self.constant(f"{user}_shape", shape)]
            self.names[output] = self.node("Reshape", arguments, f"{output}_q")
        elif kind == B.SOFTMAX:
            real = self.node("Softmax", [self.real(inputs[0], user)], f"{user}_out", axis=-1)
            self.quantised(output, real)
        else:
            raise ValueError(f"operator {kind}")

    def convert(self):
        first, last = self.graph.inputs[0], self.graph.outputs[0]
        shape = [int(size) for size in self.graph.tensors[first].shape]
        self.names[first] = "input"
        if len(shape) == 4:
            self.names[first] = self.node("Transpose", ["input"], "nchw", perm=[0, 3, 1, 2])
        for user, operator in enumerate(self.graph.operators):
            self.operator(user, operator)
        output_shape = [int(size) for size in self.graph.tensors[last].shape]
        graph = helper.make_graph(
            self.nodes,
            "model",
            [helper.make_tensor_value_info("input", TensorProto.INT8, shape)],
            [helper.make_tensor_value_info(self.names[last], TensorProto.INT8, output_shape)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model.SerializeToString()


def convert(path):
    return Converter(path).convert()
