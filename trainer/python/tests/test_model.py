"""What Python says is what `kinglet predict` prints."""

import copy
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

import kinglet

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "engine/tests/models"
PUMP = ROOT / "firmware-example/model/pump.kgl"
COMMAND = os.environ.get("KINGLET_COMMAND")


def model_named(name):
    return kinglet.load(MODELS / f"{name}.kgl")


def samples(model, rows, seed=1):
    numbers = np.random.default_rng(seed)
    return numbers.normal(0, 1, (rows, model.inputs)).astype(np.float32)


def printed(model, x, tmp_path, *flags):
    """What the command line prints, as numbers."""
    if COMMAND is None:
        pytest.skip("KINGLET_COMMAND does not name the command")
    csv = tmp_path / "in.csv"
    header = ",".join('"%s"' % name for name in model.input_names)
    rows = "\n".join(",".join(str(v) if np.isfinite(v) else "" for v in row) for row in x)
    csv.write_text(f"{header}\n{rows}\n")
    run = subprocess.run([COMMAND, "predict", model.path, "--csv", csv, *flags], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = [line.split(",") for line in run.stdout.splitlines()]
    first = lines[0].index(model.output_names[0])
    return np.array([[float(v) for v in line[first : first + model.outputs]] for line in lines[1:]], np.float32)


@pytest.mark.parametrize("name", ["lstm_w8a8", "lstm_w8a16", "gru_w4a8", "mixed_f32", "mixed_f16", "window_f32", "bidirectional_w8a8"])
def test_predict_gives_the_bytes_of_the_command(name, tmp_path):
    model = model_named(name)
    if model.takes_tokens:
        pytest.skip("of tokens")
    x = samples(model, 300)
    got = model.predict(x)
    want = printed(model, x, tmp_path)
    assert got.dtype == np.float32 and got.shape == want.shape and len(got) > 0
    assert got.tobytes() == want.tobytes()


def test_raw_gives_the_bytes_of_the_command(tmp_path):
    model = kinglet.load(PUMP)
    x = samples(model, 50)
    want = printed(model, x, tmp_path, "--raw")
    assert model.predict(x, raw=True).tobytes() == want.tobytes()
    assert (model.predict(x, raw=True) != model.predict(x)).any()


def test_what_a_model_says_about_itself():
    model = kinglet.load(PUMP)
    assert model.inputs == len(model.input_names) == len(model.input_units)
    assert model.outputs == len(model.output_names) == len(model.output_units)
    assert model.format == "w8a8" and model.digest == model.digest and len(model.digest) == 8
    assert model.flash_bytes == PUMP.stat().st_size and 0 < model.state_bytes < 10_000
    assert repr(model).startswith("<kinglet.Model ")
    window = model_named("window_f32")
    assert (window.window, window.hop) == (4, 2)


def test_streams_are_independent_and_go_on_from_a_saved_state():
    model = model_named("lstm_w8a8")
    x, z = samples(model, 60), samples(model, 60, seed=2)
    want, other = model.predict(x), model.predict(z)
    a, b = model.stream(), model.stream()
    got = [(a.step(x[t]), b.step(z[t])) for t in range(30)]
    assert np.array_equal([y for y, _ in got], want[:30])
    assert np.array_equal([y for _, y in got], other[:30])
    saved = a.save()
    assert np.array_equal(a.run(x[30:]), want[30:])
    b.restore(saved)
    assert np.array_equal(b.run(x[30:]), want[30:])
    with pytest.raises(kinglet.Error):
        b.restore(saved[:-1])
    a.reset()
    assert np.array_equal(a.run(x), want)
    assert a.state_bytes == model.state_bytes


@pytest.mark.parametrize("name", ["window_f32", "bidirectional_w8a8", "lstm_w8a16", "gru_w4a8"])
def test_answers_do_not_depend_on_where_samples_are_cut(name):
    model = model_named(name)
    if model.takes_tokens:
        x = np.random.default_rng(3).integers(0, model.inputs, 200)
    else:
        x = samples(model, 200)
    want = model.predict(x)
    numbers = np.random.default_rng(4)
    for _ in range(20):
        cuts = np.sort(numbers.integers(0, 200, 5))
        stream, got = model.stream(), []
        for part in np.split(x, cuts):
            got.append(stream.run(part))
            moved = model.stream()
            moved.restore(stream.save())
            stream = moved
        assert np.concatenate(got).tobytes() == want.tobytes()


def test_a_state_that_was_changed_is_refused():
    stream = model_named("window_f32").stream()
    stream.run(np.ones((3, 1)))
    saved = bytearray(stream.save())
    before = stream.save()
    for at in range(len(saved)):
        saved[at] ^= 1
        with pytest.raises(kinglet.Error):
            stream.restore(bytes(saved))
        saved[at] ^= 1
    for length in range(len(saved)):
        with pytest.raises(kinglet.Error):
            stream.restore(bytes(saved[:length]))
    assert stream.save() == before


@pytest.mark.parametrize("name", ["lstm_w8a8", "window_f32", "mixed_f32"])
def test_a_batch_gives_what_its_streams_give_alone(name):
    model = model_named(name)
    x = np.stack([samples(model, 40, seed) for seed in range(300)])
    want = np.stack([model.predict(of) for of in x])
    assert np.array_equal(model.predict(x), want)
    batch = model.batch(300)
    steps = np.stack([batch.step(x[:, t]) for t in range(40)], axis=1)
    answered = ~np.isnan(steps).all(axis=2)
    assert (answered == answered[0]).all() and answered[0].sum() == want.shape[1]
    assert np.array_equal(steps[:, answered[0]], want)
    saved = batch.save(7)
    batch.reset(7)
    batch.restore(7, saved)
    assert batch.save(7) == saved and len(batch) == 300
    batch.reset()
    again = np.stack([batch.step(x[:, t]) for t in range(40)], axis=1)
    assert np.array_equal(again, steps, equal_nan=True)
    with pytest.raises(IndexError):
        batch.save(300)


def test_a_batch_of_no_streams_answers_none():
    for name, none in (("lstm_w8a8", np.zeros((0, 5))), ("window_f32", np.zeros((0, 1))), ("tokens_w8a8", np.zeros(0, int))):
        model = model_named(name)
        batch = model.batch(0)
        assert len(batch) == 0 and batch.state_bytes == 0
        answers = batch.step(none)
        assert answers.shape == (0, model.outputs) and answers.dtype == np.float32
        batch.reset()
        for refused in (batch.save, batch.reset):
            with pytest.raises(IndexError, match="no stream 0: there are 0"):
                refused(0)
    with pytest.raises(kinglet.Error, match="1 streams; the batch has 0"):
        model_named("lstm_w8a8").batch(0).step(np.zeros((1, 5)))
    with pytest.raises(kinglet.Error, match="bidirectional"):
        model_named("bidirectional_w8a8").batch(0, raw=True)
    with pytest.raises(kinglet.Error, match="-1 streams; expected 0 or more"):
        model_named("lstm_w8a8").batch(-1)


def test_arrays_of_other_kinds_are_numbers_too():
    model = model_named("lstm_w8a8")
    x = samples(model, 20)
    want = model.predict(x)
    assert np.array_equal(model.predict(x.astype(np.float64)), want)
    assert np.array_equal(model.predict(np.asfortranarray(x)), want)
    assert np.array_equal(model.predict(np.repeat(x, 2, axis=0)[::2]), want)
    assert np.array_equal(model.predict(x.tolist()), want)
    unaligned = np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape)
    assert np.array_equal(model.predict(unaligned), want)
    assert model.predict(x[:0]).shape == (0, model.outputs)


