"""A fleet has one answer, whoever cuts its rows into batches."""

import copy
import os
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

import kinglet

pyarrow = pytest.importorskip("pyarrow")
import pyarrow.parquet  # noqa: E402

from kinglet.fleet import Scorer, in_order, live, per_device, spark_schema  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
PUMP = ROOT / "firmware-example/model/pump.kgl"
MODELS = ROOT / "engine/tests/models"
DEVICES, STEPS = 1000, int(os.environ.get("KINGLET_FLEET_STEPS", "100"))


@pytest.fixture(scope="module")
def model():
    return kinglet.load(PUMP)


@pytest.fixture(scope="module")
def fleet(model):
    """Rows in order of time, those of a minute from all devices, as a gateway would have them."""
    numbers = np.random.default_rng(7)
    x = np.abs(numbers.normal(20, 8, (STEPS, DEVICES, model.inputs))).astype(np.float32)
    device = pyarrow.array([f"pump-{k:04}" for k in range(DEVICES)]).take(np.tile(np.arange(DEVICES), STEPS))
    time = np.repeat(np.arange(STEPS, dtype="int64"), DEVICES)
    columns = {name: x[..., k].ravel() for k, name in enumerate(model.input_names)}
    return x, pyarrow.table({"time": time, "device": device, **columns})


@pytest.fixture(scope="module")
def digest(model, fleet):
    """One stream at a time."""
    x, _ = fleet
    return zlib.crc32(np.stack([model.stream().run(x[:, k]) for k in range(DEVICES)]).tobytes())


def digest_of(model, answers):
    """Of answers in any order, each of which has a place of its own."""
    assert answers.num_rows == DEVICES * STEPS
    devices = answers["device"].combine_chunks().dictionary_encode()
    numbers = np.array([int(name.removeprefix("pump-")) for name in devices.dictionary.to_pylist()])
    place = numbers[devices.indices.to_numpy()] * STEPS + answers["time"].to_numpy()
    y = np.full((DEVICES * STEPS, model.outputs), np.nan, np.float32)
    y[place] = np.stack([answers[name].to_numpy() for name in model.output_names], axis=-1)
    assert not np.isnan(y).any()
    return zlib.crc32(y.tobytes())


def test_a_batch_of_streams_has_the_digest_of_one_at_a_time(model, fleet, digest):
    batch = model.batch(DEVICES)
    y = np.stack([batch.step(x) for x in fleet[0]], axis=1)
    assert zlib.crc32(np.ascontiguousarray(y).tobytes()) == digest


@pytest.mark.parametrize("rows", [999, 4096, 10**9])
def test_a_scorer_has_it_wherever_batches_end(model, fleet, digest, rows):
    scorer = Scorer(model, "device", "time")
    answers = [scorer.push(batch) for batch in fleet[1].to_batches(max_chunksize=rows)]
    assert digest_of(model, pyarrow.Table.from_batches(answers)) == digest
    assert len(scorer) == DEVICES


def test_a_scorer_goes_on_from_a_saved_state(model, fleet, digest):
    batches, answers = fleet[1].to_batches(max_chunksize=7777), []
    scorer = Scorer(model, "device", "time")
    for batch in batches:
        answers.append(scorer.push(batch))
        state = scorer.save_state()
        scorer = Scorer(model, "device", "time")
        scorer.load_state(state)
    assert digest_of(model, pyarrow.Table.from_batches(answers)) == digest
    with pytest.raises(kinglet.Error, match="another model"):
        Scorer(kinglet.load(MODELS / "lstm_w8a8.kgl")).load_state(state)
    assert len(scorer) == DEVICES


def test_windows_are_answered_in_the_rows_that_complete_them():
    model = kinglet.load(MODELS / "window_f32.kgl")
    x = np.random.default_rng(1).normal(size=(3, 25)).astype(np.float32)
    table = pyarrow.table({"device": np.tile([7, 8, 9], 25), model.input_names[0]: x.T.ravel(), "at": np.repeat(np.arange(25), 3)})
    scorer = Scorer(model, "device", "at")
    answers = pyarrow.Table.from_batches([scorer.push(batch) for batch in table.to_batches(max_chunksize=10)])
    for k, device in enumerate([7, 8, 9]):
        of = answers.filter(pyarrow.compute.equal(answers["device"], device))
        assert np.array_equal(of[model.output_names[0]].to_numpy(), model.predict(x[k][:, None])[:, 0])
        assert of["at"].to_pylist() == list(range(3, 25, 2))


