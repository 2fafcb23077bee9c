"""What the model stub answers under load: each prompt says what becomes of it, and everything asked is written down.

A prompt is `<fate>/<anything unique>`. A fate is a number of bad answers, and then a good one or none.
"""

import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from stack import replies
from stack.replies import Call, Reply, Respond

#: A job that is to time out asks for this; its answer comes later. Long enough for a good answer on a busy machine:
#: one that comes too late there is asked for again, and looks as if it had been paid for twice.
SHORT_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Fate:
    """What the upstream does to a job, and how the job must therefore end."""

    #: The answers before the good one; the last of them for ever if the end is not `completed`.
    bad: tuple[Respond, ...] = ()
    end: str = "completed"
    options: dict[str, Any] = field(default_factory=dict)


def _dated() -> Respond:
    """429 with Retry-After as a date, two seconds from the call."""

    async def respond(call: Call) -> Reply:
        headers = {"Retry-After": formatdate(time.time() + 2, usegmt=True)}
        return await replies.status(429, headers=headers)(call)

    return respond


_HURRIED = {"timeout_s": SHORT_TIMEOUT_S}

FATES: dict[str, Fate] = {
    "fine": Fate(),
    # Transient: bad once or more, then good.
    "429": Fate((replies.status(429, code="rate_limit_exceeded"),)),
    "429-seconds": Fate((replies.status(429, headers={"Retry-After": "1"}),)),
    "429-milliseconds": Fate((replies.status(429, headers={"retry-after-ms": "300"}),)),
    "429-date": Fate((_dated(),)),
    "500": Fate((replies.status(500),) * 2),
    "502": Fate((replies.status(502),)),
    "503": Fate((replies.status(503),)),
    "504": Fate((replies.status(504),)),
    "reset-early": Fate((replies.reset(0),)),
    "reset-late": Fate((replies.reset(40),)),
    "hang": Fate((replies.hang(),), options=_HURRIED),
    "late": Fate((replies.echo(SHORT_TIMEOUT_S + 0.5),), options=_HURRIED),
    "empty": Fate((replies.garbage(""),)),
    "half": Fate((replies.garbage(),)),
    "no-completion": Fate((replies.garbage("[]"),)),
    # Permanent: one call, and the job has failed.
    "429-quota": Fate((replies.status(429, code="insufficient_quota"),), "upstream_quota"),
    "429-never": Fate((replies.status(429, headers={"Retry-After": "1000000"}),), "upstream_rate_limited"),
    "400": Fate((replies.status(400),), "upstream_rejected"),
    "401": Fate((replies.status(401, code="invalid_api_key"),), "upstream_rejected"),
    "403": Fate((replies.status(403),), "upstream_rejected"),
    "404": Fate((replies.status(404, code="model_not_found"),), "upstream_rejected"),
    "413": Fate((replies.status(413),), "context_too_long"),
    "too-long": Fate((replies.status(400, code="context_length_exceeded"),), "context_too_long"),
    "filtered": Fate((replies.status(400, code="content_filter"),), "content_rejected"),
    "filter-reason": Fate((replies.text("", finish_reason="content_filter"),), "content_rejected"),
}
#: Whoever has it in hand is killed, by the test.
DEADLY = "deadly"
FATES[DEADLY] = Fate((replies.hang(),), "attempts_exhausted")
TRANSIENT = tuple(name for name, fate in FATES.items() if fate.bad and fate.end == "completed")
PERMANENT = tuple(name for name, fate in FATES.items() if fate.end not in {"completed", "attempts_exhausted"})


@dataclass
class Asked:
    """One call; `good` if it was, or would have been, answered as it should be."""

    at: float
    key: str
    good: bool


class Upstream:
    """Is given to a stub as its `respond`."""

    def __init__(self, delay_s: tuple[float, float] = (0.1, 1.5)) -> None:
        #: A good answer takes at least and at most so long.
        self.delay_s = delay_s
        #: By prompt, in the order of arrival.
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)
        #: Good answers are given while it is set.
        self.answers = asyncio.Event()
        self.answers.set()
        #: While it is set, every call is answered like this, and counts as answered badly.
        self.mood: Respond | None = None

    async def respond(self, call: Call) -> Reply:
        """The answer that the call's prompt has coming."""
        before = self.asked[call.prompt]
        fate = FATES.get(call.prompt.partition("/")[0], FATES["fine"])
        spent = sum(not asked.good for asked in before)
        good = self.mood is None and fate.end == "completed" and spent >= len(fate.bad)
        asked = Asked(call.at, call.api_key, good)
        before.append(asked)
        if self.mood is not None:
            return await self.mood(call)
        if good:
            try:
                await self.answers.wait()
                await asyncio.sleep(self.delay_s[0] if fate.options else random.uniform(*self.delay_s))
            except asyncio.CancelledError:
                asked.good = not fate.options  # a hurried one may have waited long enough, on a slow machine
                raise
            return await replies.echo()(call)
        return await fate.bad[min(spent, len(fate.bad) - 1)](call)

    def asked_by(self, key: str) -> list[str]:
        """The prompts that were asked with that key."""
        return [prompt for prompt, calls in self.asked.items() if any(asked.key == key for asked in calls)]
