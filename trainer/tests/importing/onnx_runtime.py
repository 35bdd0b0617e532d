"""Writes onnx/random_*.onnx and onnx_runtime.json: random networks of recurrent operators, with all attributes that the engine has a layer
for, and what ONNX Runtime gives for them.

    pip install onnx onnxruntime numpy
    python -P onnx_runtime.py [FOLDER [SEED [COUNT]]]
"""

import json
import os
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save_model

here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 7)
count = int(sys.argv[3]) if len(sys.argv) > 3 else 6
folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
SAMPLES = 12
cases = {}


def some(*choices):
    return choices[random.integers(len(choices))]


class Network:
    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, *shape):
        name = f"w{len(self.weights)}"
        values = random.normal(size=shape) / np.sqrt(shape[-1])
        self.weights.append(numpy_helper.from_array(values.astype("float32"), name))
        return name

    def list(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, dtype="int64"), name))
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind} {len(self.nodes)}", **attributes))
        return names[-1]

    def recurrent(self, x, inputs, hidden):
        """From [time, 1, inputs] to [time, 1, hidden]."""
        kind = some("LSTM", "GRU", "RNN")
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
        operands = [x, self.weight(1, gates * hidden, inputs), self.weight(1, gates * hidden, hidden)]
        operands.append(self.weight(1, 2 * gates * hidden) if some(True, False) else "")
        attributes = {"hidden_size": hidden}
        if kind == "LSTM":
            how = some("plain", "peepholes", "coupled")
            if how == "peepholes":
                operands += ["", "", "", self.weight(1, 3 * hidden)]
            if how == "coupled":
                attributes["input_forget"] = 1
            if how == "plain" and some(True, False):
                attributes["activations"] = ["HardSigmoid", "Tanh", "Tanh"]
        if kind == "GRU":
            attributes["linear_before_reset"] = some(0, 1)
            if not attributes["linear_before_reset"] and some(True, False):
                attributes["activations"] = ["Sigmoid", "Relu"]
            elif some(True, False):
                attributes |= {"activations": ["HardSigmoid", "Tanh"], "activation_alpha": [0.3], "activation_beta": [0.4]}
        if kind == "RNN":
            attributes["activations"] = [some("Tanh", "Relu")]
        y = self.node(kind, *operands, **attributes)
        return self.node("Squeeze", y, self.list([1]))

    def dense(self, x, inputs, outputs):
        y = self.node("MatMul", x, self.weight(inputs, outputs))
        if some(True, False):
            y = self.node("Add", y, self.weight(outputs))
        if some(True, False):
            y = self.node("Mul", self.weight(outputs), y)
        function = some("", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "HardSigmoid")
        return self.node(function, y) if function else y


for number in range(count):
    net, width = Network(), int(random.integers(1, 6))
    inputs, y = width, "x"
    if some(True, False):
        y = net.node("Sub", y, net.weight(width))
    if some(True, False):
        wider = int(random.integers(2, 6))
        y, width = net.dense(y, width, wider), wider
    for _ in range(random.integers(1, 4)):
        hidden = int(random.integers(1, 9))
        y, width = net.recurrent(y, width, hidden), hidden
    for _ in range(random.integers(0, 3)):
        outputs = int(random.integers(1, 6))
        y, width = net.dense(y, width, outputs), outputs
    y = net.node(some("Identity", "Softmax"), y)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["time", 1, w]) for n, w in [("x", inputs), (y, width)]]
    graph = helper.make_graph(net.nodes, "random", ends[:1], ends[1:], net.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    name = f"random_{number}"
    path = os.path.join(folder, name + ".onnx")
    save_model(model, path)
    x = random.normal(size=(SAMPLES, 1, inputs)).astype("float32")
    (found,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
    rows = lambda a: [[float(f"{v:.8g}") for v in row] for row in a.reshape(SAMPLES, -1)]
    cases[name] = {"x": rows(x), "y": rows(found)}

with open(os.path.join(here, "onnx_runtime.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
