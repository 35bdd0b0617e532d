"""Writes each layer in a folder as an ONNX model of one step with its state as inputs and outputs: f32, and for the LSTM
dynamically quantized (ONNX Runtime has no quantized GRU or RNN)."""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
# ONNX stacks LSTM gates i, o, f, g and GRU gates z, r, n.
ORDER = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "rnn": [0]}


def load(path):
    """Cell, widths and weights in PyTorch's order, and the samples."""
    cell, shape = path.stem.split("-")
    inputs, hidden = map(int, shape.split("x"))
    values = np.fromfile(path, "<f4")
    rows = GATES[cell] * hidden
    ends = np.cumsum([rows * inputs, rows * hidden, rows, rows])
    w_ih, w_hh, b_ih, b_hh, x = np.split(values, ends)
    return cell, inputs, hidden, (w_ih.reshape(rows, inputs), w_hh.reshape(rows, hidden), b_ih, b_hh), x.reshape(-1, inputs)


def model(cell, inputs, hidden, weights):
    def reorder(tensor):
        gates = np.split(tensor, GATES[cell])
        return np.concatenate([gates[g] for g in ORDER[cell]])

    w, r, b_ih, b_hh = map(reorder, weights)
    constants = {"w": w[None], "r": r[None], "b": np.concatenate([b_ih, b_hh])[None]}
    states = ["h", "c"] if cell == "lstm" else ["h"]
    attributes = {"linear_before_reset": 1} if cell == "gru" else {}
    node = helper.make_node(
        cell.upper(),
        ["x", "w", "r", "b", "", *states],
        ["", *(s + "_next" for s in states)],
        hidden_size=hidden,
        **attributes,
    )
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, width])
    graph = helper.make_graph(
        [node],
        "step",
        [value("x", inputs), *(value(s, hidden) for s in states)],
        [value(s + "_next", hidden) for s in states],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.f32")):
        cell, inputs, hidden, weights, _ = load(path)
        float_model = path.with_suffix(".onnx")
        onnx.save(model(cell, inputs, hidden, weights), float_model)
        if cell == "lstm":
            quantize_dynamic(float_model, path.with_suffix(".int8.onnx"), op_types_to_quantize=["LSTM"],
                             weight_type=QuantType.QInt8, per_channel=True)


main()
