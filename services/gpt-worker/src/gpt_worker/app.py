"""Puts the worker together and runs it."""

import sys
from contextlib import aclosing, suppress
from functools import partial

import structlog

from common import loop_lag, queue_depth
from common.broker import Broker
from common.cache import Cache
from common.errors import CacheUnavailable
from common.lifecycle import Stop, background
from common.readiness import Readiness
from common.store import Store
from common.upkeep import Upkeep
from common.web import admin_application, serving
from gpt_worker.cancelling import Cancelling
from gpt_worker.completion import Completion
from gpt_worker.consumer import Consumer
from gpt_worker.in_hand import InHand
from gpt_worker.keep_trying import keep_trying
from gpt_worker.pace import Pace
from gpt_worker.processing import Processing
from gpt_worker.saving import Saving
from gpt_worker.settings import WorkerSettings
from gpt_worker.settlement import Settlement

log = structlog.get_logger()


async def serve(settings: WorkerSettings) -> None:
    """Work until told to stop; then finish what is in hand, and give back the rest.

    The process ends with 1 if an answer could be kept nowhere.
    """
    stop, upkeep = Stop(), Upkeep()
    in_hand, pace = InHand(), Pace(settings.prefetch)
    async with (
        aclosing(Broker(settings, "gpt-worker")) as broker,
        aclosing(Cache(settings)) as cache,
        aclosing(Store(settings)) as store,
        aclosing(Completion(settings)) as completion,
    ):
        saving = Saving(settings, in_hand, broker, cache, store)
        cancelling = Cancelling(cache)
        processing = Processing(settings, in_hand, cancelling, cache, store, completion)
        settlement = Settlement(settings, broker, cache, saving)
        consumer = Consumer(settings.prefetch, processing, settlement, in_hand, pace)
        readiness = Readiness(
            stop.asked, needed={"broker": broker.check_consuming, "cache": cache.ping, "store": store.ping}
        )
        admin = admin_application(readiness, {"consumer": broker.is_alive, "tasks": upkeep.is_well})
        async with (
            serving(admin, settings.http_host, settings.admin_port, 1),
            upkeep.of(
                life=partial(in_hand.show_life, cache),
                cancels=cancelling.listen,
                missed_cancels=cancelling.keep_asking,
                depths=partial(queue_depth.sample, broker),
                readiness=readiness.sample,
                lag=loop_lag.sample,
            ),
        ):
            async with (
                background(_begin(settings, broker, cache, store, consumer)),
                upkeep.of(watch=broker.watch, pace=partial(pace.keep_telling, cache.line, in_hand.worker)),
            ):
                await stop.asked.wait()
            log.info("stopping")
            await broker.stop_consuming()
            with suppress(CacheUnavailable):
                await cache.line.leave(in_hand.worker)
            await consumer.finish(settings.drain_s, stop.at_once)
            saving.end()
            await consumer.give_back()
        await _end(cache, in_hand.worker)
    log.info("stopped")
    if not saving.has_kept_everything:
        sys.exit(1)


async def _begin(settings: WorkerSettings, broker: Broker, cache: Cache, store: Store, consumer: Consumer) -> None:
    """Wait for the broker and the cache, then take deliveries; without the store, work goes on all the same."""
    await broker.connect()
    await keep_trying(cache.ping)
    await keep_trying(lambda: broker.consume(settings.prefetch, consumer.receive))
    log.info("started", prefetch=settings.prefetch, admin_port=settings.admin_port)
    await keep_trying(store.prepare)


async def _end(cache: Cache, worker: str) -> None:
    try:
        await cache.show_death(worker)
    except CacheUnavailable:
        log.warning("leases_end_by_themselves")
