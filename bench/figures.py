"""What a benchmark says: figures, each measured in several interleaved rounds, and goals that they are held to."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One subject on one path. The values of the same index, of all subjects on a path, are from the same round."""

    path: str
    subject: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def spread(self) -> float:
        """How far apart the values lie: the largest less the smallest, as a part of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0


@dataclass(frozen=True)
class Goal:
    """What is wanted on a path, and what came out; `value` is mostly a ratio, by pairs of the same round."""

    path: str
    wanted: str
    value: float
    is_met: bool


@dataclass(frozen=True)
class Findings:
    """All that one benchmark found."""

    figures: tuple[Figure, ...]
    goals: tuple[Goal, ...]


def ratio(ours: Figure, theirs: Figure) -> float:
    """The median of the ratios round by round, which is steadier than the ratio of medians on a noisy machine."""
    return median(one / other for one, other in zip(ours.values, theirs.values, strict=True))


def at_least(path: str, wanted: float, of: str, value: float) -> Goal:
    return Goal(path, f"≥ {wanted:g} × {of}", value, value >= wanted)


def at_most(path: str, wanted: float, unit: str, value: float) -> Goal:
    return Goal(path, f"≤ {wanted:g} {unit}", value, value <= wanted)
