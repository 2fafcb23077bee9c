"""`python -m bench`: run the benchmarks, and say what they found as a table, a chart and figures.json."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import uvloop

from bench import (
    burst,
    cache,
    drain,
    growth,
    in_hand,
    memory,
    pick_up,
    poll,
    report,
    requests_per_answer,
    store,
    submit,
    worker,
)
from bench.figures import Findings
from bench.rig import Rig
from stack.program import ROOT

BENCHMARKS: Mapping[str, Callable[[Rig], Awaitable[Findings]]] = {
    "cache": cache.run,
    "store": store.run,
    "submit": submit.run,
    "poll": poll.run,
    "pick-up": pick_up.run,
    "requests": requests_per_answer.run,
    "worker": worker.run,
    "drain": drain.run,
    "in-hand": in_hand.run,
    "burst": burst.run,
    "memory": memory.run,
    "growth": growth.run,
}

#: What takes too long to be quick; where it is named, it is run all the same.
LONG = frozenset({"drain", "in-hand", "burst", "memory", "growth"})

ROUNDS, ROUNDS_WHEN_QUICK = 5, 1


async def run(names: Sequence[str], rig: Rig, output: Path) -> tuple[dict[str, Findings], list[str]]:
    """What the benchmarks found, written after each, and which of them broke: the others' results are kept."""
    found: dict[str, Findings] = {}
    broken: list[str] = []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            found[name] = await BENCHMARKS[name](rig)
        except Exception:  # noqa: BLE001 (whatever it is, it is this benchmark's)
            traceback.print_exc()
            broken.append(name)
        finally:
            rig.stop_all()
            report.write(output, found, broken, rounds=rig.rounds)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found, broken


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    return names


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, without what takes long")
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--output", type=Path, default=ROOT / ".local/bench/results", metavar="DIR")
    options = parser.parse_args()
    rounds = options.rounds or (ROUNDS_WHEN_QUICK if options.quick else ROUNDS)
    names = options.only or [name for name in BENCHMARKS if not (options.quick and name in LONG)]
    home = ROOT / ".local/bench"
    home.mkdir(parents=True, exist_ok=True)
    # Of this run's own: what another run left in a server's files would be another figure.
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=home))
    with (
        Rig.ready(directory, rounds=rounds, is_quick=options.quick) as rig,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        found, broken = runner.run(run(names, rig, options.output))
    report.show(found)
    if broken:
        print(f"broken: {', '.join(broken)}; the logs are in {directory}", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
