"""Puts the worker together and runs it."""

from contextlib import aclosing

import structlog

from common import queue_depth
from common.broker import Broker
from common.cache import Cache
from common.errors import CacheUnavailable
from common.lifecycle import Stop, background
from common.store import Store
from common.web import admin_application, serving
from gpt_worker import lease
from gpt_worker.completion import Completion
from gpt_worker.consumer import Consumer
from gpt_worker.keep_trying import keep_trying
from gpt_worker.processing import Processing
from gpt_worker.settings import WorkerSettings
from gpt_worker.settlement import Settlement

log = structlog.get_logger()


async def serve(settings: WorkerSettings) -> None:
    """Work until told to stop; then finish what is in hand, and give back the rest."""
    stop = Stop()
    worker = lease.new_worker()
    async with (
        aclosing(Broker(settings, "gpt-worker")) as broker,
        aclosing(Cache(settings)) as cache,
        aclosing(Store(settings)) as store,
        aclosing(Completion(settings)) as completion,
    ):
        processing = Processing(settings, worker, cache, store, completion)
        settlement = Settlement(settings, broker, cache, store)
        consumer = Consumer(settings.prefetch, processing, settlement)
        admin = admin_application(
            stop.asked,
            needed={"broker": broker.check_consuming, "cache": cache.ping, "store": store.ping},
        )
        async with (
            serving(admin, settings.http_host, settings.admin_port, 1),
            background(lease.show_life(cache, worker), queue_depth.sample(broker)),
        ):
            async with background(_begin(settings, broker, cache, store, consumer, worker)):
                await stop.asked.wait()
            log.info("stopping")
            await broker.stop_consuming()
            await consumer.drain(settings.drain_s)
        await _end(cache, worker)
    log.info("stopped")


async def _begin(
    settings: WorkerSettings, broker: Broker, cache: Cache, store: Store, consumer: Consumer, worker: str
) -> None:
    """Wait for each server, then take deliveries; a worker that cannot save must not take any."""
    await broker.connect()
    await keep_trying(store.prepare)
    await keep_trying(lambda: cache.show_life(worker))
    await keep_trying(lambda: broker.consume(settings.prefetch, consumer.receive))
    log.info("started", prefetch=settings.prefetch, admin_port=settings.admin_port)


async def _end(cache: Cache, worker: str) -> None:
    try:
        await cache.show_death(worker)
    except CacheUnavailable:
        log.warning("leases_end_by_themselves")
