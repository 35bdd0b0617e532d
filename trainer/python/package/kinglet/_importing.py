"""Networks of ONNX, Keras and PyTorch as models, by the importers of the command line."""

import logging
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._command import data_file, options_of, run, workplace
from ._kinglet import Error, Model

#: The largest difference from what PyTorch computes, in parts of the spread of its outputs.
_DIFFERS = 1e-3

#: Options that say what the network is. The others say what is made of it: numbers of another format, or of raw values.
_OF_NETWORK = ("gru_reset", "output", "predicts", "tokens", "window", "zero_state")


def _imported(source, folder, calibrate, options):
    out, words = folder / "imported.kgl", []
    if calibrate is not None:
        words = ["--calibrate", data_file(calibrate, folder)[0]]
    run(["import", source, "--out", out, *words, *options_of(options)], folder)
    return Model.from_bytes(out.read_bytes())


def from_onnx(network: Any, /, *, calibrate: Any = None, **options: Any) -> Model:
    """A model of an ONNX network: its path, its bytes or an `onnx.ModelProto`.

    The network runs in an interpreter beside the engine, and kinglet.Error is raised where a layer of the two differs. calibrate: a
    table, or the path of a data file, of raw samples for an integer precision="w8a8". Further options are those of `kinglet import`,
    with `_` for `-`: names="temp,load", input_mean="21.5,0.4", input_std="3.2,0.25", for_="cortex-m4".
    """
    with workplace() as folder:
        if isinstance(network, (str, os.PathLike)):
            return _imported(network, folder, calibrate, options)
        data = network.SerializeToString() if hasattr(network, "SerializeToString") else network
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise Error(f"expected a path, bytes or an onnx.ModelProto, not {type(network).__name__}")
        file = folder / "network.onnx"
        file.write_bytes(data)
        return _imported(file, folder, calibrate, options)


def from_keras(network: Any, /, *, calibrate: Any = None, **options: Any) -> Model:
    """A model of a Keras network, or of the path of a .keras or .h5 file. As `from_onnx`."""
    with workplace() as folder:
        if isinstance(network, (str, os.PathLike)):
            return _imported(network, folder, calibrate, options)
        if not hasattr(network, "save"):
            raise Error(f"expected a Keras model or a path, not {type(network).__name__}")
        file = folder / "network.keras"
        network.save(file)
        return _imported(file, folder, calibrate, options)


def from_torch(module: Any, sample: Any, /, *, calibrate: Any = None, **options: Any) -> Model:
    """A model of a `torch.nn.Module`, by way of ONNX.

    sample: the tensor that the module takes, such as float32 (batch, time, inputs), or (time, batch, inputs). The module is exported in
    evaluation mode by `torch.onnx`, which needs the packages onnx and onnxscript, and what the float model answers to the sample is
    compared with what the module does: kinglet.Error is raised where they differ, and a warning says so where they cannot be compared.
    calibrate and options are as in `from_onnx`.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise Error(f"expected a torch.nn.Module, not {type(module).__name__}")
    if not isinstance(sample, torch.Tensor):
        raise Error(f"expected a tensor as the sample, the one input of the module, not {type(sample).__name__}")
    were_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with workplace() as folder, torch.no_grad():
            try:
                expected = module(sample)
            except Exception as error:
                raise Error(f"the module does not take the sample: {_first_line(error)}") from error
            model, plain = _exported(torch, module, sample, folder, calibrate, options)
    finally:
        for part in were_training:
            part.training = True
    _compare(plain, sample, expected)
    return model


def _exported(torch, module, sample, folder, calibrate, options):
    """The model, and the one in f32 of the module's own numbers; by the one of the two exporters of PyTorch that writes what can be
    imported."""
    file, first = folder / "network.onnx", None
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    for dynamo in (True, False):
        # What they say is about operators of packages that are not there, and about each other.
        logger.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(module, (sample,), file, verbose=False, external_data=False, dynamo=dynamo)
            model = _imported(file, folder, calibrate, options)
            if model.format == "f32" and not {"input_mean", "input_std"} & set(options):
                return model, model
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return model, _imported(file, folder, None, {name: options[name] for name in _OF_NETWORK if name in options})
        except ImportError as error:
            first = first or Error(f"torch.onnx exports the module, and for that {error.name} is missing: pip install onnx onnxscript")
        except Error as error:
            first = first or error
        except Exception as error:
            # Of its own kinds, and TypeError where it no longer has both.
            first = first or Error(f"torch.onnx cannot export the module: {_first_line(error.__cause__ or error)}")
        finally:
            logger.setLevel(level)
    raise first


def _first_line(error):
    """What an error says, without the advice for terminals that PyTorch adds."""
    lines = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _tensors(answer):
    """Whatever a module answers with, one after the other."""
    if isinstance(answer, Mapping):
        answer = answer.values()
    elif hasattr(answer, "detach"):
        return [answer]
    elif not isinstance(answer, (tuple, list)):
        return []
    return [tensor for part in answer for tensor in _tensors(part)]


def _array(tensor):
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _compare(model, sample, expected):
    """What a model in f32 answers to the sample is what the module does, whichever axis is its batch, or one of what it does."""
    import numpy as np

    x, expected = _array(sample), [_array(tensor) for tensor in _tensors(expected)]
    shares, shapes, reason = [], [], None
    is_batch = x.ndim == (2 if model.takes_tokens else 3)
    for series in (x, x.swapaxes(0, 1)) if is_batch else (x,):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                got = model.predict(np.ascontiguousarray(series))
        except Error as error:
            reason = reason or error
            continue
        # Nothing, where that axis is shorter than a window.
        if not got.size:
            continue
        shapes.append(got.shape)
        # Answers as the module has its axes, or the last of each. An axis of one may be left out, such as by squeeze.
        for shown in (got, got.swapaxes(0, -2), got[..., -1, :]):
            shares += [_share(shown.squeeze(), y.squeeze()) for y in expected if shown.squeeze().shape == y.squeeze().shape]
    if not shares:
        shown = " or ".join(str(y.shape) for y in expected) or "no tensor"
        why = f"the model with {' or '.join(map(str, shapes))}" if shapes else f"the model does not: {reason or 'it has fewer rows than a window'}"
        warnings.warn(f"the module answers the sample with {shown} and {why}; the two were not compared", UserWarning, stacklevel=3)
    elif not min(shares) <= _DIFFERS:
        raise Error(f"the model's answer to the sample differs from the module's by {min(shares):.1e} of its spread")


def _share(got, expected):
    """The largest difference in parts of the spread; of a single answer, or of one that does not move, in parts of its size. Rounding is
    that of numbers around 1, within the network, however small the answers are."""
    import numpy as np

    spread = max(float(np.ptp(expected)), 0.1 * float(np.abs(expected).max()), 1e-3)
    return float(np.abs(got - expected).max()) / spread
