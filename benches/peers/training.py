"""Seconds per epoch of training, Kinglet against PyTorch on the CPU.

Both start from the same network and see the same batches in the same order, with the same loss (MSE of the last step) and
Adam, so their losses agree; each is a process that trains one epoch whenever it is asked, and they take turns.

    training.py --bin FOLDER --out FILE ...    compares
    training.py FILE CELL HIDDEN STEPS THREADS  is PyTorch's side
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time

BATCHES, BATCH, INPUTS, SEED = 200, 64, 7, 7
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
# Cell, hidden units, steps.
NETWORKS = [("lstm", 32, 64), ("gru", 64, 120), ("rnn", 24, 140)] + [("lstm", h, 64) for h in (8, 16, 64, 128, 256)]
# Relative, after the last epoch.
LOSS_AGREES = 0.01


def pytorch(file, cell, hidden, steps, threads):
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    values = torch.from_numpy(np.fromfile(file, "<f4"))
    rows, gates = BATCHES * BATCH + steps, GATES[cell] * hidden
    sizes = [gates * INPUTS, gates * hidden, gates, gates, hidden, 1, rows * INPUTS, rows, BATCHES * BATCH]
    *parameters, inputs, goals, starts = values.split(sizes)
    rnn = getattr(torch.nn, cell.upper())(INPUTS, hidden)
    dense = torch.nn.Linear(hidden, 1)
    own = [*rnn.parameters(), *dense.parameters()]
    with torch.no_grad():
        for parameter, values in zip(own, parameters, strict=True):
            parameter.copy_(values.view_as(parameter))
    inputs, starts = inputs.view(rows, INPUTS), starts.long().tolist()
    offsets = torch.arange(steps)[:, None]
    adam = torch.optim.Adam(own, lr=1e-3, fused=True)

    # SplitMix64 and Fisher-Yates, as the trainer has them.
    mask, state = (1 << 64) - 1, SEED

    def shuffle():
        nonlocal state
        for i in range(len(starts) - 1, 0, -1):
            state = (state + 0x9E3779B97F4A7C15) & mask
            z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
            j = (z ^ (z >> 31)) % (i + 1)
            starts[i], starts[j] = starts[j], starts[i]

    print("ready", flush=True)
    for _ in sys.stdin:
        shuffle()
        order = torch.tensor(starts)
        begin, total = time.perf_counter(), 0.0
        for batch in order.split(BATCH):
            adam.zero_grad()
            output, _ = rnn(inputs[offsets + batch])
            loss = torch.nn.functional.mse_loss(dense(output[-1]).squeeze(1), goals[batch + steps - 1])
            loss.backward()
            adam.step()
            total += loss.item()
        print(time.perf_counter() - begin, total / BATCHES, flush=True)


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready", command
        self.seconds = []

    def epoch(self):
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        seconds, self.loss = map(float, self.process.stdout.readline().split())
        self.seconds.append(seconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        return f"{min(self.seconds):.3f} / {statistics.median(self.seconds):.3f}"


def compare(options):
    from compare import cpu, text

    package = "import importlib.metadata as m; print(m.version('torch'))"
    lines = [
        f"# Training against PyTorch on {cpu()}",
        "",
        f"{text('rustc', '-V')}, `-C target-cpu=native`; PyTorch {text(options.torch_python, '-c', package)}.",
        "",
        "```sh",
        options.command,
        "```",
        "",
        f"f32, {BATCHES} batches of {BATCH} windows of {INPUTS} columns, a recurrent layer and a dense one on its last step, "
        "Adam. Both sides start from the same parameters and see the same batches; their epochs take turns, "
        f"{options.epochs} each. The loss is the mean over the last epoch.",
        "",
        "| network | threads | Kinglet s per epoch, min / median | PyTorch | ratio of medians | loss, Kinglet | PyTorch |",
        "|---|---|---|---|---|---|---|",
    ]
    differ = []
    for cell, hidden, steps in NETWORKS:
        for threads in (1, 2):
            file = options.bin / "training.f32"
            arguments = list(map(str, [file, cell, hidden, steps, threads]))
            ours = Side([options.bin / "peer-training", *arguments])
            theirs = Side([options.torch_python, __file__, *arguments])
            for _ in range(options.epochs):
                ours.epoch()
                theirs.epoch()
            name = f"{cell.upper()}({INPUTS} → {hidden}), {steps} steps"
            cells = [ours.close(), theirs.close()]
            ratio = statistics.median(theirs.seconds) / statistics.median(ours.seconds)
            lines.append(f"| {name} | {threads} | {' | '.join(cells)} | {ratio:.2f}× | {ours.loss:.5f} | {theirs.loss:.5f} |")
            print(lines[-1], file=sys.stderr)
            if abs(ours.loss / theirs.loss - 1) > LOSS_AGREES:
                differ.append(name)
    options.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if differ:
        sys.exit(f"losses differ: {', '.join(differ)}")


def main():
    if len(sys.argv) == 6 and not sys.argv[1].startswith("-"):
        file, cell, *numbers = sys.argv[1:]
        return pytorch(file, cell, *map(int, numbers))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of peer-training")
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--command", required=True, help="as it is written into the results")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    compare(parser.parse_args())


main()
