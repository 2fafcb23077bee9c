"""Accepts a job: records it, publishes it, and promises it only when the broker has confirmed it."""

import math
import time
from typing import NamedTuple

import structlog

from common import messages
from common.broker import Broker
from common.cache import Cache, KeyHold
from common.errors import BrokerUnavailable, CacheUnavailable
from common.estimates import Estimates
from common.ids import JobIds
from common.jobs import DEADLINE_MARGIN_S, EncodedRecord, queued_json
from common.messages import Message
from common.prompts import JobRequest
from common.templates import Templates
from gateway.admission import Admission
from gateway.parents import Parents
from gateway.withdrawals import Withdrawals

log = structlog.get_logger()


class Origin(NamedTuple):
    """Where a submission comes from; `traceparent` is the W3C header, if the client sent one."""

    client: str
    request_id: str
    traceparent: str | None = None


class Begun(NamedTuple):
    """A job that has its id already, from when that was minted, since it is submitted under an idempotency key."""

    job_id: str
    minted_at: float
    hold: KeyHold


class _New(NamedTuple):
    """A job that is about to be published: its record's JSON, and for how many seconds that is of use."""

    id: str
    record: bytes
    ttl_s: float


class Accepted(NamedTuple):
    """The job that a submission has led to, and whether it was this submission that made it."""

    job_id: str
    record: EncodedRecord
    is_new: bool = True


class Acceptance:
    """Turns a valid request into a job."""

    def __init__(  # noqa: PLR0913, PLR0917 (what a job passes through)
        self,
        ids: JobIds,
        templates: Templates,
        parents: Parents,
        admission: Admission,
        estimates: Estimates,
        withdrawals: Withdrawals,
        cache: Cache,
        broker: Broker,
    ) -> None:
        self._ids = ids
        self._templates = templates
        self._parents = parents
        self._admission = admission
        self._estimates = estimates
        self._withdrawals = withdrawals
        self._cache = cache
        self._broker = broker

    async def accept(
        self, request: JobRequest, deadline_s: float, origin: Origin, begun: Begun | None = None
    ) -> Accepted:
        """The new job, which from now on is never lost.

        Raises InvalidRequest if the template or its inputs are wrong, what Parents.check raises, QueueFull also if
        it could not begin in time, and BrokerUnavailable if the broker did not confirm; then there is no job.
        """
        prompt = request.prompt(self._templates)
        if request.options.parent_id is not None:
            await self._parents.check(request.options.parent_id, origin.client)
        now = begun.minted_at if begun else time.time()
        job_id = begun.job_id if begun else self._ids.mint(origin.client, now)
        deadline_at = math.ceil(now + deadline_s)
        record = queued_json(job_id, now, deadline_at, request.metadata)
        new = _New(job_id, record, deadline_at + DEADLINE_MARGIN_S - time.time())
        body = messages.encode(job_id, prompt, request.options, request.metadata)
        structlog.contextvars.bind_contextvars(job_id=job_id)
        self._estimates.refuse_beyond(deadline_s)
        with self._admission:
            message = _message(job_id, body, now, deadline_at, origin)
            place = await self._publish(new, message, begun.hold if begun else None)
        return Accepted(job_id, EncodedRecord(record, is_terminal=False, place=place or None))

    async def _publish(self, new: _New, message: Message, hold: KeyHold | None) -> int:
        """Record the job before any worker can see it, and publish it; otherwise no worker will take it up.

        The answer is its place in line, 0 if it has none.
        """
        place = await self._mark(new, message)
        try:
            await self._broker.publish_job(message)
        except BrokerUnavailable:
            if await self._withdrawals.withdraw(new.id, new.ttl_s, hold):
                raise
            # A worker has the job, so the broker has the message: only the confirm was lost.
            log.warning("job_taken_unconfirmed")
        return place

    async def _mark(self, new: _New, message: Message) -> int:
        """Without a cache the id alone says that the job is queued, and nobody can recover its message."""
        try:
            place = await self._cache.mark(*new, messages.pack(message))
        except CacheUnavailable:
            log.warning("job_not_recorded")
            return 0
        self._estimates.joined(place)
        return place


def _message(job_id: str, body: bytes, now: float, deadline_at: int, origin: Origin) -> Message:
    headers: dict[str, messages.HeaderValue] = {
        messages.DEADLINE_HEADER: deadline_at,
        messages.REQUEST_ID_HEADER: origin.request_id,
    }
    if origin.traceparent:
        headers[messages.TRACEPARENT_HEADER] = origin.traceparent
    return Message(body, message_id=job_id, timestamp=now, headers=headers)
