"""An LSTM with `input_forget`, as ONNX Runtime computes it: `python -P coupled.py` (numpy, onnx, onnxruntime)."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save_model

HERE = Path(__file__).parent
INPUTS, HIDDEN, SAMPLES = 2, 3, 12

rng = np.random.default_rng(7)
weights = {
    "W": rng.normal(size=(1, 4 * HIDDEN, INPUTS)),
    "R": rng.normal(size=(1, 4 * HIDDEN, HIDDEN)),
    "B": rng.normal(size=(1, 8 * HIDDEN)),
}
node = helper.make_node("LSTM", ["x", *weights], ["y"], hidden_size=HIDDEN, input_forget=1)
graph = helper.make_graph(
    [node],
    "coupled",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", 1, INPUTS])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["time", 1, 1, HIDDEN])],
    [numpy_helper.from_array(value.astype("f4"), name) for name, value in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
path = HERE / "onnx" / "coupled.onnx"
save_model(model, path)

x = rng.normal(size=(SAMPLES, 1, INPUTS)).astype("f4")
(y,) = onnxruntime.InferenceSession(path).run(None, {"x": x})
short = lambda rows: [[float(f"{v:.7g}") for v in row] for row in rows.reshape(SAMPLES, -1)]
(HERE / "coupled.json").write_text(json.dumps({"coupled": {"x": short(x), "y": short(y)}}) + "\n")
