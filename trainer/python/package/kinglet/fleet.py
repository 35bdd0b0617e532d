"""Many devices, on one machine or on a cluster: a stream per device, whatever batches its rows arrive in.

Spark, Sail, Ray and Flink hand out Arrow batches whose ends mean nothing. A function that starts anew with each of them answers
differently wherever they are cut; a `Scorer` carries the state of every device from one batch to the next. The recipes
for Spark are functions for its own calls:

    rows = spark.read.parquet("fleet/").repartition("device").sortWithinPartitions("device", "time")
    rows.mapInArrow(in_order(model, "device", "time"), spark_schema(model, rows, "device", "time"))

A task that is repeated, as after a lost executor, gives what it would have given, as its state begins with its rows. Of rows that go on
arriving Spark keeps the states itself:

    rows.groupBy("device").transformWithStateInPandas(live(model, "device", "time"), schema, "Append", "None")
"""

import copy
import warnings
import zlib
from typing import Any, Callable, Iterable, Iterator, Optional, Union

import numpy as np
import pyarrow
import pyarrow.compute

from ._kinglet import Error, Model, keys

__all__ = ["Scorer", "in_order", "live", "per_device", "spark_schema"]

#: What a saved state begins with. A checksum follows, as Arrow reads its stream without looking whether that is one.
_MARK = b"kinglet scorer 1\n"


