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
        assert plain["machine"].equals(table["machine"])
        # Of each of them one stream.
        same = {" m2 ": "m2", "Gru\u0308n": "Gr\u00fcn"}
        keys = pyarrow.array([same.get(key, key) for key in columns["machine"]])
        clean = table.set_column(table.schema.get_field_index("machine"), "machine", keys)
        assert model.predict(clean, group=group).drop_columns(["machine"]).equals(plain.drop_columns(["machine"]))


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


def plain(model, rows=30):
    return frame(model, rows).reset_index(drop=True).drop(columns="note")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_columns_that_are_not_needed_may_hold_anything(model):
    table = plain(model)
    want = model.predict(table, group="machine")
    table["mixed"] = [1, "two", None] * 10
    table["complex"] = np.ones(30, complex)
    table["any"] = [object()] * 30
    twice = pandas.concat([table, table[["mixed", "mixed"]]], axis=1)
    assert model.predict(twice, group="machine").equals(want)
    assert model.predict(twice.set_index("mixed"), group="machine").reset_index(drop=True).equals(want)
    other = polars.from_pandas(plain(model)).with_columns(polars.lit(None).alias("nothing"), polars.Series("any", [object()] * 30))
    assert np.array_equal(model.predict(other, group="machine")[model.output_names].to_numpy(), want[model.output_names].to_numpy())
    # Those that are needed are named.
    name = model.input_names[0]
    for wrong in ([1, "two", None] * 10, np.ones(30, complex)):
        with pytest.raises(kinglet.Error, match=f'column .{name}.'):
            model.predict(table.assign(**{name: wrong}))
    with pytest.raises(kinglet.Error, match=f':2: column "{name}"'):
        model.predict(other.with_columns(polars.lit(None).alias(name)))
    with pytest.raises(kinglet.Error, match=f'{name}" stands there 2 times'):
        model.predict(pandas.concat([table, table[[name]]], axis=1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_groups_come_back_as_they_are_in_the_table(model):
    table = plain(model)
    keys = {
        "whole": np.arange(30) % 3,
        "times": pandas.to_datetime("2026-01-01") + pandas.to_timedelta(np.arange(30) % 3, "D"),
        "kinds": pandas.Categorical(np.array(["a", "b", "c"])[np.arange(30) % 3], ["c", "b", "a", "never"]),
        "texts": [None, "x", " x "] * 10,
        "truths": np.arange(30) % 2 == 0,
    }
    table = table.assign(**keys)
    arrow = pyarrow.Table.from_pandas(table)
    for name in keys:
        answers = model.predict(table, group=name)
        assert answers[name].equals(table[name]), name
        assert model.predict(arrow, group=name)[name].equals(arrow[name]), name
        if name != "kinds":
            assert model.predict(polars.from_arrow(arrow), group=name)[name].equals(polars.from_arrow(arrow)[name]), name
    by_level = model.predict(table.set_index(["whole", "times"]), group="whole", time="times")
    assert np.array_equal(by_level["whole"], keys["whole"])


def test_tables_without_rows_have_the_types_of_those_with_some():
    for model, group in [(kinglet.load(PUMP), "machine"), (kinglet.load(ROOT / "docs/browser/keyword.kgl"), None)]:
        table = plain(model, 300)
        for kind in (table, pyarrow.Table.from_pandas(table, preserve_index=False), polars.from_pandas(table)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                some, none = model.predict(kind, group=group), model.predict(kind[:0], group=group)
            assert len(some) > 0 and len(none) == 0
            types = [table.schema if hasattr(table, "schema") else table.dtypes.to_dict() for table in (some, none)]
            assert types[0] == types[1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_times_that_are_no_number_are_refused(model):
    table = plain(model).assign(at=np.arange(30.0))
    table.loc[[3, 8], "at"] = np.nan
    arrow = pyarrow.table({name: pyarrow.array(table[name], from_pandas=False) for name in table})
    for kind in (table, arrow, polars.from_arrow(arrow)):
        with pytest.raises(kinglet.Error, match='2 rows have no time in column "at"'):
            model.predict(kind, time="at")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bytes_are_the_text_that_they_are(model):
    arrow = pyarrow.Table.from_pandas(plain(model), preserve_index=False)
    want = model.predict(arrow, group="machine")
    at, name = arrow.schema.get_field_index("machine"), model.input_names[0]
    for kind in (pyarrow.binary(), pyarrow.large_binary()):
        texts = arrow[name].cast(pyarrow.string()).cast(kind)
        as_bytes = arrow.set_column(at, "machine", arrow["machine"].cast(pyarrow.string()).cast(kind))
        as_bytes = as_bytes.set_column(arrow.schema.get_field_index(name), name, texts)
        answers = model.predict(as_bytes, group="machine")
        assert answers.drop_columns(["machine"]).equals(want.drop_columns(["machine"]))
        assert answers["machine"].cast(pyarrow.string()).to_pylist() == want["machine"].to_pylist()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_true_and_false_are_numbers(model):
    table, name = plain(model), model.input_names[0]
    truths = np.arange(30) % 3 == 0
    want = model.predict(table.assign(**{name: truths.astype(float)}))
    assert model.predict(table.assign(**{name: truths})).equals(want)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_other_kinds_of_tables_are_what_they_stream(model):
    class Frame(pandas.DataFrame):
        @property
        def _constructor(self):
            return Frame

    table = plain(model)
    want = model.predict(table)
    assert model.predict(Frame(table)).equals(want)
    arrow = pyarrow.Table.from_pandas(table)
    for kind in (arrow.to_batches()[0], arrow.to_reader()):
        assert model.predict(kind, group="machine").equals(model.predict(arrow, group="machine"))
    with pytest.raises(kinglet.Error, match=r"collect\(\)"):
        model.predict(polars.from_pandas(table).lazy())
    with pytest.raises(kinglet.Error, match="not a table of columns"):
        model.predict(table[model.input_names[0]])