def test_float32_is_read_where_it_lies():
    model = model_named("window_f32")
    x = np.zeros((2_000_000, 1), np.float32)
    x.flags.writeable = False
    import tracemalloc

    tracemalloc.start()
    model.predict(x[:1_000_000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000, peak


def test_tokens_are_whole_numbers_of_the_alphabet():
    model = model_named("tokens_w8a8")
    assert model.takes_tokens
    tokens = np.arange(10) % model.inputs
    answers = model.predict(tokens)
    stream = model.stream()
    steps = [stream.step(int(token)) for token in tokens]
    assert np.array_equal(answers[-1], steps[-1])
    with pytest.raises(kinglet.Error, match="no token of the model; expected 0 to"):
        model.step(model.inputs)
    with pytest.raises(kinglet.Error, match="whole numbers"):
        model.predict(np.array([0.5]))


def test_errors_say_what_is_wrong(tmp_path):
    assert issubclass(kinglet.Error, ValueError)
    missing = tmp_path / "missing.kgl"
    with pytest.raises(kinglet.Error, match="missing.kgl: cannot be read"):
        kinglet.load(missing)
    torn = tmp_path / "torn.kgl"
    torn.write_bytes(PUMP.read_bytes()[:-1])
    with pytest.raises(kinglet.Error, match="copy the file again"):
        kinglet.load(torn)
    if COMMAND is not None:
        run = subprocess.run([COMMAND, "verify", torn], capture_output=True, text=True)
        with pytest.raises(kinglet.Error) as error:
            kinglet.load(torn)
        assert run.stderr.strip() == f"error: {error.value}"
    model = model_named("lstm_w8a8")
    with pytest.raises(kinglet.Error, match=r"shape \(4, 2\).*expected \(rows, 5\) or \(streams, rows, 5\)"):
        model.predict(np.zeros((4, 2)))
    with pytest.raises(kinglet.Error, match=r"expected \(5,\)"):
        model.step(np.zeros(4))
    with pytest.raises(kinglet.Error, match="expected numbers"):
        model.predict(np.array([["1"] * 5]))
    with pytest.raises(kinglet.Error, match="bidirectional"):
        model_named("bidirectional_w8a8").stream(raw=True)
    with pytest.raises(kinglet.Error, match="2 streams; the batch has 3"):
        model.batch(3).step(np.zeros((2, 5)))


def test_a_gap_is_refused_by_a_model_that_takes_none():
    model = model_named("lstm_w8a8")
    x = samples(model, 40)
    for gap, cure in ((np.nan, "fill it in"), (np.inf, "numbers are finite")):
        x[7, 2] = gap
        name = re.escape(model.input_names[2])
        with pytest.raises(kinglet.Error, match=rf"x\[7, 2\], which is {name}, is .*{cure}"):
            model.predict(x)
        with pytest.raises(kinglet.Error, match=r"x\[1, 7, 2\]"):
            model.predict(np.stack([np.zeros_like(x), x]))
        for step in (model.step, model.stream().step):
            with pytest.raises(kinglet.Error, match=r"x\[2\]"):
                step(x[7])


def test_what_goes_on_where_it_is_says_how_it_is_saved():
    model = model_named("lstm_w8a8")
    scorer = pytest.importorskip("kinglet.fleet").Scorer(model)
    for what, word in [(model.stream(), "save"), (model.batch(2), "save"), (scorer, "save_state")]:
        with pytest.raises(kinglet.Error, match=word):
            pickle.dumps(what)


def test_columns_that_are_not_in_order_are_refused_where_places_count():
    pandas, polars, pyarrow = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))
    model = model_named("lstm_w8a8")
    names = model.input_names
    rows = pandas.DataFrame(np.ones((4, len(names))), columns=names)
    answers = model.stream().run(rows)
    assert np.array_equal(answers, model.stream().run(rows.to_numpy()))
    for turned in (rows[names[::-1]], pyarrow.Table.from_pandas(rows[names[::-1]]), polars.from_pandas(rows[names[::-1]])):
        with pytest.raises(kinglet.Error, match="predict the table"):
            model.stream().run(turned)