class Scorer:
    """Answers the rows of many devices, a batch at a time.

    model: a `kinglet.Model` of numbers, whose inputs are columns of the batches as they are there. device: the column that says whose a
    row is. time: a column of times or numbers, in whose order the rows of a device are taken within a batch; those of the next batch must
    come later. Without it they are taken as they stand. Devices are told apart as groups are by `Model.predict`: blanks around their names
    say nothing, nor how accents are encoded. Numbers that stand for no value in the model's tables (`missing_values` of its task) are gaps
    here too, as NaN and null are. sorted_by_device: all rows of a device come before those of the next one, so that
    its state is dropped when that begins; rows that do not come so are refused.
    """

    def __init__(
        self, model: Model, device: str = "device", time: Optional[str] = None, *, sorted_by_device: bool = False
    ) -> None:
        if model.takes_tokens:
            raise Error("a Scorer is for models of numbers; this one takes tokens")
        self.model = model
        self._device, self._time, self._sorted = device, time, sorted_by_device
        self._streams, self._over = {}, set()
        # What devices and times are, which a later batch may not change: the same device or time would be another one.
        self._kinds = {}
        # Columns whose values were said to lie beyond what the model holds.
        self._told = set()
        # What a model says of its file is read from it each time.
        self._wakes, self._alarms, self._columns = model.wakes is not None, model.alarms, _answer_columns(model)
        self._gaps = model._gaps
        twice = {device, time} & {name for name, _ in self._columns}
        if twice:
            raise Error(f"the answers would have two columns {twice.pop()!r}; rename the column of the rows")

    def push(self, batch: Any, /) -> pyarrow.RecordBatch:
        """Takes a pyarrow.RecordBatch, or a table or what else has Arrow's PyCapsule interface.

        Returns a pyarrow.RecordBatch, in the order of the rows: the device, the time where there is one, of classes the likeliest, the
        outputs as float32, and of a model that has an alarm its score and whether it is one. A row has no answer while its device's window is
        not complete. An error, and Ctrl-C, leave all devices as they were.
        """
        batch = _batch(batch)
        names, codes, kind = self._devices(batch)
        kinds = {self._device: kind}
        if self._time is not None:
            kinds[self._time] = _kind(self._column(batch, self._time).type)
        for name, kind in kinds.items():
            before = self._kinds.get(name, kind)
            if kind != before and batch.num_rows:
                raise Error(f"column {name!r} holds {kind}, and held {before} in the batches before: cast it to what it was")
        samples = self._samples(batch)
        times = None if self._time is None else self._times(batch)
        order = np.argsort(codes, kind="stable") if times is None else np.lexsort((times, codes))
        starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
        places = [order[a:b] for a, b in zip(starts, starts[1:])]
        if self._sorted:
            self._check_together(names, codes)
        if times is not None:
            for name, rows in zip(names, places):
                self._check_times(name, times[rows])
        # Copies go on, and take their places when all have.
        streams = {}
        answered = np.zeros(len(codes), bool)
        answers = np.full((len(codes), self.model.outputs), np.nan, np.float32)
        scores, alarms = np.zeros(len(codes), np.float32), np.zeros(len(codes), bool)
        for name, rows in zip(names, places):
            entry = streams[name] = self._onward(name)
            y = entry[0].run(samples[rows])
            complete = self._answered(entry[1], len(rows))
            at = rows[complete]
            answered[at], answers[at] = True, y
            if self._wakes:
                scores[at], alarms[at] = entry[3].push(y)
            elif entry[3] is not None:
                scores[rows], alarms[rows] = entry[3].push(samples[rows], y, complete)
            entry[1] += len(rows)
            if times is not None:
                entry[2] = times[rows[-1]].item()
        answer = self._answer(batch, answered, answers, scores, alarms)
        if self._sorted and len(codes):
            last = names[codes[-1]]
            # A hash each, as there may be millions of them.
            over = [hash(name) for name in (*self._streams, *names) if name != last]
            self._streams = {last: streams[last]}
            self._over.update(over)
        else:
            self._streams.update(streams)
        if batch.num_rows:
            self._kinds.update(kinds)
        return answer

    def __reduce__(self) -> Any:
        raise Error("a Scorer goes on where it is, and is not pickled: save_state() gives bytes, which load_state() of another takes")

    def __len__(self) -> int:
        """Devices that have a state."""
        return len(self._streams)

    def save_state(self) -> bytes:
        """The state of all devices, as bytes."""
        devices = list(self._streams)
        entries = [self._streams[name] for name in devices]
        columns = {
            "device": pyarrow.array(devices),
            "rows": pyarrow.array([entry[1] for entry in entries], pyarrow.int64()),
            "time": pyarrow.array([entry[2] for entry in entries]),
            "state": pyarrow.array([entry[0].save() for entry in entries], pyarrow.binary()),
        }
        for name, kind in self._watched():
            columns[name] = pyarrow.array([getattr(entry[3], name) for entry in entries], kind)
        about = {"kinglet": self.model.crc, "device": self._device, "time": self._time or ""}
        about.update({f"kind of {what}": self._kinds.get(name, "") for what, name in self._keys()})
        table = pyarrow.table(columns).replace_schema_metadata(about)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        saved = sink.getvalue().to_pybytes()
        return b"".join((_MARK, zlib.crc32(saved).to_bytes(4, "little"), saved))

    def load_state(self, state: bytes, /) -> None:
        """Goes on from what `save_state` gave for this very model. An error leaves all devices as they were."""
        if not isinstance(state, (bytes, bytearray, memoryview)):
            raise Error(f"expected the bytes of save_state, not {type(state).__name__}")
        state, begin = bytes(state), len(_MARK) + 4
        if not state.startswith(_MARK):
            raise Error("the saved state is none, or one of another version of kinglet: it does not begin as those of save_state do")
        if zlib.crc32(state[begin:]).to_bytes(4, "little") != state[len(_MARK) : begin]:
            raise Error("the saved state is damaged: its checksum is another")
        try:
            table = pyarrow.ipc.open_stream(state[begin:]).read_all()
            columns = [table[name].to_pylist() for name in ("device", "rows", "time", "state")]
            watched = {name: table[name].to_pylist() for name, _ in self._watched()}
        except (pyarrow.ArrowException, KeyError, OSError, ValueError) as error:
            raise Error(f"the saved state is damaged: {error}") from error
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if about.get("kinglet") != self.model.crc:
            raise Error("the saved state is of another model")
        for what, name in [("device", self._device), ("time", self._time or "")]:
            if about.get(what) != name:
                raise Error(f"the saved state has its {what} in column {about.get(what, '')!r}, and this Scorer in {name!r}")
        streams = {}
        for n, (device, rows, time, saved) in enumerate(zip(*columns)):
            stream, watch = self.model.stream(), self._watch()
            stream.restore(saved)
            for name, values in watched.items():
                setattr(watch, name, values[n])
            streams[device] = [stream, rows, time, watch]
        self._streams = streams
        kinds = {name: about.get(f"kind of {what}", "") for what, name in self._keys()}
        self._kinds = {name: kind for name, kind in kinds.items() if kind}

    def _devices(self, batch):
        """Devices by what they are known by, which of them each row is of, and what they are."""
        column = self._column(batch, self._device)
        kind = _kind(column.type)
        coded = column.dictionary_encode()
        names, codes = coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False)
        missing = column.null_count
        if not missing:
            # NaN is another device each time, as it is no number that is equal to itself.
            none = np.array([name is None or name != name for name in names], bool)
            missing = np.count_nonzero(none[codes])
        if missing:
            raise Error(f"{missing} rows have no {self._device!r}")
        if kind == "text":
            places = {}
            codes = np.array([places.setdefault(name, len(places)) for name in keys(names)], np.int64)[codes]
            names = list(places)
        return names, codes, kind

    def _onward(self, name):
        """What goes on for a device: a copy of what it has, or the beginning."""
        if name not in self._streams:
            return [self.model.stream(), 0, None, self._watch()]
        stream, rows, time, watch = self._streams[name]
        return [copy.copy(stream), rows, time, copy.copy(watch)]

    def _keys(self):
        """The columns of devices and times, by what they are."""
        return [("device", self._device)] + ([("time", self._time)] if self._time is not None else [])

    def _watch(self):
        """What says whether there is an alarm, if the model has one."""
        if self._wakes:
            return self.model.spotter()
        return self.model.detector() if self._alarms else None

    def _watched(self):
        """What of that is saved."""
        score, last = ("score", pyarrow.float32()), ("last", pyarrow.list_(pyarrow.float32()))
        if self._wakes:
            return [score]
        return [score, last] if self._alarms else []

    def _answered(self, seen, rows):
        """Which of the rows after so many complete a window."""
        window = self.model.window
        if window is None:
            return np.ones(rows, bool)
        past = np.arange(seen + 1, seen + rows + 1) - window
        return (past >= 0) & (past % self.model.hop == 0)

    def _samples(self, batch):
        samples = np.empty((batch.num_rows, self.model.inputs), np.float32)
        for k, name in enumerate(self.model.input_names):
            column = self._column(batch, name)
            if pyarrow.types.is_boolean(column.type):
                column = column.cast(pyarrow.float32())
            if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type)):
                raise Error(f"column {name!r} is of type {column.type}; expected numbers")
            values = column.to_numpy(zero_copy_only=False)
            samples[:, k] = values
            if self._gaps:
                # As the column would be written: -0.1 of 32 bits is not that of 64.
                kind = values.dtype if values.dtype.kind == "f" else np.float64
                samples[np.isin(values, np.array(self._gaps).astype(kind)), k] = np.nan
        if not self.model.holds and not np.isfinite(samples).all():
            row, k = np.argwhere(~np.isfinite(samples))[0]
            name = self.model.input_names[k]
            there = self._column(batch, name)[row].as_py()
            what = f"{there}, which stands for no value," if there in self._gaps else samples[row, k]
            raise Error(f"row {row} of the batch has {what} in column {name!r}; fill it in or leave the row out")
        for note in self.model._notes(samples):
            column = note.partition(":")[0]
            if column not in self._told:
                warnings.warn(f"{note} (in this batch; of others it is not told again)", stacklevel=3)
                self._told.add(column)
        return samples

    def _times(self, batch):
        column = self._column(batch, self._time)
        if column.null_count:
            raise Error(f"{column.null_count} rows have no {self._time!r}")
        kind = column.type
        if pyarrow.types.is_temporal(kind):
            # In one unit, whatever a batch has: the same time is the same number then.
            if pyarrow.types.is_date(kind):
                column = column.cast(pyarrow.timestamp("ms"))
            elif pyarrow.types.is_time32(kind):
                column = column.cast(pyarrow.time64("ns"))
            unit = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[column.type.unit]
            times = column.cast(pyarrow.int64()).to_numpy(zero_copy_only=False)
            most = np.iinfo(np.int64).max // unit
            if len(times) and not -most <= times.min() <= times.max() <= most:
                raise Error(f"column {self._time!r} has times that a count of nanoseconds does not reach; expected 1678 to 2262")
            return times * unit
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise Error(f"column {self._time!r} is of type {kind}; expected times or numbers")
        times = column.to_numpy(zero_copy_only=False)
        if not np.isfinite(times).all():
            raise Error(f"row {np.flatnonzero(~np.isfinite(times))[0]} of the batch has no number in column {self._time!r}")
        return times

    def _check_together(self, names, codes):
        """No device comes again after another one."""
        returns = np.count_nonzero(np.diff(codes)) + 1 > len(names) > 0
        late = next((name for name in names if hash(name) in self._over), None)
        first = next(iter(self._streams), None)
        if first in names[1:] or late is not None or returns:
            what = f"device {late!r} comes again after others" if late is not None else "devices take turns in a batch"
            raise Error(
                f"{what}: the rows are not sorted by {self._device!r}, or the engine has left the sorting out, as Sail does before "
                "mapInArrow; sort them, take per_device, or pass sorted_by_device=False, which keeps the state of every device"
            )

    def _check_times(self, device, times):
        before = self._streams.get(device, (None, 0, None))[2]
        if before is not None and times[0] <= before or (np.diff(times) == 0).any():
            raise Error(
                f"rows of device {device!r} came twice, or late: a row of a batch is not later in {self._time!r} than the one before; "
                "sort the rows by it, and drop those that are repeated"
            )

    def _column(self, batch, name):
        found = batch.schema.get_all_field_indices(name)
        if len(found) == 1:
            return batch.column(found[0])
        if found:
            raise Error(f"there are {len(found)} columns {name!r}")
        derived = "; derived columns are to be computed before" if "(" in name else ""
        raise Error(f"no column {name!r}; there are {', '.join(batch.schema.names)}{derived}")

    def _answer(self, batch, answered, answers, scores, alarms):
        kept = [self._device] if self._time is None else [self._device, self._time]
        mask = pyarrow.array(answered)
        columns = [self._column(batch, name).filter(mask) for name in kept]
        answers = answers[answered]
        if self.model.classifies:
            names = np.array(self.model.output_names)
            columns.append(pyarrow.array(names[answers.argmax(axis=1)], pyarrow.string()))
        columns += [pyarrow.array(column) for column in answers.T]
        if self._wakes or self._alarms:
            columns += [pyarrow.array(scores[answered]), pyarrow.array(alarms[answered])]
        fields = [batch.schema.field(name) for name in kept]
        fields += [pyarrow.field(name, kind) for name, kind in self._columns]
        return pyarrow.record_batch(columns, schema=pyarrow.schema(fields))


