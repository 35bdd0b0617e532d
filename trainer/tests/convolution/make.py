#!/usr/bin/env python3
"""Golden vectors for convolutions: what PyTorch computes in f32, step by step.

    python3 -m venv venv
    venv/bin/pip install torch safetensors numpy
    venv/bin/python trainer/tests/convolution/make.py

writes, beside this script, `causal.safetensors`, `Conv1d` padded on the left only over a stream of samples before an LSTM, and
`spectral.safetensors`, in which every sample is a frame: mirrored edges, a strided `Conv1d` whose halves become magnitudes, one
with zeros at its edges, and an LSTM that steps once a frame. Weights are `[filters, kernel, channels]`, `x` the samples, `y` the
answers after every step.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import pad

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 40


def save(name, x, y, convs, lstm, head):
    tensors = {"x": x, "y": y}
    for number, conv in enumerate(convs):
        tensors[f"conv{number}.w"] = conv.weight.transpose(1, 2).contiguous()
        tensors[f"conv{number}.b"] = conv.bias
    for part, value in [("w_ih", lstm.weight_ih_l0), ("w_hh", lstm.weight_hh_l0),
                        ("b_ih", lstm.bias_ih_l0), ("b_hh", lstm.bias_hh_l0)]:
        tensors[f"lstm.{part}"] = value
    tensors["head.w"], tensors["head.b"] = head.weight, head.bias
    save_file({k: v.detach().clone() for k, v in tensors.items()}, HERE / f"{name}.safetensors")


def causal():
    first, second = nn.Conv1d(3, 8, 5, dilation=2), nn.Conv1d(8, 6, 3)
    lstm, head = nn.LSTM(6, 10, batch_first=True), nn.Linear(10, 2)
    x = torch.randn(1, STEPS, 3)
    h = torch.tanh(first(pad(x.transpose(1, 2), (8, 0))))
    h = torch.relu(second(pad(h, (2, 0))))
    y = head(lstm(h.transpose(1, 2))[0])
    save("causal", x[0], y[0], [first, second], lstm, head)


def spectral():
    first, second = nn.Conv1d(1, 10, 8, stride=4), nn.Conv1d(5, 7, 3, stride=2, padding=1)
    frames = torch.randn(STEPS, 1, 24)
    h = first(pad(frames, (3, 3), mode="reflect"))
    h = torch.sqrt(h[:, :5] ** 2 + h[:, 5:] ** 2)
    h = torch.relu(second(h)).transpose(1, 2).flatten(1)
    lstm, head = nn.LSTM(h.shape[1], 10, batch_first=True), nn.Linear(10, 2)
    y = head(lstm(h[None])[0])
    save("spectral", frames[:, 0], y[0], [first, second], lstm, head)


torch.manual_seed(1)
with torch.no_grad():
    causal()
    spectral()
