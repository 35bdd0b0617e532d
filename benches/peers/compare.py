"""Times every peer and Kinglet in turn, and writes a table per cell.

Each peer is a process that waits on a pipe until it is asked to time a loop of its own (see peer/src/lib.rs), so process
start and the pipe are in no number. A round asks every variant of every peer once; rounds follow one another, and the
least of all counts.
"""

import argparse
import pathlib
import re
import subprocess
import sys

SHAPES = [(1, 8), (3, 16), (7, 32), (6, 64), (16, 64), (64, 128), (64, 256), (128, 512)]
CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "tanh RNN"}
KINGLET = "Kinglet"
# The variants of each peer's rows. All take and give floats but Kinglet's plain w8a8 and w8a16, and embedded-nn.
ROWS = [
    (KINGLET, "w8a8", ["w8a8"], ", integers in and out"),
    (KINGLET, "w8a8", ["w8a8-floats"], ", floats in and out"),
    (KINGLET, "w8a16", ["w8a16"], ", integers in and out"),
    (KINGLET, "w8a16", ["w8a16-floats"], ", floats in and out"),
    (KINGLET, "f32", ["f32"], ""),
    ("ONNX Runtime", "f32", ["f32"], ""),
    ("ONNX Runtime", "dynamic int8", ["dynamic-int8"], ""),
    ("PyTorch", "f32", ["cell", "script", "module"], ""),
    ("tract", "f32", ["f32"], ""),
    ("candle", "f32", ["f32"], ""),
    ("burn", "f32", ["f32"], ""),
    ("Eigen g++", "f32", ["f32"], ""),
    ("Eigen clang++", "f32", ["f32"], ""),
    ("ncnn", "f32", ["f32"], ", 64 samples a call"),
    ("ncnn", "dynamic int8", ["dynamic-int8"], ", 64 samples a call"),
    ("embedded-nn", "s8", ["s8"], ""),
]
BASE, BASE_F32 = ROWS[1], ROWS[4]
# How the peers are called that race where all may use whatever the CPU has.
NATIVE = (
    "ONNX Runtime is called through its C API with bound inputs and outputs; tract runs the same ONNX files; PyTorch is the fastest of a cell "
    "called from Python, a TorchScript loop over the cell and a module on a sequence of one; candle, burn and embedded-nn "
    "are called by their own cells. ncnn takes sequences, so a call has 64 samples. "
)
# Nanoseconds of one timed loop, roughly.
LOOP = 2e6
SAMPLES = 64
# An output further than this from Kinglet's in f32 is wrong: for floats, and for quantized numbers.
AGREES_F32, AGREES = 1e-4, 0.1


