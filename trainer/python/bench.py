"""Times `predict` on 1,000,000 rows beside the command's, and what a call of `step` costs beside the engine's step:

    python bench.py MODEL.kgl path/to/kinglet      # built in release mode
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import kinglet

ROWS = 1_000_000


def best(work, times=5):
    """Seconds of the quickest run."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def main(path, command):
    model = kinglet.load(path)
    x = np.random.default_rng(1).normal(10, 3, (ROWS, model.inputs)).astype(np.float32)
    predict = best(lambda: model.predict(x))
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "rows.csv"
        np.savetxt(csv, x, fmt="%.6g", delimiter=",", header=",".join(model.input_names), comments="")
        arguments = [command, "predict", path, "--csv", csv]
        printed = best(lambda: subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True), 2)
    print(f"predict of {ROWS} rows: {predict:.3f} s; the command, from CSV to CSV: {printed:.3f} s")
    stream, sample = model.stream(), x[0]

    def steps():
        for _ in range(100_000):
            stream.step(sample)

    each = 1e6 * best(steps) / 100_000
    engine = 1e6 * predict / ROWS
    print(f"a call of step: {each:.2f} us; the engine's step: {engine:.2f} us; beside it: {each - engine:.2f} us")


if __name__ == "__main__":
    main(*sys.argv[1:])
