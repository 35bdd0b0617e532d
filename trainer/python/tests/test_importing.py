"""What comes from a framework answers as the framework does."""

import warnings
from pathlib import Path

import numpy as np
import pytest

import kinglet

ROOT = Path(__file__).resolve().parents[3]
ONNX = ROOT / "trainer/tests/importing/onnx/coupled.onnx"


@pytest.fixture(scope="module")
def torch():
    pytest.importorskip("onnxscript")
    return pytest.importorskip("torch")


def network(torch, cell, **options):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell(3, 8, **options)
            self.dense = torch.nn.Linear(8, 2)

        def forward(self, x):
            return self.dense(self.cell(x)[0])

    torch.manual_seed(1)
    return Network()


@pytest.mark.parametrize("shape, first", [((1, 20, 3), True), ((20, 1, 3), False), ((4, 20, 3), True), ((20, 4, 3), False)])
def test_a_module_of_pytorch_answers_as_the_model(torch, shape, first):
    for cell in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN):
        module = network(torch, cell, batch_first=first)
        x = torch.randn(shape)
        model = kinglet.from_torch(module, x)
        with torch.no_grad():
            y = module.eval()(x).numpy()
        series = x.numpy() if first else x.numpy().swapaxes(0, 1)
        got = model.predict(np.ascontiguousarray(series))
        want = y if first else y.swapaxes(0, 1)
        assert got.shape == want.shape and np.abs(got - want).max() < 1e-5
        assert model.format == "f32" and model.inputs == 3


def test_a_module_is_left_as_it_was_and_can_be_quantized(torch):
    module = network(torch, torch.nn.LSTM, batch_first=True).train()
    rows = torch.randn(1, 500, 3)
    options = {"names": "a,b,c", "input_mean": "1,2,3", "input_std": "2,2,2"}
    model = kinglet.from_torch(module, rows[:, :20], **options)
    assert module.training and model.input_names == ["a", "b", "c"]
    raw = rows[0].numpy() * 2 + [1, 2, 3]
    with torch.no_grad():
        want = module(rows)[0].numpy()
    assert np.abs(model.predict(raw) - want).max() < 1e-5
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(raw, columns=model.input_names)
    assert np.abs(model.quantize("w8a16", frame).predict(raw) - want).max() < 0.02


#: What modules do with their samples, by the layers of `module_of`.
FORMS = {
    "the last step": lambda m, x: m.dense(m.cell(x)[0][:, -1]),
    "the last state": lambda m, x: m.dense(m.cell(x)[1][-1]),
    "from a state of zero": lambda m, x: m.dense(m.cell(x, x.new_zeros(1, len(x), 8))[0][:, -1]),
    "classes": lambda m, x: m.dense(m.cell(x)[0][:, -1]).softmax(-1),
    "BatchNorm": lambda m, x: m.dense(m.cell(m.norm(x.transpose(1, 2)).transpose(1, 2))[0][:, -1]),
    "time first": lambda m, x: m.dense(m.cell(x)[0][-1]),
    "normalised": lambda m, x: m.dense(m.cell((x - m.mean) / m.std)[0]),
    "what changes": lambda m, x: m.wide(m.cell(x)[0]) + x,
    "one number": lambda m, x: m.one(m.cell(x)[0]).squeeze(-1),
    "the first of one": lambda m, x: m.one(m.cell(x)[0])[:, :, 0],
    "one last number": lambda m, x: m.one(m.cell(x)[0][:, -1]).squeeze(-1),
    "by name": lambda m, x: {"y": m.dense(m.cell(x)[0])},
    "of two the second": lambda m, x: (m.dense(m.cell(x)[0]), m.dense(m.cell(x)[0]).sigmoid()),
}


def module_of(torch, form):
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = torch.nn.GRU(3, 8, batch_first=True)
            self.dense, self.one, self.wide = (torch.nn.Linear(8, outputs) for outputs in (2, 1, 3))
            self.norm = torch.nn.BatchNorm1d(3)
            self.norm.running_mean[:], self.norm.running_var[:] = torch.tensor([1.0, 2.0, 3.0]), 2.0
            self.register_buffer("mean", torch.tensor([10.0, 20.0, 30.0]))
            self.register_buffer("std", torch.tensor([2.0, 0.5, 3.0]))

        def forward(self, x):
            return form(self, x)

    torch.manual_seed(1)
    return Module()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 4])
