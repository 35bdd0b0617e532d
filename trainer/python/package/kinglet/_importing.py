"""Networks of ONNX, Keras and PyTorch as models, by the importers of the command line."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from ._command import data_file, options_of, run, workplace
from ._kinglet import Error, Model

#: The largest difference from what PyTorch computes, in parts of the spread of its outputs.
_DIFFERS = 1e-3


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

    sample: what the module takes, such as a float32 tensor (batch, time, inputs). The module is exported in evaluation mode by
    `torch.onnx`, which needs the packages onnx and onnxscript, and what the model answers to the sample is compared with what the
    module does; kinglet.Error is raised where they differ. calibrate and options are as in `from_onnx`.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise Error(f"expected a torch.nn.Module, not {type(module).__name__}")
    was_training = module.training
    module.eval()
    try:
        with workplace() as folder, torch.no_grad():
            model = _exported(torch, module, sample, folder, calibrate, options)
            expected = module(sample)
    finally:
        module.train(was_training)
    _compare(model, sample, expected)
    return model


def _exported(torch, module, sample, folder, calibrate, options):
    """By the one of the two exporters of PyTorch that writes what can be imported."""
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
            return _imported(file, folder, calibrate, options)
        except ImportError as error:
            first = first or Error(f"torch.onnx exports the module, and for that {error.name} is missing: pip install onnx onnxscript")
        except Error as error:
            first = first or error
        except Exception as error:
            # Of its own kinds, and TypeError where it no longer has both.
            first = first or Error(f"torch.onnx cannot export the module: {error}")
        finally:
            logger.setLevel(level)
    raise first


def _compare(model, sample, expected):
    """What the model answers to a sample of plain numbers is what the module does, whichever axis is its batch."""
    import numpy as np

    if model.takes_tokens or model.format not in ("f32", "f16"):
        return
    expected = expected[0] if isinstance(expected, (tuple, list)) else expected
    x, expected = sample.detach().cpu().numpy(), expected.detach().cpu().numpy()
    spread = max(float(np.ptp(expected)), 1e-6)
    # Series side by side, with an answer per step or one at the end.
    layouts = [(x, expected)] if x.ndim < 3 else [(x, expected), (x.swapaxes(0, 1), expected.swapaxes(0, 1))]
    shares = []
    for x, expected in layouts:
        got = model.predict(np.ascontiguousarray(x), raw=model.window is None)
        for shown in (got, got[..., -1, :], got[..., -1:, :]):
            if shown.shape == expected.shape:
                shares.append(float(np.abs(shown - expected).max()) / spread)
    if not shares:
        warnings.warn(
            f"the module answers the sample with shape {expected.shape} and the model with {got.shape}: the two were not compared",
            UserWarning,
            stacklevel=3,
        )
    elif not min(shares) <= _DIFFERS:
        raise Error(f"the model's answer to the sample differs from the module's by {min(shares):.1e} of its spread")