def test_windows_from_both_ends_go_on_from_batch_to_batch():
    model = kinglet.load(MODELS / "bidirectional_w8a8.kgl")
    x = np.random.default_rng(3).normal(size=(60, model.inputs)).astype(np.float32)
    rows = pyarrow.table({"device": np.zeros(60, int), **dict(zip(model.input_names, x.T))})
    scorer = Scorer(model)
    answers = pyarrow.Table.from_batches([scorer.push(batch) for batch in rows.to_batches(max_chunksize=7)])
    expected = model.predict(x)
    assert np.isfinite(expected).all() and len(expected) > 2
    assert np.array_equal(np.stack([answers[name].to_numpy() for name in model.output_names], 1), expected)


def test_times_and_devices_mean_the_same_in_every_batch(model):
    def rows(times, device="a"):
        numbers = dict(zip(model.input_names, np.full((model.inputs, len(times)), 20.0, np.float32)))
        return pyarrow.table({"device": pyarrow.array([device] * len(times)), "at": times, **numbers})

    stamps = pyarrow.array([1000, 2000], pyarrow.timestamp("ms"))
    scorer = Scorer(model, time="at")
    scorer.push(rows(stamps))
    # The same in another unit, and later ones in a coarser.
    with pytest.raises(kinglet.Error, match="came twice"):
        scorer.push(rows(stamps.cast(pyarrow.timestamp("ns"))))
    assert scorer.push(rows(pyarrow.array([3, 4], pyarrow.timestamp("s")))).num_rows == 2
    with pytest.raises(kinglet.Error, match="'at' holds numbers, and held times"):
        scorer.push(rows(pyarrow.array([9000, 9001])))
    with pytest.raises(kinglet.Error, match="'device' holds numbers, and held text"):
        scorer.push(rows(pyarrow.array([5, 6], pyarrow.timestamp("s")), 1))
    state = scorer.save_state()
    with pytest.raises(kinglet.Error, match="in column 'device'"):
        Scorer(model, device="machine", time="at").load_state(state)
    later = Scorer(model, time="at")
    later.load_state(state)
    with pytest.raises(kinglet.Error, match="held times"):
        later.push(rows(pyarrow.array([9000, 9001])))
    with pytest.raises(kinglet.Error, match="no number"):
        Scorer(model, time="at").push(rows(pyarrow.array([1.0, float("nan")])))
    views = rows(stamps).set_column(0, "device", pyarrow.array(["a", "a"]).cast(pyarrow.string_view()))
    assert Scorer(model, time="at").push(views)["device"].to_pylist() == ["a", "a"]


def same_as_a_table(model, rows, names):
    """A Scorer's answers are those of `predict`, wherever batches end and its state is saved."""
    scorer, answers = Scorer(model, "device", "at"), []
    for batch in rows.to_batches(max_chunksize=37):
        answers.append(scorer.push(batch))
        state = scorer.save_state()
        scorer = Scorer(model, "device", "at")
        scorer.load_state(state)
    answers = pyarrow.Table.from_batches(answers)
    assert answers.column_names == ["device", "at", *names]
    at_once = model.predict(rows, group="device", time="at")
    assert answers.sort_by("at").drop_columns(["at"]).equals(at_once.drop_columns(["row"]))
    return at_once


