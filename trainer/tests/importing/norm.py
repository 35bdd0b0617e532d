"""Writes onnx/norm*.onnx, onnx/join*.onnx, onnx/unrolled.onnx, keras/layer_norm*.keras, keras/joined.keras, pytorch/norm_dict.npz and norm.json: layer
normalisations before, between and behind recurrent layers, as one operator and written out as exporters write them, and layers that take
up what earlier ones gave, with inputs and the outputs that ONNX Runtime and Keras give.

    pip install onnx onnxruntime keras jax numpy
    KERAS_BACKEND=jax python norm.py
"""

import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
import keras
import numpy as np
import onnx
import onnxruntime
from keras import layers
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(5)
cases = {}


def rows(a):
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


def numbers(*shape):
    return rng.normal(size=shape).astype(np.float32)


class Net:
    """Nodes and weights of an ONNX graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def lstm(self, x, inputs, hidden):
        w, r, b = numbers(1, 4 * hidden, inputs), numbers(1, 4 * hidden, hidden), numbers(1, 8 * hidden)
        terms = [self.weight(0.4 * v) for v in (w, r, b)]
        y = self.add("LSTM", x, *terms, outputs=3, hidden_size=hidden)[0]
        return self.add("Squeeze", y, self.weight(np.array([1])))

    def dense(self, x, inputs, outputs):
        y = self.add("MatMul", x, self.weight(numbers(inputs, outputs)))
        return self.add("Add", y, self.weight(numbers(outputs)))

    def save(self, name, y, outputs, inputs, opset):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", 1, inputs])
        y = helper.make_tensor_value_info(y, TensorProto.FLOAT, ["time", 1, outputs])
        graph = helper.make_graph(self.nodes, name, [x], [y], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(here, "onnx", name + ".onnx"))
        samples = numbers(12, 1, inputs)
        # Its optimisations multiply weights that are integers in integers, with rounded samples.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        found = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": samples})[0]
        cases[name] = {"x": rows(samples[:, 0]), "y": rows(found[:, 0])}


def written_out(net, x, width, form):
    """The operators that PyTorch (opset 16 and before), DTLN and others write."""
    mean = net.add("ReduceMean", x, axes=[-1])
    centred = net.add("Sub", x, mean)
    if form == "torch":
        squares = net.add("Pow", centred, net.weight(np.float32(2)))
    else:
        squares = net.add("Mul", net.add("Sub", x, mean), centred)
    variance = net.add("ReduceMean", squares, axes=[-1], keepdims=1)
    root = net.add("Sqrt", net.add("Add", variance, net.weight(np.float32(1e-3))))
    if form == "inverse":
        y = net.add("Mul", net.add("Reciprocal", root), centred)
    else:
        y = net.add("Div", centred, root)
    y = net.add("Mul", y, net.weight(numbers(width)))
    return net.add("Add", y, net.weight(numbers(width)))


net = Net()
x = net.add("LayerNormalization", "x", net.weight(numbers(5)), net.weight(numbers(5)), axis=2)
x = net.add("LayerNormalization", net.lstm(x, 5, 6), net.weight(numbers(6)), epsilon=1e-2)
net.save("norm", net.dense(x, 6, 2), 2, 5, 17)
for form in ["torch", "square", "inverse"]:
    net = Net()
    x = net.lstm(written_out(net, net.dense("x", 3, 8), 8, form), 8, 5)
    net.save("norm_" + form, net.dense(written_out(net, x, 5, form), 5, 2), 2, 3, 13)
# Over the samples of time, and without the mean.
net = Net()
net.save("norm_time", net.lstm(net.add("Sub", "x", net.add("ReduceMean", "x", axes=[0])), 3, 4), 4, 3, 13)
net = Net()
root = net.add("Sqrt", net.add("ReduceMean", net.add("Mul", "x", "x"), axes=[-1]))
net.save("norm_rms", net.lstm(net.add("Div", "x", root), 3, 4), 4, 3, 13)

for name, options in [("layer_norm", {}), ("layer_norm_plain", {"center": False, "scale": False, "epsilon": 0.1}), ("layer_norm_rms", {"rms_scaling": True})]:
    model = keras.Sequential([keras.Input((None, 3)), layers.Dense(4)])
    model.add(layers.LayerNormalization(**options))
    model.add(layers.GRU(5, return_sequences=True))
    model.add(layers.LayerNormalization(**options))
    model.add(layers.Dense(2))
    for w in model.weights:
        w.assign(0.5 * rng.normal(size=w.shape) + (1 if w.name == "gamma" else 0))
    model.save(os.path.join(here, "keras", name + ".keras"))
    samples = numbers(12, 3)
    cases[name] = {"x": rows(samples), "y": rows(model.predict(samples[None], verbose=0)[0])}

# What a mask leaves of an earlier value; sums; values side by side, earlier ones on both sides.
net = Net()
encoded = net.dense("x", 3, 6)
mask = net.add("Sigmoid", net.dense(net.lstm(written_out(net, encoded, 6, "square"), 6, 5), 5, 6))
net.save("join_mask", net.dense(net.add("Mul", encoded, mask), 6, 2), 2, 3, 13)
net = Net()
first = net.lstm("x", 3, 4)
second = net.add("Add", net.lstm(first, 4, 4), first)
both = net.add("Concat", "x", second, first, axis=-1)
net.save("join_sides", net.add("Add", net.dense(both, 11, 3), "x"), 3, 3, 13)
net = Net()
gates = net.add("Mul", net.add("Tanh", net.dense("x", 3, 4)), net.add("Sigmoid", net.dense("x", 3, 4)))
net.save("join_branches", net.lstm(gates, 4, 4), 4, 3, 13)
# A cell written out for one sample, as keras2onnx did, with its gates in Keras' order i, f, g, o and its states in one tensor.
net = Net()
z = net.add("Add", net.add("MatMul", "x", net.weight(numbers(3, 16))), net.add("MatMul", "h", net.weight(numbers(4, 16))))
gates = net.add("Split", net.add("Add", z, net.weight(numbers(16))), outputs=4, axis=1)
i, f, o = [net.add("Sigmoid", gates[k]) for k in (0, 1, 3)]
c = net.add("Add", net.add("Mul", f, "c"), net.add("Mul", i, net.add("Tanh", gates[2])))
h = net.add("Mul", o, net.add("Tanh", c))


def streamed(name, net, leaving):
    """A sample and states of 4 in, an answer and the states of these names out."""
    y = net.add("Add", net.add("MatMul", leaving[0], net.weight(numbers(4, 2))), net.weight(numbers(2)))
    names = ["h", "c"][: len(leaving)]
    info = lambda name, n: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n])
    outputs = [info(y, 2)] + [info(n, 4) for n in leaving]
    graph = helper.make_graph(net.nodes, name, [info("x", 3)] + [info(n, 4) for n in names], outputs, net.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(here, "onnx", name + ".onnx"))
    session, samples, answers = onnxruntime.InferenceSession(model.SerializeToString()), numbers(12, 3), []
    states = {n: np.zeros((1, 4), "float32") for n in names}
    for sample in samples:
        answer, *states = session.run(None, {"x": sample[None], **states})
        answers.append(answer[0])
        states = dict(zip(names, states))
    cases[name] = {"x": rows(samples), "y": rows(answers)}


streamed("unrolled", net, [h, c])
start = layers.Input((None, 3))
gru = layers.GRU(4, return_sequences=True)(start)
x = layers.Multiply()([layers.Dense(4, activation="sigmoid")(gru), gru])
x = layers.Concatenate()([start, x, gru])
model = keras.Model(start, layers.Dense(2)(x))
model.save(os.path.join(here, "keras", "joined.keras"))
samples = numbers(12, 3)
cases["joined"] = {"x": rows(samples), "y": rows(model.predict(samples[None], verbose=0)[0])}

# A state dict, of which the same graph of ONNX gives the answers; its gates are i, o, f, g and PyTorch's i, f, g, o.
net = Net()
hidden = net.lstm("x", 3, 6)
x = net.add("LayerNormalization", hidden, net.weight(1 + 0.3 * numbers(6)), net.weight(numbers(6)))
net.save("norm_dict", net.dense(x, 6, 2), 2, 3, 17)
os.remove(os.path.join(here, "onnx", "norm_dict.onnx"))
w, r, b, _, gamma, beta, head, bias = [numpy_helper.to_array(w) for w in net.weights]
i, o, f, g = np.split(np.arange(24), 4)
order = np.concatenate([i, f, g, o])
np.savez(
    os.path.join(here, "pytorch", "norm_dict.npz"),
    **{
        "rnn.weight_ih_l0": w[0][order],
        "rnn.weight_hh_l0": r[0][order],
        "rnn.bias_ih_l0": b[0][:24][order],
        "rnn.bias_hh_l0": b[0][24:][order],
        "norm.weight": gamma,
        "norm.bias": beta,
        "head.weight": head.T.copy(),
        "head.bias": bias,
    },
)
# Cells written out in other ways: gates in other orders, a product with samples and state side by side, gates that are cut out of what a sigmoid gave.
axis = {"axis": 1}


def cut(net, x, place):
    return net.add("Slice", x, *[net.weight(np.array([n])) for n in (4 * place, 4 * place + 4, 1)])


for number, order in enumerate(["oifg", "gfio", "fogi"]):
    net = Net()
    both = ("h", "x") if number else ("x", "h")
    z = net.add("MatMul", net.add("Concat", *both, **axis), net.weight(numbers(7, 16)))
    z = net.add("Add", z, net.weight(numbers(16)))
    gate = {g: net.add("Tanh" if g == "g" else "Sigmoid", cut(net, z, order.index(g))) for g in "ifgo"}
    c = net.add("Add", net.add("Mul", gate["g"], gate["i"]), net.add("Mul", "c", gate["f"]))
    streamed(f"unrolled_lstm_{number}", net, [net.add("Mul", net.add("Tanh", c), gate["o"]), c])

one = np.float32(1)
for number in range(8):
    net, kept, after = Net(), number % 2 == 0, number < 4
    z = net.add("Add", net.add("MatMul", "x", net.weight(numbers(3, 8))), net.weight(numbers(8)))
    z = net.add("Sigmoid", net.add("Add", net.add("MatMul", "h", net.weight(numbers(4, 8))), z))
    z, r = cut(net, z, 0), cut(net, z, 1)
    plain = net.add("Add", net.add("MatMul", "x", net.weight(numbers(3, 4))), net.weight(numbers(4)))
    state = "h" if after else net.add("Mul", r, "h")
    state = net.add("MatMul", state, net.weight(numbers(4, 4)))
    if after:
        state = net.add("Mul", net.add("Add", state, net.weight(numbers(4))), r)
    n = net.add("Tanh", net.add("Add", plain, state))
    first, second = ("h", n) if kept else (n, "h")
    if number % 4 < 2:
        rest = net.add("Sub", net.weight(one), z)
        h = net.add("Add", net.add("Mul", rest, second), net.add("Mul", z, first))
    else:
        h = net.add("Add", second, net.add("Mul", z, net.add("Sub", first, second)))
    streamed(f"unrolled_gru_{number}", net, [h])
net = Net()
z = net.add("Add", net.add("MatMul", "h", net.weight(numbers(4, 4))), net.add("MatMul", "x", net.weight(numbers(3, 4))))
streamed("unrolled_rnn", net, [net.add("Relu", net.add("Add", net.weight(numbers(4)), z))])
# Weights that are integers with a scale, one for all or one for each output, and a layer that rounds while it runs.
def integers(net, *shape, axis=None):
    scale = np.abs(numbers(1 if axis is None else shape[axis])) / 50
    scale, zero = (scale[0], np.int8(3)) if axis is None else (scale, np.zeros(shape[axis], "int8"))
    whole = rng.integers(-127, 128, size=shape).astype("int8")
    options = {} if axis is None else {"axis": axis}
    return net.add("DequantizeLinear", net.weight(whole), net.weight(scale), net.weight(zero), **options)


for name in ["integers", "rounded"]:
    net = Net()
    x = net.add("LSTM", "x", integers(net, 1, 16, 3), integers(net, 1, 16, 4, axis=1), hidden_size=4)
    x = net.add("Squeeze", x, net.weight(np.array([1])))
    if name == "rounded":
        terms = net.weight(np.float32(0.01)), net.weight(np.int8(0))
        x = net.add("DequantizeLinear", net.add("QuantizeLinear", x, *terms), *terms)
    net.save(name, net.add("MatMul", x, integers(net, 4, 2, axis=1)), 2, 3, 13)
with open(os.path.join(here, "norm.json"), "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
