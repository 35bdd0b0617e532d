"""What is trained, quantized and reported from Python is what the command line does."""

import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import kinglet

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

COMMAND = os.environ.get("KINGLET_COMMAND")

TASK = {
    "name": "echo",
    "csv": {"file": "rows.csv"},
    "series": {"features": ["x", "z"], "targets": ["y"], "split": {"fractions": [0.6, 0.2, 0.2]}},
    "shape": {"kind": "many-to-many", "window": 16, "horizon": 0},
    "network": {"cell": "gru", "hidden": [8]},
    "train": {"epochs": 4, "learning_rate": 0.02, "seed": 3},
}


def frame(rows=600, seed=1):
    """y is the sum of the last two x."""
    numbers = np.random.default_rng(seed)
    x = numbers.normal(size=rows).round(3)
    y = (x + np.roll(x, 1)).round(3)
    y[0] = x[0]
    return pandas.DataFrame({"x": x, "z": numbers.normal(size=rows).round(3), "y": y})


def quiet(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kinglet.train(*arguments, progress=False, **options)


@pytest.fixture(scope="module")
def trained():
    return quiet(TASK, frame(), precision="w8a8")


def test_a_frame_trains_the_model_of_the_command(trained, tmp_path):
    if COMMAND is None:
        pytest.skip("KINGLET_COMMAND does not name the command")
    frame().to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "echo.toml").write_text(
        """
        name = "echo"
        csv = { file = "rows.csv" }
        series = { features = ["x", "z"], targets = ["y"], split = { fractions = [0.6, 0.2, 0.2] } }
        shape = { kind = "many-to-many", window = 16, horizon = 0 }
        network = { cell = "gru", hidden = [8] }
        train = { epochs = 4, learning_rate = 0.02, seed = 3 }
        """
    )
    out = tmp_path / "echo.kgl"
    words = ["train", tmp_path / "echo.toml", "--out", out, "--precision", "w8a8"]
    subprocess.run([COMMAND, *words], check=True, capture_output=True)
    command = kinglet.load(out)
    assert trained.digest == command.digest
    x = frame(seed=2)[["x", "z"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert trained.predict(x).to_numpy().tobytes() == command.predict(x).to_numpy().tobytes()
    # The same from the file, in the place of which there may be another one.
    from_file = quiet(tmp_path / "echo.toml", precision="w8a8")
    assert from_file.to_bytes() == command.to_bytes()
    other = quiet(str(tmp_path / "echo.toml"), frame(seed=5), precision="w8a8")
    assert other.to_bytes() != command.to_bytes()


def test_what_is_known_of_a_training(trained):
    assert isinstance(trained, kinglet.Model) and trained.format == "w8a8"
    assert trained.float_model.format == "f32"
    assert trained.result["epochs"] == 4 and trained.result["files"] == []
    assert len(trained.history) == 4 and trained.history[0]["epoch"] == 1
    again = pickle.loads(pickle.dumps(trained))
    assert again.to_bytes() == trained.to_bytes() and again.history == trained.history
    assert again.float_model.to_bytes() == trained.float_model.to_bytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantize_gives_other_precisions(trained):
    wide = trained.quantize("w8a16")
    assert wide.format == "w8a16"
    x = frame(seed=2)[["x", "z"]].to_numpy(np.float32)
    exact = trained.float_model.predict(x)
    assert np.abs(wide.predict(x) - exact).max() < 0.02 * np.ptp(exact)
    assert trained.float_model.quantize("w8a16", frame()).to_bytes() == wide.to_bytes()
    with pytest.raises(kinglet.Error, match="w8a16 already; quantize the f32 model"):
        wide.quantize("w8a8", frame())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_report_is_a_page_that_a_notebook_shows(trained, tmp_path):
    report = trained.report(clock="64MHz")
    assert "<svg" in report.html and "echo" in report.html and "64 MHz" in report.html
    assert report._repr_html_().startswith("<iframe")
    report.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == report.html
    assert report.figures["part"] == "test"


def test_errors_are_those_of_the_command_and_name_no_temporary_folder():
    def fails(words, *arguments, **options):
        with pytest.raises(kinglet.Error) as error:
            quiet(*arguments, **options)
        assert words in str(error.value) and "kinglet-" not in str(error.value), str(error.value)

    fails('the table, as CSV: no column "y"; the columns are x, z', TASK, frame()[["x", "z"]])
    fails("unknown key \"wdith\"", {**TASK, "network": {"cell": "gru", "wdith": 3}}, frame())
    fails("unexpected argument '--presicion'", TASK, frame(), presicion="w8a8")
    fails("invalid value 'w9' for '--precision", TASK, frame(), precision="w9")
    fails("rows.csv", TASK)
    fails("nowhere.toml", "nowhere.toml")
    fails("[pairs]", {**TASK, "pairs": {}})
    fails("is no table", TASK, [1, 2, 3])
    gap = frame()
    gap.loc[5, "x"] = np.nan
    fails("the table, as CSV:7:", TASK, gap)
    with pytest.raises(kinglet.Error, match="a task is a dict"):
        kinglet.train(7)


def test_a_model_that_holds_takes_nan_for_a_gap():
    task = {**TASK, "csv": {"file": "rows.csv", "format": {"missing": "hold"}}}
    model = quiet(task, frame())
    x = frame()[["x", "z"]].to_numpy(np.float32, copy=True)
    held = x.copy()
    x[5, 0] = x[6, 0] = np.nan
    held[5:7, 0] = held[4, 0]
    assert model.holds and np.array_equal(model.predict(x), model.predict(held))
    stream = model.stream()
    assert np.array_equal([stream.step(row) for row in x], model.predict(x))


def test_notes_are_warnings():
    gap = frame()
    gap.loc[5, "x"] = np.nan
    with pytest.warns(UserWarning, match="skipped|left out"):
        kinglet.train(TASK, gap, progress=False, on_error="skip")


def test_progress_is_lines_in_a_pipe(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinglet.train(TASK, frame())
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert lines[0].startswith("epoch 1 of 4: loss ") and lines[-1].startswith("epoch 4 of 4: ")
    assert "\r" not in err and out == ""
    quiet(TASK, frame())
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_training_and_keeps_the_best_epoch(tmp_path):
    out = tmp_path / "long.kgl"
    program = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import kinglet
from test_training import TASK, frame
task = {{**TASK, "train": {{"epochs": 100000}}}}
try:
    kinglet.train(task, frame(3000), out={str(out)!r})
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stderr.readline().startswith("epoch 1 of 100000")
    child.send_signal(signal.SIGINT)
    begun = time.monotonic()
    printed, _ = child.communicate(timeout=60)
    assert printed == "stopped\n" and time.monotonic() - begun < 40
    assert kinglet.load(out).name == "echo"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_training_where_a_library_has_reads_started_again():
    program = f"""
import signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import kinglet
from test_training import TASK, frame
# As the handlers of some libraries, such as Polars', leave it.
signal.siginterrupt(signal.SIGINT, False)
print("begun", flush=True)
try:
    kinglet.train({{**TASK, "train": {{"epochs": 1000000}}}}, frame(3000), progress=False)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "begun\n"
        time.sleep(2)
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[0] == "stopped\n"
    finally:
        child.kill()


def test_the_wheel_brings_the_command(trained, tmp_path):
    path = tmp_path / "echo.kgl"
    path.write_bytes(trained.to_bytes())
    run = subprocess.run([sys.executable, "-m", "kinglet", "verify", path], capture_output=True, text=True)
    assert run.returncode == 0 and trained.digest in run.stdout
    run = subprocess.run([sys.executable, "-m", "kinglet", "verify"], capture_output=True, text=True)
    assert run.returncode == 2 and "Usage" in run.stderr


def test_a_file_of_data_needs_no_other_in_the_task(tmp_path, trained):
    frame().to_csv(tmp_path / "rows.csv", index=False)
    task = {name: section for name, section in TASK.items() if name != "csv"}
    for csv in ({}, {"csv": {"format": {"delimiter": ","}}}):
        assert quiet({**task, **csv}, tmp_path / "rows.csv", precision="w8a8").digest == trained.digest


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_what_a_training_was_of_is_kept_as_it_was(kind):
    polars = pytest.importorskip("polars")
    task = {**TASK, "series": dict(TASK["series"])}
    table = {"pandas": lambda t: t, "polars": polars.from_pandas, "pyarrow": pyarrow.Table.from_pandas}[kind](frame())
    model = quiet(task, table)
    before = model.quantize("w8a8").to_bytes()
    task["series"]["features"] = ["nothing"]
    if kind == "pandas":
        table.loc[:, "x"] = 1e6
        table["y"] = "text"
    elif kind == "polars":
        table[3, "x"] = 1e6
    assert model.quantize("w8a8").to_bytes() == before
    # A pickle has no rows.
    packed = pickle.dumps(model)
    assert len(packed) < 12_000 + 2 * len(model.to_bytes())
    again = pickle.loads(pickle.dumps(pickle.loads(packed)))
    for call in (again.report, lambda: again.quantize("w8a8")):
        with pytest.raises(kinglet.Error, match="not in its pickle: pass a frame"):
            call()
    assert again.quantize("w8a8", frame()).to_bytes() == before
    assert again.report(frame()).figures["part"] == "test"


def test_entries_of_the_path_that_are_no_text_do_not_matter(monkeypatch, trained):
    monkeypatch.setattr(sys, "path", [Path("somewhere"), *sys.path])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert trained.float_model.quantize("w8a16", frame()).format == "w8a16"


def test_tables_of_training_say_which_column_is_wrong():
    for wrong, words in [([1, "two", None] * 200, "column 'note' is of no one type"), (np.ones(600, complex), "column 'note'")]:
        with pytest.raises(kinglet.Error, match=words):
            quiet(TASK, frame().assign(note=wrong))
    polars = pytest.importorskip("polars")
    nothing = polars.from_pandas(frame()).with_columns(polars.lit(None).alias("nothing"))
    assert quiet(TASK, nothing).to_bytes() == quiet(TASK, frame()).to_bytes()
    with pytest.raises(kinglet.Error, match=r"collect\(\)"):
        quiet(TASK, nothing.lazy())


def test_what_no_command_line_and_no_task_file_has_is_told():
    with pytest.raises(kinglet.Error, match="kinglet COMMAND --help"):
        quiet(TASK, frame(), help=True)
    for wrong in (float("inf"), np.float64("nan")):
        with pytest.raises(kinglet.Error, match="the task has a number that is not finite"):
            quiet({**TASK, "train": {"learning_rate": wrong}}, frame())
