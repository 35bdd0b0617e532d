"""Writes onnx/causal_*.onnx, onnx/spectral_*.onnx and convolution.json: convolutions over time and within a frame before
recurrent layers, exported by PyTorch, with inputs and the outputs that PyTorch gives for them.

    pip install torch onnx onnxscript numpy
    python convolution.py
"""

import json
import os
import sys
import warnings

here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.append(os.path.join(here, "shared"))
import torch
from goldens import rows, slim
from torch import nn
from torch.nn.functional import pad

warnings.filterwarnings("ignore")
torch.manual_seed(6)
cases = {}


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 6, 3, dilation=2), nn.Conv1d(6, 4, 2, groups=2)
        self.rnn, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x):
        x = torch.tanh(self.first(pad(x.transpose(1, 2), (4, 0))))
        x = torch.relu(self.second(pad(x, (1, 0))))
        return self.head(self.rnn(x.transpose(1, 2))[0])


class Spectral(nn.Module):
    """Of every frame a spectrum, as Silero VAD makes it."""

    def __init__(self):
        super().__init__()
        self.basis, self.conv = nn.Conv1d(1, 10, 8, stride=4, bias=False), nn.Conv1d(5, 6, 3, stride=3, padding=1)
        self.rnn, self.head = nn.LSTM(6, 5), nn.Linear(5, 1)

    def forward(self, x):
        z = self.basis(pad(x.unsqueeze(1), (4, 4), mode="reflect"))[:, :, 1:]
        x = torch.sqrt(z[:, :5] ** 2 + z[:, 5:] ** 2)
        x = torch.relu(self.conv(x)).transpose(1, 2)
        return torch.sigmoid(self.head(self.rnn(x)[0]))


def export(name, net, x, time, dynamo):
    path = os.path.join(here, "onnx", name + ".onnx")
    net.eval()
    options = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    if dynamo:
        torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, dynamic_shapes=({time: "time"},), **options)
    else:
        torch.onnx.export(net, (x,), path, dynamo=False, dynamic_axes={"x": {time: "time"}}, **options)
    slim(path)
    with torch.no_grad():
        y = net(x)
    cases[name] = {"x": rows(x.reshape(-1, x.shape[-1])), "y": rows(y.reshape(-1, y.shape[-1]))}


causal, frames = Causal(), torch.randn(7, 12)
export("causal_script", causal, torch.randn(1, 9, 3), 1, False)
export("causal_dynamo", causal, torch.randn(1, 9, 3), 1, True)
export("spectral_script", Spectral(), frames, 0, False)

with open(os.path.join(here, "convolution.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
