"""Kinglet: small recurrent networks, run by the engine that runs on the device.

>>> import kinglet
>>> model = kinglet.load("pump.kgl")            # doctest: +SKIP
>>> model.predict(samples)                      # doctest: +SKIP
"""

from ._kinglet import Batch, Error, Model, Stream, __version__, load

__all__ = ["Batch", "Error", "Model", "Stream", "__version__", "load"]
