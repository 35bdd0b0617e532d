"""The command line: `python -m kinglet`, and `kinglet` where the wheel is installed."""

import signal
import sys

from ._kinglet import command


def main():
    # The program's own handlers, in place of the interpreter's, which would wait for it to return.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
