"""Writes onnx/head_*.onnx, onnx/outside.onnx with outside.data, and heads.json: what stands behind recurrent modules of PyTorch. Last states side by side, shapes
that change nothing, activations that end, differences and branches, with inputs and the outputs that PyTorch gives.

    pip install torch onnx onnxscript numpy
    python heads.py [FOLDER]
"""

import json
import os
import sys
import warnings

here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.append(os.path.join(here, "shared"))
import onnx
import torch
from goldens import rows, slim
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(11)
here = sys.argv[1] if len(sys.argv) > 1 else here
folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
cases = {}


class Net(nn.Module):
    """Modules, and a function of them and the samples."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.function = forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def export(name, net, x, window=False, how="script"):
    net = net.eval()
    path = os.path.join(folder, f"head_{name}.onnx")
    # Of a window the length is fixed.
    time = None if window else {"x": {1: "time"}}
    options = {"dynamic_shapes": {"x": {1: torch.export.Dim("time")}} if time else None} if how == "dynamo" else {"dynamic_axes": time}
    arguments = {"input_names": ["x"], "output_names": ["y"], "opset_version": 18 if how == "dynamo" else 17}
    options |= {"external_data": False} if how == "dynamo" else {}
    torch.onnx.export(net, (x,), path, dynamo=how == "dynamo", **arguments, **{k: v for k, v in options.items() if v is not None})
    slim(path)


def keep(name, net, x, every=True, window=False, how="script"):
    export(name, net, x, window, how)
    with torch.no_grad():
        if every:
            y = net(x).reshape(x.shape[1], -1)
        else:
            y = torch.stack([net(x[:, :t]).reshape(-1) for t in ([x.shape[1]] if window else range(1, x.shape[1] + 1))])
    cases[f"head_{name}"] = {"x": rows(x[0]), "y": rows(y)}


x = torch.randn(1, 7, 3)
torch_cat = lambda *parts: torch.cat(parts, -1)
last = {"every": False}
for how in ["script", "dynamo"]:
    end = "" if how == "script" else "_dynamo"
    two = {"rnn": nn.LSTM(3, 4, 2, batch_first=True), "head": nn.Linear(8, 2)}
    states = lambda n, x: n.rnn(x)[1][0]
    keep(f"two{end}", Net(lambda n, x: (lambda h: n.head(torch.cat([h[-2], h[-1]], 1)))(states(n, x)), **two), x, **last, how=how)
    both = {"rnn": nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True), "head": nn.Linear(4, 2)}
    keep(f"both_two{end}", Net(lambda n, x: (lambda h: n.head(torch.cat([h[-2], h[-1]], 1)))(states(n, x)), **both), x, **last, window=True, how=how)
    one = {"rnn": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(8, 2)}
    keep(f"output_and_state{end}", Net(lambda n, x: (lambda y, h: n.head(torch.cat([y[:, -1, :], h[-1]], 1)))(*n.rnn(x)), **one), x, **last, how=how)
    step = {"rnn": nn.GRU(3, 4, batch_first=True), "first": nn.Linear(3, 3), "head": nn.Linear(4, 1)}
    keep(f"rows{end}", Net(lambda n, x: n.head(n.rnn(n.first(x.reshape(-1, 3)).view(x.shape[0], -1, 3))[0].reshape(-1, 4)).view(x.shape[0], -1, 1), **step), x, how=how)

gru2 = {"rnn": nn.GRU(3, 4, 2, batch_first=True), "head": nn.Linear(8, 2)}
keep("stacked", Net(lambda n, x: n.head(n.rnn(x)[1].transpose(0, 1).reshape(1, -1)), **gru2), x, **last)
keep("states_alone", Net(lambda n, x: (lambda h: torch.cat([h[0], h[1]], 1))(n.rnn(x)[1]), **gru2), x, **last)
both = {"rnn": nn.GRU(3, 4, batch_first=True, bidirectional=True), "head": nn.Linear(8, 2)}
keep("both_turned", Net(lambda n, x: n.head(n.rnn(x)[1].transpose(0, 1).reshape(1, -1)), **both), x, **last, window=True)
cell = {"rnn": nn.LSTM(3, 4, batch_first=True), "head": nn.Linear(8, 2)}
export("memory", Net(lambda n, x: (lambda h: n.head(torch.cat([h[0][-1], h[1][-1]], 1)))(n.rnn(x)[1]), **cell), x)
both = {"rnn": nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True), "head": nn.Linear(8, 2)}
export("both_all", Net(lambda n, x: (lambda h: n.head(torch.cat([h[0], h[1], h[2], h[3]], 1)))(states(n, x)), **both), x, True)

# Shapes at the end.
single = {"rnn": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(4, 1)}
for name, shape in [
    ("squeezed", lambda y: y.squeeze(-1)),
    ("flat", lambda y: y.flatten(1)),
    ("list", lambda y: y.reshape(-1).sigmoid()),
    ("there_and_back", lambda y: y.squeeze(-1).unsqueeze(-1) * 2),
]:
    keep(name, Net(lambda n, x, shape=shape: shape(n.head(n.rnn(x)[0])), **single), x)
keep("flat_window", Net(lambda n, x: n.head(n.rnn(x)[0]).flatten(1), **single), x, window=True)
double = {"rnn": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(4, 2)}
for name, shape in [("last_flat", lambda y: y.flatten(1).softmax(-1)), ("last_step", lambda y: y.unsqueeze(1))]:
    keep(name, Net(lambda n, x, shape=shape: shape(n.head(n.rnn(x)[0][:, -1, :])), **double), x, **last)
export("fixed", Net(lambda n, x: n.head(n.rnn(x)[0]).reshape(1, 7, 2), **double), x)

# Activations of straight lines, which end.
wide = {"first": nn.Linear(3, 5), "rnn": nn.GRU(5, 4, batch_first=True), "head": nn.Linear(4, 2)}
for name, function in [
    ("relu6", lambda z: nn.functional.relu6(3 * z)),
    ("hardtanh", nn.functional.hardtanh),
    ("least", lambda z: z.clamp(min=-0.25)),
    ("most", lambda z: z.clamp(max=0.25)),
]:
    keep(name, Net(lambda n, x, function=function: function(n.head(n.rnn(function(n.first(x)))[0])), **wide), x)
for name, function in [("elu", nn.functional.elu), ("selu", nn.functional.selu)]:
    net = Net(lambda n, x, function=function: function(n.head(n.rnn(function(n.first(x)))[0])), **wide)
    (keep if name == "elu" else export)(name, net, x)

model = onnx.load(os.path.join(folder, "head_selu.onnx"))
model.producer_name = "tf2onnx"
onnx.save(model, os.path.join(folder, "head_selu.onnx"))

# Differences of an earlier and a later value, both ways.
same = {"rnn": nn.GRU(3, 3, batch_first=True), "head": nn.Linear(3, 3)}
keep("minus", Net(lambda n, x: n.head(n.rnn(x)[0] - x), **same), x)
keep("from", Net(lambda n, x: n.head(x - n.rnn(x)[0]), **same), x)
keep("minus_end", Net(lambda n, x: n.head(n.rnn(x)[0]) - x, **same), x)

# Branches that go on from one value.
pair = {"a": nn.GRU(3, 4, batch_first=True), "b": nn.LSTM(3, 5, batch_first=True), "head": nn.Linear(9, 2)}
keep("beside_last", Net(lambda n, x: n.head(torch_cat(n.a(x)[1][-1], n.b(x)[1][0][-1])), **pair), x, **last)
sum_of = {"norm": nn.BatchNorm1d(3), "a": nn.GRU(3, 4, batch_first=True), "b": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(4, 2)}
normed = Net(lambda n, x: (lambda x: n.head(n.a(x)[0] + n.b(x)[0]))(n.norm(x.transpose(1, 2)).transpose(1, 2)), **sum_of)
normed.norm.running_mean.uniform_(-0.5, 0.5)
normed.norm.running_var.uniform_(0.5, 2)
keep("sum", normed, x)
gate = {"rnn": nn.GRU(3, 4, batch_first=True), "a": nn.Linear(4, 5), "b": nn.Linear(4, 5), "head": nn.Linear(5, 2)}
keep("gate", Net(lambda n, x: (lambda h: n.head(n.a(h).tanh() * n.b(h).sigmoid()))(n.rnn(x)[0]), **gate), x)
conv = {"conv": nn.Conv1d(3, 4, 2, bias=True), "b": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(8, 2)}
padded = lambda n, x: n.conv(nn.functional.pad(x.transpose(1, 2), (1, 0))).relu().transpose(1, 2)
keep("conv_beside", Net(lambda n, x: n.head(torch_cat(n.b(x)[0], padded(n, x))), **conv), x)
valid = lambda n, x: n.conv(x.transpose(1, 2)).relu().transpose(1, 2)
late = {"conv": nn.Conv1d(3, 4, 2, stride=2), "a": nn.GRU(4, 4, batch_first=True), "b": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(8, 2)}
export("rates", Net(lambda n, x: n.head(torch_cat(n.a(valid(n, x))[1][-1], n.b(x)[1][-1])), **late), x)
mirrored = {"a": nn.GRU(3, 4, batch_first=True, bidirectional=True), "b": nn.GRU(3, 4, batch_first=True), "head": nn.Linear(12, 2)}
export("both_beside", Net(lambda n, x: (lambda h: n.head(torch_cat(h[0], h[1], n.b(x)[1][-1])))(n.a(x)[1]), **mirrored), x, True)
heads = {"rnn": nn.GRU(3, 4, batch_first=True), "a": nn.Linear(4, 2), "b": nn.Linear(4, 1)}
several = Net(lambda n, x: (lambda h: (n.a(h), n.b(h)))(n.rnn(x)[0]), **heads).eval()
path = os.path.join(folder, "head_several.onnx")
torch.onnx.export(several, (x,), path, dynamo=False, input_names=["x"], output_names=["a", "b"], dynamic_axes={"x": {1: "time"}}, opset_version=17)
slim(path)
with torch.no_grad():
    cases["head_several"] = {"x": rows(x[0]), "y": rows(several(x)[0][0])}

# Padding that sees what is still to come, and pools.
for name, layer in [("same", nn.Conv1d(3, 3, 3, padding="same")), ("padded_pool", nn.MaxPool1d(3, 1, padding=1))]:
    modules = {"layer": layer, "rnn": nn.GRU(3, 4, batch_first=True)}
    export(name, Net(lambda n, x: n.rnn(n.layer(x.transpose(1, 2)).transpose(1, 2))[0], **modules), x)

# A sum that goes on bare and through a function.
keep("swish", Net(lambda n, x: n.head(n.rnn(nn.functional.silu(n.first(x)))[0]), **wide), x)
ends = {"first": nn.Linear(3, 2), "rnn": nn.GRU(4, 4, batch_first=True), "head": nn.Linear(4, 2)}
keep("shared", Net(lambda n, x: (lambda z: n.head(n.rnn(torch_cat(z.clamp(-0.5, 0.5), z))[0]))(n.first(x)), **ends), x)

both = {"rnn": nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True), "head": nn.Linear(8, 2)}
export("both_stacked", Net(lambda n, x: n.head(states(n, x).transpose(0, 1).reshape(1, -1)), **both), x, True)

# Slopes below 0, a size, and convolutions over two axes.
slopes = {"conv": nn.Conv1d(3, 5, 2), "slopes": nn.PReLU(5), "rnn": nn.GRU(5, 4, batch_first=True), "head": nn.Linear(4, 2)}
bent = Net(lambda n, x: n.head(n.rnn(n.slopes(n.conv(nn.functional.pad(x.transpose(1, 2), (1, 0)))).transpose(1, 2))[0].abs()), **slopes)
with torch.no_grad():
    bent.slopes.weight.copy_(torch.tensor([-0.5, 0.0, 0.25, 1.0, 1.5]))
keep("slopes", bent, x)
flat = {"conv": nn.Conv2d(3, 5, (1, 2), dilation=(1, 2)), "rnn": nn.GRU(5, 4, batch_first=True), "head": nn.Linear(4, 2)}
over = lambda n, x: n.conv(nn.functional.pad(x.transpose(1, 2).unsqueeze(2), (2, 0)))[:, :, 0].transpose(1, 2)
keep("one_axis", Net(lambda n, x: n.head(n.rnn(over(n, x))[0]), **flat), x)
picture = {"conv": nn.Conv2d(1, 1, 3, padding=1), "rnn": nn.GRU(3, 4, batch_first=True)}
export("two_axes", Net(lambda n, x: n.rnn(n.conv(x.unsqueeze(1)).squeeze(1))[0], **picture), x)
several = {"conv": nn.Conv2d(1, 1, (1, 3)), "rnn": nn.GRU(1, 4, batch_first=True)}
export("several_rows", Net(lambda n, x: n.rnn(n.conv(x.unsqueeze(1)).squeeze(1))[0], **several), x)

# Weights in a file of their own.
model = onnx.load(os.path.join(folder, "head_squeezed.onnx"))
path = os.path.join(folder, "outside.onnx")
for old in [path, os.path.join(folder, "outside.data")]:
    if os.path.exists(old):
        os.remove(old)
onnx.save_model(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location="outside.data", size_threshold=0)

with open(os.path.join(here, "heads.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
