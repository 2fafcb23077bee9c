"""Services side by side under the same load: requests a second, their slowest hundredth, and processor time."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bench.figures import Figure
from bench.rig import Rig, WrkResult, cpu_seconds
from stack.process import Process

CONNECTIONS = 64


class InvalidRun(Exception):
    """What was measured is not what was meant to be."""


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Subject:
    """A running service, and what it is asked."""

    name: str
    process: Process
    script: str
    #: What is done after each run, so that the next subject finds the servers as this one did.
    clear: Callable[[], Awaitable[None]] = _nothing


@dataclass
class Series:
    """The figures of one subject, a value for each round."""

    per_s: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """All subjects of a path."""

    path: str
    series: dict[str, Series]

    def per_s(self, subject: str) -> Figure:
        return Figure(self.path, subject, "requests/s", tuple(self.series[subject].per_s))

    def p99(self, subject: str) -> Figure:
        return Figure(self.path, subject, "ms, p99", tuple(self.series[subject].p99_ms))

    def cpu(self, subject: str) -> Figure:
        return Figure(self.path, subject, "µs of processor/request", tuple(self.series[subject].cpu_us))

    def figures(self) -> tuple[Figure, ...]:
        kinds = (self.per_s, self.p99, self.cpu)
        return tuple(kind(subject) for kind in kinds for subject in self.series)


async def measure(rig: Rig, path: str, subjects: Sequence[Subject]) -> Measured:
    """Every subject once in each round, after a run of each that does not count."""
    warm_up_s, seconds = (1, 1) if rig.is_quick else (2, 4)
    for subject in subjects:
        await _load(rig, subject, warm_up_s)
    series = {subject.name: Series() for subject in subjects}
    for _ in range(rig.rounds):
        for subject in subjects:
            result, cpu_s = await _load(rig, subject, seconds)
            series[subject.name].per_s.append(result.requests_per_s)
            series[subject.name].p99_ms.append(result.p99_ms)
            series[subject.name].cpu_us.append(cpu_s / result.requests * 1e6)
    return Measured(path, series)


async def _load(rig: Rig, subject: Subject, seconds: float) -> tuple[WrkResult, float]:
    before = cpu_seconds(subject.process.pid)
    url = subject.process.program.url
    result = await rig.wrk(url, connections=CONNECTIONS, seconds=seconds, script=subject.script)
    if result.errors or not result.requests:
        raise InvalidRun(f"{subject.name}: {result}")
    await subject.clear()
    # Only now: what a service has put off, it does while it is being waited for.
    return result, cpu_seconds(subject.process.pid) - before
