"""The commands behind `make run` and `make ask`."""

import argparse
import os
import sys
from pathlib import Path

from stack.program import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="start everything on this machine, until Ctrl-C")
    ask_parser = commands.add_parser("ask", help="submit a prompt, wait, print the answer")
    # From the environment too, so that make and a shell need not quote it.
    ask_parser.add_argument("msg", nargs="?", default=os.environ.get("ASK_MSG"), help="default: $ASK_MSG")
    options = parser.parse_args()
    if options.command == "run":
        from stack.run import run  # noqa: PLC0415 (`ask` must do without what that needs)

        return run(os.environ, Path(os.environ.get("STACK_DIRECTORY") or ROOT / ".local").absolute())
    from stack.ask import ask  # noqa: PLC0415

    if not options.msg:
        ask_parser.error('there is nothing to ask; say make ask MSG="…"')
    return ask(options.msg, os.environ)


if __name__ == "__main__":
    sys.exit(main())
