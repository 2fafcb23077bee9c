"""What a set of clients was told, written down as it came, and judged against the promise.

It knows the promise and nothing of the code: submissions and polls as a client sees them, and what the upstream
was asked. What is wrong in itself (a step backwards, another job's answer) is noted when it is seen; what can only
be told in the end (lost, paid for twice) is told by `verdict`.
"""

import json
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.faults.upstream import FATES, Upstream
from tests.faults.verdict import Problem, Verdict

RANKS = {"queued": 0, "in_progress": 1, "completed": 2, "failed": 2, "cancelled": 2}
#: Where the upstream itself was away or its calls were cut off, a job may also end like this.
OF_THE_UPSTREAM = frozenset({"upstream_unavailable", "upstream_rate_limited", "upstream_timeout"})
ECHO = "You said: "
#: Seconds by which a call may come to the upstream's notice after the word that it was broken off.
GRACE_S = 1


@dataclass(eq=False)
class Job:
    """One job, as its client knows it."""

    prompt: str
    door: str
    #: Unix seconds, as all times here.
    submitted_at: float
    id: str | None = None
    #: Whether its client knows what became of the submission, and whether that it was refused.
    is_told: bool = False
    is_refused: bool = False
    accepted_at: float | None = None
    terminal: bytes | None = None
    ended_at: float | None = None
    #: The record that a stream ended with.
    streamed_end: dict[str, Any] | None = None
    rank: int = -1
    attempt: int = 0
    #: What a client saw, one entry for each change.
    history: list[str] = field(default_factory=list)
    #: Nobody promised it: it was published directly, and its queue deleted before anybody took it.
    deleted: bool = False
    #: After so many polls in vain its client wants it cancelled.
    patience: float = math.inf
    #: Whether its client has asked for that, and when it was told that it is (monotonic seconds).
    cancel_asked: bool = False
    cancelled_at: float = math.inf

    @property
    def fate(self) -> str:
        return self.prompt.partition("/")[0]

    @property
    def is_foreign(self) -> bool:
        return self.id is not None and not self.id.startswith("job_")

    @property
    def is_open(self) -> bool:
        """Whether it is promised and not there yet."""
        return self.accepted_at is not None and self.terminal is None and not self.deleted

    def __str__(self) -> str:
        return f"{self.id} ({self.prompt}, by {self.door}): {' | '.join(self.history)}"

    def note(self, what: str) -> None:
        if not self.history or not self.history[-1].endswith(what):
            self.history.append(f"{time.time() - self.submitted_at:.2f} s: {what}")