class Peer:
    """A process that answers lines."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        reply = self.process.stdout.readline()
        if not reply or reply.startswith("error"):
            raise RuntimeError(f"{self.process.args[0]}: {line}: {reply.strip() or 'ended'}")
        return reply.split()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(peers, cell, shape, rounds):
    """Least nanoseconds per step, and outputs, by (peer, variant)."""
    opened = [(name, v) for name, peer in peers.items() for v in peer.ask(f"open {cell} {shape[0]} {shape[1]}")]
    outputs, steps, best = {}, {}, {}
    for name, variant in opened:
        outputs[name, variant] = list(map(float, peers[name].ask(f"outputs {variant}")))
        # The first loop may still be compiling.
        [ns] = [peers[name].ask(f"time {variant} {SAMPLES}") for _ in range(3)][-1]
        best[name, variant] = float(ns)
        steps[name, variant] = max(1, round(LOOP / float(ns) / SAMPLES)) * SAMPLES
    for _ in range(rounds):
        for name, variant in opened:
            [ns] = peers[name].ask(f"time {variant} {steps[name, variant]}")
            best[name, variant] = min(best[name, variant], float(ns))
    return best, outputs


def row_values(row, results):
    """Per shape the value of the fastest variant, or nothing."""
    name, _, variants, _ = row
    for best, outputs in results:
        times = [(best[name, v], v) for v in variants if (name, v) in best]
        yield (min(times)[0], outputs[name, min(times)[1]]) if times else None


def number(ns):
    return f"{ns:.1f}" if ns < 99.5 else f"{ns:,.0f}"


def table(results):
    """Lines of Markdown: times with ratios, then differences."""
    shapes = " | ".join(f"{i}, {h}" for i, h in SHAPES)
    rows = [(row, list(row_values(row, results))) for row in ROWS]
    rows = [(row, values) for row, values in rows if any(values)]
    find = dict((id(row), values) for row, values in rows)
    base, base_f32 = find[id(BASE)], find[id(BASE_F32)]
    yield f"| ns per step | {shapes} |"
    yield "|---" * (len(SHAPES) + 1) + "|"
    fastest, fastest_f32 = [], []
    for at in range(len(SHAPES)):
        theirs = [(v[at][0], row) for row, v in rows if row[0] != KINGLET and v[at]]
        fastest.append(min((ns for ns, _ in theirs), default=None))
        fastest_f32.append(min((ns for ns, row in theirs if row[1] == "f32"), default=None))
    for row, values in rows:
        cells = []
        for value, ours in zip(values, base):
            ratio = "" if row[0] == KINGLET or not value else f" ({value[0] / ours[0]:.1f}×)"
            cells.append(number(value[0]) + ratio if value else "–")
        yield f"| {row[0]} {row[1]}{row[3]} | {' | '.join(cells)} |"
    for title, theirs, ours in [
        ("fastest peer / Kinglet w8a8", fastest, base),
        ("fastest f32 peer / Kinglet f32", fastest_f32, base_f32),
    ]:
        ratios = [f"{t / o[0]:.2f}×" if t else "–" for t, o in zip(theirs, ours)]
        yield f"| **{title}** | {' | '.join(ratios)} |"
    yield ""
    yield f"| largest difference from Kinglet f32 | {shapes} |"
    yield "|---" * (len(SHAPES) + 1) + "|"
    for row, values in rows:
        if row is BASE_F32:
            continue
        errors = [v and max(abs(a - b) for a, b in zip(v[1], o[1], strict=True)) for v, o in zip(values, base_f32)]
        limit = AGREES_F32 if row[1] == "f32" else AGREES
        wrong = ", **numerically wrong**" if max(e or 0 for e in errors) > limit else ""
        cells = " | ".join("–" if e is None else f"{e:.1e}" for e in errors)
        yield f"| {row[0]} {row[1]}{row[3]}{wrong} | {cells} |"


def text(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cpu():
    fields = dict(re.findall(r"^(.+?)\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
    return f"{fields['model name']}, family {fields['cpu family']} model {fields['model']}"


def versions(here, python, torch_python, peers):
    lock = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', (here / "Cargo.lock").read_text()))
    crates = {"tract": "tract-onnx", "candle": "candle-nn", "burn": "burn", "embedded-nn": "embedded-nn", "ort": "ort"}
    found = {name: lock[crate] for name, crate in crates.items() if name in peers or (name == "ort" and "ONNX Runtime" in peers)}
    package = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    if "ONNX Runtime" in peers:
        found["ONNX Runtime"] = text(python, "-c", package, "onnxruntime")
    if "ncnn" in peers:
        found["ncnn"] = text(python, "-c", package, "ncnn")
    if "PyTorch" in peers:
        found["PyTorch"] = text(torch_python, "-c", package, "torch")
    for name in [name for name in peers if name.startswith("Eigen")]:
        found[name] = " ".join(peers[name].ask("version"))
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items(), key=lambda f: f[0].lower()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the peers' programs")
    parser.add_argument("--layers", type=pathlib.Path, required=True, help="folder to write the layers to")
    parser.add_argument("--cpu", default="native", help="what all was built for; if not native, Kinglet races Eigen only")
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--command", required=True, help="as it is written into the results")
    parser.add_argument("--missing", default="", help="what could not be built or installed, with the error")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    here = pathlib.Path(__file__).parent

    kernels = text(options.bin / "peer-kinglet", options.layers, "write")
    commands = {name: [options.bin / f"peer-{name.lower().replace(' ', '')}"] for name, *_ in ROWS}
    if options.cpu != "native":
        commands = {name: command for name, command in commands.items() if name == KINGLET or name.startswith("Eigen")}
    else:
        text(sys.executable, here / "onnx_models.py", options.layers)
        commands["PyTorch"] = [options.torch_python, here / "pytorch.py"]
        commands["ncnn"] = [sys.executable, here / "ncnn_peer.py"]
    peers, missing = {}, [line for line in options.missing.splitlines() if line]
    for name, command in commands.items():
        try:
            peers[name] = Peer([*command, options.layers])
            peers[name].ask("open lstm 1 8")
        except (OSError, RuntimeError) as error:
            missing.append(f"{name}: {error}")
            peers.pop(name, None)

    lines = [
        f"# Kinglet and its peers on {cpu()}",
        "",
        f"{text('rustc', '-V')}, `-C target-cpu={options.cpu}` for all; Kinglet's table is `{kernels}`. "
        f"{versions(here, sys.executable, options.torch_python, peers)}.",
        "",
        "```sh",
        options.command,
        "```",
        "",
        "One layer with the same weights everywhere, batch 1, one step per call, state carried, one thread each. Every "
        "implementation times loops of about 2 ms in its own process; they take turns, and the least of "
        f"{options.rounds} rounds counts. Samples are in the implementation's own type beforehand. "
        f"{NATIVE if options.cpu == 'native' else ''}Eigen is `eigen/main.cpp`: the equations on matrices whose sizes the compiler knows, "
        f"as RTNeural's compile-time models are, with `-O3 -march={options.cpu} -ffast-math`. A dash: no such cell. Ratios are to Kinglet w8a8 with floats in and out.",
    ]
    lines += ["", "Missing:", ""] + [f"- {line}" for line in missing] if missing else []
    for cell, title in CELLS.items():
        results = []
        for shape in SHAPES:
            results.append(measure(peers, cell, shape, options.rounds))
            print(f"{title} {shape[0]}, {shape[1]}", file=sys.stderr)
        lines += ["", f"## {title}", "", *table(results)]
    for peer in peers.values():
        peer.close()
    report = "\n".join(lines) + "\n"
    options.out.write_text(report)
    print(report)


if __name__ == "__main__":
    main()
