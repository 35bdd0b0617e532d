"""Holds the imported network of Resemblyzer, which tells voices apart, against its weights: embeddings of speech of espeak-ng.

    pip install numpy
    pip download --no-deps Resemblyzer==0.1.4 && unzip Resemblyzer-*.whl
    python resemblyzer.py KINGLET resemblyzer/pretrained.pt FOLDER

`KINGLET` is the command; the models and the samples are written to `FOLDER`. An utterance's embedding is the mean of those of its windows, as in the
package. Fails where the cosine with the original's is below 0.99999 in f32 or 0.999 in w8a16.
"""

import collections
import os
import pickle
import random
import subprocess
import sys
import wave

import numpy as np

TEXTS = [
    "The quick brown fox jumps over the lazy dog near the river bank at noon.", "Please leave a message after the tone and we will call back.",
    "Turn the lights off in the kitchen and close all the windows, please.", "Seven hundred and forty three people came to the meeting.",
    "What time is it in Tokyo right now, and what is the weather like?", "Warning. Pump three is running dry, so switch it off at once.",
]
VOICES = ["en", "en-us", "en+f3", "de", "fr+m3", "es+f2", "en+m7", "it", "en+f1", "pt", "sv"]
RATE, FRAME, HOP, BANDS, WINDOW = 16000, 400, 160, 40, 160
kinglet, network, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


def run(*arguments):
    return subprocess.run([kinglet, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


class Tensors(pickle.Unpickler):
    """PyTorch's older form: five pickles, of which the fourth has the tensors and the last the keys of their numbers, which follow."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        known = {"OrderedDict": collections.OrderedDict, "_rebuild_tensor_v2": lambda *parts: parts[:4]}
        return known.get(name, name)

    def persistent_load(self, about):
        return about[2]


def weights():
    with open(network, "rb") as file:
        for _ in range(3):
            pickle.load(file)
        state = Tensors(file).load()["model_state"]
        numbers = {}
        for key in pickle.load(file):
            count = int(np.fromfile(file, "<i8", 1)[0])
            numbers[key] = np.fromfile(file, "<f4", count)

    def tensor(key, first, shape, _):
        return numbers[key][first : first + int(np.prod(shape))].reshape(shape)

    return {name: tensor(*parts) for name, parts in state.items()}


def mel_filters():
    """Triangles of area one, a band each, as librosa makes them."""
    points = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), BANDS + 2)
    points = np.where(points < 15, points * 200 / 3, 1000 * 6.4 ** ((points - 15) / 27))
    steps, bins = np.diff(points), np.linspace(0, RATE / 2, FRAME // 2 + 1)
    ramps = points[:, None] - bins
    triangles = np.minimum(-ramps[:-2] / steps[:-1, None], ramps[2:] / steps[1:, None])
    return np.maximum(0, triangles) * (2 / (points[2:] - points[:-2]))[:, None]


def windows(seed):
    """Mel bands of a sentence: windows of 1.6 s."""
    choose = random.Random(seed)
    voice = ["-v", VOICES[seed % len(VOICES)], "-s", str(choose.randrange(120, 200)), "-p", str(choose.randrange(20, 80))]
    subprocess.run(["espeak-ng", *voice, "-w", path("said.wav"), choose.choice(TEXTS)], check=True)
    subprocess.run(["sox", "-V1", "-G", path("said.wav"), "-r", str(RATE), "-c", "1", "-b", "16", path("speech.wav")], check=True)
    with wave.open(path("speech.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    # At least -30 dB.
    sound = sound * max(1.0, 10 ** (-30 / 20) / np.sqrt(np.mean(sound**2)))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, FRAME // 2), FRAME)[::HOP] * hann
    mels = (np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters().T).astype(np.float32)
    return [mels[k : k + WINDOW] for k in range(0, len(mels) - WINDOW, WINDOW // 2)]


def write(name, all):
    with open(path(name), "w") as file:
        file.write(",".join([f"x{k}" for k in range(BANDS)] + ["window"]) + "\n")
        for number, rows in enumerate(all):
            file.writelines(",".join(f"{value:.9g}" for value in row) + f",{number}\n" for row in rows)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def embeddings(last):
    """Of utterances, from the last output of each window."""
    windows = unit(np.maximum(last, 0))
    ends = np.cumsum([len(of) for of in tested])
    return np.stack([unit(of.mean(0)) for of in np.split(windows, ends[:-1])])


def logistic(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def original(x, w):
    for layer in range(3):
        of = {part: w[f"lstm.{part}_l{layer}"] for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]}
        given = x @ of["weight_ih"].T + of["bias_ih"] + of["bias_hh"]
        h = c = np.zeros((len(x), of["weight_hh"].shape[1]), np.float32)
        states = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(given[:, t] + h @ of["weight_hh"].T, 4, axis=1)
            c = logistic(f) * c + logistic(i) * np.tanh(g)
            h = logistic(o) * np.tanh(c)
            states.append(h)
        x = np.stack(states, 1)
    return embeddings(x[:, -1] @ w["linear.weight"].T + w["linear.bias"])


write("calibration.csv", [rows for seed in range(40) for rows in windows(seed)])
tested = [windows(seed) for seed in range(40, 60)]
rows = sum(tested, [])
write("test.csv", rows)
wanted = original(np.stack(rows), weights())
run("import", network, "--ignore", "model_state.similarity", "--out", path("voice.kgl"))
for precision, least in [("f32", 0.99999), ("w8a16", 0.999)]:
    model = path("voice.kgl")
    if precision != "f32":
        model = path(f"voice-{precision}.kgl")
        calibration = ["--calibrate", path("calibration.csv"), "--group", "window"]
        run("quantize", path("voice.kgl"), "--precision", precision, *calibration, "--out", model)
    lines = run("predict", model, "--csv", path("test.csv"), "--group", "window").splitlines()
    outputs = [place for place, name in enumerate(lines[0].split(",")) if name.startswith("y")]
    found = np.array([[float(line.split(",")[place]) for place in outputs] for line in lines[1:]])
    found = embeddings(found.reshape(len(rows), WINDOW, -1)[:, -1])
    cosines = (found * wanted).sum(1)
    print(f"{precision}: {len(tested)} embeddings, cosine with the original's at least {cosines.min():.5f}, {cosines.mean():.5f} in the mean")
    assert cosines.min() >= least, precision
