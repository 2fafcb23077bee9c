"""Does what the table of outcomes says, in its order: save, reply, send on, release, acknowledge."""

import time
from dataclasses import replace

import structlog

from common import metrics
from common.broker import Broker, Delivery
from common.cache import Cache
from common.errors import ErrorCode, PublishRefused
from common.jobs import DEADLINE_MARGIN_S, Record
from common.messages import Message, dead_letter_headers
from common.store import Store
from gpt_worker.keep_trying import keep_trying
from gpt_worker.outcomes import ACTIONS, Destination, Outcome, Result, Then
from gpt_worker.settings import WorkerSettings

log = structlog.get_logger()


class Settlement:
    """Brings results to where they belong; gives none of them up while its servers are away."""

    def __init__(self, settings: WorkerSettings, broker: Broker, cache: Cache, store: Store) -> None:
        self._settings = settings
        self._broker = broker
        self._cache = cache
        self._store = store

    async def settle(self, delivery: Delivery, result: Result) -> None:
        """Carry out the action of the result's outcome; the acknowledgement is always last."""
        action = ACTIONS[result.outcome]
        record = result.record
        if action.save and record is not None:
            is_new = result.outcome is not Outcome.ALREADY_FINISHED
            record = await self._save(record, self._settings.result_store_ttl_s if is_new else None)
        if action.reply and record is not None and delivery.message.reply_to is not None:
            await self._reply(delivery.message, delivery.message.reply_to, record)
        if action.send_to is not None:
            await self._send_on(delivery.message, action.send_to, result)
        if action.release:
            await self.release(result)
        if action.then is Then.ACKNOWLEDGE:
            await delivery.acknowledge()
        else:
            await delivery.give_back()
        metrics.DELIVERIES.labels(result.outcome).inc()
        log.info("delivery_settled", outcome=result.outcome)

    async def _save(self, record: Record, ttl_s: float | None) -> Record:
        """Store, then cache; the record that counts is the first one that was ever stored.

        A new record can be read for `ttl_s` seconds from when it is stored, however long that took.
        """
        reader_knows_by_id = record.created_at + self._settings.job_deadline_s + 2 * DEADLINE_MARGIN_S

        async def store() -> Record:
            lasting = record if ttl_s is None else record.lasting(ttl_s)
            return await self._store.save(lasting, keep_until=reader_knows_by_id)

        saved = await keep_trying(store)
        left_s = saved.expires_at - time.time()
        if left_s > 0:
            cache_ttl_s = min(self._settings.result_cache_ttl_s, left_s)
            await keep_trying(lambda: self._cache.advance(saved, cache_ttl_s))
        if ttl_s is not None and saved.completed_at == record.completed_at:
            metrics.FINISHED.labels(saved.status, saved.error.code if saved.error else "").inc()
        return saved

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
        topology = self._broker.topology
        queue = topology.wait if destination is Destination.WAIT else topology.dead
        sent = replace(message, headers={**message.headers, **result.headers})
        await keep_trying(lambda: self._broker.publish_to(queue.name, sent))

    async def bury(self, delivery: Delivery) -> None:
        """Put what we cannot settle among the dead letters, with nothing but its body, and acknowledge it."""
        headers = dead_letter_headers(ErrorCode.INTERNAL, "the delivery could not be settled")
        letter = Message(delivery.message.body, timestamp=time.time(), headers=headers)
        await keep_trying(lambda: self._broker.publish_to(self._broker.topology.dead.name, letter))
        await delivery.acknowledge()

    async def release(self, result: Result) -> None:
        """Give up the lease, if there is one. Left behind, it would lock the job as long as this worker lives."""
        job_id, lease = result.job_id, result.lease
        if job_id is not None and lease is not None:
            await keep_trying(lambda: self._cache.release(job_id, lease))
