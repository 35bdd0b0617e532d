#!/usr/bin/env python3
"""Golden vectors for cells that PyTorch does not have: what others compute, step by step.

    python3 -m venv venv
    venv/bin/pip install numpy scipy onnx onnxruntime safetensors keras mingru-keras
    venv/bin/python trainer/tests/cells/make.py

writes the `.safetensors` files beside this script, all f32:

    w_ih, w_hh, b_ih, b_hh, extra   the layer, as `kinglet_trainer::net::Recurrent` has it, of a minGRU w_ih and b_ih
    input    [T, I]  samples
    hidden   [T, H]  h after every step
    cell     [H]     c after the last step, of an LSTM

LSTMs are ONNX Runtime's `LSTM` operator (`input_forget=1`, or with the input `P`), in f32. ONNX couples the other way
round, f = 1 - i with i from the weights; as 1 - sigmoid(z) = sigmoid(-z), the forget gate's rows are those of i, negated. Rectified GRUs are its
`GRU` with the activations Sigmoid and Relu, rectified LSTMs its `LSTM` with Sigmoid, Relu and Relu.
FastGRNN is the equations of Kusupati et al. 2018 in f64. minGRU is `mingru-keras` on Keras' NumPy backend, which has no steps: a
parallel scan gives all of them. Its candidate is linear; with a tanh, or with hard gates, it is the same layer over another `Dense`. Hard gates
of LSTMs and GRUs are ONNX Runtime's HardSigmoid with a slope of 1/4 and 1/2 in the middle.
"""

import os

import pathlib
import zlib

os.environ["KERAS_BACKEND"] = "numpy"

import keras
import numpy as np
import onnxruntime
from mingru_keras import MinGRU
from onnx import TensorProto, helper
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 24


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def samples(rng, steps, width):
    """A first-order autoregressive series of unit variance."""
    x = [rng.standard_normal(width)]
    for noise in rng.standard_normal((steps - 1, width)):
        x.append(0.8 * x[-1] + 0.6 * noise)
    return np.array(x, dtype=np.float32)


def uniform(rng, bound, *shape):
    return rng.uniform(-bound, bound, shape).astype(np.float32)


# Of hard gates: z / 4 + 1 / 2.
SLOPE = {"activation_alpha": [0.25], "activation_beta": [0.5]}


def lstm(x, w, r, b, p, hidden, coupled, activations=None, **attributes):
    """h after every step and the last c. Gates in ONNX's order: i, o, f, c."""
    inputs = {"X": x[:, None, :], "W": w[None], "R": r[None], "B": b[None]}
    names = ["X", "W", "R", "B", "", "", ""]
    if p is not None:
        inputs["P"] = p[None]
        names.append("P")
    node = helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], hidden_size=hidden, input_forget=int(coupled), activations=activations, **attributes)
    y, c = run(node, inputs, ["Y", "Y_c"])
    return y[:, 0, 0, :], c[0, 0]


