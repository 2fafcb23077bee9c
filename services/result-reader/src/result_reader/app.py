"""Puts the result-reader together and runs it."""

from contextlib import aclosing
from functools import partial

import structlog
from aiohttp import web

from common import loop_lag, openapi
from common.auth import Clients, warn_if_unsafe
from common.cache import Cache
from common.estimates import Estimates
from common.ids import JobIds
from common.lifecycle import Stop
from common.lookup import Lookup
from common.readiness import Readiness
from common.shortcut import Shortcut
from common.store import Store
from common.upkeep import Upkeep
from common.web import admin_application, application, serving
from result_reader import cors
from result_reader.following import Following
from result_reader.handlers import Handlers
from result_reader.openapi import document
from result_reader.predict import PredictQuery
from result_reader.settings import ReaderSettings
from result_reader.streams import Streams
from result_reader.waiting import Waiting

log = structlog.get_logger()

#: Seconds that a stopping reader gives its requests; held ones are answered at once.
SHUTDOWN_S = 10


async def serve(settings: ReaderSettings) -> None:
    """Serve until told to stop; then answer the requests in hand."""
    stop, upkeep = Stop(), Upkeep()
    warn_if_unsafe(settings)
    ids = JobIds([key.get_secret_value() for key in settings.job_id_keys])
    async with aclosing(Cache(settings)) as cache, aclosing(Store(settings)) as store:
        waiting, estimates = Waiting(cache), Estimates()
        clients = Clients(settings.api_keys, settings.predict_client)
        lookup = Lookup(settings, ids, cache, store)
        readiness = Readiness(stop.asked, useful={"cache": cache.ping, "store": store.ping})
        admin = admin_application(readiness, {"subscription": waiting.is_well, "tasks": upkeep.is_well})
        following = Following(cache, lookup, waiting)
        streams = Streams(clients, lookup, following, estimates)
        handlers = Handlers(clients, lookup, waiting, estimates)
        predict = PredictQuery(clients, lookup)
        routes = handlers.routes() + predict.routes()
        routes += [*streams.routes(), openapi.served(document())]
        public = application(routes, settings.request_log_one_in)
        cors.allow(public, settings.cors_origins)
        shortcuts = _shortcuts(settings, handlers, predict)

        async def answer_held_requests(_app: web.Application) -> None:
            waiting.stop()

        public.on_shutdown.append(answer_held_requests)
        async with (
            serving(admin, settings.http_host, settings.admin_port, 1),
            upkeep.of(
                announcements=waiting.listen,
                pieces=following.listen,
                line=partial(estimates.watch, cache.line),
                readiness=readiness.sample,
                lag=loop_lag.sample,
            ),
            serving(public, settings.http_host, settings.http_port, SHUTDOWN_S, shortcuts),
        ):
            log.info("started", port=settings.http_port, admin_port=settings.admin_port)
            await stop.asked.wait()
            log.info("stopping")
    log.info("stopped")


def _shortcuts(settings: ReaderSettings, handlers: Handlers, predict: PredictQuery) -> list[Shortcut]:
    if not settings.http_shortcut:
        return []
    log_one_in, has_origins = settings.request_log_one_in, bool(settings.cors_origins)
    return [
        Shortcut("GET", "/v1/results/{id}", handlers.poll, log_one_in, varies_by_origin=has_origins),
        Shortcut("POST", "/predict/query", predict.state, log_one_in),
    ]
