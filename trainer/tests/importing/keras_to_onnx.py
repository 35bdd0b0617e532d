"""Writes onnx/of_keras_*.onnx: what tf2onnx makes of networks of Keras 2, and keras_to_onnx.json with what Keras gives.

    pip install tensorflow tf_keras tf2onnx
    python keras_to_onnx.py [FOLDER]
"""

import json
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
import tf_keras
from tf_keras import layers

here = sys.argv[1] if len(sys.argv) > 1 else here
folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
random = np.random.default_rng(9)
cases = {}


def rows(a):
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


def keep(name, net, x, steps=None):
    for w in net.weights:
        low = 0.3 if "variance" in w.name else -0.7
        w.assign(random.uniform(low, 0.9, w.shape))
    path = os.path.join(folder, f"of_keras_{name}.onnx")
    shape = [None, steps, *x.shape[1:]]
    tf2onnx.convert.from_keras(net, input_signature=[tf.TensorSpec(shape, tf.float32, name="x")], opset=15, output_path=path)
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, path)
    ends = [len(x)] if steps else range(1, len(x) + 1)
    y = [np.asarray(net.predict(x[None, :t], verbose=0)).reshape(-1, net.output_shape[-1])[-1] for t in ends]
    cases[f"of_keras_{name}"] = {"x": rows(x if x.ndim == 2 else x[:, None]), "y": rows(y)}


x = random.normal(size=(12, 3)).astype("float32")
both = [layers.Input((12, 3)), layers.Bidirectional(layers.LSTM(4)), layers.Dense(2)]
keep("both", tf_keras.Sequential(both), x, 12)
conv = [layers.Input((12, 3)), layers.BatchNormalization(), layers.Conv1D(4, 3, activation="relu"), layers.MaxPooling1D(2)]
keep("conv", tf_keras.Sequential(conv + [layers.LSTM(5), layers.Dense(2, "elu")]), x, 12)
causal = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")
keep("causal", tf_keras.Sequential([layers.Input((None, 3)), causal, layers.GRU(5, return_sequences=True), layers.Dense(2, "relu6")]), x)
hard = layers.LSTM(5, recurrent_activation="hard_sigmoid")
keep("hard", tf_keras.Sequential([layers.Input((12, 3)), hard, layers.Dense(2, "hard_sigmoid")]), x, 12)
tokens = random.integers(0, 7, 12).astype("float32")
keep("tokens", tf_keras.Sequential([layers.Input((12,)), layers.Embedding(7, 4), layers.LSTM(5), layers.Dense(1, "sigmoid")]), tokens, 12)

with open(os.path.join(here, "keras_to_onnx.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
