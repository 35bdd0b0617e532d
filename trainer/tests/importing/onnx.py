"""Writes onnx/*.onnx and onnx.json: networks exported by PyTorch, with inputs and the outputs that PyTorch gives for them.

    pip install torch onnx onnxscript numpy
    python onnx.py
"""

import json
import os
import sys
import warnings

here = os.path.dirname(os.path.abspath(__file__))
# This file is called as the package is.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
sys.path.append(os.path.join(here, "shared"))
import onnx
import torch
from goldens import rows, slim
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(5)
folder = os.path.join(here, "onnx")
os.makedirs(folder, exist_ok=True)
cases = {}


def keep(name, x, y):
    cases[name] = {"x": rows(x), "y": rows(y)}


class Sequence(nn.Module):
    """A recurrent module and a head, answering at every step or after the last."""

    def __init__(self, rnn, head, last=False, embedding=None):
        super().__init__()
        self.embedding, self.rnn, self.head, self.last = embedding, rnn, head, last

    def forward(self, x):
        if self.embedding is not None:
            x = self.embedding(x)
        y, _ = self.rnn(x)
        return self.head(y[:, -1] if self.last else y)


class Ends(nn.Module):
    """A bidirectional module of which both ends are used."""

    def __init__(self, rnn, head):
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.head(torch.cat([h[-2], h[-1]], 1))


class Stream(nn.Module):
    """A sample and states in, an answer and states out."""

    def __init__(self, rnn, head):
        super().__init__()
        self.rnn, self.head = rnn, head

    def forward(self, x, *state):
        y, state = self.rnn(x, state if len(state) == 2 else state[0])
        return (torch.sigmoid(self.head(y)), *(state if isinstance(state, tuple) else (state,)))


def export(name, net, args, dynamo, names=("x",), outs=("y",), open_time=True):
    path = os.path.join(folder, name + ".onnx")
    net.eval()
    options = {"input_names": list(names), "output_names": list(outs), "verbose": False}
    if dynamo:
        shapes = ({0: "batch", 1: "time"},) if open_time else None
        torch.onnx.export(net, args, path, dynamo=True, external_data=False, dynamic_shapes=shapes, **options)
    else:
        axes = {"x": {0: "batch", 1: "time"}} if open_time else None
        torch.onnx.export(net, args, path, dynamo=False, dynamic_axes=axes, **options)
    slim(path)


def answers(net, x):
    """What a network answers after one sample, two, three ..."""
    with torch.no_grad():
        return [net(x[:, : t + 1]).reshape(-1, net.head[-1].out_features)[-1] for t in range(x.shape[1])]


def sequence(name, net, x, dynamo):
    export(name, net, (x,), dynamo)
    with torch.no_grad():
        keep(name, x[0] if x.dim() == 3 else x.T, answers(net, x))


def linear(i, o, *more):
    return nn.Sequential(*more, nn.Linear(i, o))


for dynamo in [False, True]:
    how = "dynamo" if dynamo else "script"
    x = torch.randn(1, 6, 3)
    sequence(f"lstm_{how}", Sequence(nn.LSTM(3, 5, 2, batch_first=True), linear(5, 2)), x, dynamo)
    sequence(f"gru_last_{how}", Sequence(nn.GRU(3, 4, batch_first=True), linear(4, 2, nn.Linear(4, 4), nn.ReLU()), True), x, dynamo)
    tokens = torch.randint(0, 7, (1, 6))
    sequence(f"embedding_{how}", Sequence(nn.LSTM(3, 4, batch_first=True), linear(4, 7), False, nn.Embedding(7, 3)), tokens, dynamo)
    both = Ends(nn.LSTM(3, 4, batch_first=True, bidirectional=True), linear(8, 2))
    export(f"both_{how}", both, (x,), dynamo, open_time=False)
    with torch.no_grad():
        keep(f"both_{how}", x[0], both(x))
    for kind, rnn, count in [("lstm", nn.LSTM(3, 4, 2), 2), ("gru", nn.GRU(3, 4), 1)]:
        stream = Stream(rnn, linear(4, 2))
        layers = rnn.num_layers
        start = [torch.zeros(layers, 1, 4) for _ in range(count)]
        entering, leaving = ["h", "c"][:count], ["hn", "cn"][:count]
        name = f"stream_{kind}_{how}"
        export(name, stream, (x[:, :1].transpose(0, 1), *start), dynamo, ["x", *entering], ["y", *leaving], open_time=False)
        state, found = start, []
        with torch.no_grad():
            for t in range(6):
                y, *state = stream(x[:, t : t + 1].transpose(0, 1), *state)
                found.append(y.reshape(-1))
        keep(name, x[0], found)

