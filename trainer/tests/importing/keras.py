"""Writes keras/*: networks of Keras in both of its files, and keras.json with what they give.

    pip install keras jax h5py numpy
    python keras.py [FOLDER [SEED]]
"""

import io
import json
import os
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "jax")
here = os.path.dirname(os.path.abspath(__file__))
# This file and its neighbour are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
import h5py
import keras
import numpy as np
from keras import layers

here = sys.argv[1] if len(sys.argv) > 1 else here
keras.utils.set_random_seed(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
folder = os.path.join(here, "keras")
os.makedirs(folder, exist_ok=True)
cases = {}


def rows(a):
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


def spread(net):
    """Biases and moments that are not what a network starts with."""
    for w in net.weights:
        start = w.numpy()
        if start.ndim <= 1 or "bias" in w.name:
            w.assign(start + np.random.uniform(0.1, 0.5, start.shape))


def packed(path):
    """Most of HDF5's bytes are zeros."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def keep(name, net, x, window=False, first=0):
    spread(net)
    for layer in net.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    path = os.path.join(folder, name)
    net.save(path + ".keras")
    packed(path + ".keras")
    if name in ["lstm", "both", "conv", "nested", "own_name"]:
        net.save(path + ".h5")
    steps = [len(x)] if window else range(1 + first, len(x) + 1)
    y = [np.asarray(net(x[None, :t])).reshape(-1, net.output_shape[-1])[-1] for t in steps]
    cases[name] = {"x": rows(x if x.ndim == 2 else x[:, None]), "y": rows(y)}


x = np.random.normal(size=(6, 3)).astype("float32")
tokens = np.random.randint(0, 7, 6)
open_time = layers.Input((None, 3))
keep("lstm", keras.Sequential([open_time, layers.LSTM(5, return_sequences=True), layers.Dropout(0.3), layers.LSTM(4), layers.Dense(2, "softmax")]), x)
keep("gru", keras.Sequential([layers.Input((None, 3)), layers.Dense(3, "relu"), layers.GRU(4, return_sequences=True), layers.TimeDistributed(layers.Dense(2, "sigmoid"))]), x)
keep("gru_before", keras.Sequential([layers.Input((None, 3)), layers.GRU(4, reset_after=False), layers.Dense(1)]), x)
keep("cell", keras.Sequential([layers.Input((None, 3)), layers.RNN(layers.SimpleRNNCell(4, "relu"), return_sequences=True), layers.Dense(2, use_bias=False), layers.Activation("tanh")]), x)
keep("embedding", keras.Sequential([layers.Input((None,), dtype="int32"), layers.Embedding(7, 3), layers.LSTM(4, return_sequences=True), layers.Dense(7)]), tokens)
keep("both", keras.Sequential([layers.Input((6, 3)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(2)]), x, True)
start = layers.Input((None, 3))
y = layers.BatchNormalization()(layers.LSTM(4, return_sequences=True)(layers.BatchNormalization()(start)))
keep("functional", keras.Model(start, layers.Dense(2)(y)), x)
start = layers.Input((None, 3))
y = layers.LSTM(3, return_sequences=True)(start)
keep("skip", keras.Model(start, layers.Dense(1)(layers.Add()([start, y]))), x)
start = [layers.Input((None, 3)), layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"), layers.BatchNormalization()]
keep("conv", keras.Sequential(start + [layers.Conv1D(4, 1, groups=2), layers.Conv1D(4, 2, padding="causal", use_bias=False), layers.BatchNormalization(), layers.Activation("tanh"), layers.LSTM(4, return_sequences=True), layers.Dense(2)]), x)
keep("valid", keras.Sequential([layers.Input((None, 3)), layers.Conv1D(2, 3), layers.LSTM(2), layers.Dense(1)]), x, True)

for number in range(3):
    width = int(np.random.choice([1, 2, 4]))
    x = np.random.normal(size=(9, width)).astype("float32")
    stack = [layers.Input((None, width))]
    for _ in range(np.random.randint(1, 4)):
        groups = int(np.random.choice([g for g in [1, 2, 4] if width % g == 0]))
        width = groups * np.random.randint(1, 4)
        kernel, dilation = np.random.randint(1, 5), np.random.randint(1, 4)
        activation = str(np.random.choice(["linear", "relu", "tanh", "sigmoid"]))
        stack.append(layers.Conv1D(width, kernel, padding="causal", dilation_rate=dilation, groups=groups, activation=activation))
    cell = [layers.SimpleRNN, layers.LSTM, layers.GRU][np.random.randint(3)]
    keep(f"random_conv_{number}", keras.Sequential(stack + [cell(3, return_sequences=True), layers.Dense(2)]), x)

x = np.random.normal(size=(24, 3)).astype("float32")
start = [layers.Input((24, 3)), layers.Conv1D(6, 3, activation="relu"), layers.MaxPooling1D(2), layers.Conv1D(4, 2, strides=2)]
keep("pooled", keras.Sequential(start + [layers.BatchNormalization(), layers.AveragePooling1D(2, 1), layers.LSTM(4), layers.Dense(2)]), x, True)
start = [layers.Input((None, 3)), layers.AveragePooling1D(2), layers.Conv1D(4, 2), layers.BatchNormalization()]
keep("pooled_stream", keras.Sequential(start + [layers.MaxPooling1D(3, 2), layers.Activation("tanh"), layers.GRU(4, return_sequences=True), layers.Dense(2)]), x, first=7)
for name, cell in [("lstm_relu", layers.LSTM), ("gru_relu", layers.GRU)]:
    keep(name, keras.Sequential([layers.Input((None, 3)), cell(5, activation="relu", return_sequences=True), cell(4, activation="relu"), layers.Dense(2)]), x[:8])
bent = [layers.Conv1D(6, 3, padding="causal", activation="leaky_relu"), layers.LSTM(4, return_sequences=True), layers.LeakyReLU(0.1)]
keep("bent", keras.Sequential([layers.Input((None, 3)), *bent, layers.Dense(5), layers.ReLU(negative_slope=0.4), layers.Dense(2)]), x[:8])
hard = {"recurrent_activation": "hard_sigmoid", "return_sequences": True}
head = [layers.Input((None, 3))]
keep("lstm_hard", keras.Sequential(head + [layers.LSTM(5, **hard), layers.LSTM(4, **hard), layers.Dense(2)]), x[:8])
keep("gru_hard", keras.Sequential(head + [layers.GRU(5, **hard), layers.GRU(4, reset_after=False, **hard), layers.Dense(2)]), x[:8])
# Before version 3 a hard sigmoid was another function, and all the rest of these layers in these files as it is now.
hard["recurrent_activation"] = lambda z: keras.ops.clip(0.2 * z + 0.5, 0, 1)
keep("keras_2", keras.Sequential(head + [layers.LSTM(5, **hard), layers.GRU(4, **hard), layers.Dense(2)]), x[:8])
path = os.path.join(folder, "keras_2.keras")
with zipfile.ZipFile(path) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
config = json.loads(files["config.json"])
for layer in config["config"]["layers"]:
    if "recurrent_activation" in layer["config"]:
        layer["config"]["recurrent_activation"] = "hard_sigmoid"
files["config.json"] = json.dumps(config).encode()
files["metadata.json"] = json.dumps(json.loads(files["metadata.json"]) | {"keras_version": "2.15.0"}).encode()
with zipfile.ZipFile(path, "w") as archive:
    for name, data in files.items():
        archive.writestr(name, data)
packed(path)
adapted = layers.Normalization()
adapted.adapt(np.random.normal(3, [1, 10, 0.1], size=(50, 3)).astype("float32"))
keep("adapted", keras.Sequential([layers.Input((None, 3)), adapted, layers.GRU(5, return_sequences=True), layers.Dense(2)]), x)
given = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 0.25])
keep("given", keras.Sequential([layers.Input((None, 3)), given, layers.LSTM(4), layers.Dense(1)]), x)

x = x[:7]
start = layers.Input((None, 3))
y = layers.LSTM(4, return_sequences=True)(start)
keep("get_item", keras.Model(start, layers.Dense(2)(layers.Concatenate()([y[:, -1, :], layers.GRU(3)(y)]))), x)
body = keras.Sequential([layers.Input((None, 3)), layers.Dense(3, "tanh"), layers.LSTM(4, return_sequences=True)], name="body")
start = layers.Input((None, 4))
tail = keras.Model(start, layers.GRU(3, return_sequences=True)(start), name="tail")
keep("nested", keras.Sequential([layers.Input((None, 3)), keras.Sequential([layers.Input((None, 3)), body, tail]), layers.Dense(2)]), x)
same = [layers.Reshape((-1, 3)), layers.LSTM(4), layers.Flatten(), layers.Reshape((4,)), layers.Dense(2)]
keep("same_shape", keras.Sequential(head + same), x)
keep("flattened", keras.Sequential([layers.Input((7, 3)), layers.LSTM(2, return_sequences=True), layers.Flatten(), layers.Dense(2)]), x, True)
ends = [layers.Dense(4, "relu6"), layers.LSTM(4, return_sequences=True), layers.Dense(3, "hard_tanh"), layers.ReLU(max_value=0.5)]
keep("ends", keras.Sequential(head + ends + [layers.Dense(2, "hard_sigmoid")]), x)
start = layers.Input((None, 3))
branches = [layers.GRU(4, return_sequences=True)(start), layers.LSTM(4, return_sequences=True)(start)]
keep("branches", keras.Model(start, layers.Dense(2)(layers.Subtract()(branches))), x)
for activation in ["silu", "elu", "gelu"]:
    keep(activation, keras.Sequential(head + [layers.Dense(3, activation), layers.LSTM(4), layers.Dense(2)]), x)
# Channels by themselves, and zeros in front of samples as a layer of their own.
apart = [layers.ZeroPadding1D((2, 0)), layers.DepthwiseConv1D(3, depth_multiplier=2, activation="relu")]
apart += [layers.ZeroPadding1D((1, 0)), layers.SeparableConv1D(4, 2, activation="tanh")]
mean = [layers.GRU(4, return_sequences=True), layers.TimeDistributed(layers.BatchNormalization()), layers.Dense(2)]
keep("channels", keras.Sequential(head + apart + mean), x)
# Numbers far from zero, normalised in the network, and answers in their own units.
far = np.round(np.random.normal([101325, 20, 0.5], [5, 3, 0.1], size=(8, 3)), 1).astype("float32")
given = layers.Normalization(mean=[101325.0, 20.0, 0.5], variance=[25.0, 9.0, 0.01])
back = layers.Normalization(mean=[7.0, -3.0], variance=[4.0, 0.25], invert=True)
start = layers.Input((None, 3))
y = given(start)
y = layers.Concatenate()([layers.GRU(4, return_sequences=True)(y), y])
keep("far", keras.Model(start, back(layers.Dense(2)(y))), far)
stretched = layers.Rescaling(scale=[2.0, 3.0, 0.5], offset=[1.0, 0.0, -2.0])
start = layers.Input((None, 3))
y = stretched(start)
y = layers.Average()([layers.GRU(3, return_sequences=True)(y), layers.LSTM(3, return_sequences=True)(y)])
keep("rescaled", keras.Model(start, layers.Dense(2)(y)), x)

# Numbers, layers as functions, models for every sample, and states that nobody takes.
start = layers.Input((None, 3))
y, _, _ = layers.LSTM(4, return_sequences=True, return_state=True)(start)
each = keras.Sequential([layers.Input((4,)), layers.Dense(4, activation=layers.LeakyReLU(0.3)), layers.Dense(3)])
y = layers.TimeDistributed(layers.LeakyReLU(0.1))(layers.TimeDistributed(each)(y))
keep("functions", keras.Model(start, 1.5 - (layers.Dense(2)(y) * 2.0 - 1.0) / 4.0), x)
bent = layers.PReLU(alpha_initializer=keras.initializers.RandomUniform(-0.5, 1.5), shared_axes=[1])
keep("slopes", keras.Sequential(head + [layers.Dense(4), bent, layers.GRU(4), layers.Dense(2)]), x)
keep("one_by_one", keras.Sequential([layers.Input((7,)), layers.Reshape((7, 1)), layers.GRU(3), layers.Dense(2)]), x[:, 0], True)
start = layers.Input((None, 3))
state = layers.LSTM(3, return_state=True)(start)[2]
others = {
    "state": layers.Dense(2)(state),
    "turned": layers.GRU(2)(layers.Dense(3)(start)[:, ::-1]),
    "mixed": layers.GRU(2, dtype="mixed_bfloat16")(start),
}
for name, y in others.items():
    path = os.path.join(folder, name + ".keras")
    keras.Model(start, y).save(path)
    packed(path)

# Before version 3.6 nothing in a file said which layer weights are of, but the places of layers.
named = [layers.LSTM(4, return_sequences=True, name="lstm_1"), layers.LSTM(4, return_sequences=True, name="lstm")]
body = keras.Sequential([layers.Input((None, 4)), layers.Dense(4, "tanh", name="b"), layers.Dense(4, name="a")], name="own")
keep("places", keras.Sequential(head + named + [body, layers.Dense(4, "relu", name="c"), layers.Dense(2)]), x)
path = os.path.join(folder, "places.keras")
with zipfile.ZipFile(path) as archive:
    files = {name: archive.read(name) for name in archive.namelist()}
weights = io.BytesIO(files["model.weights.h5"])
with h5py.File(weights, "r+") as file:
    file.attrs.pop("name", None)
    file.visititems(lambda _, entry: entry.attrs.pop("name", None) and None)
files["model.weights.h5"] = weights.getvalue()
files["metadata.json"] = json.dumps(json.loads(files["metadata.json"]) | {"keras_version": "3.5.0"}).encode()
with zipfile.ZipFile(path, "w") as archive:
    for name, data in files.items():
        archive.writestr(name, data)
packed(path)

# A model with a layer of its own name, and an answer for several steps.
body = keras.Sequential([layers.Input((None, 3)), layers.Dense(3, "tanh", name="first"), layers.Dense(3, name="second")], name="second")
keep("own_name", keras.Sequential(head + [body, layers.LSTM(4, return_sequences=True), layers.Dense(2)]), x)
steps = keras.Sequential([layers.Input((6, 3)), layers.GRU(4), layers.Dense(6), layers.Reshape((3, 2))])
keep("rows", steps, x, True)
cases["rows"]["y"] = rows(np.asarray(steps(x[None])).reshape(1, -1))

# Two answers, of which one is taken, functions of keras.ops, cells in one layer, and a layer of one's own with the name of another.
start = layers.Input((None, 3))
y = layers.GRU(4, return_sequences=True)(keras.ops.tanh(start))
net = keras.Model(start, [layers.Dense(1, name="p")(y), layers.Dense(2, name="q")(y)])
spread(net)
net.save(os.path.join(folder, "two.keras"))
packed(os.path.join(folder, "two.keras"))
cases["two"] = {"x": rows(x), "y": rows(np.asarray(net(x[None])[1])[0])}


class Dense(layers.Dense):
    def call(self, inputs):
        return super().call(inputs) * 2


others = {
    "own_class": [layers.GRU(4), Dense(2)],
    "own_class_inside": [layers.GRU(4, return_sequences=True), layers.TimeDistributed(Dense(2))],
    "cells": [layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4)])],
    "lambda": [layers.GRU(4), layers.Lambda(abs)],
}
for name, made in others.items():
    path = os.path.join(folder, name + ".keras")
    keras.Sequential([layers.Input((None, 3)), *made]).save(path)
    packed(path)

# All samples of a sequence together, and directions that are added up.
pool = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}
each = {"return_sequences": True}
for how, of in pool.items():
    length = None if how == "max" else 7
    keep(f"{how}_of_all", keras.Sequential([layers.Input((length, 3)), layers.LSTM(4, **each), of(), layers.Dense(2)]), x, how == "mean")
    keep(f"{how}_of_both", keras.Sequential([layers.Input((7, 3)), layers.Bidirectional(layers.GRU(4, **each)), of(), layers.Dense(2)]), x, True)
convs = [layers.Conv1D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Conv1D(5, 2, strides=2, activation="relu"), layers.BatchNormalization()]
keep("mean_of_convs", keras.Sequential([layers.Input((7, 3)), *convs, pool["mean"](), layers.Dense(2, "softmax")]), x, True)
for mode in ["sum", "ave"]:
    keep(f"both_{mode}", keras.Sequential([layers.Input((7, 3)), layers.Bidirectional(layers.LSTM(4), merge_mode=mode), layers.Dense(2)]), x, True)
stack = [layers.Bidirectional(layers.LSTM(4, **each), merge_mode="sum"), layers.Bidirectional(layers.GRU(3, **each), merge_mode="ave"), pool["mean"]()]
keep("both_added", keras.Sequential([layers.Input((7, 3)), *stack]), x, True)
# Layers that are called twice, and one whose second answer is the model's; what a stream has nothing for.
start = layers.Input((None, 3))
shared, twice = layers.Dense(3, "tanh"), layers.GRU(3, **each)
y = layers.Subtract()([twice(shared(twice(start))), start])
keep("shared", keras.Model(start, shared(y)), x)
others = {
    "masked": [layers.Input((7, 3)), layers.Masking(), layers.LSTM(4)],
    "mask_zero": [layers.Input((7,)), layers.Embedding(7, 3, mask_zero=True), layers.LSTM(4)],
    "repeated": [layers.Input((7, 3)), layers.LSTM(4), layers.RepeatVector(7), layers.LSTM(4, **each)],
}
for name, made in others.items():
    keras.Sequential(made).save(os.path.join(folder, name + ".keras"))
    packed(os.path.join(folder, name + ".keras"))
product = keras.Sequential([layers.Input((7, 3)), layers.Bidirectional(layers.LSTM(4), merge_mode="mul")])
product.save(os.path.join(folder, "both_mul.keras"))
packed(os.path.join(folder, "both_mul.keras"))

with open(os.path.join(here, "keras.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