class Ledger:
    """The account of one run."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.jobs: dict[str, Job] = {}
        self.problems: list[Problem] = []
        self.submissions: Counter[str] = Counter()
        self.polls: Counter[str] = Counter()
        self.streams = 0
        #: When a worker with that key of the upstream was killed or frozen, and how many jobs it can have had.
        self._hands: list[tuple[float, str, int]] = []
        #: Whether a server of HTTP is being killed just now, and connections to it with it.
        self.drops_allowed = False
        #: Whether the upstream has failed calls of all jobs.
        self.upstream_failed = False

    def submitting(self, prompt: str, door: str) -> Job:
        job = self.jobs[prompt] = Job(prompt, door, time.time())
        return job

    def answered(self, job: Job, status: int, body: Any, retry_after: str | None) -> None:
        """The gateway's answer to a submission."""
        self.submissions[str(status)] += 1
        job.is_told = True
        if status == 202:
            job.id = body["id"]
            self._accepted(job)
            self._advance(job, body)
            return
        job.is_refused = True
        if status not in {429, 503}:
            self._problem("answers", job, f"submission answered {status}")
        elif retry_after is None:
            self._problem("answers", job, f"{status} without Retry-After")

    def confirmed(self, job: Job, *, by_the_broker: bool) -> None:
        """What became of a message that was published directly."""
        self.submissions["confirmed" if by_the_broker else "not confirmed"] += 1
        job.is_told = True
        if by_the_broker:
            self._accepted(job)

    def no_answer(self, job: Job, how: str, *, asked: str) -> None:
        """A request that got no answer: `refused`, `dropped`, or `hanging`."""
        (self.submissions if asked == "submission" else self.polls)[how] += 1
        job.is_told = True
        job.note(f"{asked} {how}")
        if how == "hanging" or (how == "dropped" and not self.drops_allowed):
            self._problem("answers", job, f"{asked} {how}")

    def polled(self, job: Job, status: int, raw: bytes, retry_after: str | None) -> None:
        """What a poll said. Polls of one job come one after the other."""
        self.polls[str(status)] += 1
        if status == 200:
            self._advance(job, json.loads(raw), raw)
            return
        job.note(str(status))
        if status in {404, 410}:
            if status == 410 or not job.is_foreign or job.rank >= 0:
                self._problem("false-expired", job, f"poll answered {status}")
        elif status != 503:
            self._problem("answers", job, f"poll answered {status}")
        elif retry_after is None:
            self._problem("answers", job, "503 without Retry-After")

    def streamed(self, job: Job, text: str, record: dict[str, Any]) -> None:
        """What a stream had told when it told the end."""
        self.streams += 1
        if record["status"] == "completed" and text != record["output_text"]:
            self._problem("wrong", job, f"streamed {text!r}")
        # Nothing is said of what polls may tell from now on: one may be on its way that was asked before.
        job.streamed_end = record
        self._compare_ends(job)

    def streamed_wrongly(self, job: Job, what: str) -> None:
        """A stream that said what no stream may say."""
        self._problem("answers", job, what)

    def cancel_answered(self, job: Job, status: int, raw: bytes, retry_after: str | None) -> None:
        """What the answer to a cancel said: a record as a poll's, or that nothing could be done."""
        self.polled(job, status, raw, retry_after)
        if job.terminal is not None and _end_of(job) == "cancelled":
            job.cancelled_at = min(job.cancelled_at, time.monotonic())

    def lost_hands(self, key: str, at_most: int) -> None:
        """The worker with that key of the upstream was killed or frozen: what it had may be called again."""
        self._hands.append((time.time(), key, at_most))

    def queue_deleted(self) -> None:
        """What was published directly and lay there is gone: nobody else has a copy. Who can tell what lay there?"""
        for job in self.jobs.values():
            if job.door == "broker" and job.terminal is None:
                job.deleted = True
                job.note("its queue deleted")

    @property
    def accepted_count(self) -> int:
        return sum(job.accepted_at is not None for job in self.jobs.values())

    def open_jobs(self) -> list[Job]:
        """What is accepted and not terminal."""
        return [job for job in self.jobs.values() if job.is_open]

    def is_settled(self, submitted_before: float = math.inf) -> bool:
        """Whether everything from before that time has come to its end."""
        return not any(
            (job.is_open or not job.is_told) and job.submitted_at <= submitted_before for job in self.jobs.values()
        )

    def verdict(self) -> Verdict:
        """The account, once everything is healed and there was time for everything to end."""
        accepted = [job for job in self.jobs.values() if job.accepted_at is not None]
        lost = [Problem("lost", str(job)) for job in self.open_jobs()]
        good = {prompt: sum(asked.good for asked in calls) for prompt, calls in self.upstream.asked.items()}
        extra = {prompt: calls - 1 for prompt, calls in good.items() if calls > 1 and prompt in self.jobs}
        in_hands = self._in_hands()
        unexplained = [
            Problem("repeated", f"{calls} calls too many, {in_hands[prompt]} explained: {self.jobs[prompt]}")
            for prompt, calls in extra.items()
            if calls > in_hands[prompt]
        ]
        late = [
            Problem("uncancelled", str(self.jobs[prompt]))
            for prompt, calls in self.upstream.asked.items()
            if prompt in self.jobs and any(asked.at > self.jobs[prompt].cancelled_at + GRACE_S for asked in calls)
        ]
        ghosts = [prompt for prompt, job in self.jobs.items() if job.is_refused and prompt in self.upstream.asked]
        return Verdict(
            submissions=dict(self.submissions),
            polls=dict(self.polls),
            streams=self.streams,
            accepted=len(accepted),
            ended=Counter(_end_of(job) for job in accepted if job.terminal),
            deleted=sum(job.deleted and job.terminal is None for job in accepted),
            ghosts=len(ghosts),
            calls=sum(len(calls) for prompt, calls in self.upstream.asked.items() if prompt in self.jobs),
            extra=sum(extra.values()),
            allowed=sum(in_hands.values()),
            problems=[*self.problems, *lost, *unexplained, *late],
        )

    def _accepted(self, job: Job) -> None:
        job.accepted_at = time.time()
        job.note("accepted")

    def _advance(self, job: Job, record: dict[str, Any], raw: bytes | None = None) -> None:
        rank, attempt = RANKS[record["status"]], record["attempt"] or 0
        job.note(f"{record['status']}, attempt {attempt}")
        if rank < job.rank or attempt < job.attempt:
            self._problem("backwards", job, f"{record['status']}, attempt {attempt}")
        if record["id"] != job.id:
            self._problem("wrong", job, "a record with another id")
        if job.terminal is not None and raw is not None and raw != job.terminal:
            self._problem("backwards", job, f"the terminal record has changed into {raw!r}")
        job.rank, job.attempt = max(rank, job.rank), max(attempt, job.attempt)
        if rank == 2 and job.terminal is None and raw is not None:
            job.terminal, job.ended_at = raw, time.time()
            self._judge_end(job, record)
            self._compare_ends(job)

    def _compare_ends(self, job: Job) -> None:
        """A stream and the polls must have told the same end, whichever was first."""
        if job.streamed_end and job.terminal and json.loads(job.terminal) != job.streamed_end:
            self._problem("backwards", job, f"a stream ended with {job.streamed_end}")

    def _judge_end(self, job: Job, record: dict[str, Any]) -> None:
        expected = FATES[job.fate].end
        if record["status"] == "completed":
            if record["output_text"] != ECHO + job.prompt or expected != "completed":
                self._problem("wrong", job, "another answer than its own")
            return
        if record["status"] == "cancelled":
            if not job.cancel_asked:
                self._problem("misjudged", job, "cancelled, and nobody wanted that")
            return
        code = record["error"]["code"]
        if code != expected and not (self.upstream_failed and code in OF_THE_UPSTREAM):
            self._problem("misjudged", job, f"failed with {code} where {expected} was due")

    def _in_hands(self) -> Counter[str]:
        """For each prompt, how often its call was in the hands of a worker that was killed or frozen."""
        found: Counter[str] = Counter()
        for at, key, at_most in self._hands:
            asked = [self.jobs[prompt] for prompt in self.upstream.asked_by(key) if prompt in self.jobs]
            held = [job for job in asked if job.submitted_at < at and (job.ended_at is None or job.ended_at > at)]
            found.update(job.prompt for job in held[-at_most:])
        return found

    def _problem(self, kind: str, job: Job, what: str) -> None:
        self.problems.append(Problem(kind, f"{what}: {job}"))


def _end_of(job: Job) -> str:
    record = json.loads(job.terminal or b"{}")
    return "completed" if record["status"] == "completed" else str(record["error"]["code"])
