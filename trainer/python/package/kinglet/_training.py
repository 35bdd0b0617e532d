"""`kinglet.train` and what it gives."""

import copy
import csv
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, List, Union

from ._command import data_file, options_of, run, workplace
from ._kinglet import Error, Model, load, task_text
from ._tables import kept


class Report:
    """A page of HTML about a training: shown by a notebook, and written by `save`."""

    def __init__(self, html: str, figures: Dict[str, Any]) -> None:
        #: The page.
        self.html = html
        #: The numbers of the page.
        self.figures = figures

    def save(self, path: "Union[str, os.PathLike[str]]", /) -> None:
        """Writes the page."""
        Path(path).write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        from html import escape

        return f'<iframe srcdoc="{escape(self.html)}" style="width: 100%; height: 60em; border: 0"></iframe>'

    def __repr__(self) -> str:
        return f"<kinglet.Report: {len(self.html)} bytes of HTML>"


class Trained(Model):
    """A model that was trained here, with what is known about its training.

    It keeps the table that it was trained on as it was then, for `quantize` and `report`. A pickle leaves that out: give them a frame
    then. Its `path` is where `out` said; without it the file is there no more, and `to_bytes` has its bytes.
    """

    #: The same model in f32, from which others are quantized.
    float_model: Model
    #: What `kinglet train --json` prints: the metrics of every part, beside those of rules that need no network.
    result: Dict[str, Any]
    #: Losses, a dict per epoch.
    history: List[Dict[str, Any]]

    def quantize(self, precision: str, frame: Any = None, /, **options: Any) -> Model:
        """Another precision of the float model, calibrated on the data of the training unless there is a frame. As `Model.quantize`."""
        frame = self._rows(frame)
        if frame is None:
            raise Error("quantize takes the rows to calibrate on, as the data of the training was named by the task: pass a frame")
        return self.float_model.quantize(precision, frame, **options)

    def report(self, frame: Any = None, /, **options: Any) -> Report:
        """The page of `kinglet report`: learning, predictions, errors of every precision, sizes and speed.

        It is about the data of the training unless there is a frame. Options are those of the command, with `_` for `-`: clock="64MHz",
        power="20mW", group="press-7"."""
        with workplace() as folder:
            task, data = _task_file(self._task, self._rows(frame), folder)
            model, other, page = folder / "model.f32.kgl", folder / "model.kgl", folder / "report.html"
            model.write_bytes(self.float_model.to_bytes())
            (folder / "model.f32.history.csv").write_text(self._history, encoding="utf-8")
            words = ["report", task, "--model", model, "--out", page, "--history", folder / "model.f32.history.csv", "--json", *data]
            if self.format != self.float_model.format:
                other.write_bytes(self.to_bytes())
                words += ["--with", other]
            figures = run([*words, *options_of(options)], folder)
            return Report(page.read_text(encoding="utf-8"), figures)

    def _rows(self, frame):
        """The data of the training unless there is other."""
        if frame is None and self._data is _LEFT_OUT:
            raise Error("the rows that the model was trained on are not in its pickle: pass a frame")
        return self._data if frame is None else frame

    def __reduce__(self):
        # Rows may be many, and are the caller's to send.
        is_table = self._data is not None and not isinstance(self._data, (str, os.PathLike))
        return _restored, (self.to_bytes(), {**self.__dict__, "_data": _LEFT_OUT if is_table else self._data})


#: In the place of a table.
_LEFT_OUT = False


def _restored(data, known):
    with workplace() as folder:
        (folder / "model.kgl").write_bytes(data)
        trained = Trained(folder / "model.kgl")
    trained.__dict__.update(known)
    return trained


