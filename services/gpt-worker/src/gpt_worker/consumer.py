"""Takes deliveries, each in a task of its own, and never more of them at once than there are slots."""

import asyncio

import structlog

from common import metrics
from common.broker import Delivery
from common.messages import request_id_of
from gpt_worker.in_hand import InHand
from gpt_worker.pace import Pace, Slot
from gpt_worker.processing import Processing
from gpt_worker.settlement import Settlement
from gpt_worker.turnstile import Turnstile

log = structlog.get_logger()

#: Seconds that a stopping worker waits for deliveries to be given back, and for answers to be kept.
GIVE_BACK_S = 10
#: Deliveries that are begun in one turn of the event loop: to begin one takes a millisecond or two in all.
BEGUN_IN_A_TURN = 4


class Consumer:
    """The deliveries in this worker's hands.

    The prefetch alone bounds how many there are, as long as the connection holds. When it is lost the broker
    delivers others while the calls for the first ones still run; for that case there are the slots.
    """

    def __init__(
        self, slots: int, processing: Processing, settlement: Settlement, in_hand: InHand, pace: Pace
    ) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._turnstile = Turnstile(BEGUN_IN_A_TURN)
        self._processing = processing
        self._settlement = settlement
        self._in_hand = in_hand
        self._pace = pace
        # Held, since on Python 3.11 each question for it costs a system call.
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._settling: set[asyncio.Task[None]] = set()
        metrics.SLOTS.set(slots)
        for watch in ("consumer", "delivery"):
            metrics.WATCHDOG.labels(watch)  # counted from 0

    def receive(self, delivery: Delivery) -> None:
        """Start on a delivery; returns at once."""
        task = self._loop.create_task(self._handle(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._let_go)

    async def finish(self, timeout_s: float, at_once: asyncio.Event) -> None:
        """Wait until everything that has begun is finished, for `timeout_s` seconds at most, or until told `at_once`.

        What has not begun is given back before: another worker can have it at once.
        """
        for task in self._tasks - self._settling - self._processing.attempting:
            task.cancel()
        if not self._tasks:
            return
        log.info("draining", jobs=len(self._tasks), timeout_s=timeout_s)
        told = asyncio.create_task(at_once.wait())
        everything = asyncio.create_task(asyncio.wait(self._tasks))
        await asyncio.wait({told, everything}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        everything.cancel()

    async def give_back(self) -> None:
        """Give back what is not being saved already, and wait a little for that.

        What is left then comes back when the connection is closed, and is found finished if it was saved.
        """
        for task in self._tasks - self._settling:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GIVE_BACK_S)
        if self._tasks:
            log.warning("not_drained", jobs=len(self._tasks))

    async def _handle(self, delivery: Delivery) -> None:
        """One delivery from beginning to end: what became of it, then what the table says of that."""
        request_id = request_id_of(delivery.message)
        if request_id is not None:
            structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._turnstile.pass_through()
            async with self._slots:
                with metrics.IN_PROGRESS.track_inprogress(), self._pace.slot() as slot:
                    await self._settled(delivery, slot)
        except asyncio.CancelledError:
            await delivery.give_back()

    async def _settled(self, delivery: Delivery, slot: Slot) -> None:
        result = await self._processing.process(delivery)
        slot.was_attempted = result.was_attempted
        # What is known must not be interrupted any more: an answer is paid for.
        task = asyncio.current_task(self._loop)
        if task is not None:
            self._settling.add(task)
        try:
            await self._settlement.settle(delivery, result)
        except Exception:
            log.exception("delivery_not_settled")
            await self._settlement.release(result)
            await self._settlement.bury(delivery)
        finally:
            if result.lease is not None:
                self._in_hand.let_go(result.lease)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._settling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The broker still counts it as in our hands, until the watchdog or the next connection lets it go.
            metrics.WATCHDOG.labels("delivery").inc()
            log.error("delivery_died", exc_info=task.exception())
