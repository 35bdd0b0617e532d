"""A table has the numbers of the CSV that holds it."""

import io
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest

import kinglet

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")
polars = pytest.importorskip("polars")

ROOT = Path(__file__).resolve().parents[3]
PUMP = ROOT / "firmware-example/model/pump.kgl"
COMMAND = os.environ.get("KINGLET_COMMAND")


@pytest.fixture
def model():
    return kinglet.load(PUMP)


def frame(model, rows=200, seed=1):
    """Columns in another order than the model's, one that it does not take, and gaps."""
    numbers = np.random.default_rng(seed)
    columns = {}
    for name in reversed(model.input_names):
        columns[name] = numbers.normal(20, 5, rows).round(3)
    table = pandas.DataFrame(columns)
    table["note"] = "a, \"b\"\nc"
    table["machine"] = numbers.choice(["m1", "m2", "m3"], rows)
    return table.set_index(pandas.date_range("2026-01-01", periods=rows, freq="min"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_columns_are_found_by_name(model):
    table = frame(model)
    answers = model.predict(table)
    want = model.predict(table[model.input_names].to_numpy())
    assert answers.index.equals(table.index)
    assert np.array_equal(answers[model.output_names].to_numpy(), want)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_groups_are_streams_of_their_own_as_on_the_command_line(model, tmp_path):
    if COMMAND is None:
        pytest.skip("KINGLET_COMMAND does not name the command")
    table = frame(model).drop(columns="note")
    csv = tmp_path / "rows.csv"
    table.to_csv(csv, index=False)
    run = subprocess.run([COMMAND, "predict", PUMP, "--csv", csv, "--group", "machine"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    printed = pandas.read_csv(io.StringIO(run.stdout))
    answers = model.predict(table, group="machine")
    assert list(answers.columns) == list(printed.columns)
    assert (answers["machine"].to_numpy() == printed["machine"].to_numpy()).all()
    for name in model.output_names:
        assert np.array_equal(answers[name].to_numpy(), printed[name].to_numpy(np.float32)), name
    for machine, rows in table.groupby("machine"):
        alone = model.predict(rows)
        assert np.array_equal(alone[model.output_names], answers[answers["machine"] == machine][model.output_names])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_kind_of_table_has_the_same_answers(model):
    table = frame(model, rows=10_000).reset_index(names="time")
    want = model.predict(table)[model.output_names].to_numpy()
    arrow = pyarrow.Table.from_pandas(table)
    pieces = pyarrow.concat_tables(arrow.slice(at, 37) for at in range(0, len(table), 37))
    for kind in (arrow, pieces, polars.from_arrow(arrow)):
        answers = model.predict(kind)
        assert type(answers).__module__.split(".")[0] == type(kind).__module__.split(".")[0]
        assert np.array_equal(np.stack([np.asarray(answers[name]) for name in model.output_names], 1), want)
        assert np.array_equal(np.asarray(answers["row"]), np.arange(len(table)))


def test_what_is_cut_is_a_warning(model):
    table = frame(model)
    table[model.input_names[0]] = 1e30
    with pytest.warns(UserWarning, match=f"{model.input_names[0]}: .* lie beyond"):
        model.predict(table)
    with pytest.warns(UserWarning, match=f"{model.input_names[0]}: .* lie beyond"):
        model.predict(table[model.input_names].to_numpy())


def test_errors_name_the_column(model):
    table = frame(model)
    name = model.input_names[0]
    with pytest.raises(kinglet.Error, match=name):
        model.predict(table.drop(columns=name))
    with pytest.raises(kinglet.Error, match="machine"):
        model.predict(table.drop(columns="machine"), group="machine")
    with pytest.raises(kinglet.Error, match=f'column "{name}": "x" is not a finite number'):
        model.predict(table.assign(**{name: "x"}))
    with pytest.raises(kinglet.Error, match="raw is for arrays"):
        model.predict(table, raw=True)
    with pytest.raises(kinglet.Error, match="group is a column of a table"):
        model.predict(table[model.input_names].to_numpy(), group="machine")


def test_an_empty_table_has_no_answers(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(model.predict(frame(model)[:0])) == 0


def test_lists_in_other_columns_do_not_matter(model):
    arrow = pyarrow.Table.from_pandas(frame(model), preserve_index=False)
    lists = arrow.append_column("lists", pyarrow.array([[1, 2]] * len(arrow)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = model.output_names[0]
        assert model.predict(lists)[name].equals(model.predict(arrow)[name])