def _answer_columns(model):
    """Names and types of what a row is answered with."""
    columns = [("class", pyarrow.string())] if model.classifies else []
    columns += [(name, pyarrow.float32()) for name in model.output_names]
    if model.wakes is not None or model.alarms:
        columns += [("score", pyarrow.float32()), ("alarm", pyarrow.bool_())]
    return columns


def _kind(of):
    """What a column of devices or times holds, whatever its width or unit is."""
    if pyarrow.types.is_dictionary(of):
        return _kind(of.value_type)
    if pyarrow.types.is_string(of) or pyarrow.types.is_large_string(of):
        return "text"
    if pyarrow.types.is_integer(of) or pyarrow.types.is_floating(of):
        return "numbers"
    if pyarrow.types.is_timestamp(of) or pyarrow.types.is_date(of):
        return "times"
    return str(of)


def _batch(rows):
    """Whatever is Arrow, in one batch, of types that its functions know."""
    batch = _as_batch(rows)
    views = [k for k, field in enumerate(batch.schema) if pyarrow.types.is_string_view(field.type)]
    for k in views:
        batch = batch.set_column(k, batch.schema.field(k).name, batch.column(k).cast(pyarrow.string()))
    return batch


def _as_batch(rows):
    if isinstance(rows, pyarrow.RecordBatch):
        return rows
    if hasattr(rows, "__arrow_c_array__"):
        return pyarrow.record_batch(rows)
    if not isinstance(rows, pyarrow.Table) and not hasattr(rows, "__arrow_c_stream__"):
        raise Error(f"expected a pyarrow.RecordBatch or a table, not {type(rows).__name__}")
    table = pyarrow.table(rows).combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pyarrow.record_batch([column.combine_chunks() for column in table.columns], schema=table.schema)


