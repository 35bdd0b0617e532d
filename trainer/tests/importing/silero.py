"""Holds an imported Silero VAD against ONNX Runtime: probabilities in f32, decisions at 0.5 in integers, on speech of espeak-ng among silence,
noise and tones of sox.

    pip install numpy onnxruntime
    pip download --no-deps faster-whisper==1.2.1 && unzip faster_whisper-*.whl 'faster_whisper/assets/*'
    python silero.py KINGLET faster_whisper/assets/silero_vad_v6.onnx FOLDER

`KINGLET` is the command; the models and the samples are written to `FOLDER`. Fails where a probability in f32 is further than 1e-4 from the original's at
any frame, or where less than 99.5 % of the decisions in w8a16 or 99 % in w8a8 are the original's.
"""

import os
import random
import subprocess
import sys
import wave

import numpy as np
import onnxruntime

TEXTS = [
    "The quick brown fox jumps over the lazy dog.", "Please leave a message after the tone.",
    "Turn the lights off in the kitchen.", "Seven hundred and forty three.", "What time is it in Tokyo right now?", "No.",
    "I would like to order two coffees and a sandwich, please.", "Warning. Pump three is running dry.",
    "Good morning everybody, thank you for coming.", "Stop!",
]
VOICES = ["en", "en-us", "en+f3", "de", "fr+m3", "es+f2", "en+m7", "it"]
NOISES = [["whitenoise"], ["pinknoise"], ["brownnoise"], ["sine", "440"], None]
kinglet, network, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


def read(name):
    with wave.open(path(name)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768


def sox(*arguments):
    subprocess.run(["sox", "-V1", *arguments], check=True)


def recording(seed, sentences):
    """Frames of 64 samples of the one before and 512 of their own."""
    choose = random.Random(seed)
    pieces = []
    for k in range(sentences):
        voice = ["-v", VOICES[k % len(VOICES)], "-s", str(choose.randrange(120, 200)), "-p", str(choose.randrange(20, 80))]
        subprocess.run(["espeak-ng", *voice, "-w", path("said.wav"), choose.choice(TEXTS)], check=True)
        sox("-G", path("said.wav"), "-r", "16000", "-c", "1", "-b", "16", path("speech.wav"))
        speech = read("speech.wav") * 10 ** (choose.uniform(-25, 0) / 20)
        gap = np.zeros(int(16000 * choose.uniform(0.4, 2.0)), np.float32)
        piece = np.concatenate([gap, speech, gap])
        noise = choose.choice(NOISES)
        if noise:
            length = str(len(piece) / 16000 + 0.1)
            sox("-R", "-n", "-r", "16000", "-c", "1", "-b", "16", path("noise.wav"), "synth", length, *noise)
            piece = piece + read("noise.wav")[: len(piece)] * 10 ** (choose.uniform(-60, -25) / 20)
        pieces.append(piece)
    sound = np.clip(np.concatenate(pieces), -1, 1)
    frames = np.pad(sound, (0, -len(sound) % 512)).astype(np.float32).reshape(-1, 512)
    context = np.zeros((len(frames), 64), np.float32)
    context[1:] = frames[:-1, -64:]
    return np.concatenate([context, frames], 1)


def table(name, frames):
    header = ",".join(f"x{k}" for k in range(frames.shape[1]))
    np.savetxt(path(name), frames, fmt="%.9g", delimiter=",", header=header, comments="")


def run(*arguments):
    return subprocess.run([kinglet, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


table("calibration.csv", recording(5, 40))
frames = recording(77, 60)
table("test.csv", frames)
session = onnxruntime.InferenceSession(network)
h = c = np.zeros((1, 1, 128), np.float32)
wanted = []
for frame in frames:
    p, h, c = session.run(None, {"input": frame[None], "h": h, "c": c})
    wanted.append(p.ravel()[0])
wanted = np.array(wanted)
run("import", network, "--out", path("vad.kgl"))
for precision, least in [("f32", 1.0), ("w8a16", 0.995), ("w8a8", 0.99)]:
    model = path("vad.kgl")
    if precision != "f32":
        model = path(f"vad-{precision}.kgl")
        run("quantize", path("vad.kgl"), "--precision", precision, "--calibrate", path("calibration.csv"), "--out", model)
    # By the definition of all kernels: those that fuse products and sums round otherwise, the original's do too.
    kernels = ["--kernels", "scalar"] if precision == "f32" else []
    lines = run("predict", model, "--csv", path("test.csv"), *kernels).splitlines()
    found = np.array([float(line.split(",")[-1]) for line in lines[1:]])
    assert len(found) == len(wanted)
    most, alike = np.abs(found - wanted).max(), ((found > 0.5) == (wanted > 0.5)).mean()
    print(f"{precision}: {len(found)} frames, {(wanted > 0.5).mean():.1%} of them speech; differs by at most {most:.2g}, decisions alike {alike:.3%}")
    assert alike >= least and (precision != "f32" or most <= 1e-4), "further from the original than that"