@pytest.mark.parametrize("kind", ["many-to-many", "many-to-one"])
def test_alarms_of_a_scorer_are_those_of_a_table(kind):
    pandas = pytest.importorskip("pandas")
    x = np.sin(np.arange(900) / 5) + np.random.default_rng(4).normal(0, 0.05, 900)
    task = {
        "name": "wave",
        "csv": {"file": "rows.csv"},
        "series": {"features": ["x"], "targets": ["x"]},
        "shape": {"kind": kind, "window": 8},
        "network": {"cell": "gru", "hidden": [6]},
        "train": {"epochs": 3, "learning_rate": 0.03},
        "anomaly": {"smoothing": 0.3},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kinglet.train(task, pandas.DataFrame({"x": x}), precision="w8a8", progress=False)
        calm, wild = x[:200], np.where(np.arange(200) > 120, 2 * np.cos(1.7 * np.arange(200) ** 2), x[:200])
        both = np.stack([calm, wild], axis=1).ravel().astype(np.float32)
        rows = pyarrow.table({"device": ["calm", "wild"] * 200, "at": np.arange(400), "x": both})
        table = same_as_a_table(model, rows, [*model.output_names, "score", "alarm"])
    assert model.alarms and not model.classifies and table.num_rows > 200
    alarms = [table.filter(pyarrow.compute.equal(table["device"], name))["alarm"].to_numpy() for name in ("calm", "wild")]
    assert alarms[0].mean() < 0.05 and alarms[1][-60:].mean() > 0.5

    # The same by hand.
    if model.window is None:
        stream, detector = model.stream(), model.detector()
        scores, alarm = zip(*(detector.push(part, stream.run(part)) for part in np.array_split(both[1::2, None], 3)))
        assert np.array_equal(np.concatenate(alarm), alarms[1])
        assert detector.score == np.concatenate(scores)[-1] and detector.last.shape == (1,)
        strided = model.detector()
        every = np.repeat(np.ones(200, bool), 2)[::2]
        assert np.array_equal(strided.push(both[1::2, None], model.stream().run(both[1::2, None]), every)[0], np.concatenate(scores))
        other = copy.copy(strided)
        strided.reset()
        assert other.score == detector.score and np.array_equal(other.last, detector.last)
        detector.reset()
        assert detector.score == 0 and np.isnan(detector.last).all()
        for words, y in [("10 samples, 9 answers", np.zeros((9, 1))), ("expected \\(1,\\)", np.zeros((10, 2)))]:
            with pytest.raises(kinglet.Error, match=words):
                detector.push(both[:10, None], y)


def test_a_word_that_wakes_is_scored_for_every_device():
    model = kinglet.load(ROOT / "docs/browser/keyword.kgl")
    x = np.random.default_rng(2).normal(size=(300, model.inputs)).astype(np.float32)
    columns = {name: x[:, k] for k, name in enumerate(model.input_names)}
    rows = pyarrow.table({"device": ["a", "b", "c"] * 100, "at": np.arange(300), **columns})
    assert model.classifies and not model.alarms
    same_as_a_table(model, rows, ["class", *model.output_names, "score", "alarm"])
    with pytest.raises(kinglet.Error, match="has no alarm"):
        model.detector()


def test_what_is_wrong_is_said_and_changes_nothing(model, fleet):
    rows = fleet[1].slice(0, 3 * DEVICES)
    first, again = rows.slice(0, DEVICES), rows.slice(DEVICES)
    scorer = Scorer(model, "device", "time")
    scorer.push(first)
    before = scorer.save_state()
    empty = again.set_column(2, "load", pyarrow.array([None] * again.num_rows, pyarrow.float32()))
    for words, wrong in [
        ("came twice, or late", first),
        ("no column 'device'", again.drop_columns(["device"])),
        ("no column 'load'", again.drop_columns(["load"])),
        ("'load'; fill it in", empty),
        ("not list", [1, 2]),
    ]:
        with pytest.raises(kinglet.Error, match=words):
            scorer.push(wrong)
        assert scorer.save_state() == before
    assert scorer.push(again.slice(0, 0)).num_rows == 0
    assert scorer.push(again).num_rows == 2 * DEVICES


def test_what_stands_for_no_value_is_a_gap_as_in_a_table():
    t = np.arange(600)
    load = np.sin(t / 9)
    load[100:111] = -0.1
    rows = pyarrow.table({"device": ["a", "b"] * 300, "at": t, "load": load.astype(np.float32), "y": np.sin((t - 4) / 9)})
    task = {
        "name": "lag",
        "csv": {"format": {"missing": "hold", "missing_values": ["-0.1"]}},
        "series": {"features": ["load"], "targets": ["y"], "group": "device"},
        "shape": {"kind": "many-to-many", "window": 16, "horizon": 0},
        "network": {"cell": "gru", "hidden": [4]},
        "train": {"epochs": 1},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kinglet.train(task, rows, progress=False)
    for kind in (np.float32, np.float64):
        fleet = rows.set_column(2, "load", pyarrow.array(load.astype(kind)))
        same_as_a_table(model, fleet, ["y"])


def once_killed(answer, mark):
    """Ends the Python worker at the first try."""

    def killed(batches):
        for n, batch in enumerate(answer(batches)):
            if n == 1 and not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), 9)
            yield batch

    return killed


