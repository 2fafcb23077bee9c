"""Does what the table of outcomes says, in its order: send on, save, reply, release, acknowledge."""

import time
from dataclasses import replace

import structlog

from common import metrics
from common.broker import Broker, Delivery
from common.cache import Cache
from common.errors import CacheUnavailable, ErrorCode, JobDeleted, PublishRefused
from common.jobs import Record
from common.messages import Message, dead_letter_headers
from gpt_worker.keep_trying import keep_trying
from gpt_worker.outcomes import ACTIONS, Destination, Outcome, Result, Then
from gpt_worker.saving import Saving
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()


class Settlement:
    """Brings results to where they belong; gives none of them up while its servers are away."""

    def __init__(self, settings: WorkerSettings, broker: Broker, cache: Cache, saving: Saving) -> None:
        self._settings = settings
        self._broker = broker
        self._cache = cache
        self._saving = saving
        for outcome in Outcome:
            metrics.deliveries(outcome)  # counted from 0

    async def settle(self, delivery: Delivery, result: Result) -> None:
        """Carry out the action of the result's outcome; the acknowledgement is always last."""
        action = ACTIONS[result.outcome]
        message, record = delivery.message, result.record
        if action.send_to is not None:
            await self._send_on(message, action.send_to, result)
        unsaved = None
        if action.save and record is not None:
            record, unsaved = await self._save(record, result)
        if action.erase and record is not None:
            await self._saving.erase(record)
        if action.reply and record is not None and message.reply_to is not None:
            await self._reply(message, message.reply_to, record)
        if unsaved is not None:
            await self._saving.keep_for_later(unsaved, message, result.turn)
        if action.release:
            await self._release(result, gives_up=action.then is Then.GIVE_BACK)
        if action.then is Then.ACKNOWLEDGE:
            await delivery.acknowledge()
        else:
            await delivery.give_back()
        metrics.deliveries(result.outcome).inc()
        log.info("delivery_settled", outcome=result.outcome)

    async def _save(self, record: Record, result: Result) -> tuple[Record | None, Record | None]:
        """The record that counts, and once more if the store has not got it yet; neither if the job was deleted."""
        is_new = result.outcome is not Outcome.ALREADY_FINISHED
        try:
            saved = await self._saving.save(record, is_new=is_new, begun_at=result.begun_at, turn=result.turn)
        except JobDeleted:
            return None, None
        return saved.record, None if saved.is_in_store else saved.record

    async def _reply(self, message: Message, reply_to: str, record: Record) -> None:
        """Publish the record to whoever asked; if that queue is gone, the record can still be polled."""
        reply = Message(
            record.encode(),
            message_id=record.id,
            correlation_id=message.correlation_id,
            timestamp=time.time(),
        )

        async def publish() -> None:
            try:
                await self._broker.publish_to(reply_to, reply, mandatory=False)
            except PublishRefused:
                # Whoever asked has let its queue fill up; our slots are not there to wait for it.
                log.warning("reply_refused")

        await keep_trying(publish)

    async def _send_on(self, message: Message, destination: Destination, result: Result) -> None:
        """Publish the message as it came, with the result's headers."""
        sent = replace(message, headers={**message.headers, **result.headers})
        if destination is Destination.WAIT:
            await keep_trying(lambda: self._broker.publish_later(sent, result.delay_s))
        elif destination is Destination.JOBS:
            await keep_trying(lambda: self._broker.publish_job(sent))
        else:
            await keep_trying(lambda: self._broker.publish_dead(sent))

    async def bury(self, delivery: Delivery) -> None:
        """Put what we cannot settle among the dead letters, with nothing but its body, and acknowledge it."""
        headers = dead_letter_headers(ErrorCode.INTERNAL, "the delivery could not be settled")
        letter = Message(delivery.message.body, timestamp=time.time(), headers=headers)
        await keep_trying(lambda: self._broker.publish_dead(letter))
        await delivery.acknowledge()

    async def release(self, result: Result) -> None:
        """Give up the lease, if there is one. Left behind, it would lock the job as long as this worker lives."""
        await self._release(result, gives_up=False)

    async def _release(self, result: Result, *, gives_up: bool) -> None:
        job_id, lease = result.job_id, result.lease
        if job_id is None or lease is None:
            return
        # A wait queue may hold a message up to twice as long as asked.
        due_in_s = 2 * result.delay_s

        async def release() -> None:
            await self._cache.release(job_id, lease, due_in_s, attempted=result.was_attempted)

        if not gives_up:
            await keep_trying(release)
            return
        try:
            await release()
        except CacheUnavailable:
            # This worker ends now, and its leases with it.
            log.warning("lease_not_released")
