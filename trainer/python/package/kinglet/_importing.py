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

#: The largest difference from what the framework computes, in parts of the spread of its outputs; of a network in numbers of 16 bits.
_DIFFERS, _DIFFERS_IN_16_BITS = 1e-3, 0.1

#: What a difference comes from, by framework.
_FROZEN = "what the module does with its samples outside of tensors (.item(), an `if`) was recorded as it was for the sample"
_OWN_CODE = "a function or a class of your own has the name of one of Keras', and a file of Keras has no more than the name"

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
    """A model of a Keras network, or of the path of a .keras or .h5 file. As `from_onnx`.

    What the float model of a network answers to random samples is compared with what the network does, as in `from_torch`: a file has
    only the names of functions and classes, which may be your own.
    """
    with workplace() as folder:
        if isinstance(network, (str, os.PathLike)):
            return _imported(network, folder, calibrate, options)
        if not hasattr(network, "save"):
            raise Error(f"expected a Keras model or a path, not {type(network).__name__}")
        file = folder / "network.keras"
        network.save(file)
        model, plain = _both(file, folder, calibrate, options)
    rounded = any("16" in str(getattr(layer, "compute_dtype", "")) for layer in network._flatten_layers())
    most = _DIFFERS_IN_16_BITS if rounded else _DIFFERS
    _compare_all(plain, _answers_of_keras(network, plain), _OWN_CODE, most)
    return model


def _answers_of_keras(network, model):
    """Random samples of several sizes, and what the network answers to them from a state of zero; its states are left as they were."""
    import numpy as np

    shape = network.input_shape
    if not isinstance(shape, tuple):
        # A dict or a list of one.
        (shape,) = shape.values() if isinstance(shape, Mapping) else shape
    # Longer than a window of the model.
    dims = [2 if shape[0] is None else shape[0], *(model.window or 24 if n is None else n for n in shape[1:])]
    random = np.random.default_rng(1)
    stateful = [layer for layer in network._flatten_layers() if getattr(layer, "stateful", False) and hasattr(layer, "reset_states")]
    states = [state for layer in stateful for state in getattr(layer, "states", None) or () if hasattr(state, "assign")]
    kept = [(state, np.asarray(state).copy()) for state in states]
    answers = []
    for scale in (1.0, 0.1, 10.0):
        if model.takes_tokens:
            sample = random.integers(0, len(model.input_names), dims)
        else:
            sample = (scale * random.standard_normal(dims)).astype(np.float32)
        for layer in stateful:
            layer.reset_states()
        answer = network(sample, training=False)
        # A list of numbers that is made a sequence of them.
        is_list = sample.ndim == 2 and not model.takes_tokens
        answers.append(("random samples", sample[..., None] if is_list else sample, answer))
    for state, value in kept:
        state.assign(value)
    return answers


def from_torch(module: Any, sample: Any, /, *, calibrate: Any = None, **options: Any) -> Model:
    """A model of a `torch.nn.Module`, by way of ONNX.

    sample: the tensor that the module takes, such as float32 (batch, time, inputs), or (time, batch, inputs). The module is exported in
    evaluation mode by `torch.onnx`, which needs the packages onnx and onnxscript, and what the float model answers to the sample, and to
    others of its shape (turned in sign, scaled, random), is compared with what the module does: kinglet.Error is raised where they
    differ, and a warning says so where they cannot be compared. Of a module that answers with a dict output="y" takes the one of that key.
    calibrate and options are as in `from_onnx`.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise Error(f"expected a torch.nn.Module, not {type(module).__name__}")
    if not isinstance(sample, torch.Tensor):
        raise Error(f"expected a tensor as the sample, the one input of the module, not {type(sample).__name__}")
    if sample.ndim > 1 and tuple(sample.shape[:2]) == (1, 1):
        raise Error(f"a sample of one step, {tuple(sample.shape)}, in which nothing shows which axis is time: give a longer one, such as of 10 steps")
    if any(tensor.dtype == torch.bfloat16 for tensor in module.state_dict().values()):
        raise Error("the module has numbers of the type bfloat16: export it in float32, from_torch(module.float(), sample.float())")
    were_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with workplace() as folder, torch.no_grad():
            try:
                expected = module(sample)
            except Exception as error:
                raise Error(f"the module does not take the sample: {_first_line(error)}") from error
            answers = [("the sample", sample, expected), *_answers_to_others(torch, module, sample)]
            model, plain = _exported(torch, module, sample, _keys(expected), folder, calibrate, options)
    finally:
        for part in were_training:
            part.training = True
    _compare_all(plain, answers, _FROZEN, _DIFFERS_IN_16_BITS if sample.dtype == torch.float16 else _DIFFERS)
    return model


def _answers_to_others(torch, module, sample):
    """Samples of the same shape, and what the module answers to them."""
    random = torch.Generator().manual_seed(1)
    if sample.is_floating_point():
        whole = sample.detach().cpu().float()
        noise = torch.randn(sample.shape, generator=random)
        # Every input has noise of its own spread around it.
        spread = whole.reshape(-1, whole.shape[-1]).std(0, correction=0).clamp(min=1e-3)
        others = [
            ("the sample times -1", -whole),
            ("the sample times 5", 5 * whole),
            ("the sample and noise", whole + spread * noise),
            ("random samples", noise),
        ]
    else:
        # Tokens that are known.
        tokens = sample.detach().cpu().flatten()
        others = [("its tokens in another order", tokens[torch.randint(len(tokens), (len(tokens),), generator=random)].reshape(sample.shape))]
    answers = []
    for what, other in others:
        other = other.to(sample)
        try:
            answer = module(other)
        except Exception as error:
            text = f"the module does not take {what}, so the model was not compared on that: {_first_line(error)}"
            warnings.warn(text, UserWarning, stacklevel=3)
            continue
        # What is beyond its numbers says nothing.
        if all(bool(tensor.isfinite().all()) for tensor in _tensors(answer)):
            answers.append((what, other, answer))
    return answers


def _keys(answer):
    """The names of a module's outputs, where it gives them."""
    named = isinstance(answer, Mapping) and all(hasattr(tensor, "detach") and isinstance(key, str) for key, tensor in answer.items())
    return list(answer) if named else None


