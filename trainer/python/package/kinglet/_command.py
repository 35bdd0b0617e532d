"""Runs the command line in a process of its own, and says what it says: errors as `kinglet.Error`, notes as warnings."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from ._kinglet import Error, write_csv

# The interpreter's own handler would wait for the command to return; `command` has the program's.
_PROGRAM = """\
import signal, sys
sys.path[:] = {path!r}
signal.signal(signal.SIGINT, signal.SIG_DFL)
from kinglet._kinglet import command
sys.exit(command(sys.argv[1:]))
"""


def options_of(options):
    """Keyword arguments as options of the command: `for_="cortex-m4"` is `--for cortex-m4`, True is a flag, a list repeats one."""
    words = []
    for name, value in options.items():
        if name == "help":
            raise Error("help is the command line's: kinglet COMMAND --help says what options there are")
        flag = "--" + name.rstrip("_").replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                words.append(flag)
            elif one is not None and one is not False:
                # In one word, as a value may begin with a dash.
                words.append(f"{flag}={os.fspath(one) if isinstance(one, os.PathLike) else one}")
    return words


@contextlib.contextmanager
def workplace():
    """A folder for what is no file yet. Messages do not name it."""
    with tempfile.TemporaryDirectory(prefix="kinglet-") as folder:
        yield Path(folder).resolve()


def data_file(data, folder):
    """The path of the data, which is written as CSV if it is a table, and whether there are times in it that are no text."""
    if isinstance(data, (str, os.PathLike)):
        return Path(data), False
    path = folder / "the table, as CSV"
    return path, write_csv(data, path)


class _Progress:
    """One line that is written over on a terminal and in a notebook; elsewhere, such as in a log, a line every few seconds."""

    EVERY = 5.0

    def __init__(self):
        self.over = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self.width, self.last = 0, float("-inf")
        self.waits = None

    def show(self, line):
        now = time.monotonic()
        if self.over:
            self._write("\r" + line.ljust(self.width))
            self.width = len(line)
        elif now - self.last >= self.EVERY:
            self._write(line + "\n")
            self.last, self.waits = now, None
        else:
            self.waits = line

    def close(self):
        if self.over and self.width:
            self._write("\n")
        elif self.waits:
            self._write(self.waits + "\n")
        self.width, self.waits = 0, None

    @staticmethod
    def _write(text):
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def run(arguments, folder, *, progress=False, keeps=False):
    """What the command prints, as JSON if it prints any.

    Ctrl-C ends it; what `keeps` something then is given the time to. Its epochs are shown with `progress`."""
    # Of what else is in it, such as a pathlib.Path, the interpreter takes no notice.
    program = _PROGRAM.format(path=[entry for entry in sys.path if isinstance(entry, str)])
    words = [sys.executable, "-I", "-c", program, *(os.fspath(word) for word in arguments)]
    # A Ctrl-C on the terminal is for this process, which passes it on.
    bar, said, hidden = _Progress(), [], f"{folder}{os.sep}"
    printed = tempfile.TemporaryFile()
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE, start_new_session=True)
    try:
        for line in _lines(child.stderr):
            line = line.decode("utf-8", "replace").rstrip("\r\n").replace(hidden, "")
            if line.startswith("epoch ") or line.startswith("fold "):
                if progress:
                    bar.show(line)
            else:
                said.append(line)
        child.wait()
    except BaseException:
        if keeps and os.name == "posix":
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(30)
        raise
    finally:
        bar.close()
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stderr.close()
    for line in said:
        kind, _, text = line.partition(": ")
        if kind in ("note", "warning"):
            warnings.warn(text, UserWarning, stacklevel=3)
    with printed:
        if child.returncode != 0:
            raise Error(_why(said, child.returncode))
        printed.seek(0)
        text = printed.read().decode("utf-8")
    return json.loads(text) if text.lstrip().startswith("{") else text


def _lines(pipe):
    """The lines of a pipe. A thread reads it: a read that a signal does not end (some libraries have it started again) would keep the
    interpreter from its handlers, and a wait that ends by itself does not."""
    lines = queue.SimpleQueue()

    def read():
        with contextlib.suppress(ValueError):  # It was closed.
            for line in pipe:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=0.1)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line


def _why(said, code):
    """The text of an error: up to the usage that follows it, of an option that is not known."""
    for at, line in enumerate(said):
        if line.startswith("error: "):
            rest = said[at + 1 :]
            until = next((k for k, more in enumerate(rest) if more.startswith(("Usage:", "For more"))), len(rest))
            # An option that is not known may well be a key of the task.
            more = [more.strip() for more in rest[:until] if more.strip()]
            more = [
                "options are those of the command; what is in a task is given there, as task[\"train\"][\"epochs\"]" if "as a value" in more else more
                for more in more
            ]
            return "\n".join([line[len("error: ") :], *more])
    return " ".join(said) or f"the command ended with code {code}"
