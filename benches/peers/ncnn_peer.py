"""ncnn in f32 and in its dynamic int8 (weights of eight bits with a scale per row), answering as the other peers do (see peer/src/lib.rs).

Its layers take sequences, and its calls cost more than a small step, so 64 samples go into a call, which carries the state over
them; a call begins with a state of zero.
"""

import sys
import tempfile
import time

import ncnn
import numpy as np

SAMPLES = 64
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
# Where its gates stand in PyTorch's order.
ORDER = {"lstm": [0, 1, 3, 2], "gru": [0, 1, 2], "rnn": [0]}
FLOATS, BYTES = 0, 0x000D4B38


def tagged(tag, values):
    data = values.tobytes()
    return tag.to_bytes(4, "little") + data + bytes(-len(data) % 4)


class Net:
    def __init__(self, folder, cell, inputs, hidden):
        gates = GATES[cell]
        rows = gates * hidden
        values = np.fromfile(f"{folder}/{cell}-{inputs}x{hidden}.f32", "<f4")
        ends = np.cumsum([rows * inputs, rows * hidden, rows, rows])
        w_ih, w_hh, b_ih, b_hh, xs = np.split(values, ends)
        by_gate = [part.reshape(gates, hidden, -1)[ORDER[cell]] for part in [w_ih, w_hh, b_ih, b_hh]]
        w_ih, w_hh, b_ih, b_hh = by_gate
        bias = b_ih + b_hh
        if cell == "gru":
            bias = np.concatenate([bias[:2], b_ih[2:], b_hh[2:]])
        # Of numbers that it does not copy.
        self.xs = xs.reshape(SAMPLES, inputs)
        self.samples = ncnn.Mat(self.xs)
        self.nets = {}
        for variant in ["f32", "dynamic-int8"]:
            eight = variant != "f32"
            matrices, scales = [], []
            for w in [w_ih, w_hh]:
                w = w.reshape(rows, -1)
                if eight:
                    scale = 127 / np.abs(w).max(axis=1)
                    scales.append(scale.astype("<f4"))
                    matrices.append(tagged(BYTES, np.rint(w * scale[:, None]).astype(np.int8)))
                else:
                    matrices.append(tagged(FLOATS, w.astype("<f4")))
            x, h = matrices
            model = x + tagged(FLOATS, bias.astype("<f4")) + h
            # Of the state first.
            model += b"".join(scale.tobytes() for scale in reversed(scales))
            layer = f"{cell.upper()} cell 1 1 in0 out0 0={hidden} 1={rows * inputs} 2=0 8={2 if eight else 0}"
            net = ncnn.Net()
            net.opt.num_threads = 1
            for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed"]:
                setattr(net.opt, option, False)
            assert net.load_param_mem(f"7767517\n2 2\nInput in0 0 1 in0\n{layer}\n") == 0
            with tempfile.NamedTemporaryFile(suffix=".bin") as file:
                file.write(model)
                file.flush()
                assert net.load_model(file.name) == 0
            self.nets[variant] = net

    def run(self, variant):
        with self.nets[variant].create_extractor() as extractor:
            extractor.input("in0", self.samples)
            failed, out = extractor.extract("out0")
        assert failed == 0
        return out


def answer(words):
    match words:
        case ["open", cell, inputs, hidden]:
            global net
            net = Net(sys.argv[1], cell, int(inputs), int(hidden))
            return " ".join(net.nets)
        case ["outputs", variant]:
            return " ".join(repr(float(y)) for y in np.array(net.run(variant))[-1])
        case ["time", variant, steps]:
            calls = -(-int(steps) // SAMPLES)
            start = time.perf_counter_ns()
            for _ in range(calls):
                net.run(variant)
            return str((time.perf_counter_ns() - start) / (calls * SAMPLES))


for line in sys.stdin:
    try:
        reply = answer(line.split())
    except Exception as error:
        reply = f"error {error!r}".replace("\n", " ")
    print(reply, flush=True)