# The older exporter writes the tanh RNN as an operator, the newer one unrolls it.
sequence("rnn_script", Sequence(nn.RNN(3, 4, batch_first=True, nonlinearity="relu"), linear(4, 1)), torch.randn(1, 6, 3), False)


class Picked(Sequence):
    """Some of the features: added to the answer, gated by others, kept as they are, or taken by a cell of their own."""

    def forward(self, x):
        y, _ = self.rnn((x - 100.0) / 20.0 if self.last == "added" else x)
        y = self.head(y)
        if self.last == "added":
            return x[..., 1:3] + y
        if self.last == "half":
            return y + 0.5 * x[..., :2]
        if self.last == "gated":
            a, b = y.chunk(2, -1)
            return a * torch.sigmoid(b)
        return torch.cat([torch.sigmoid(y[..., :1]), y[..., 1:]], -1)


for how, outputs in [("added", 2), ("gated", 4), ("beside", 3)]:
    net = Picked(nn.GRU(3, 4, batch_first=True), linear(4, outputs), how)
    x = torch.randn(1, 6, 3)
    x = (100 + 20 * x).round() if how == "added" else x
    export(f"part_{how}", net, (x,), False)
    with torch.no_grad():
        keep(f"part_{how}", x[0], net(x)[0])

# Half of the features.
net = Picked(nn.GRU(4, 4, batch_first=True), linear(4, 2), "half")
x = torch.randn(1, 6, 4)
export("part_half", net, (x,), False)
with torch.no_grad():
    keep("part_half", x[0], net(x)[0])


# A number a sample, in a sequence without an axis for it.
class Single(Sequence):
    def forward(self, x):
        return super().forward(x.unsqueeze(-1))


net = Single(nn.GRU(1, 4, batch_first=True), linear(4, 2))
x = torch.randn(1, 6)
export("single", net, (x,), False)
with torch.no_grad():
    keep("single", x[0, :, None], net(x)[0])


class Chomped(nn.Module):
    """Convolutions padded on both sides, of which what they saw behind the samples is cut off: nearly every temporal convolutional network."""

    def __init__(self):
        super().__init__()
        normed = nn.utils.weight_norm
        self.convs = nn.ModuleList(normed(nn.Conv1d(3, 3, 3, padding=2 * d, dilation=d)) for d in [1, 2])
        self.rnn, self.head = nn.LSTM(3, 4, batch_first=True), linear(4, 5)

    def forward(self, x):
        x = x.transpose(1, 2)
        for d, conv in zip([1, 2], self.convs):
            x = torch.relu(conv(x)[:, :, : -2 * d].contiguous())
        y, _ = self.rnn(x.transpose(1, 2))
        return torch.log_softmax(self.head(y), -1)


class Rows(Sequence):
    """An answer for several steps."""

    def forward(self, x):
        return super().forward(x).view(-1, 3, 2)