def test_a_model_travels_by_pickle_and_as_bytes():
    model = model_named("lstm_w8a8")
    x = samples(model, 10)
    for again in (pickle.loads(pickle.dumps(model)), kinglet.Model.from_bytes(model.to_bytes())):
        assert np.array_equal(again.predict(x), model.predict(x)) and again.crc == model.crc


def test_many_threads_share_a_model():
    model = model_named("lstm_w8a8")
    x = samples(model, 2000)
    want = model.predict(x)
    wrong = []

    def work():
        stream = model.stream()
        for _ in range(5):
            stream.reset()
            if not np.array_equal(stream.run(x), want) or not np.array_equal(model.predict(x), want):
                wrong.append(1)
            model.step(x[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_a_million_calls_leak_nothing():
    model = model_named("lstm_w8a8")
    x = samples(model, 1)[0]

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc")
    for _ in range(50_000):
        model.step(x)
    before = resident()
    for _ in range(1_000_000):
        model.step(x)
    for _ in range(10_000):
        model.stream().save()
    assert resident() - before < 4 << 20


def test_what_would_be_taken_for_something_else_is_refused():
    model = kinglet.load(PUMP)
    gaps = np.ma.masked_array(np.ones((3, model.inputs)), mask=np.eye(3, model.inputs))
    with pytest.raises(kinglet.Error, match=r"x\.filled\(numpy\.nan\)"):
        model.predict(gaps)
    whole = np.ma.masked_array(np.ones((3, model.inputs)))
    assert np.array_equal(model.predict(whole), model.predict(np.ones((3, model.inputs))))
    with pytest.raises(kinglet.Error, match="1000000000000 streams take .* more than there is"):
        model.batch(10**12)


def test_gaps_under_a_mask_are_refused_of_every_type_and_in_lists():
    model = model_named("lstm_w8a8")
    for kind in (np.float32, np.float64, np.int32):
        x = np.ma.masked_array(np.ones((4, 5), kind), mask=np.eye(4, 5))
        calls = [model.predict, model.stream().run, model.batch(4).step]
        for call, of in [(call, x) for call in calls] + [(model.step, x[0]), (model.stream().step, x[0]), (model.predict, [x, x])]:
            with pytest.raises(kinglet.Error, match=r"x\.filled\(numpy\.nan\)"):
                call(of)
    x.mask = False
    assert np.array_equal(model.predict(x), model.predict(np.ones((4, 5))))


def test_names_that_are_not_in_order_are_refused_wherever_places_count():
    pandas = pytest.importorskip("pandas")
    from collections import namedtuple

    model = model_named("lstm_w8a8")
    names = model.input_names
    turned, numbers = names[::-1], [1.0, 2.0, 3.0, 4.0, 5.0]
    frame = pandas.DataFrame([numbers] * 3, columns=turned)
    layered = frame.set_axis(pandas.MultiIndex.from_product([["of"], turned]), axis=1)
    numbered = frame.set_axis(range(5)[::-1], axis=1)
    series = pandas.Series(dict(zip(turned, numbers)))
    row = next(frame.itertuples(index=False))
    for wrong in (frame, layered, numbered, [series, series], [row, row], [frame.iloc[0], frame.iloc[1]]):
        with pytest.raises(kinglet.Error, match="taken by its place"):
            model.stream().run(wrong)
    with pytest.raises(kinglet.Error, match="taken by its place"):
        model.predict([frame, frame])
    for wrong in (series, row, layered.iloc[0]):
        for step in (model.step, model.stream().step):
            with pytest.raises(kinglet.Error, match="taken by its place"):
                step(wrong)
    # In their order, by their numbers, or the labels of rows.
    want = model.stream().step(numbers)
    Places = namedtuple("Places", ["no name"] * 5, rename=True)
    right = pandas.Series(dict(zip(names, numbers)))
    for sample in (right, right.to_numpy(), right.reset_index(drop=True), right.set_axis(range(7, 12)), Places(*numbers)):
        assert np.array_equal(model.stream().step(sample), want)
    assert np.array_equal(model.stream().run(right.to_frame().T)[0], want)
    assert np.array_equal(model.predict([right.to_frame().T, numbered.set_axis(range(5), axis=1)[:1]])[:, 0], [want, want])


FORKED = """
import multiprocessing, sys, zlib
import numpy as np
import kinglet

model = kinglet.load(sys.argv[1])
x = np.random.default_rng(1).normal(size=(64, 400, model.inputs)).astype(np.float32)

def work(queue):
    batch = model.batch(20_000)
    steps = batch.step(np.ones((20_000, model.inputs), np.float32))
    queue.put(zlib.crc32(model.predict(x).tobytes() + steps.tobytes()))

fork = multiprocessing.get_context("fork")
queue = fork.SimpleQueue()
work(queue)
want = queue.get()
children = [fork.Process(target=work, args=(queue,)) for _ in range(2)]
[child.start() for child in children]
assert [queue.get(), queue.get()] == [want, want]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_of_a_process_that_has_used_its_cores_has_some_of_its_own():
    environment = {**os.environ, "RAYON_NUM_THREADS": "3"}
    model = MODELS / "lstm_w8a8.kgl"
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED, model], check=True, timeout=60, env=environment)


def test_a_copy_of_a_stream_goes_on_by_itself():
    model = model_named("window_f32")
    x = samples(model, 30)
    stream = model.stream()
    stream.run(x[:7])
    other = copy.copy(stream)
    want = stream.run(x[7:])
    stream.reset()
    assert np.array_equal(other.run(x[7:]), want)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_a_stream_as_it_was():
    model = model_named("lstm_w8a8")
    stream = model.stream()
    stream.step(np.ones(5))
    before = stream.save()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    x = np.ones((4_000_000, 5), np.float32)
    with pytest.raises(KeyboardInterrupt):
        while True:
            stream.run(x)
            before = stream.save()
    assert stream.save() == before


def test_a_stream_in_two_threads_says_whose_it_is():
    model = model_named("lstm_w8a8")
    stream, said = model.stream(), []
    running = threading.Thread(target=lambda: stream.run(np.ones((2_000_000, 5), np.float32)))
    running.start()
    while running.is_alive():
        try:
            stream.step(np.ones(5))
        except Exception as error:
            said.append(error)
    assert said and all(isinstance(error, kinglet.Error) and "one thread's" in str(error) for error in said)


def test_bytes_are_whatever_has_some():
    model = model_named("lstm_w8a8")
    data = model.to_bytes()
    for kind in (bytes, bytearray, memoryview):
        again = kinglet.Model.from_bytes(kind(data))
        assert again.crc == model.crc
        again.stream().restore(kind(again.stream().save()))
    for wrong in (None, 7, "text"):
        with pytest.raises(kinglet.Error, match="expected bytes, not"):
            kinglet.Model.from_bytes(wrong)
        with pytest.raises(kinglet.Error, match="expected bytes, not"):
            model.stream().restore(wrong)
    batch = model.batch(2)
    for call in (batch.reset, batch.save, lambda stream: batch.restore(stream, b"")):
        with pytest.raises(IndexError, match="no stream -1: there are 2"):
            call(-1)


KEYWORD = ROOT / "docs/browser/keyword.kgl"


def recorded(path, sound, channels=1, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(sound.astype("<i2"), channels).tobytes())
    return path


def test_a_model_that_listens_hears_and_wakes_as_the_command_does(tmp_path):
    model = kinglet.load(KEYWORD)
    assert model.wakes == "kinglet" and model.rate is None
    rate, frame, hop = (model.listens[key] for key in ("rate", "frame", "hop"))
    noise = np.random.default_rng(3).normal(0, 3000, 3 * rate)
    sound = (noise * np.sin(np.arange(3 * rate) / 900)).astype(np.int16)
    ear = model.log_mel()
    rows = ear.read(recorded(tmp_path / "noise.wav", sound))
    assert rows.shape == (1 + (len(sound) - frame) // hop, model.inputs) and rows.dtype == np.float32
    # In pieces, as int16 and as floats.
    pieces = [ear.push(piece) for piece in np.array_split(sound, 17)]
    assert np.concatenate(pieces).tobytes() == rows.tobytes()
    ear.reset()
    assert ear.push(sound / np.float32(32768)).tobytes() == rows.tobytes()

    answers, spotter = model.predict(rows), model.spotter()
    halves = [spotter.push(half) for half in np.array_split(answers, 2)]
    scores, alarms = (np.concatenate(parts) for parts in zip(*halves))
    assert spotter.score == scores[-1] and len(np.unique(scores)) > 10
    csv = tmp_path / "rows.csv"
    lines = [",".join(model.input_names), *(",".join(map(repr, map(float, row))) for row in rows)]
    csv.write_text("\n".join(lines) + "\n")
    if COMMAND is None:
        pytest.skip("KINGLET_COMMAND does not name the command")
    run = subprocess.run([COMMAND, "predict", KEYWORD, "--csv", csv], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    printed = [line.split(",") for line in run.stdout.splitlines()]
    assert printed[0][-2:] == ["score", "alarm"]
    assert np.float32([line[-2] for line in printed[1:]]).tobytes() == scores.tobytes()
    assert [line[-1] == "1" for line in printed[1:]] == list(alarms)


def test_what_cannot_be_heard_is_said(tmp_path):
    model = kinglet.load(KEYWORD)
    ear = model.log_mel()
    short = recorded(tmp_path / "short.wav", np.zeros(9))
    fast = recorded(tmp_path / "fast.wav", np.zeros(9000), rate=44100)
    for sound, words in [
        ([0.0, np.nan], r"sound\[1\] is NaN"),
        ([0.5, 3000.0], r"sound\[1\] is 3000, whose full scale is 1"),
        (np.zeros((4, 2)), "of one channel"),
        (np.zeros(4, np.int32), "int16"),
        (["a"], "floats whose full scale is 1"),
    ]:
        with pytest.raises(kinglet.Error, match=words):
            ear.push(sound)
    for path, words in [(short, "shorter than a frame of 512"), (fast, "44100 samples a second"), (tmp_path / "no.wav", "no.wav")]:
        with pytest.raises(kinglet.Error, match=words):
            ear.read(path)
    with pytest.warns(UserWarning, match="of 2 channels the mean is taken"):
        ear.read(recorded(tmp_path / "both.wav", np.zeros(900), channels=2))
    with pytest.raises(kinglet.Error, match="answers of shape"):
        model.spotter().push(np.zeros((3, 9)))
    with pytest.raises(kinglet.Error, match="a score of NaN"):
        model.spotter().score = float("nan")
    deaf = kinglet.load(PUMP)
    assert deaf.listens is None and deaf.wakes is None
    for door, words in [(deaf.log_mel, "does not listen"), (deaf.spotter, "waits for no word"), (deaf.greedy, "no transcripts")]:
        with pytest.raises(kinglet.Error, match=words):
            door()