def _both(file, folder, calibrate, options):
    """The model of a file, and the one in f32 of the network's own numbers."""
    model = _imported(file, folder, calibrate, options)
    if model.format == "f32" and not {"input_mean", "input_std"} & set(options):
        return model, model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, _imported(file, folder, None, {name: options[name] for name in _OF_NETWORK if name in options})


def _exported(torch, module, sample, names, folder, calibrate, options):
    """The model, and the one in f32 of the module's own numbers; by the one of the two exporters of PyTorch that writes what can be
    imported. Where that needs one series, of the first in the sample."""
    file, first = folder / "network.onnx", None
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    for sample, dynamo in _ways(module, sample):
        # What they say is about operators of packages that are not there, and about each other.
        logger.setLevel(logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.onnx.export(module, (sample,), file, output_names=names, verbose=False, external_data=False, dynamo=dynamo)
            return _both(file, folder, calibrate, options)
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


def _ways(module, sample):
    """What is exported by which exporter, one after the other."""
    yield from ((sample, dynamo) for dynamo in (True, False))
    if sample.ndim > 2 and len(sample) > 1 and _takes(module, sample[:1]):
        yield from ((sample[:1], dynamo) for dynamo in (True, False))


def _takes(module, sample):
    """The module answers to the sample."""
    try:
        module(sample)
    except Exception:
        return False
    return True


def _first_line(error):
    """What an error says, without the advice for terminals that PyTorch adds."""
    lines = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _tensors(answer):
    """Whatever a module answers with, one after the other."""
    if isinstance(answer, Mapping):
        answer = answer.values()
    elif hasattr(answer, "shape"):
        return [answer]
    elif not isinstance(answer, (tuple, list)):
        return []
    return [tensor for part in answer for tensor in _tensors(part)]


def _array(tensor):
    import numpy as np

    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
    array = np.asarray(tensor)
    return array if array.dtype.kind in "iub" else array.astype(np.float32)


def _compare_all(model, answers, because, most=_DIFFERS):
    """All samples with their answers; what cannot be compared is told once."""
    for what, sample, answer in answers:
        if not _compare(model, sample, answer, what, because, most):
            break


def _compare(model, sample, expected, what="the sample", because=_FROZEN, most=_DIFFERS):
    """What a model in f32 answers to the sample is what the network does, whichever axis is its batch, or one of what it does; False where the two
    cannot be compared."""
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
        # Answers as the network has its axes, or the last of each, which it may have in rows. An axis of one may be left out, such as by squeeze.
        forms = [y.squeeze() for y in expected] + [y.reshape(len(y), -1).squeeze() for y in expected if y.ndim > 2]
        # A model says probabilities where the network says their logarithms.
        forms += [np.exp(y) for y in forms if y.size and y.max() <= 0]
        for shown in (got, got.swapaxes(0, -2), got[..., -1, :]):
            shares += [_share(shown.squeeze(), y) for y in forms if shown.squeeze().shape == y.shape]
    if not shares:
        shown = " or ".join(str(y.shape) for y in expected) or "no tensor"
        why = f"the model with {' or '.join(map(str, shapes))}" if shapes else f"the model does not: {reason or 'it has fewer rows than a window'}"
        warnings.warn(f"the network answers {what} with {shown} and {why}; the two were not compared", UserWarning, stacklevel=4)
        return False
    if not min(shares) <= most:
        raise Error(f"the model's answer to {what} differs from the network's by {min(shares):.1e} of its spread: {because}")
    return True


def _share(got, expected):
    """The largest difference in parts of the spread; of a single answer, or of one that does not move, in parts of its size. Rounding is
    that of numbers around 1, within the network, however small the answers are."""
    import numpy as np

    spread = max(float(np.ptp(expected)), 0.1 * float(np.abs(expected).max()), 1e-3)
    return float(np.abs(got - expected).max()) / spread
