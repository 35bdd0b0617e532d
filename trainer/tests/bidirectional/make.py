#!/usr/bin/env python3
"""Golden vectors of bidirectional networks: what PyTorch answers to whole windows.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python trainer/tests/bidirectional/make.py

writes the `.safetensors` files beside this script. Each is a PyTorch state dict, all f32, plus

    __input__   [N, T, I]  windows of samples
    __output__  [N, O]     the network's output for each: of cat(h_n[-2], h_n[-1])

and one metadata entry, `import`: the `kinglet import` flags that say what a state dict does not. Weights and samples are
f32 values; the arithmetic is f64, rounded once when it is written.
"""

import pathlib
import zlib

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
WINDOWS = 6


class Net(nn.Module):
    """Bidirectional modules one after another, and a head on the last states of either direction."""

    def __init__(self, cells, outputs):
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.head = nn.Linear(2 * cells[-1].hidden_size, outputs)

    def forward(self, x):
        for cell in self.cells:
            x, last = cell(x)
        h_n = last[0] if isinstance(last, tuple) else last
        return self.head(torch.cat([h_n[-2], h_n[-1]], dim=-1))


def golden(name, window, inputs, cells, outputs, flags=""):
    rng = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    width, modules = inputs, []
    for kind, hidden, layers in cells:
        modules.append(kind(width, hidden, layers, batch_first=True, bidirectional=True))
        width = 2 * hidden
    net = Net(modules, outputs)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, (nn.RNNBase, nn.Linear)):
                fan = part.hidden_size if isinstance(part, nn.RNNBase) else part.in_features
                for p in part.parameters():
                    p.copy_((2 * torch.rand(p.shape, generator=rng) - 1) * 2 / fan**0.5)
        x = torch.randn(WINDOWS, window, inputs, generator=rng)
        y = net.double()(x.double())
    assert y.std() > 0.1, f"{name}: outputs hardly move"
    tensors = dict(net.state_dict()) | {"__input__": x, "__output__": y}
    tensors = {key: value.to(torch.float32).contiguous().clone() for key, value in tensors.items()}
    flags = f"--window {window} --ignore __ {flags}".strip()
    save_file(tensors, HERE / f"{name}.safetensors", metadata={"import": flags})


torch.set_num_threads(1)
golden("lstm", 5, 3, [(nn.LSTM, 4, 1)], 2)
golden("lstm_stacked", 5, 3, [(nn.LSTM, 8, 1), (nn.LSTM, 5, 2)], 10)
golden("gru", 12, 5, [(nn.GRU, 9, 2)], 3)
golden("rnn", 7, 1, [(nn.RNN, 3, 1), (nn.RNN, 6, 1)], 1, "--nonlinearity tanh")
