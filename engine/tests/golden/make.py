#!/usr/bin/env python3
"""Golden vectors: what PyTorch computes, step by step, for every cell the engine runs.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python engine/tests/golden/make.py

writes the `.safetensors` files beside this script. Each is a PyTorch state dict, all f32, plus

    __input__   [T, I]  the samples, or [T] token numbers
    __output__  [T, O]  the network's output after every step
    __hidden__  [T, H]  h of the last recurrent layer after every step
    __h_n__, __c_n__  [L, H]  final states, in the encoder's file only (c is the LSTM's cell state)

and one metadata entry, `import`: the `kinglet import` flags that say what a state dict does not.

Weights and samples are f32 values; the arithmetic is f64, rounded once when it is written. The
vectors are therefore within half an f32 ulp of the true ones, and the bytes do not depend on the
order in which a BLAS adds. The script also runs every network in f32 and stops if the two differ
by more than 2e-6: a golden whose f32 result depends on rounding would test nothing.
"""

import pathlib
import zlib

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent


class GruResetBefore(nn.GRU):
    """The GRU of Cho et al. 2014: the reset gate acts on h before the product with W_hn."""

    def forward(self, x, hx=None):
        finals = []
        for layer in range(self.num_layers):
            w_ih, w_hh = getattr(self, f"weight_ih_l{layer}"), getattr(self, f"weight_hh_l{layer}")
            b_ih, b_hh = getattr(self, f"bias_ih_l{layer}"), getattr(self, f"bias_hh_l{layer}")
            h = x.new_zeros(self.hidden_size) if hx is None else hx[layer]
            (w_hr, w_hz, w_hn), (b_hr, b_hz, b_hn) = w_hh.chunk(3), b_hh.chunk(3)
            steps = []
            for x_r, x_z, x_n in ((x_t @ w_ih.T + b_ih).chunk(3) for x_t in x):
                r = torch.sigmoid(x_r + w_hr @ h + b_hr)
                z = torch.sigmoid(x_z + w_hz @ h + b_hz)
                n = torch.tanh(x_n + w_hn @ (r * h) + b_hn)
                h = (1 - z) * n + z * h
                steps.append(h)
            x = torch.stack(steps)
            finals.append(h)
        return x, torch.stack(finals)


class Chain(nn.Module):
    """Modules one after another under the given dotted names; functions stand between them."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = []
        for name, part in parts:
            if isinstance(part, nn.Module):
                *parents, leaf = name.split(".")
                owner = self
                for parent in parents:
                    if not hasattr(owner, parent):
                        owner.add_module(parent, nn.Module())
                    owner = getattr(owner, parent)
                owner.add_module(leaf, part)
            self.parts.append(part)

    def forward(self, x, state=None):
        """Output, h of the last recurrent layer, its final state. `state` seeds every cell."""
        hidden = final = None
        for part in self.parts:
            if isinstance(part, nn.RNNBase):
                x, final = part(x, state)
                hidden = x
            else:
                x = part(x)
        return x, hidden, final


def softmax(x):
    return torch.softmax(x, dim=-1)


def initialise(net, gain, rng):
    """PyTorch's uniform range times `gain`, so that gates open and close; embeddings stay N(0, 1)."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Embedding):
                part.weight.copy_(torch.randn(part.weight.shape, generator=rng))
            elif isinstance(part, (nn.RNNBase, nn.Linear)):
                width = part.hidden_size if isinstance(part, nn.RNNBase) else part.in_features
                bound = gain / width**0.5
                for p in part.parameters():
                    p.copy_((2 * torch.rand(p.shape, generator=rng) - 1) * bound)


def samples(steps, width, rng):
    """A first-order autoregressive series of unit variance: slow enough to move a state."""
    noise = torch.randn(steps, width, generator=rng)
    x = [noise[0]]
    for e in noise[1:]:
        x.append(0.8 * x[-1] + 0.6 * e)
    return torch.stack(x)