@pytest.fixture(scope="module")
def spark():
    """A cluster of this machine."""
    pytest.importorskip("py4j")
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2, 3]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "3").config("spark.driver.host", "127.0.0.1")
    store = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    builder = builder.config("spark.sql.streaming.stateStore.providerClass", store)
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "777").config("spark.driver.bindAddress", "127.0.0.1")
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def sail():
    """The same without Java."""
    pytest.importorskip("pysail")
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer("127.0.0.1", 0)
    server.start()
    host, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    yield session
    session.stop()
    server.stop()


def by_device(fleet, session, tmp_path):
    """The rows of a device in one partition, in order of time."""
    path = tmp_path / "fleet.parquet"
    pyarrow.parquet.write_table(fleet[1], path)
    return session.read.parquet(str(path)).repartition("device").sortWithinPartitions("device", "time")


def has_it(model, digest, answers, tmp_path):
    """By way of files, as a cluster writes them: all of them at once would not go through its driver."""
    answers.write.parquet(str(tmp_path / "answers"))
    assert digest_of(model, pyarrow.parquet.read_table(tmp_path / "answers")) == digest


def test_spark_has_it(model, fleet, digest, spark, tmp_path):
    rows = by_device(fleet, spark, tmp_path)
    answers = rows.mapInArrow(in_order(model, "device", "time"), spark_schema(model, rows, "device", "time"))
    has_it(model, digest, answers, tmp_path)


def test_spark_has_it_though_a_worker_is_killed(model, fleet, digest, spark, tmp_path):
    rows = by_device(fleet, spark, tmp_path)
    killed = once_killed(in_order(model, "device", "time"), str(tmp_path / "killed"))
    answers = rows.mapInArrow(killed, spark_schema(model, rows, "device", "time"))
    has_it(model, digest, answers, tmp_path)
    assert (tmp_path / "killed").exists()


def test_spark_has_it_device_by_device(model, fleet, digest, spark, tmp_path):
    grouped_has_it(model, fleet, digest, spark, tmp_path)


def grouped_has_it(model, fleet, digest, session, tmp_path):
    rows = by_device(fleet, session, tmp_path)
    schema = spark_schema(model, rows, "device", "time")
    grouped = rows.groupBy("device").applyInArrow(per_device(model, "device", "time"), schema)
    has_it(model, digest, grouped, tmp_path)


def test_a_live_query_has_it_though_it_is_started_again(model, fleet, digest, spark, tmp_path):
    """Half of the rows at first."""
    (tmp_path / "rows").mkdir()
    schema = spark.createDataFrame(fleet[1].slice(0, 1).to_pandas()).schema
    minutes = STEPS // 4

    def arrive(first, last):
        for k in range(first, last):
            rows = fleet[1].slice(k * minutes * DEVICES, minutes * DEVICES)
            pyarrow.parquet.write_table(rows, tmp_path / "rows" / f"{k:04}.parquet")
        stream = spark.readStream.schema(schema).option("maxFilesPerTrigger", 2).parquet(str(tmp_path / "rows"))
        answers = stream.groupBy("device").transformWithStateInPandas(
            live(model, "device", "time"), spark_schema(model, stream, "device", "time"), "Append", "None"
        )
        query = answers.writeStream.format("parquet").option("path", str(tmp_path / "answers"))
        query = query.option("checkpointLocation", str(tmp_path / "checkpoint")).trigger(availableNow=True).start()
        query.awaitTermination()

    arrive(0, 2)
    arrive(2, 4)
    assert digest_of(model, spark.read.parquet(str(tmp_path / "answers")).toArrow()) == digest
    pyarrow.parquet.write_table(fleet[1].slice(0, 5), tmp_path / "rows" / "late.parquet")
    with pytest.raises(Exception, match="came twice, or late"):
        arrive(0, 0)


def test_sail_has_it(model, fleet, digest, sail, tmp_path):
    rows = by_device(fleet, sail, tmp_path)
    schema = spark_schema(model, rows, "device", "time")
    answers = rows.mapInArrow(in_order(model, "device", "time", sorted_by_device=False), schema)
    has_it(model, digest, answers, tmp_path)


def test_sail_has_it_device_by_device(model, fleet, digest, sail, tmp_path):
    """However long the file is: rows of a long one come out of order, as Sail reads it in parts."""
    grouped_has_it(model, fleet, digest, sail, tmp_path)


