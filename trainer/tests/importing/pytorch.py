"""Writes pytorch/*: state dicts in every container and form that is read, and pytorch.json with what their networks give.

    pip install torch numpy
    python pytorch.py [FOLDER]
"""

import json
import os
import sys

import numpy as np
import torch
from torch import nn

torch.manual_seed(7)
here = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "pytorch")
os.makedirs(folder, exist_ok=True)
cases = {}


def rows(a):
    return [[float(f"{v:.7g}") for v in row] for row in np.asarray(a, dtype=np.float64)]


def keep(name, x, y):
    cases[name] = {"x": rows(x), "y": rows(y)}


class Net(nn.Module):
    def __init__(self, rnn, width=4):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def path(name):
    return os.path.join(folder, name)


x = torch.randn(6, 3)
with torch.no_grad():
    gru = Net(nn.GRU(3, 4))
    y = gru(x)
    torch.save(gru.state_dict(), path("zip.pt"))
    torch.save(gru.state_dict(), path("pickle.pth"), _use_new_zipfile_serialization=False)
    np.savez(path("arrays.npz"), **{k: v.numpy() for k, v in gru.state_dict().items()})
    np.savez_compressed(path("packed.npz"), **{k: np.asfortranarray(v.numpy()) for k, v in gru.state_dict().items()})
    with open(path("lists.json"), "w") as file:
        json.dump({k: rows(v) if v.dim() == 2 else rows(v[None])[0] for k, v in gru.state_dict().items()}, file)
    for name in ["zip", "pickle", "arrays", "packed", "lists"]:
        keep(name, x, y)

    # What Lightning, DataParallel and compile put before the names; beside it an optimizer that has been used.
    wrapped = {f"model._orig_mod.module.{k}": v for k, v in gru.state_dict().items()}
    optimizer = torch.optim.Adam(gru.parameters())
state = {}
gru(x).sum().backward()
for p in gru.parameters():
    p.grad.zero_()
optimizer.step()
with torch.no_grad():
    average = Net(nn.GRU(3, 4))
    checkpoint = {"epoch": 3, "state_dict": wrapped, "optimizer_states": [optimizer.state_dict()], "hparams": {"lr": 1e-3}}
    torch.save(checkpoint, path("lightning.ckpt"))
    keep("lightning", x, y)
    torch.save({"model": gru.state_dict(), "ema": average.state_dict()}, path("copies.pt"))
    keep("copies", x, average(x))

    lstm = Net(nn.LSTM(3, 5, proj_size=4))
    torch.save(lstm.state_dict(), path("projected.pt"))
    keep("projected", x, lstm(x))

    normed = Net(nn.utils.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"))
    normed.rnn.weight_hh_l0_g.mul_(1.3)
    torch.save(normed.state_dict(), path("weight_norm_old.pt"))
    normed(x)
    keep("weight_norm_old", x, normed(x))
    normed = Net(nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"))
    normed.rnn.parametrizations.weight_hh_l0.original0.mul_(0.7)
    torch.save(normed.state_dict(), path("weight_norm_new.pt"))
    keep("weight_norm_new", x, normed(x))

    cell, h = nn.GRUCell(3, 4), torch.zeros(4)
    head, found = nn.Linear(4, 2), []
    for sample in x:
        h = cell(sample, h)
        found.append(head(h))
    torch.save({**{f"cell.{k}": v for k, v in cell.state_dict().items()}, **{f"head.{k}": v for k, v in head.state_dict().items()}}, path("cell.pt"))
    keep("cell", x, torch.stack(found))

    class Convolved(nn.Module):
        """Padded on the left, with the normalisation before the activation or after it."""

        def __init__(self, after):
            super().__init__()
            self.after = after
            self.first, self.norm = nn.Conv1d(3, 6, 3, dilation=2), nn.BatchNorm1d(6)
            self.second = nn.utils.parametrizations.weight_norm(nn.Conv1d(6, 4, 2, groups=2))
            self.rnn, self.head = nn.LSTM(4, 4), nn.Linear(4, 2)
            for moment in [self.norm.running_mean, self.norm.weight, self.norm.bias]:
                moment.uniform_(-0.5, 0.5)
            self.norm.running_var.uniform_(0.5, 2)
            # Behind the activation an offset would be missing in the zeros at the edge.
            if after:
                self.norm.running_mean.zero_()
                self.norm.bias.zero_()

        def forward(self, x):
            x = self.first(nn.functional.pad(x.T[None], (4, 0)))
            x = self.norm(x.relu()) if self.after else self.norm(x).relu()
            x = self.second(nn.functional.pad(x, (1, 0))).relu()
            return self.head(self.rnn(x[0].T)[0])

    for name, after in [("conv_norm_before", False), ("conv_norm_after", True)]:
        convolved = Convolved(after).eval()
        torch.save(convolved.state_dict(), path(name + ".pt"))
        keep(name, x, convolved(x))

    class Normed(nn.Module):
        """A normalisation over batches between the cells and behind them, and a number that only training has."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.GRU(3, 4), nn.LSTM(4, 5)
            self.inner, self.outer, self.head = nn.BatchNorm1d(4), nn.BatchNorm1d(5), nn.Linear(5, 2)
            self.log_sigma = nn.Parameter(torch.tensor(0.5))
            for norm in [self.inner, self.outer]:
                for moment in [norm.running_mean, norm.weight, norm.bias]:
                    moment.uniform_(-0.5, 0.5)
                norm.running_var.uniform_(0.5, 2)

        def forward(self, x):
            return self.head(self.outer(self.second(self.inner(self.first(x)[0]))[0]))

    normed = Normed().eval()
    torch.save(normed.state_dict(), path("norm_behind_cells.pt"))
    keep("norm_behind_cells", x, normed(x))

with open(os.path.join(here, "pytorch.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