def golden(name, flags, net, inputs, steps, gain=2.0, state=None, keep_state=False):
    """Writes one file; gives the final state, with which a decoder starts.

    `inputs` is the sample width, or `range(vocabulary)` for tokens. The seed comes from the name,
    so that a new case leaves the others as they are; it counts up until the state really moves.
    """

    def run(dtype):
        cast = lambda v: v.to(dtype) if v.is_floating_point() else v
        with torch.no_grad():
            return net.to(dtype)(cast(x), None if state is None else tuple(cast(s) for s in state))

    spread = 0.0
    seed = zlib.crc32(name.encode())
    while not 0.2 < spread < 5:
        rng = torch.Generator().manual_seed(seed)
        initialise(net.float(), gain, rng)
        if isinstance(inputs, range):
            x = torch.randint(len(inputs), (steps,), generator=rng)
        else:
            x = samples(steps, inputs, rng)
        in_f32, exact = run(torch.float32), run(torch.float64)
        spread = exact[1].std().item()
        seed += 1
    for a, b in zip(in_f32[:2], exact[:2]):
        error = (a.double() - b).abs().max().item()
        assert error < 2e-6, f"{name}: f32 is off by {error}"

    output, hidden, final = exact
    tensors = dict(net.state_dict())
    tensors |= {"__input__": x, "__output__": output, "__hidden__": hidden}
    if keep_state:
        tensors |= {"__h_n__": final[0], "__c_n__": final[1]}
    tensors = {k: v.to(torch.float32).contiguous().clone() for k, v in tensors.items()}
    # One metadata entry only: several would be written in a random order.
    save_file(tensors, HERE / f"{name}.safetensors", metadata={"import": f"{flags} --ignore __".strip()})
    return None if final is None else tuple(f.float() for f in final)


