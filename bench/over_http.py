"""Services side by side under the same load: requests a second, their slowest hundredth, and processor time."""

import asyncio
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
    #: More of the same, each under a load of its own at the same time.
    beside: Sequence[Process] = ()
    #: Servers whose processor time counts too.
    behind: Sequence[Process] = ()

    @property
    def services(self) -> tuple[Process, ...]:
        return (self.process, *self.beside)

    def cpu_s(self) -> float:
        return _cpu_s((*self.services, *self.behind))


@dataclass
class Series:
    """The figures of one subject, a value for each round."""

    per_s: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    servers_us: list[float] = field(default_factory=list)


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

    def servers(self, subject: str) -> Figure:
        unit = "µs of the servers' processor/request"
        return Figure(self.path, subject, unit, tuple(self.series[subject].servers_us))

    def figures(self) -> tuple[Figure, ...]:
        kinds = (self.per_s, self.p99, self.cpu, self.servers)
        figures = (kind(subject) for kind in kinds for subject in self.series)
        return tuple(figure for figure in figures if figure.values)


async def measure(rig: Rig, path: str, subjects: Sequence[Subject], servers: Sequence[Process] = ()) -> Measured:
    """Every subject once in each round, after a run of each that does not count; and what it costs the servers."""
    warm_up_s, seconds = (1, 1) if rig.is_quick else (2, 3)
    for subject in subjects:
        await _load(rig, subject, warm_up_s)
    series = {subject.name: Series() for subject in subjects}
    for _ in range(rig.rounds):
        for subject in subjects:
            result, cpu_s, servers_s = await _load(rig, subject, seconds, servers)
            if result.errors or not result.requests:
                raise InvalidRun(f"{subject.name}: {result}")
            series[subject.name].per_s.append(result.requests_per_s)
            series[subject.name].p99_ms.append(result.p99_ms)
            series[subject.name].cpu_us.append(cpu_s / result.requests * 1e6)
            if servers:
                series[subject.name].servers_us.append(servers_s / result.requests * 1e6)
    return Measured(path, series)


async def _load(
    rig: Rig, subject: Subject, seconds: float, servers: Sequence[Process] = ()
) -> tuple[WrkResult, float, float]:
    """With the seconds of processor time that the subject has used, and the servers."""
    before, servers_before = subject.cpu_s(), _cpu_s(servers)
    results = await asyncio.gather(
        *(
            rig.wrk(process.program.url, connections=CONNECTIONS, seconds=seconds, script=subject.script)
            for process in subject.services
        )
    )
    # Before what is cleared away is counted as theirs.
    by_servers = subject.cpu_s() if subject.behind else None
    servers_s = _cpu_s(servers) - servers_before
    await subject.clear()
    # Only now: what a service has put off, it does while it is being waited for.
    after = by_servers or subject.cpu_s()
    return _together(results), after - before, servers_s


def _cpu_s(processes: Sequence[Process]) -> float:
    return sum(cpu_seconds(process.pid) for process in processes)


def _together(results: Sequence[WrkResult]) -> WrkResult:
    """As if it were one load: the times are those of the slowest part."""
    return WrkResult(
        requests=sum(result.requests for result in results),
        requests_per_s=sum(result.requests_per_s for result in results),
        p50_ms=max(result.p50_ms for result in results),
        p99_ms=max(result.p99_ms for result in results),
        errors=sum(result.errors for result in results),
    )
