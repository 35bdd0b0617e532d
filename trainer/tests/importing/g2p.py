"""Holds an imported pair of encoder and decoder, the g2p-en package's network for words that are in no dictionary, against the package's own code: the
phonemes of 1,000 words.

    pip install numpy
    pip download --no-deps g2p-en==2.1.0 && unzip g2p_en-*.whl
    python g2p.py KINGLET . FOLDER

`KINGLET` is the command; the models are written to `FOLDER`. Fails where the models say something else than the package: in f32 to any word, in w8a16 to more
than 10, in w8a8 to more than 15.
"""

import csv
import os
import random
import re
import subprocess
import sys
from unittest.mock import MagicMock

import numpy as np

kinglet, package, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
# Taggers and dictionaries, which the network does without.
for module in ["nltk", "nltk.corpus", "nltk.tag", "nltk.tag.perceptron", "nltk.tokenize", "inflect"]:
    sys.modules[module] = MagicMock()
sys.path.insert(0, package)
from g2p_en import G2p  # noqa: E402

g2p = G2p()


def path(name):
    return os.path.join(folder, name)


def call(*arguments):
    return subprocess.run([kinglet, *arguments], check=True, capture_output=True, text=True).stdout


def words(count):
    """The package's homographs, then beginnings and ends of them."""
    with open(os.path.join(package, "g2p_en", "homographs.en"), encoding="utf-8") as file:
        found = {line.split("|")[0].lower() for line in file if "|" in line and line[0] != "#"}
    found = sorted(word for word in found if re.fullmatch("[a-z]+", word))
    choose, known = random.Random(1), set(found)
    while len(found) < count:
        word = choose.choice(found)[: choose.randint(2, 6)] + choose.choice(found)[-choose.randint(2, 6):]
        if word not in known:
            known.add(word)
            found.append(word)
    return found[:count]


def state_dict(side, **others):
    """As PyTorch calls it."""
    weights = {f"gru.{kind}_{part}_l0": getattr(g2p, f"{side}_{kind[0]}_{part}") for kind in ["weight", "bias"] for part in ["ih", "hh"]}
    np.savez(path(f"{side}.npz"), **weights, **others)


words = words(1000)
phonemes = [" ".join(g2p.predict(word)) for word in words]

# Token 0 begins and ends what a decoder says; this one begins with <s>, number 2, and ends with </s>, number 3.
table, weight, bias = (array.copy() for array in [g2p.dec_emb, g2p.fc_w, g2p.fc_b])
table[0], weight[0], bias[0] = table[2], weight[3], bias[3]
weight[2:4], bias[2:4] = 0, -30
state_dict("enc", **{"emb.weight": g2p.enc_emb})
state_dict("dec", **{"emb.weight": table, "fc.weight": weight, "fc.bias": bias})
# Names of a character for what words do not have; $ ends a word.
with open(path("enc.txt"), "w") as file:
    file.write("\n".join(["%", "?", "$", *"abcdefghijklmnopqrstuvwxyz"]) + "\n")
with open(path("dec.txt"), "w") as file:
    file.write("\n".join(["<end>", "<pad>", "<s>", "</s>", *g2p.phonemes[4:]]) + "\n")
with open(path("pairs.csv"), "w", newline="") as file:
    csv.writer(file).writerows([("source", "target"), *((word + "$", said) for word, said in zip(words, phonemes))])
with open(path("words.txt"), "w") as file:
    file.write("".join(word + "$\n" for word in words))

call("import", path("enc.npz"), "--order", "emb,gru", "--tokens", path("enc.txt"), "--out", path("f32.encoder.kgl"))
decoder = ["--order", "emb,gru,fc", "--head", "softmax", "--predicts", "next-token", "--tokens", path("dec.txt")]
call("import", path("dec.npz"), *decoder, "--out", path("f32.decoder.kgl"))
for precision, wrong in [("f32", 0), ("w8a16", 10), ("w8a8", 15)]:
    if precision != "f32":
        pair = [path("f32.encoder.kgl"), "--decoder", path("f32.decoder.kgl")]
        call("quantize", *pair, "--precision", precision, "--calibrate", path("pairs.csv"), "--out", path(f"{precision}.kgl"))
    pair = [path(f"{precision}.{side}.kgl") for side in ["encoder", "decoder"]]
    said = call("translate", *pair, "--lines", path("words.txt"), "--length", "20").splitlines()
    equal = sum(a == b for a, b in zip(said, phonemes, strict=True))
    print(f"{precision}: the phonemes of {equal} of {len(words)} words are the original's")
    assert equal >= len(words) - wrong, precision
