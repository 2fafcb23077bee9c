"""`make soak`: a long run under a random sequence of faults, judged by the ledger of its clients.

    python -m tests.faults.soak --jobs 500 --minutes 5 --seed 17

The seed gives the faults, their order and their lengths. Exit status: 0 if the promise was kept, 1 if it was broken,
130 if it was ended by a signal before anything could be judged.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stack.model_stub import ModelStub
from tests.deployment import Place, Servers
from tests.faults.clients import Clients
from tests.faults.faults import FAULTS
from tests.faults.fleet import SETTINGS, Fleet, Size, hasty
from tests.faults.ledger import Ledger
from tests.faults.upstream import Upstream
from tests.faults.verdict import Problem, Verdict

#: What a run is judged by: at most so long after the heal everything is right again.
HEALED_WITHIN_S = 60.0
#: After the last heal, the longest wait for everything to end.
LAST_WAIT_S = 120.0
PROGRESS_EVERY_S = 5.0
SIZE = Size(gateways=2, readers=2, workers=4)
PREFETCH = "25"


@dataclass(frozen=True)
class Options:
    """What `make soak` was asked for."""

    jobs: int
    minutes: float
    seed: int


@dataclass
class Healing:
    """How long it took after each fault of one kind, in seconds: until a new job was done, and until all were."""

    first: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)


class Soak:
    """One run."""

    def __init__(self, options: Options, clients: Clients) -> None:
        self._options = options
        self._clients = clients
        self._ledger = clients.ledger
        self._random = random.Random(options.seed)
        self._began = time.monotonic()
        self._now = "warming up"
        self.healings: dict[str, Healing] = {}

    async def run(self) -> Verdict:
        """Everything, until all is healed and judged, or somebody wants it ended."""
        per_second = self._options.jobs / (self._options.minutes * 60)
        load = self._clients.submit_at(per_second, self._options.jobs)
        reports = asyncio.ensure_future(self._report())
        try:
            await self._cause_faults()
        finally:
            load.cancel()
            self._now = "the end"
            await self._clients.fleet.mend()
        if await self._clients.settled(LAST_WAIT_S) is None:
            say("not everything has come to its end")
        await self._clients.audit()
        reports.cancel()
        return self._clients.verdict()

    async def _cause_faults(self) -> None:
        """One after the other, each kind once before any comes twice."""
        names: list[str] = []
        await self._clients.until_accepted(1)
        while self._elapsed_s() < self._options.minutes * 60 and self._ledger.accepted_count < self._options.jobs:
            if not names:
                names = self._random.sample(sorted(FAULTS), len(FAULTS))
            name = names.pop()
            await self._cause(name, self._random.uniform(*FAULTS[name].lasts_s))
            await asyncio.sleep(FAULTS[name].settles_s + self._random.uniform(0, 3))

    async def _cause(self, name: str, lasts_s: float) -> None:
        say(f"{self._clock()}  {name}, for {lasts_s:.1f} s")
        self._now = name
        try:
            async with FAULTS[name].hits(self._clients):
                await asyncio.sleep(lasts_s)
        except TimeoutError:
            say(f"{self._clock()}  {name}: it did not come about")
            await self._clients.fleet.mend()
            return
        self._now = f"healing: {name}"
        await self._heal(name, time.time())

    async def _heal(self, name: str, healed_at: float) -> None:
        healing = self.healings.setdefault(name, Healing())
        first = asyncio.ensure_future(self._clients.probe(HEALED_WITHIN_S))
        everything = await self._clients.settled(HEALED_WITHIN_S, submitted_before=healed_at)
        until_first = await first
        if everything is None or until_first is None:
            late = [str(job) for job in self._ledger.open_jobs() if job.submitted_at <= healed_at]
            self._ledger.problems.append(Problem("late", f"after {name}: {'; '.join(late) or 'a new job'}"))
            return
        healing.first.append(until_first)
        healing.all.append(everything)

    async def _report(self) -> None:
        told = 0
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            ledger = self._ledger
            for problem in ledger.problems[told:]:
                say(f"! {problem.kind}: {problem.text}")
            told = len(ledger.problems)
            say(
                f"{self._clock()}  {ledger.accepted_count} accepted, {len(ledger.open_jobs())} open, "
                f"{len(ledger.problems)} problems; {self._now}"
            )

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _clock(self) -> str:
        minutes, seconds = divmod(int(self._elapsed_s()), 60)
        return f"{minutes:3}:{seconds:02}"


async def soak(options: Options, servers: Servers, home: Path) -> int:
    """Set up, run, tell; the exit status."""
    upstream = Upstream(delay_s=(0.2, 4))
    async with ModelStub(upstream.respond, keep_calls=False) as stub:
        settings = {**SETTINGS, "PREFETCH": PREFETCH}
        fleet = Fleet(servers, hasty(Place.on(servers)), stub.base_url, home, settings)
        try:
            await fleet.start(SIZE)
            async with Clients(fleet, Ledger(upstream), options.seed) as clients:
                run = Soak(options, clients)
                running = asyncio.ensure_future(run.run())
                with ended_by_signals(running):
                    verdict = await running
        except asyncio.CancelledError:
            say("ended before its time; nothing is judged")
            return 130
        finally:
            await fleet.stop()
    say(f"\n{options.jobs} jobs, {options.minutes:g} minutes, seed {options.seed}\n\n{verdict}\n")
    say(healing_table(run.healings))
    return 0 if verdict.is_kept else 1


def healing_table(healings: dict[str, Healing]) -> str:
    """One line for each kind of fault, with the longest time of each."""
    lines = [f"{'time to heal (s), the longest':<42} {'times':>5} {'a new job':>10} {'all jobs':>10}"]
    for name, healing in sorted(healings.items()):
        if healing.all:
            longest = f"{max(healing.first):>10.1f} {max(healing.all):>10.1f}"
            lines.append(f"{name:<42} {len(healing.all):>5} {longest}")
    return "\n".join(lines)


@contextlib.contextmanager
def ended_by_signals(running: asyncio.Future[Verdict]) -> Iterator[None]:
    """Ctrl-C ends the run in order: faults are healed and servers stopped."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def say(text: str) -> None:
    """At once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500, help="jobs to be accepted (default %(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="for so long (default %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the faults; drawn and told if it is not given")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    options = Options(given.jobs, given.minutes, seed)
    for driver in ("aio_pika", "aiormq"):  # what they have to say of a broker that is away is no news here
        logging.getLogger(driver).setLevel(logging.CRITICAL)
    say(f"{options.jobs} jobs in {options.minutes:g} minutes, SEED={options.seed}; starting servers …")
    with tempfile.TemporaryDirectory(prefix="gpt-jobs-soak-") as home, Servers.running(Path(home)) as servers:
        return asyncio.run(soak(options, servers, Path(home)))


if __name__ == "__main__":
    sys.exit(main())