def run(node, inputs, outputs):
    """By ONNX Runtime."""
    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    given = [tensor(name, value.shape) for name, value in inputs.items()]
    graph = helper.make_graph([node], "cell", given, [tensor(name, None) for name in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(outputs, inputs)


def write(name, layer, x, hidden, cell=None):
    spread = hidden.std()
    assert 0.1 < spread < 20, f"{name}: spread {spread}"
    tensors = dict(layer) | {"input": x, "hidden": hidden}
    if cell is not None:
        tensors["cell"] = cell
    tensors = {key: np.ascontiguousarray(value, dtype=np.float32) for key, value in tensors.items()}
    save_file(tensors, HERE / f"{name}.safetensors")
    print(f"{name}: spread {spread:.2f}, largest state {abs(hidden).max():.2f}")


def peephole(name, inputs, hidden):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = 3 / hidden**0.5
    gates = {g: [uniform(rng, bound, hidden, n) for n in (inputs, hidden, 1, 1)] for g in "ifgo"}
    peepholes = {g: uniform(rng, 1.0, hidden) for g in "ifo"}
    stack = lambda order, at: np.concatenate([gates[g][at] for g in order])
    x = samples(rng, STEPS, inputs)
    b = np.concatenate([stack("iofg", 2), stack("iofg", 3)])[:, 0]
    p = np.concatenate([peepholes[g] for g in "iof"])
    h, c = lstm(x, stack("iofg", 0), stack("iofg", 1), b, p, hidden, False)
    layer = {n: stack("ifgo", at) for at, n in enumerate(["w_ih", "w_hh", "b_ih", "b_hh"])}
    layer = {n: v[:, 0] if n.startswith("b") else v for n, v in layer.items()}
    layer["extra"] = np.concatenate([peepholes[g] for g in "ifo"])
    write(name, layer, x, h, c)


def coupled(name, inputs, hidden):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = 3 / hidden**0.5
    gates = {g: [uniform(rng, bound, hidden, n) for n in (inputs, hidden, 1, 1)] for g in "fgo"}
    gates["i"] = [-w for w in gates["f"]]
    stack = lambda order, at: np.concatenate([gates[g][at] for g in order])
    x = samples(rng, STEPS, inputs)
    b = np.concatenate([stack("iofg", 2), stack("iofg", 3)])[:, 0]
    h, c = lstm(x, stack("iofg", 0), stack("iofg", 1), b, None, hidden, True)
    layer = {n: stack("fgo", at) for at, n in enumerate(["w_ih", "w_hh", "b_ih", "b_hh"])}
    layer = {n: v[:, 0] if n.startswith("b") else v for n, v in layer.items()}
    write(name, layer, x, h, c)


def lstm_relu(name, inputs, hidden):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = 1 / hidden**0.5
    gates = {g: [uniform(rng, bound, hidden, n) for n in (inputs, hidden, 1, 1)] for g in "ifgo"}
    # Not all units are to be still.
    gates["g"][2] += np.float32(1)
    stack = lambda order, at: np.concatenate([gates[g][at] for g in order])
    x = samples(rng, STEPS, inputs)
    b = np.concatenate([stack("iofg", 2), stack("iofg", 3)])[:, 0]
    h, c = lstm(x, stack("iofg", 0), stack("iofg", 1), b, None, hidden, False, ["Sigmoid", "Relu", "Relu"])
    layer = {n: stack("ifgo", at) for at, n in enumerate(["w_ih", "w_hh", "b_ih", "b_hh"])}
    layer = {n: v[:, 0] if n.startswith("b") else v for n, v in layer.items()}
    write(name, layer, x, h, c)


def lstm_hard(name, inputs, hidden):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = 3 / hidden**0.5
    gates = {g: [uniform(rng, bound, hidden, n) for n in (inputs, hidden, 1, 1)] for g in "ifgo"}
    stack = lambda order, at: np.concatenate([gates[g][at] for g in order])
    x = samples(rng, STEPS, inputs)
    b = np.concatenate([stack("iofg", 2), stack("iofg", 3)])[:, 0]
    h, c = lstm(x, stack("iofg", 0), stack("iofg", 1), b, None, hidden, False, ["HardSigmoid", "Tanh", "Tanh"], **SLOPE)
    layer = {n: stack("ifgo", at) for at, n in enumerate(["w_ih", "w_hh", "b_ih", "b_hh"])}
    layer = {n: v[:, 0] if n.startswith("b") else v for n, v in layer.items()}
    write(name, layer, x, h, c)


def gru(name, inputs, hidden, activations, bound, after=0, **attributes):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = bound / hidden**0.5
    gates = {g: [uniform(rng, bound, hidden, n) for n in (inputs, hidden, 1, 1)] for g in "rzn"}
    stack = lambda order, at: np.concatenate([gates[g][at] for g in order])
    x = samples(rng, STEPS, inputs)
    b = np.concatenate([stack("zrn", 2), stack("zrn", 3)])[:, 0]
    given = {"X": x[:, None, :], "W": stack("zrn", 0)[None], "R": stack("zrn", 1)[None], "B": b[None]}
    node = helper.make_node("GRU", list(given), ["Y"], hidden_size=hidden, linear_before_reset=after, activations=activations, **attributes)
    layer = {n: stack("rzn", at) for at, n in enumerate(["w_ih", "w_hh", "b_ih", "b_hh"])}
    layer = {n: v[:, 0] if n.startswith("b") else v for n, v in layer.items()}
    write(name, layer, x, run(node, given, ["Y"])[0][:, 0, 0, :])


def fastgrnn(name, inputs, hidden, nu):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = 3 / hidden**0.5
    w, u = uniform(rng, bound, hidden, inputs), uniform(rng, bound, hidden, hidden)
    b_z, b_n = uniform(rng, 1, hidden), uniform(rng, 1, hidden)
    extra = np.array([1.0, nu], dtype=np.float32)
    x = samples(rng, STEPS, inputs)
    zeta, nu = sigmoid(extra.astype(np.float64))
    h, steps = np.zeros(hidden), []
    for x_t in x.astype(np.float64):
        a = w.astype(np.float64) @ x_t + u.astype(np.float64) @ h
        z, n = sigmoid(a + b_z), np.tanh(a + b_n)
        h = (zeta * (1 - z) + nu) * n + z * h
        steps.append(h)
    layer = {"w_ih": w, "w_hh": u, "b_ih": b_z, "b_hh": b_n, "extra": extra}
    write(name, layer, x, np.array(steps))


def mingru(name, inputs, hidden, activation, reach, hard=False):
    """A linear candidate reaches as far as its weights let it."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    gate = [uniform(rng, 1, inputs, hidden), uniform(rng, 1, hidden)]
    candidate = [uniform(rng, reach, inputs, hidden), uniform(rng, reach, hidden)]
    x = samples(rng, STEPS, inputs)
    layer = MinGRU(hidden)
    layer.candidate = keras.layers.Dense(hidden, activation=activation)
    if hard:
        layer.gate = keras.layers.Dense(hidden, activation=lambda z: keras.ops.clip(z / 4 + 0.5, 0, 1))
    layer.build((1, STEPS, inputs))
    layer.gate.set_weights(gate)
    layer.candidate.set_weights(candidate)
    w = np.concatenate([gate[0].T, candidate[0].T])
    write(name, {"w_ih": w, "b_ih": np.concatenate([gate[1], candidate[1]])}, x, np.array(layer(x[None]))[0])


for inputs, hidden in [(2, 3), (3, 8), (5, 17)]:
    peephole(f"lstm_peephole_{inputs}x{hidden}", inputs, hidden)
    coupled(f"lstm_coupled_{inputs}x{hidden}", inputs, hidden)
    gru(f"gru_relu_{inputs}x{hidden}", inputs, hidden, ["Sigmoid", "Relu"], 1)
    gru(f"gru_hard_{inputs}x{hidden}", inputs, hidden, ["HardSigmoid", "Tanh"], 3, 1, **SLOPE)
    gru(f"gru_hard_before_{inputs}x{hidden}", inputs, hidden, ["HardSigmoid", "Tanh"], 3, **SLOPE)
    lstm_hard(f"lstm_hard_{inputs}x{hidden}", inputs, hidden)
    lstm_relu(f"lstm_relu_{inputs}x{hidden}", inputs, hidden)
    fastgrnn(f"fastgrnn_{inputs}x{hidden}", inputs, hidden, -4.0)
    mingru(f"mingru_{inputs}x{hidden}", inputs, hidden, None, 0.5)
    mingru(f"mingru_hard_{inputs}x{hidden}", inputs, hidden, None, 0.5, True)
    mingru(f"mingru_tanh_{inputs}x{hidden}", inputs, hidden, "tanh", 1.0)
# What is added in every step carries the state beyond 1.
fastgrnn("fastgrnn_wide_5x17", 5, 17, -1.0)
# Far beyond what integers hold of a state as it is.
mingru("mingru_wide_5x17", 5, 17, None, 12.0)