def main():
    torch.set_num_threads(1)
    for old in HERE.glob("*.safetensors"):
        old.unlink()

    # Every cell, one to three layers. Files are named cell_layers_IxH.
    cells = {
        "rnn_tanh": ("--nonlinearity tanh", lambda i, h, l: nn.RNN(i, h, l), 2.0),
        # Without saturation, weights of twice the default grow without bound.
        "rnn_relu": ("--nonlinearity relu", lambda i, h, l: nn.RNN(i, h, l, nonlinearity="relu"), 1.2),
        "lstm": ("", lambda i, h, l: nn.LSTM(i, h, l), 2.0),
        "gru": ("", lambda i, h, l: nn.GRU(i, h, l), 2.0),
        "gru_before": ("--gru-reset before", lambda i, h, l: GruResetBefore(i, h, l), 2.0),
    }
    sizes = [(1, 1, 1, 1, 100), (1, 5, 17, 2, 40), (2, 7, 13, 3, 40), (3, 3, 5, 2, 80)]
    for cell, (flags, make, gain) in cells.items():
        for layers, i, h, o, steps in sizes:
            net = Chain(("rnn", make(i, h, layers)), ("head", nn.Linear(h, o)))
            # Where both take and give as much, either could stand first.
            order = " --order rnn,head" if i == h == o else ""
            golden(f"{cell}_{layers}_{i}x{h}", (flags + order).strip(), net, i, steps, gain)

    # Without bias.
    for cell, (flags, make) in {
        "rnn": ("--nonlinearity tanh", lambda i, h: nn.RNN(i, h, 2, bias=False)),
        "lstm": ("", lambda i, h: nn.LSTM(i, h, 2, bias=False)),
        "gru": ("", lambda i, h: nn.GRU(i, h, 2, bias=False)),
    }.items():
        net = Chain(("rnn", make(3, 5)), ("head", nn.Linear(5, 2, bias=False)))
        golden(f"no_bias_{cell}", flags, net, 3, 40)

    # Tokens in.
    net = Chain(
        ("embed", nn.Embedding(11, 3)),
        ("rnn", nn.GRU(3, 7)),
        ("out", nn.Linear(7, 11)),
    )
    golden("embedding_gru", "", net, range(11), 60)
    net = Chain(
        ("embed", nn.Embedding(4, 3)),
        ("rnn", nn.LSTM(3, 5, 2)),
        ("out", nn.Linear(5, 4)),
        ("", softmax),
    )
    golden("embedding_lstm_softmax", "--head softmax --predicts next-token", net, range(4), 60)
    # Sizes alone allow `embed` and `out` in either place.
    net = Chain(
        ("embed", nn.Embedding(7, 5)),
        ("rnn", nn.GRU(5, 5)),
        ("out", nn.Linear(5, 7, bias=False)),
    )
    golden("embedding_order", "--order embed,rnn,out", net, range(7), 60)

    # Two linear layers, as nn.Sequential numbers them.
    net = Chain(
        ("rnn", nn.LSTM(3, 5)),
        ("head.0", nn.Linear(5, 8)),
        ("head.1", torch.relu),
        ("head.2", nn.Linear(8, 2)),
    )
    golden("mlp_relu", "--between relu", net, 3, 40)
    net = Chain(
        ("rnn", nn.GRU(3, 5)),
        ("head.0", nn.Linear(5, 6)),
        ("head.1", torch.tanh),
        ("head.2", nn.Linear(6, 1)),
        ("head.3", torch.sigmoid),
    )
    golden("mlp_tanh_sigmoid", "--between tanh --head sigmoid", net, 3, 40)

    # A linear layer before the cells, and an ELU behind it and between those behind.
    net = Chain(
        ("first", nn.Linear(4, 7)),
        ("act", nn.functional.elu),
        ("rnn", nn.LSTM(7, 6)),
        ("head.0", nn.Linear(6, 5)),
        ("head.1", nn.functional.elu),
        ("head.2", nn.Linear(5, 2)),
    )
    golden("linear_first_elu", "--between elu", net, 4, 40)

    # Heads.
    net = Chain(("rnn", nn.GRU(5, 9)), ("head", nn.Linear(9, 6)), ("", softmax))
    golden("head_softmax", "--head softmax", net, 5, 40)
    net = Chain(("rnn", nn.LSTM(2, 6)), ("head", nn.Linear(6, 3)), ("", torch.sigmoid))
    golden("head_sigmoid", "--head sigmoid", net, 2, 40)
    net = Chain(("rnn", nn.RNN(4, 6)), ("head", nn.Linear(6, 3)), ("", torch.tanh))
    golden("head_tanh", "--nonlinearity tanh --head tanh", net, 4, 40)

    # Cells as modules of their own, of several kinds, under prefixes.
    net = Chain(
        ("model.lstm1", nn.LSTM(3, 6)),
        ("model.gru2", nn.GRU(6, 4)),
        ("model.rnn3", nn.RNN(4, 7)),
        ("model.fc", nn.Linear(7, 2)),
    )
    golden("mixed_cells", "--nonlinearity tanh", net, 3, 60)
    # Equal sizes: only the flag tells which comes first, and the file's order is alphabetical.
    net = Chain(("first", nn.LSTM(5, 5)), ("after", nn.LSTM(5, 5)), ("head", nn.Linear(5, 1)))
    golden("same_size_order", "--order first,after,head", net, 5, 60)

    # Encoder and decoder: the encoder's final h and c are where the decoder starts.
    encoder = Chain(("encoder", nn.LSTM(3, 6, 2)))
    final = golden("pair_encoder", "", encoder, 3, 50, keep_state=True)
    decoder = Chain(("decoder", nn.LSTM(2, 6, 2)), ("head", nn.Linear(6, 2)))
    golden("pair_decoder", "", decoder, 2, 40, state=final)


if __name__ == "__main__":
    main()