def test_whatever_a_module_answers_with_is_compared(torch, form, batch):
    module = module_of(torch, FORMS[form])
    module.cell.batch_first = form != "time first"
    x = torch.randn((batch, 10, 3) if module.cell.batch_first else (10, batch, 3))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not compared")
        model = kinglet.from_torch(module, x)
        half = kinglet.from_torch(module, x, input_mean="1,2,3", input_std="2", precision="f16")
    assert (model.format, half.format) == ("f32", "f16")


def test_what_differs_is_an_error_and_what_cannot_be_compared_is_told(torch):
    from kinglet._importing import _compare

    module, x = module_of(torch, FORMS["the last step"]).eval(), torch.randn(4, 10, 3)
    model = kinglet.from_torch(module, x)
    with torch.no_grad():
        y = module(x)
    _compare(model, x, y)
    for other in (y + 0.1, y.flip(0), (y * 2, {"y": y - 1})):
        with pytest.raises(kinglet.Error, match="differs from the network's by"):
            _compare(model, x, other)
    for wrong, answer, words in [(x, y[:, :1], r"\(4, 1\) and the model with \(4, 1, 2\)"), (x[:, :5], y, "fewer rows than a window"), (x, None, "no tensor")]:
        with pytest.warns(UserWarning, match=f"{words}.*not compared"):
            _compare(model, wrong, answer)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_convolutions_and_logarithms_of_probabilities_of_whatever_batch(torch, batch):
    class Spotter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(6, 8, 3)
            self.gru = torch.nn.GRU(8, 8, batch_first=True)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, x):
            before = torch.nn.functional.pad(x.transpose(1, 2), (2, 0))
            y, _ = self.gru(torch.relu(self.conv(before)).transpose(1, 2))
            return torch.log_softmax(self.head(y), -1)

    torch.manual_seed(0)
    module, sample = Spotter().eval(), torch.randn(batch, 40, 6)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = kinglet.from_torch(module, sample)
    assert not any("not compared" in str(warning.message) for warning in told)
    got = model.predict(sample[0].numpy())
    assert np.abs(got - module(sample)[0].exp().detach().numpy()).max() < 1e-5


def test_parts_of_a_module_that_were_set_to_evaluation_stay_so(torch):
    module = module_of(torch, FORMS["BatchNorm"]).train()
    module.norm.eval()
    kinglet.from_torch(module, torch.randn(1, 10, 3))
    assert module.training and module.cell.training and not module.norm.training


def test_what_a_module_does_not_take_is_one_line(torch):
    module, x = module_of(torch, FORMS["the last step"]), torch.randn(1, 10, 3)
    for wrong, words in [(x.numpy(), "not ndarray"), ((x, x), "not tuple"), (x[..., :2], "Expected 3, got 2"), (x.double(), "dtype")]:
        with pytest.raises(kinglet.Error, match=words) as error:
            kinglet.from_torch(module, wrong)
        assert "\n" not in str(error.value)
    # The sample of a module of doubles is one of doubles.
    assert kinglet.from_torch(module.double(), x.double()).format == "f32"


#: What tracing records as it was for the sample.
FROZEN = {
    "a number": lambda m, x: m.dense(m.cell(x / x.abs().mean().item())[0]),
    "a branch": lambda m, x: m.dense(m.cell(x)[0]) * (1 if x.sum() > 0 else -1),
    "noise": lambda m, x: m.dense(m.cell(x)[0]) + x.new_tensor(np.random.normal()),
}


@pytest.mark.parametrize("form", FROZEN)
def test_what_was_frozen_for_the_sample_is_an_error(torch, form):
    module, x = module_of(torch, FROZEN[form]), torch.rand(1, 10, 3)
    with pytest.raises(kinglet.Error, match="differs from the network's by"):
        kinglet.from_torch(module, x)


