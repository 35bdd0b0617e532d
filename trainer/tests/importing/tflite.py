"""Writes tflite/*: networks of the fused operators, and tflite.json with what the interpreter gives for them.

    pip install ai-edge-litert numpy flatbuffers
    python -P tflite.py [FOLDER [SEED]]
"""

import json
import os
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter

here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "tflite")
os.makedirs(folder, exist_ok=True)
random = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 5)
cases = {}
TYPES = {"float32": 0, "float16": 1, "int32": 2, "int8": 9}


def weights(*shape):
    return random.uniform(-0.8, 0.8, shape).astype("float32")


class File:
    """A model with one graph."""

    def __init__(self):
        self.model, self.graph = s.ModelT(), s.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.operatorCodes, self.model.buffers = [], [s.BufferT()]
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []

    def tensor(self, name, shape, kind="float32", data=None, signature=None, scale=None, variable=False, axis=0):
        t = s.TensorT()
        t.name, t.shape, t.type, t.isVariable, t.buffer = name, list(shape), TYPES[kind], variable, 0
        if signature:
            t.shapeSignature = signature
        if scale is not None:
            t.quantization = s.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = list(scale), [0] * len(scale)
            t.quantization.quantizedDimension = axis
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), dtype=np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def constant(self, name, data):
        data = np.asarray(data)
        return self.tensor(name, data.shape, data.dtype.name, data)

    def input(self, shape, kind="float32", signature=None):
        self.graph.inputs.append(self.tensor("x", shape, kind, signature=signature))
        return self.graph.inputs[-1]

    def node(self, kind, inputs, shape, options=None, output="float32", signature=None, **attributes):
        code = s.OperatorCodeT()
        code.builtinCode = getattr(s.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        if kind == "STRIDED_SLICE":
            code.version = 2
        self.model.operatorCodes.append(code)
        op = s.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        y = self.tensor(f"{kind.lower()} {len(self.graph.operators)}", shape, output, signature=signature)
        op.inputs, op.outputs = list(inputs), [y]
        if options:
            op.builtinOptions = getattr(s, options + "T")()
            op.builtinOptionsType = getattr(s.BuiltinOptions, options)
            for name, value in attributes.items():
                setattr(op.builtinOptions, name, value)
        self.graph.operators.append(op)
        return y

    def lstm(self, x, inputs, units, shape, coupled=False, peephole=False, projection=0, norm=False, major=False, signature=None, clip=0.0):
        width = projection or units
        gate = lambda k, name, data: -1 if coupled and k == 0 else self.constant(name, data)
        of_input = [gate(k, f"input {k}", weights(units, inputs)) for k in range(4)]
        of_state = [gate(k, f"state {k}", weights(units, width)) for k in range(4)]
        peep = [gate(k, f"peephole {k}", weights(units)) if peephole else -1 for k in range(3)]
        bias = [gate(k, f"bias {k}", weights(units)) for k in range(4)]
        project = self.constant("projection", weights(projection, units)) if projection else -1
        h = self.tensor("h", [1, width], variable=True)
        c = self.tensor("c", [1, units], variable=True)
        norms = [self.constant(f"norm {k}", weights(units)) if norm else -1 for k in range(4)]
        inputs = [x] + of_input + of_state + peep + bias + [project, -1, h, c] + norms
        options = dict(fusedActivationFunction=4, timeMajor=major, cellClip=clip)
        return self.node("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, shape, "UnidirectionalSequenceLSTMOptions", signature=signature, **options)

    def dense(self, x, inputs, outputs, shape, activation=0, keep=False):
        parts = [x, self.constant("weight", weights(outputs, inputs)), self.constant("bias", weights(outputs))]
        options = dict(fusedActivationFunction=activation, keepNumDims=keep)
        return self.node("FULLY_CONNECTED", parts, shape, "FullyConnectedOptions", **options)

    def last(self, x, steps, width):
        bounds = [self.constant(n, np.array(v, dtype="int32")) for n, v in [("begin", [0, -1, 0]), ("end", [0, 0, 0]), ("steps", [1, 1, 1])]]
        return self.node("STRIDED_SLICE", [x] + bounds, [1, width], "StridedSliceOptions", beginMask=5, endMask=5, shrinkAxisMask=2)

    def keep(self, name, y, x, calls=None):
        """Calls are what the interpreter is given one after another; by default all samples at once."""
        self.graph.outputs = [y]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        data = bytes(builder.Output())
        with open(os.path.join(folder, name + ".tflite"), "wb") as f:
            f.write(data)
        if x is None:
            return
        net = Interpreter(model_content=data)
        entry = net.get_input_details()[0]
        outputs = []
        calls = calls or [x]
        net.resize_tensor_input(entry["index"], calls[0].shape)
        net.allocate_tensors()
        for call in calls:
            net.set_tensor(entry["index"], call)
            net.invoke()
            y = net.get_tensor(net.get_output_details()[0]["index"])
            outputs.extend(y.reshape(-1, y.shape[-1]).tolist())
        cases[name] = {"x": x.reshape(-1, x.shape[-1] if x.ndim == 3 else 1).tolist(), "y": outputs}


def samples(steps, width):
    return random.normal(size=(1, steps, width)).astype("float32")


f = File()
y = f.lstm(f.input([1, 6, 3]), 3, 4, [1, 6, 4], clip=10.0)
y = f.dense(f.last(y, 6, 4), 4, 2, [1, 2])
f.keep("last", f.node("SOFTMAX", [y], [1, 2], "SoftmaxOptions", beta=1.0), samples(6, 3))

f = File()
y = f.lstm(f.input([1, 6, 3]), 3, 4, [1, 6, 4])
y = f.node("RESHAPE", [y, f.constant("shape", np.array([-1, 24], dtype="int32"))], [1, 24], "ReshapeOptions", newShape=[-1, 24])
f.keep("flat", f.node("LOGISTIC", [f.dense(y, 24, 2, [1, 2])], [1, 2]), samples(6, 3))

f = File()
y = f.lstm(f.input([1, 1, 3]), 3, 4, [1, 1, 4], clip=10.0)
x = samples(6, 3)
f.keep("stream", f.node("TANH", [f.dense(y, 4, 2, [1, 2])], [1, 2]), x, [x[:, t : t + 1] for t in range(6)])

for name, how in [("coupled", {"coupled": True}), ("peephole", {"peephole": True}), ("projection", {"projection": 2}), ("major", {"major": True})]:
    f = File()
    width = how.get("projection", 4)
    shape = [6, 1] if name == "major" else [1, 6]
    y = f.lstm(f.input(shape + [3]), 3, 4, shape + [width], **how)
    f.keep(name, f.dense(y, width, 2, shape + [2], keep=True), samples(6, 3).reshape(shape + [3]))

f = File()
y = f.lstm(f.input([1, 1, 3], signature=[1, -1, 3]), 3, 4, [1, 1, 4], signature=[1, -1, 4])
f.keep("open", f.dense(y, 4, 2, [1, 1, 2], keep=True), samples(6, 3))

for name, code in [("rnn", 4), ("rnn_relu", 1)]:
    f = File()
    x = f.input([1, 6, 3])
    parts = [x, f.constant("w", weights(4, 3)), f.constant("u", weights(4, 4)), f.constant("b", weights(4)), f.tensor("h", [1, 4], variable=True)]
    y = f.node("UNIDIRECTIONAL_SEQUENCE_RNN", parts, [1, 6, 4], "SequenceRNNOptions", fusedActivationFunction=code)
    y = f.dense(y, 4, 3, [6, 3], activation=1)
    f.keep(name, f.dense(y, 3, 2, [6, 2]), samples(6, 3))

# Tokens, and weights in half floats and in integers with a scale for each row.
f = File()
x = f.input([1, 6], "int32")
table = f.node("DEQUANTIZE", [f.constant("table", weights(7, 3).astype("float16"))], [7, 3])
x = f.node("GATHER", [table, x], [1, 6, 3], "GatherOptions")
y = f.lstm(x, 3, 4, [1, 6, 4])
scale = [0.01, 0.02, 0.005]
rows = f.tensor("rows", [3, 4], "int8", random.integers(-127, 127, (3, 4)).astype("int8"), scale=scale)
rows = f.node("DEQUANTIZE", [rows], [3, 4])
y = f.node("FULLY_CONNECTED", [y, rows, -1], [1, 6, 3], "FullyConnectedOptions", keepNumDims=True)
f.keep("rounded", y, random.integers(0, 7, (1, 6)).astype("int32"))

f = File()
f.keep("norm", f.lstm(f.input([1, 6, 3]), 3, 4, [1, 6, 4], norm=True), None)
f = File()
f.keep("conv", f.node("CONV_2D", [f.input([1, 6, 3, 1]), f.constant("w", weights(1, 1, 1, 1))], [1, 6, 3, 1], "Conv2DOptions"), None)

# Tokens that come as floats, as Keras 2 takes them, and relus that end.
f = File()
x = f.node("CAST", [f.input([1, 6])], [1, 6], "CastOptions", output="int32", outDataType=2)
x = f.node("GATHER", [f.constant("table", weights(7, 3)), x], [1, 6, 3], "GatherOptions")
y = f.dense(f.lstm(x, 3, 4, [1, 6, 4]), 4, 5, [1, 6, 5], activation=2, keep=True)
y = f.dense(y, 5, 4, [1, 6, 4], activation=3, keep=True)
f.keep("float_tokens", f.dense(y, 4, 2, [1, 6, 2], keep=True), random.integers(0, 7, (1, 6)).astype("float32"))
# Layers in pieces.
f = File()
f.keep("unpacked", f.node("UNPACK", [f.input([1, 6, 3])], [1, 3], "UnpackOptions", num=6, axis=1), None)
f = File()
f.keep("reversed", f.node("REVERSE_V2", [f.input([1, 6, 3]), f.constant("axis", np.array([1], dtype="int32"))], [1, 6, 3], "ReverseV2Options"), None)
# A state that is kept in a variable.
f = File()
f.keep("variable", f.node("READ_VARIABLE", [f.input([1, 4])], [1, 4], "ReadVariableOptions"), None)

with open(os.path.join(here, "tflite.json"), "w") as f:
    rounded = lambda rows: [[float(f"{v:.8g}") for v in row] for row in rows]
    json.dump({name: {k: rounded(v) for k, v in case.items()} for name, case in cases.items()}, f)
    f.write("\n")
