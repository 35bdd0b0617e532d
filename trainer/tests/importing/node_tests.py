"""Writes onnx/node_*.onnx and node_tests.json: the tests of recurrent operators that the onnx package brings, with the outputs of its
reference.

    pip install onnx numpy
    python -P node_tests.py [FOLDER]
"""

import json
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
cases = {}


def rows(a):
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


for case in collect_testcases(None):
    name = case.name.removeprefix("test_")
    if not name.startswith(("lstm", "gru", "rnn", "simple_rnn")) or case.model is None:
        continue
    given, expected = case.data_sets[0]
    model = case.model
    # Weights enter the node tests as inputs; in a network they are the file's. One sequence of the batch is enough.
    entering = {i.name: np.asarray(a) for i, a in zip(model.graph.input, given)}
    layout = next((a.i for a in model.graph.node[0].attribute if a.name == "layout"), 0)
    x = entering.pop("X")
    x = x[:1] if layout else x[:, :1]
    steps = x.shape[1 - (layout == 0)]
    if name == "lstm_with_peepholes":
        # As long as the sequence itself.
        assert (entering.pop("sequence_lens") == steps).all()
        model.graph.node[0].input[4] = ""
    for entry in list(model.graph.input):
        if entry.name == "X":
            entry.type.tensor_type.shape.dim[1 if layout else 0].dim_param = "time"
            entry.type.tensor_type.shape.dim[0 if layout else 1].dim_value = 1
            continue
        model.graph.input.remove(entry)
        if entry.name in entering:
            a = entering[entry.name]
            a = a[:, :1] if entry.name.startswith("initial") else a[:1] if entry.name == "sequence_lens" else a
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(a), entry.name))
    result = dict(zip([o.name for o in model.graph.output], expected))
    y = np.asarray(result["Y"] if "Y" in result else result["Y_h"])
    if "Y" in result and y.shape[1 if not layout else 2] == 1:
        y = (y[0] if layout else y[:, :, 0]).reshape(steps, -1)
    else:
        y = np.asarray(result["Y_h"])
        y = (y[0] if layout else y[:, 0]).reshape(1, -1)
    del model.metadata_props[:]
    onnx.save(model, os.path.join(folder, f"node_{name}.onnx"))
    cases[f"node_{name}"] = {"x": rows(x.reshape(steps, -1)), "y": rows(y)}

with open(os.path.join(here, "node_tests.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