def test_samples_that_a_module_does_not_take_are_told(torch):
    def form(m, x):
        if x.min() < 0:
            raise ValueError("below 0")
        return m.dense(m.cell(x)[0])

    with pytest.warns(UserWarning, match="does not take the sample times -1, .*: below 0"):
        kinglet.from_torch(module_of(torch, form), torch.rand(1, 10, 3))


def test_an_answer_of_several_is_taken_by_its_key(torch):
    module, x = module_of(torch, lambda m, x: {"a": m.dense(m.cell(x)[0]), "b": m.one(m.cell(x)[0])}), torch.randn(1, 10, 3)
    for key, outputs in [("a", 2), ("b", 1)]:
        assert kinglet.from_torch(module, x, output=key).outputs == outputs


def test_samples_and_numbers_that_say_too_little_are_refused(torch):
    module = module_of(torch, FORMS["the last step"])
    with pytest.raises(kinglet.Error, match="one step.*give a longer one"):
        kinglet.from_torch(module, torch.randn(1, 1, 3))
    with pytest.raises(kinglet.Error, match=r"module.float\(\)"):
        kinglet.from_torch(module.bfloat16(), torch.randn(1, 10, 3).bfloat16())


def test_onnx_is_a_path_bytes_or_a_model():
    model = kinglet.from_onnx(ONNX)
    assert model.digest == kinglet.from_onnx(ONNX.read_bytes()).digest
    onnx = pytest.importorskip("onnx")
    assert model.digest == kinglet.from_onnx(onnx.load(ONNX)).digest


def test_a_file_of_keras_is_read():
    folder = ROOT / "trainer/tests/importing/keras"
    model = kinglet.from_keras(folder / "gru.keras")
    assert (model.inputs, model.outputs) == (3, 2)


def test_a_live_network_of_keras_answers_as_the_model():
    keras = pytest.importorskip("keras")
    layers = keras.layers

    def relu(x):
        return keras.ops.minimum(keras.ops.relu(x), 0.1)

    class Dense(layers.Dense):
        def call(self, x):
            return super().call(x) * 2

    def network(last, *first, time=None, **cell):
        return keras.Sequential([layers.Input((time, 3)), *first, layers.LSTM(4, **cell), last])

    keras.utils.set_random_seed(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not compared")
        for made in [
            network(layers.Dense(2, "relu"), return_sequences=True),
            network(layers.Dense(2, "softmax"), layers.Conv1D(4, 3, padding="causal")),
            network(layers.Dense(2), time=7),
            keras.Sequential([layers.Input((None,)), layers.Embedding(5, 3), layers.GRU(4), layers.Dense(5)]),
        ]:
            assert kinglet.from_keras(made).format == "f32"
        assert kinglet.from_keras(network(layers.Dense(2)), input_mean="1,2,3", precision="f16").format == "f16"
    with pytest.raises(kinglet.Error, match="differs from the network's by.*of your own"):
        kinglet.from_keras(network(layers.Dense(2, relu)))
    with pytest.raises(kinglet.Error, match="own"):
        kinglet.from_keras(network(Dense(2)))
    # A state is left as it was.
    made = keras.Sequential([layers.Input((6, 3), batch_size=1), layers.GRU(4, stateful=True), layers.Dense(2)])
    x = np.ones((1, 6, 3), "float32")
    made(x)
    state = np.array(made.layers[0].states[0])
    kinglet.from_keras(made)
    assert np.abs(state).max() > 0 and (np.array(made.layers[0].states[0]) == state).all()


def test_what_cannot_be_imported_is_said():
    for wrong, words in [(b"no network", "network.onnx"), (7, "expected a path"), ("nowhere.onnx", "nowhere.onnx")]:
        with pytest.raises(kinglet.Error) as error:
            kinglet.from_onnx(wrong)
        assert words in str(error.value) and "kinglet-" not in str(error.value)
    with pytest.raises(kinglet.Error, match="expected a Keras model"):
        kinglet.from_keras(7)
