"""What batches gain: one piece of work done with them and without, by more and more callers at once."""

from collections.abc import Awaitable, Callable, Mapping

from bench.figures import Figure, Findings, at_most, ratio
from bench.rig import Rig

#: Microseconds of this process for one piece of work, with so many callers, batched or not.
Cost = Callable[[int, bool], Awaitable[float]]


async def compare(rig: Rig, setting: str, path: str, unit: str, most: Mapping[int, float], cost: Cost) -> Findings:
    """`most` says for each number of callers how much of the plain one's time the batched one may take."""
    subjects = {f"{setting}=true": True, f"{setting}=false": False}
    figures, goals = [], []
    for callers, bound in most.items():
        values: dict[str, list[float]] = {subject: [] for subject in subjects}
        for _ in range(rig.rounds):
            for subject, found in values.items():
                found.append(await cost(callers, subjects[subject]))
        of = f"{path}, {callers} callers"
        batched, plain = (Figure(of, subject, unit, tuple(found)) for subject, found in values.items())
        figures += [batched, plain]
        goals.append(at_most(of, bound, "× the plain one", ratio(batched, plain)))
    return Findings(tuple(figures), tuple(goals))
