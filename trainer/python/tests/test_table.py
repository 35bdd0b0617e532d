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
    with pytest.raises(kinglet.Error, match="group and time are columns of a table"):
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


def as_text(table, model):
    """A column of texts in place of one of numbers: the whole table then goes through text."""
    column = model.input_names[0]
    return table.set_column(table.schema.get_field_index(column), column, pyarrow.compute.cast(table[column], "string"))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("group", [None, "machine"])
def test_numbers_are_what_their_text_is(model, group):
    import pyarrow.compute  # noqa: F401

    numbers = np.random.default_rng(5)
    x = numbers.normal(20, 5, (3000, model.inputs))
    # Halfway between two floats of 32 bits, denormal, zero.
    x[::7] = np.nextafter(x[::7].astype(np.float32), np.float32(np.inf)).astype(np.float64) / 2 + x[::7].astype(np.float32) / 2
    x[5], x[6], x[8] = 1e-42, -0.0, 2.0**-149 * 1.5
    columns = dict(zip(model.input_names, x.T))
    columns[model.input_names[1]] = numbers.integers(-5, 2**60, 3000)
    columns[model.input_names[2]] = x[:, 2].astype(np.float32)
    columns["machine"] = numbers.choice(["m1", " m2 ", "Gr\u00fcn", "Gru\u0308n"], 3000)
    table = pyarrow.table(columns)
    plain, printed = model.predict(table, group=group), model.predict(as_text(table, model), group=group)
    assert plain.equals(printed)
    if group:
        assert set(plain["machine"].to_pylist()) == {"m1", "m2", "Gr\u00fcn"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gaps_and_infinities_are_told_alike_for_numbers_and_text(model):
    import pyarrow.compute  # noqa: F401

    good = pyarrow.Table.from_pandas(frame(model).drop(columns=["note", "machine"]), preserve_index=False)
    column = model.input_names[-1]
    for wrong in (None, float("nan"), float("inf"), -1e300):
        values = good[column].to_pylist()
        values[100] = wrong
        table = good.set_column(good.schema.get_field_index(column), column, pyarrow.array(values, "float64"))
        said = []
        for shown in (table, as_text(table, model)):
            with pytest.raises(kinglet.Error) as error:
                model.predict(shown)
            said.append(str(error.value))
        assert said[0] == said[1] and ":102: " in said[0], said


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_rows_are_taken_in_order_of_time(model, kind):
    table = frame(model).reset_index(names="when")
    want = model.predict(table, group="machine")
    mixed = table.sample(frac=1, random_state=3)
    as_kind = {"pandas": lambda t: t, "polars": polars.from_pandas, "pyarrow": pyarrow.Table.from_pandas}[kind]
    got = model.predict(as_kind(mixed), group="machine", time="when")
    if kind == "pandas":
        assert list(got.index) == list(mixed.index)
        assert got.sort_index().equals(want)
    else:
        assert got["row"].to_pylist() if kind == "pyarrow" else got["row"].to_list() == list(range(len(mixed)))
        y = np.asarray(got[model.output_names[0]])
        assert np.array_equal(y, want.loc[mixed.index, model.output_names[0]].to_numpy())
    for words, options in [("no column 'w'|no column \"w\"", {"time": "w"}), ("ordered by times", {"time": "machine"})]:
        with pytest.raises(kinglet.Error, match=words):
            model.predict(mixed, **options)