def test_the_sort_that_sail_leaves_out_is_told(model, fleet, sail, tmp_path):
    rows = by_device(fleet, sail, tmp_path)
    with pytest.raises(Exception, match="the rows are not sorted by 'device'"):
        rows.mapInArrow(in_order(model, "device", "time"), spark_schema(model, rows, "device", "time")).toArrow()


def test_rows_of_a_device_come_together_where_states_are_dropped(model, fleet, digest):
    ordered = fleet[1].sort_by([("device", "ascending"), ("time", "ascending")])
    scorer = Scorer(model, "device", "time", sorted_by_device=True)
    answers = []
    for batch in ordered.to_batches(max_chunksize=777):
        answers.append(scorer.push(batch))
        assert len(scorer) == 1
    assert digest_of(model, pyarrow.Table.from_batches(answers)) == digest
    for wrong in (ordered.slice(0, 5), fleet[1].slice(0, 2 * DEVICES)):
        with pytest.raises(kinglet.Error, match="not sorted by 'device'"):
            scorer.push(wrong)


def test_a_state_that_was_changed_is_refused(model, fleet):
    scorer = Scorer(model, "device", "time")
    scorer.push(fleet[1].slice(0, 3))
    state = scorer.save_state()
    for at in range(len(state)):
        for bit in (1, 0x80):
            wrong = bytearray(state)
            wrong[at] ^= bit
            with pytest.raises(kinglet.Error, match="damaged|another version"):
                scorer.load_state(bytes(wrong))
    for length in range(len(state)):
        with pytest.raises(kinglet.Error):
            scorer.load_state(state[:length])
    for wrong in (None, "text", 7):
        with pytest.raises(kinglet.Error, match="expected the bytes of save_state, not"):
            scorer.load_state(wrong)
    assert scorer.save_state() == state
    scorer.load_state(memoryview(state))
    assert scorer.save_state() == state


@pytest.mark.parametrize("kept", [True, False])
def test_what_stops_a_push_leaves_all_devices_as_they_were(fleet, kept):
    class Stopped(kinglet.Model):
        """The first stream of a new device ends in Ctrl-C."""

        stops = False

        def stream(self):
            return self if self.stops else super().stream()

        def run(self, x):
            raise KeyboardInterrupt

    model = Stopped(PUMP)
    rows = fleet[1].take(np.argsort(fleet[1]["device"].to_numpy(zero_copy_only=False), kind="stable"))
    rows = rows.slice(0, 3 * STEPS)
    scorer = Scorer(model, "device", "time", sorted_by_device=not kept)
    # Half of the second device.
    scorer.push(rows.slice(0, STEPS + STEPS // 2))
    before, rest = scorer.save_state(), rows.slice(STEPS + STEPS // 2)
    model.stops = True
    with pytest.raises(KeyboardInterrupt):
        scorer.push(rest)
    model.stops = False
    assert scorer.save_state() == before
    whole = Scorer(model, "device", "time", sorted_by_device=not kept).push(rows)
    assert scorer.push(rest).equals(whole.slice(STEPS + STEPS // 2))


def test_devices_are_told_apart_as_groups_are(model):
    names = ["a", "Gr\u00fcn", " a ", "Gru\u0308n", "b"] * 20
    x = np.abs(np.random.default_rng(3).normal(20, 8, (100, model.inputs))).astype(np.float32)
    rows = pyarrow.table({"device": names, "at": np.arange(100), **dict(zip(model.input_names, x.T))})
    scorer = Scorer(model, "device", "at")
    answers = [scorer.push(batch) for batch in rows.to_batches(max_chunksize=7)]
    assert len(scorer) == 3
    assert pyarrow.Table.from_batches(answers).drop_columns(["at"]).equals(model.predict(rows, group="device").drop_columns(["row"]))
    truths = pyarrow.array([True, False] * 50)
    first = rows.schema.get_field_index(model.input_names[0])
    as_truths, as_numbers = (rows.set_column(first, model.input_names[0], of) for of in (truths, truths.cast(pyarrow.float32())))
    assert Scorer(model, "device").push(as_truths).equals(Scorer(model, "device").push(as_numbers))
    gaps = pyarrow.array([float("nan"), 1.0] * 50, from_pandas=False)
    with pytest.raises(kinglet.Error, match="50 rows have no 'device'"):
        Scorer(model, "device").push(rows.set_column(0, "device", gaps))