def _bytes(model):
    """A model on its way to other processes."""
    return model.to_bytes() if isinstance(model, Model) else bytes(model)


def in_order(
    model: Union[Model, bytes], device: str = "device", time: Optional[str] = None, *, sorted_by_device: bool = True
) -> Callable[[Iterable[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """For `mapInArrow`, of rows that are sorted by device and time within a partition, with all rows of a device in one:

    rows.repartition(device).sortWithinPartitions(device, time).mapInArrow(in_order(model, device, time), schema)

    With sorted_by_device=False devices may take turns, and the state of all of them in a partition is kept: for rows that are in order of
    time already. Sail leaves out a sorting before `mapInArrow` and reads a long file in parts: take `per_device` there. Rows that are not in
    order are refused.
    """
    data = _bytes(model)

    def answer(batches):
        scorer = Scorer(Model.from_bytes(data), device, time, sorted_by_device=sorted_by_device)
        for batch in batches:
            yield scorer.push(batch)

    return answer


def per_device(
    model: Union[Model, bytes], device: str = "device", time: Optional[str] = None
) -> Callable[[pyarrow.Table], pyarrow.Table]:
    """For `applyInArrow`: rows.groupBy(device).applyInArrow(per_device(model, device, time), schema). A device's rows must fit into
    memory, and need no order where there is a time."""
    data = _bytes(model)

    def answer(rows):
        return pyarrow.Table.from_batches([Scorer(Model.from_bytes(data), device, time).push(rows)])

    return answer


def live(model: Union[Model, bytes], device: str = "device", time: Optional[str] = None) -> Any:
    """For `transformWithStateInPandas`, of a stream of rows that goes on:

    rows.groupBy(device).transformWithStateInPandas(live(model, device, time), schema, "Append", "None")

    Spark keeps the state of every device with the query's checkpoint, so that a query that is started again goes on from there. The rows
    that a trigger brings of a device are taken in order of time; one that is not later than those of earlier triggers ends the query with
    an error, so drop repeated rows before, as with `dropDuplicatesWithinWatermark`. Spark wants the package protobuf for it (else its worker
    "crashed"), and the session's state store must be RocksDB: "spark.sql.streaming.stateStore.providerClass" is
    "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider".
    """
    from pyspark.sql.streaming import StatefulProcessor

    data = _bytes(model)

    class Live(StatefulProcessor):
        def init(self, handle):
            self.model = Model.from_bytes(data)
            self.saved = handle.getValueState("kinglet", "state binary")

        def handleInputRows(self, key, rows, timerValues):
            scorer = Scorer(self.model, device, time)
            if self.saved.exists():
                scorer.load_state(bytes(self.saved.get()[0]))
            # In as many pieces as Spark likes, whose order means nothing.
            pieces = [pyarrow.Table.from_pandas(piece, preserve_index=False) for piece in rows]
            answers = scorer.push(pyarrow.concat_tables(pieces))
            self.saved.update((scorer.save_state(),))
            yield answers.to_pandas()

        def close(self):
            pass

    return Live()


def spark_schema(model: Model, rows: Any, device: str = "device", time: Optional[str] = None) -> Any:
    """The schema of the answers, for a DataFrame of Spark."""
    from pyspark.sql.types import BooleanType, FloatType, StringType, StructField, StructType

    of = {pyarrow.string(): StringType, pyarrow.float32(): FloatType, pyarrow.bool_(): BooleanType}
    kept = [device] if time is None else [device, time]
    answers = [StructField(name, of[kind]()) for name, kind in _answer_columns(model)]
    return StructType([rows.schema[name] for name in kept] + answers)
