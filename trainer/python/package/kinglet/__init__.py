"""Kinglet: small recurrent networks, trained here and run by the engine that runs on the device.

>>> import kinglet
>>> model = kinglet.load("pump.kgl")                        # doctest: +SKIP
>>> model.predict(samples)                                  # doctest: +SKIP
>>> trained = kinglet.train("pump.toml", frame)             # doctest: +SKIP
>>> trained.quantize("w8a8").to_bytes()                     # doctest: +SKIP
"""

from ._importing import from_keras, from_onnx, from_torch
from ._kinglet import Batch, Detector, Error, Greedy, LogMel, Model, Spotter, Stream, __version__, load
from ._training import Report, Trained, train

__all__ = [
    "Batch",
    "Detector",
    "Error",
    "Greedy",
    "LogMel",
    "Model",
    "Report",
    "Spotter",
    "Stream",
    "Trained",
    "__version__",
    "from_keras",
    "from_onnx",
    "from_torch",
    "load",
    "train",
]
