"""PyTorch f32 in three variants, answering as the other peers do (see peer/src/lib.rs).

`cell` calls an LSTMCell from Python, `script` runs the loop over it as TorchScript, without Python between the steps, and
`module` calls an LSTM on a sequence of one.
"""

import itertools
import sys
import time
import warnings

import numpy as np
import torch

SAMPLES = 64
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
CELLS = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "rnn": torch.nn.RNNCell}
MODULES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}

warnings.simplefilter("ignore")
torch.set_num_threads(1)
torch.set_num_interop_threads(1)


class LoopTwo(torch.nn.Module):
    """Steps of a cell with a state of two tensors."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, xs: list[torch.Tensor], h: torch.Tensor, c: torch.Tensor, steps: int):
        for i in range(steps):
            h, c = self.cell(xs[i % 64], (h, c))
        return h, c


class LoopOne(torch.nn.Module):
    """Steps of a cell with a state of one tensor."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, xs: list[torch.Tensor], h: torch.Tensor, steps: int):
        for i in range(steps):
            h = self.cell(xs[i % 64], h)
        return (h,)


class Net:
    def __init__(self, folder, cell, inputs, hidden):
        self.lstm = cell == "lstm"
        self.hidden = hidden
        values = torch.from_numpy(np.fromfile(f"{folder}/{cell}-{inputs}x{hidden}.f32", "<f4"))
        rows = GATES[cell] * hidden
        *weights, xs = values.split([rows * inputs, rows * hidden, rows, rows, SAMPLES * inputs])
        self.cell, self.module = CELLS[cell](inputs, hidden), MODULES[cell](inputs, hidden)
        for net, suffix in [(self.cell, ""), (self.module, "_l0")]:
            for name, values in zip(["weight_ih", "weight_hh", "bias_ih", "bias_hh"], weights):
                parameter = getattr(net, name + suffix)
                parameter.copy_(values.view_as(parameter))
        loop = (LoopTwo if self.lstm else LoopOne)(self.cell)
        self.script = torch.jit.freeze(torch.jit.script(loop.eval()))
        self.xs = [x.clone() for x in xs.view(SAMPLES, 1, inputs)]

    def zero(self, variant):
        shape = (1, 1, self.hidden) if variant == "module" else (1, self.hidden)
        return tuple(torch.zeros(shape) for _ in range(2 if self.lstm else 1))

    def run(self, variant, state, steps):
        """The state after so many steps."""
        if variant == "script":
            return self.script(self.xs, *state, steps)
        state = state if self.lstm else state[0]
        if variant == "cell":
            cell = self.cell
            for x in itertools.islice(itertools.cycle(self.xs), steps):
                state = cell(x, state)
        else:
            module = self.module
            for x in itertools.islice(itertools.cycle([x[None] for x in self.xs]), steps):
                _, state = module(x, state)
        return state if self.lstm else (state,)


def answer(words):
    match words:
        case ["open", cell, inputs, hidden]:
            global net, states
            net = Net(sys.argv[1], cell, int(inputs), int(hidden))
            states = {v: net.zero(v) for v in ["cell", "script", "module"]}
            return " ".join(states)
        case ["outputs", variant]:
            h, *_ = net.run(variant, net.zero(variant), SAMPLES)
            return " ".join(map(repr, h.flatten().tolist()))
        case ["time", variant, steps]:
            start = time.perf_counter_ns()
            states[variant] = net.run(variant, states[variant], int(steps))
            return str((time.perf_counter_ns() - start) / int(steps))


with torch.inference_mode():
    for line in sys.stdin:
        try:
            reply = answer(line.split())
        except Exception as error:
            reply = f"error {error}".replace("\n", " ")
        print(reply, flush=True)
