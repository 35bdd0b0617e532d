"""`Model.quantize`."""

from ._command import data_file, options_of, run, workplace
from ._kinglet import Model


def quantize(model, precision, frame, /, **options):
    with workplace() as folder:
        data, _ = data_file(frame, folder)
        source, out = folder / "model.kgl", folder / "quantized.kgl"
        source.write_bytes(model.to_bytes())
        words = ["quantize", source, "--precision", precision, "--calibrate", data, "--out", out, "--json"]
        run([*words, *options_of(options)], folder)
        return Model.from_bytes(out.read_bytes())