def _task_file(task, data, folder):
    """The file of a task that may be a dict, for data that may be a table; and the arguments that name the data."""
    if data is not None:
        path, times = data_file(data, folder)
        table = path if path.parent == folder else None
        arguments = [] if table else ["--data", path]
    else:
        table, times, arguments = None, False, []
    if isinstance(task, dict) and data is not None and table is None and ("series" in task or "sequences" in task):
        # What names the file need not name another one, which it takes the place of.
        task = {**task, "csv": {"file": os.fspath(path), **task.get("csv", {})}}
    if isinstance(task, (str, os.PathLike)):
        if table is None:
            return Path(task), arguments
        name, source = Path(task).name, {"of": Path(task)}
    else:
        try:
            name, source = "task.toml", {"json": json.dumps(task, default=_plain, allow_nan=False)}
        except ValueError as error:
            raise error if isinstance(error, Error) else Error(f"the task has a number that is not finite ({error})") from error
    file = folder / name
    file.write_text(task_text(file, data=table, times=times, **source), encoding="utf-8")
    return file, arguments


def _plain(value):
    """Numbers of NumPy and paths, as JSON has them."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise Error(f"a task holds texts, numbers, lists and dicts; {value!r} is none of them")


def train(
    task: "Union[str, os.PathLike[str], Dict[str, Any]]",
    data: Any = None,
    /,
    *,
    out: "Union[str, os.PathLike[str], None]" = None,
    progress: bool = True,
    **options: Any,
) -> Trained:
    """Trains the network of a task, as `kinglet train` does, and measures it with the engine.

    task: the path of a task file, or a dict of the same keys; paths in a dict start from the working directory. data: a table of pandas,
    polars or pyarrow in place of the file that the task names, or the path of another file. out: where the model goes, with
    MODEL.f32.kgl, MODEL.history.csv and, while it is trained, MODEL.kgl.checkpoint beside it; without it nothing is left on the disk,
    and `path` of the model names nothing.
    progress: epochs on standard error. Further options are those of the command, with `_` for `-`: precision="w8a8",
    quantized_epochs=20, max_flash="6K", folds=5, streaming=True, for_="cortex-m4".

    Returns a `kinglet.Trained`. What there is to note about the data and the model is a warning. Ctrl-C raises KeyboardInterrupt; with
    `out` the best epoch so far is there then, and resume=True goes on.

    Raises kinglet.Error, in the words of the command line.
    """
    if not isinstance(task, (str, os.PathLike, dict)):
        raise Error(f"a task is a dict or the path of a task file, not {type(task).__name__}")
    # As they are now, as the model goes back to them.
    task = copy.deepcopy(task)
    if data is not None and not isinstance(data, (str, os.PathLike)):
        data = kept(data)
    with workplace() as folder:
        file, arguments = _task_file(task, data, folder)
        if file.is_file() and re.search(r"(?m)^\s*\[\s*pairs\b", file.read_text(encoding="utf-8", errors="replace")):
            raise Error("a task with [pairs] makes two models: use the command `kinglet train` for it")
        model = folder / "model.kgl" if out is None else Path(out)
        words = ["train", file, "--out", model, "--json", "--progress", "lines" if progress else "none", *arguments]
        result = run([*words, *options_of(options)], folder, progress=progress, keeps=out is not None)
        files = [Path(name) for name in result["files"]]
        models = [name for name in files if name.suffix == ".kgl"]
        result["files"] = [] if out is None else [str(name) for name in files]
        trained = Trained(model)
        floats = model.with_name(f"{model.stem}.f32{model.suffix}")
        trained.float_model = load(floats if floats in models else model)
        trained.result = result
        trained._history = next(name for name in files if name.suffix == ".csv").read_text(encoding="utf-8")
        trained._task, trained._data = task, data
    trained.history = [_numbers(row) for row in csv.DictReader(trained._history.splitlines())]
    return trained


def _numbers(row):
    def number(text):
        if text in ("true", "false"):
            return text == "true"
        try:
            return int(text) if text.isdigit() else float(text)
        except ValueError:
            return text

    return {name: number(text) for name, text in row.items()}