class Piece(nn.Module):
    """Pieces of a stream, with an answer after each."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 4, batch_first=True), linear(4, 2)

    def forward(self, x, h):
        y, h = self.rnn(x, h)
        return self.head(y[:, -1]), h


for dynamo in [False, True]:
    how = "dynamo" if dynamo else "script"
    net, x = Chomped().eval(), torch.randn(1, 8, 3)
    export(f"chomped_{how}", net, (x,), dynamo)
    with torch.no_grad():
        keep(f"chomped_{how}", x[0], net(x)[0].exp())
    net, x = Rows(nn.GRU(3, 4, batch_first=True), linear(4, 6), last=True), torch.randn(1, 6, 3)
    export(f"rows_{how}", net, (x,), dynamo, open_time=False)
    with torch.no_grad():
        keep(f"rows_{how}", x[0], net(x).reshape(1, -1))
net, x, h = Piece(), torch.randn(1, 8, 3), torch.zeros(1, 1, 4)
export("piece", net, (x, h), False, ["x", "h"], ["y", "h_next"], open_time=False)
with torch.no_grad():
    keep("piece", x[0], net(x, h)[0])


class Latest(Sequence):
    """The last sample, however it is taken."""

    def forward(self, x):
        y, _ = self.rnn(x)
        if self.last == "unbind":
            return self.head(y.unbind(1)[-1])
        if self.last == "chunk":
            return self.head(y.chunk(6, 1)[-1].squeeze(1))
        return self.head(y.contiguous().view(-1, 4)[-1:])


for how in ["unbind", "chunk", "view"]:
    for dynamo in [False, True]:
        name = f"latest_{how}_{'dynamo' if dynamo else 'script'}"
        net, x = Latest(nn.LSTM(3, 4, batch_first=True), linear(4, 2), how), torch.randn(1, 6, 3)
        export(name, net, (x,), dynamo, open_time=False)
        with torch.no_grad():
            keep(name, x[0], net(x))
# A norm that is written out as a product with lists.
head = nn.utils.spectral_norm(nn.Linear(4, 2))
sequence("normed_script", Sequence(nn.LSTM(3, 4, batch_first=True), nn.Sequential(head)), torch.randn(1, 6, 3), False)


class Form(nn.Module):
    """What `form` does with samples, or with a state beside them."""

    def __init__(self, form, **parts):
        super().__init__()
        self.form, self.rnn, self.head = form, nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)
        for part, made in parts.items():
            setattr(self, part, made)

    def forward(self, *x):
        return self.form(self, *x)


def form(name, made, x, y=None, dynamo=False, names=(), **parts):
    """Files whose axes have these names, or all a length; with answers, if there are any."""
    net = Form(made, **parts).eval()
    path = os.path.join(folder, f"form_{name}.onnx")
    options = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    if dynamo:
        torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, **options)
    else:
        torch.onnx.export(net, (x,), path, dynamo=False, dynamic_axes={"x": dict(enumerate(names))} if names else None, **options)
    slim(path)
    if y is not None:
        with torch.no_grad():
            keep(f"form_{name}", x[0], y(net(x)))


def begun(tensor, how):
    """From a state of the file, for each sequence of a batch."""
    spread = {"expand": lambda h, n: h.expand(-1, n, -1).contiguous(), "repeat": lambda h, n: h.repeat(1, n, 1)}[how]
    return {"made": lambda m, x: m.head(m.rnn(x, (spread(m.h, len(x)),) * 2)[0]), "h": nn.Parameter(tensor)}


class Residual(nn.Module):
    """A block of a temporal convolutional network, with its activation behind the sum."""

    def __init__(self):
        super().__init__()
        self.conv, self.down = nn.Conv1d(3, 4, 3, padding=2), nn.Conv1d(3, 4, 1)

    def forward(self, x):
        x = x.transpose(1, 2)
        return torch.relu(self.down(x) + torch.relu(self.conv(x)[:, :, :-2])).transpose(1, 2)


named, x = ("batch", "time"), torch.randn(1, 6, 3)
each, last = (lambda y: y[0]), (lambda y: y)
# Axes by their names, and what shows that a reading of them is wrong.
form("along_batch", lambda m, x: m.head(m.rnn(x)[0]), x, names=("batch_size", "seq_len"), rnn=nn.LSTM(3, 4))
form("last_of_batch", lambda m, x: m.head(m.rnn(x)[0][:, -1]), torch.randn(8, 6, 3), rnn=nn.LSTM(3, 4))
form("first_sample", lambda m, x: x[:, 0, :2] + m.head(m.rnn(x)[0][:, -1]), x, names=("b",))
form("turned_around", lambda m, x: m.head(m.rnn(x.flip(1))[0]), x, names=named)
form("one_step", lambda m, x: m.head(m.rnn(x.unsqueeze(1))[0][:, -1]), x[:, 0], names=("b",))
form("tail", lambda m, x: m.head(m.rnn(x[:, -3:])[0]), x, names=("b",))
form("same_pool", lambda m, x: m.head(m.rnn(m.conv(x.transpose(1, 2)).transpose(1, 2))[0]), x, names=named, conv=nn.Sequential(nn.Conv1d(3, 3, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2)))
form("category", lambda m, x: m.head(m.rnn(torch.cat([x[:, :, :1], m.table(x[:, :, 1].long())], -1))[0]), x.abs(), names=named, table=nn.Embedding(5, 2))
form("no_cell", lambda m, x: m.head(m.conv(x.transpose(1, 2)).transpose(1, 2)), x, names=named, conv=nn.Conv1d(3, 4, 1))
form("rows_turned", lambda m, x: m.wide(m.rnn(x)[0][:, -1]).view(-1, 3, 2).transpose(1, 2), x, names=("b",), wide=nn.Linear(4, 6))
form("lists", lambda m, x: m.head(m.rnn(x[:, :, [2, 0, 1]])[0]), x, dynamo=True)
form("narrow", lambda m, x: m.head(m.rnn(x)[0]), x, dynamo=True, rnn=nn.LSTM(3, 6, 2, proj_size=4, batch_first=True))
form("expand_learnt", x=x, names=named, **begun(torch.randn(1, 1, 4), "expand"))
for how in ["expand", "repeat"]:
    form(how, x=x, y=each, names=named, **begun(torch.zeros(1, 1, 4), how))
form("square", lambda m, x: m.head(m.rnn(x)[0] ** 2), x, each, dynamo=True)
form("residual", lambda m, x: m.head(m.rnn(m.block(x))[0]), x, each, names=named, block=Residual(), rnn=nn.LSTM(4, 4, batch_first=True))
# All samples together, and directions that are added up.
wide, both = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.GRU(4, 3, batch_first=True, bidirectional=True)
for dynamo in [False, True]:
    how = "_dynamo" if dynamo else ""
    form("mean" + how, lambda m, x: m.head(m.rnn(x)[0].mean(1)), x, last, dynamo)
    form("sum" + how, lambda m, x: m.head(m.rnn(x)[0].sum(1)), x, last, dynamo)
    form("largest" + how, lambda m, x: m.head(m.rnn(x)[0].max(1)[0]), x, last, dynamo)
    form("pooled" + how, lambda m, x: m.head(m.pool(m.rnn(x)[0].transpose(1, 2)).squeeze(-1)), x, last, dynamo, pool=nn.AdaptiveAvgPool1d(1))
    form("ends_added" + how, lambda m, x: m.head(m.rnn(x)[1][0].sum(0)), x, last, dynamo, rnn=wide)
    added = lambda m, y: m.rnn(y[..., :4] + y[..., 4:])[1]
    form("halves_added" + how, lambda m, x: m.head((lambda h: h[-2] + h[-1])(added(m, m.first(x)[0]))), x, last, dynamo, first=wide, rnn=both, head=nn.Linear(3, 2))
form("largest_so_far", lambda m, x: m.head(m.rnn(x)[0].amax(1)), x, last, names=named)
form("mean_so_far", lambda m, x: m.head(m.rnn(x)[0].mean(1)), x, names=named)
# Two states as one, and one that fades.
for name, made in {
    "joined_state": lambda m, x, hc: (lambda y, s: (m.head(y), torch.cat(s)))(*m.rnn(x, tuple(t.contiguous() for t in hc.chunk(2)))),
    "faded_state": lambda m, x, hc: (lambda y, s: (m.head(y), torch.cat(s)))(*m.rnn(x, tuple(t.contiguous() for t in (hc * 0.9).chunk(2)))),
}.items():
    net, start = Form(made), torch.zeros(2, 1, 4)
    export(f"form_{name}", net, (x[:, :1], start), False, ["x", "hc"], ["y", "hc_next"], open_time=False)
    found = []
    with torch.no_grad():
        for t in range(6):
            y, start = net(x[:, t : t + 1], start)
            found.append(y.reshape(-1))
    if name == "joined_state":
        keep(f"form_{name}", x[0], found)


def framed(form, **parts):
    """A frame of 16 numbers a sample, with the state of a cell beside it."""
    net = Form(form, rnn=nn.GRU(4, 4, batch_first=True), **parts).eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d):
            nn.init.uniform_(part.weight, 0.5, 1.5), nn.init.uniform_(part.bias), part.running_mean.uniform_()
    frames, state, found = torch.randn(6, 1, 16), torch.zeros(1, 1, 4), []
    return net, frames, state, found


turn = lambda y: y.transpose(1, 2)
made = {
    # Channels before positions, and positions before channels, of numbers that are scaled first; a cell that takes them itself.
    "channels_first": (lambda m, x, h: m.rnn(m.flat(m.norm(torch.relu(m.conv(x))).flatten(1)).unsqueeze(1), h), {"flat": nn.Linear(20, 4)}),
    "places_first": (lambda m, x, h: m.rnn(m.flat(turn(m.norm(torch.relu(m.conv(x)))).flatten(1)).unsqueeze(1), h), {"flat": nn.Linear(20, 4)}),
    "channels_cell": (lambda m, x, h: m.wide(torch.tanh(m.conv(x)).flatten(1).unsqueeze(1), h), {"wide": nn.GRU(20, 4, batch_first=True)}),
    "channels_relu": (lambda m, x, h: m.wide(torch.relu(m.conv(x).flatten(1)).unsqueeze(1), h), {"wide": nn.GRU(20, 4, batch_first=True)}),
    "one_group": (lambda m, x, h: m.rnn(m.group(m.first(x[:, 0])).unsqueeze(1), h), {"group": nn.GroupNorm(1, 4), "first": nn.Linear(16, 4)}),
}
for name, (of, parts) in made.items():
    of = lambda m, x, h, of=of: (lambda y, h: (m.head(y), h))(*of(m, x, h))
    for dynamo in [False, True]:
        conv = {"conv": nn.Conv1d(1, 4, 4, stride=3), "norm": nn.BatchNorm1d(4)}
        net, frames, state, found = framed(of, **conv, **parts)
        full = f"frame_{name}{'_dynamo' if dynamo else ''}"
        export(full, net, (frames[:1], state), dynamo, ["x", "h"], ["y", "h_next"], open_time=False)
        with torch.no_grad():
            for frame in frames:
                y, state = net(frame[None], state)
                found.append(y.reshape(-1))
        keep(full, frames[:, 0], found)
# Convolutions of one sample, with the samples before it as states: cut out again, or kept whole.
def kept(m, x, before, h):
    x = torch.cat([before, turn(x)], 2)
    y, h = m.rnn(turn(torch.relu(m.conv(x))), h)
    return m.head(y), x[:, :, 1:], h


def ring(m, x, before, second, h):
    before = torch.cat([before[:, :, 1:], x.unsqueeze(2)], 2)
    second = torch.cat([second[:, :, 1:], torch.tanh(m.conv(before))], 2)
    y, h = m.rnn(torch.relu(m.second(second)).squeeze(2).unsqueeze(1), h)
    return m.head(y[:, -1]), before, second, h


for name, of, shape, lengths in [("kept", kept, (1, 1, 3), [(3, 2)]), ("ring", ring, (1, 3), [(3, 3), (4, 5)])]:
    for dynamo in [False, True]:
        net = Form(of, conv=nn.Conv1d(3, 4, 3), second=nn.Conv1d(4, 4, 3, dilation=2), rnn=nn.GRU(4, 4, batch_first=True)).eval()
        state, found, x = [*(torch.zeros(1, *n) for n in lengths), torch.zeros(1, 1, 4)], [], torch.randn(8, *shape)
        names = [f"s{k}" for k in range(len(state))]
        full = f"conv_{name}{'_dynamo' if dynamo else ''}"
        export(full, net, (x[0], *state), dynamo, ["x", *names], ["y", *(n + "_next" for n in names)], open_time=False)
        with torch.no_grad():
            for sample in x:
                y, *state = net(sample, *state)
                found.append(y.reshape(-1))
        keep(full, x.reshape(8, 3), found)
# Channels before time, in a stream and in pieces of one.
first = lambda m, x: m.head(m.rnn(turn(torch.relu(m.conv(nn.functional.pad(m.norm(x), (2, 0))))))[0])
parts = {"conv": nn.Conv1d(3, 4, 3), "norm": nn.BatchNorm1d(3), "rnn": nn.GRU(4, 4, batch_first=True)}
x = torch.randn(1, 3, 7)
for dynamo in [False, True]:
    net = Form(first, **parts).eval()
    net.norm.running_mean.uniform_()
    options = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    options |= {"dynamo": True, "external_data": False, "dynamic_shapes": (({2: torch.export.Dim("time")},),)} if dynamo else {"dynamo": False, "dynamic_axes": {"x": {2: "time"}}}
    full = f"form_channels_first{'_dynamo' if dynamo else ''}"
    path = os.path.join(folder, full + ".onnx")
    torch.onnx.export(net, (x,), path, **options)
    slim(path)
    with torch.no_grad():
        keep(full, x[0].T, net(x)[0])
net, state, found = Form(lambda m, x, before, h: kept(m, turn(x), before, h), **parts).eval(), [torch.zeros(1, 3, 2), torch.zeros(1, 1, 4)], []
export("conv_channels_first", net, (x[:, :, :1], *state), False, ["x", "s", "h"], ["y", "s_next", "h_next"], open_time=False)
with torch.no_grad():
    for t in range(7):
        y, *state = net(x[:, :, t : t + 1], *state)
        found.append(y.reshape(-1))
keep("conv_channels_first", x[0].T, found)
x = torch.randn(1, 6, 3)
form("group_of_all", lambda m, x: m.head(m.rnn(turn(m.group(turn(x))))[0]), x, names=named, group=nn.GroupNorm(1, 3))


class Cells(nn.Module):
    """Cells one behind the other, each with a state of its own in one input, behind a layer that narrows."""

    def __init__(self, *cells):
        super().__init__()
        self.narrow, self.cells, self.head = nn.Linear(5, 3), nn.ModuleList(cells), nn.Linear(4, 2)

    def forward(self, x, *state):
        y, leaving = torch.relu(self.narrow(x)), []
        for k, cell in enumerate(self.cells):
            own = tuple(s[k] for s in state)
            own = cell(y, own if len(own) == 2 else own[0])
            leaving.append(own if isinstance(own, tuple) else (own,))
            y = leaving[-1][0]
        return (self.head(y), *(torch.stack(parts) for parts in zip(*leaving)))


x = torch.randn(6, 5)
for name, of in {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}.items():
    for dynamo in [False, True]:
        net = Cells(of(3, 4), of(4, 4)).eval()
        names = ["h", "c"][: 2 if name == "lstm" else 1]
        state, found = [torch.zeros(2, 1, 4) for _ in names], []
        full = f"cells_{name}{'_dynamo' if dynamo else ''}"
        export(full, net, (x[:1], *state), dynamo, ["x", *names], ["y", *(n + "_next" for n in names)], open_time=False)
        with torch.no_grad():
            for t in range(6):
                y, *state = net(x[t : t + 1], *state)
                found.append(y[0])
        keep(full, x, found)

with open(os.path.join(here, "onnx.json"), "w") as file:
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in sorted(cases.items())]
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
