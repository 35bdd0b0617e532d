"""What comes from a framework answers as the framework does."""

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


def test_onnx_is_a_path_bytes_or_a_model():
    model = kinglet.from_onnx(ONNX)
    assert model.digest == kinglet.from_onnx(ONNX.read_bytes()).digest
    onnx = pytest.importorskip("onnx")
    assert model.digest == kinglet.from_onnx(onnx.load(ONNX)).digest


def test_a_file_of_keras_is_read():
    folder = ROOT / "trainer/tests/importing/keras"
    model = kinglet.from_keras(folder / "gru.keras")
    assert (model.inputs, model.outputs) == (3, 2)


def test_what_cannot_be_imported_is_said():
    for wrong, words in [(b"no network", "network.onnx"), (7, "expected a path"), ("nowhere.onnx", "nowhere.onnx")]:
        with pytest.raises(kinglet.Error) as error:
            kinglet.from_onnx(wrong)
        assert words in str(error.value) and "kinglet-" not in str(error.value)
    with pytest.raises(kinglet.Error, match="expected a Keras model"):
        kinglet.from_keras(7)
