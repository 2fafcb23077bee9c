"""The account of a run, and whether the promise was kept."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: What must not happen at all.
BROKEN = {
    "lost": "accepted, and no terminal record when all was well again",
    "wrong": "another job's answer",
    "misjudged": "failed, for no reason that the upstream gave",
    "backwards": "a poll took back what an earlier one had said",
    "false-expired": "404 or 410 for a job that is accepted and alive",
    "answers": "a request got no answer, or one that the API does not promise",
    "late": "not right again within 60 s of the heal",
    "repeated": "called again although its worker lived",
    "uncancelled": "called after its client was told that it is cancelled",
    "processes": "a service ended in a way it should not",
}
SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One breach of the promise."""

    kind: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """All numbers of a ledger."""

    submissions: Mapping[str, int]
    polls: Mapping[str, int]
    streams: int
    accepted: int
    ended: Counter[str]
    deleted: int
    ghosts: int
    calls: int
    extra: int
    allowed: int
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        broken = Counter(problem.kind for problem in self.problems)
        failed = {end: count for end, count in sorted(self.ended.items()) if end != "completed"}
        rows: list[tuple[str, object, str]] = [
            ("submissions", _counted(self.submissions), "by answer"),
            ("polls", _counted(self.polls), "by answer"),
            ("streams", self.streams, "followed to the end"),
            ("accepted", self.accepted, "answered 202, or confirmed by the broker"),
            ("completed", self.ended["completed"], ""),
            ("failed", sum(failed.values()), _counted(failed)),
            *((kind, broken[kind], meaning) for kind, meaning in BROKEN.items()),
            ("upstream calls", self.calls, ""),
            ("extra calls", self.extra, f"{self.allowed} were in the hands of workers that were killed or frozen"),
            ("ghosts", self.ghosts, "run although their client was told that they were refused"),
            ("deleted", self.deleted, "published directly, then deleted with their queue by us"),
        ]
        lines = [f"{name:<15} {value!s:>7}  {meaning}".rstrip() for name, value, meaning in rows]
        lines += [f"! {problem.kind}: {problem.text}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"! and {len(self.problems) - SHOWN} more")
        return "\n".join(lines)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
