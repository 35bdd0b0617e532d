"""Writes tflm.json: what TensorFlow Lite Micro's example, trained_lstm.tflite and trained_lstm_int8.tflite, gives for pictures of random
blocks; the answers in f32 for the first ones, the class of all by the integers.

    pip install ai-edge-litert numpy
    python -P tflm.py FOLDER_OF_THE_MODELS
"""

import json
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

here = os.path.dirname(os.path.abspath(__file__))
state = 1


def byte():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return state >> 56


def picture():
    blocks = np.array([[byte() for _ in range(7)] for _ in range(7)])
    blocks[blocks < 128] = 0
    return np.kron(blocks, np.ones((4, 4), dtype=int))


def run(name, pictures):
    net = Interpreter(model_path=os.path.join(sys.argv[1], name))
    net.allocate_tensors()
    entry, exit = net.get_input_details()[0], net.get_output_details()[0]
    for x in pictures:
        net.reset_all_variables()
        given = x / np.float32(255) if entry["dtype"] == np.float32 else x - 128
        net.set_tensor(entry["index"], given[None].astype(entry["dtype"]))
        net.invoke()
        yield net.get_tensor(exit["index"])[0]


pictures = [picture() for _ in range(1000)]
real = [[float(f"{v:.7g}") for v in y] for y in run("trained_lstm.tflite", pictures[:20])]
classes = [int(np.argmax(y)) for y in run("trained_lstm_int8.tflite", pictures)]
print(np.bincount(classes))
with open(os.path.join(here, "tflm.json"), "w") as f:
    json.dump({"real": real, "classes": classes}, f)
    f.write("\n")
