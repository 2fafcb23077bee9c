"""Takes deliveries, each in a task of its own, and never more of them at once than there are slots."""

import asyncio

import structlog

from common import metrics
from common.broker import Delivery
from common.messages import request_id_of
from gpt_worker.processing import Processing
from gpt_worker.settlement import Settlement

log = structlog.get_logger()

#: Seconds that a stopping worker waits for deliveries to be given back.
GIVE_BACK_S = 5


class Consumer:
    """The deliveries in this worker's hands.

    The prefetch alone bounds how many there are, as long as the connection holds. When it is lost the broker
    delivers others while the calls for the first ones still run; for that case there are the slots.
    """

    def __init__(self, slots: int, processing: Processing, settlement: Settlement) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._processing = processing
        self._settlement = settlement
        self._in_hand: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        metrics.SLOTS.set(slots)

    def receive(self, delivery: Delivery) -> None:
        """Start on a delivery; returns at once."""
        task = asyncio.create_task(self._handle(delivery))
        self._in_hand.add(task)
        task.add_done_callback(self._let_go)

    async def drain(self, timeout_s: float) -> None:
        """Finish what is in hand within `timeout_s` seconds, then give back what is not being saved already."""
        if self._in_hand:
            log.info("draining", jobs=len(self._in_hand), timeout_s=timeout_s)
            await asyncio.wait(self._in_hand, timeout=timeout_s)
        for task in self._in_hand - self._settling:
            task.cancel()
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=GIVE_BACK_S)
        if self._in_hand:
            log.warning("not_drained", jobs=len(self._in_hand))

    async def _handle(self, delivery: Delivery) -> None:
        """One delivery from beginning to end: what became of it, then what the table says of that."""
        request_id = request_id_of(delivery.message)
        if request_id is not None:
            structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            async with self._slots:
                with metrics.IN_PROGRESS.track_inprogress():
                    await self._work_on(delivery)
        except asyncio.CancelledError:
            await delivery.give_back()

    async def _work_on(self, delivery: Delivery) -> None:
        result = await self._processing.process(delivery)
        # What is known must not be interrupted any more: an answer is paid for.
        task = asyncio.current_task()
        if task is not None:
            self._settling.add(task)
        try:
            await self._settlement.settle(delivery, result)
        except Exception:
            log.exception("delivery_not_settled")
            await self._settlement.release(result)
            await self._settlement.bury(delivery)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self._settling.discard(task)
