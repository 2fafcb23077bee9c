"""Puts the gateway together and runs it."""

from contextlib import aclosing
from functools import partial

import structlog

from common import loop_lag, openapi, queue_depth
from common.auth import Clients, warn_if_unsafe
from common.broker import Broker
from common.cache import Cache
from common.estimates import Estimates
from common.ids import JobIds
from common.lifecycle import Stop, background
from common.lookup import Lookup
from common.readiness import Readiness
from common.shortcut import Shortcut
from common.store import Store
from common.templates import Templates
from common.upkeep import Upkeep
from common.web import admin_application, application, serving
from gateway import playground, waiting_age
from gateway.acceptance import Acceptance
from gateway.admission import Admission
from gateway.ending import PATIENCE_S, Ending
from gateway.ending_routes import EndingRoutes
from gateway.handlers import Handlers
from gateway.once_only import OnceOnly
from gateway.openapi import document
from gateway.parents import Parents
from gateway.recovery import keep_recovering
from gateway.settings import GatewaySettings
from gateway.withdrawals import Withdrawals

log = structlog.get_logger()


async def serve(settings: GatewaySettings) -> None:
    """Serve until told to stop; then finish the requests in hand."""
    stop, upkeep = Stop(), Upkeep()
    warn_if_unsafe(settings)
    ids = JobIds([key.get_secret_value() for key in settings.job_id_keys])
    async with (
        aclosing(Broker(settings, "gateway")) as broker,
        aclosing(Cache(settings)) as cache,
        aclosing(Store(settings)) as store,
    ):
        admission = Admission(settings.max_queue_depth)
        estimates = Estimates()
        withdrawals = Withdrawals(cache)
        templates = Templates.load()
        lookup = Lookup(settings, ids, cache, store)
        parents = Parents(lookup, store)
        acceptance = Acceptance(ids, templates, parents, admission, estimates, withdrawals, cache, broker)
        once_only = OnceOnly(settings, ids, acceptance, cache.keys_used, lookup)
        readiness = Readiness(
            stop.asked, needed={"broker": broker.check}, useful={"cache": cache.ping, "store": store.ping}
        )
        admin = admin_application(readiness, {"tasks": upkeep.is_well})
        clients = Clients(settings.api_keys, settings.predict_client)
        handlers = Handlers(settings, clients, acceptance, once_only, estimates)
        ending = EndingRoutes(clients, Ending(settings, ids, lookup, broker, cache, store))
        described = openapi.served(document(templates, settings.job_deadline_s, settings.job_timeout_s))
        routes = [*handlers.routes(), *ending.routes(), described, *playground.routes(settings)]
        public = application(routes, settings.request_log_one_in)
        shortcuts = _shortcuts(settings, handlers)
        longest_s = settings.longest_answer_s + PATIENCE_S + 5
        async with (
            serving(admin, settings.http_host, settings.admin_port, 1),
            background(broker.connect()),
            upkeep.of(
                depths=partial(queue_depth.sample, broker),
                oldest=partial(waiting_age.sample, cache, broker.topology.queue),
                readiness=readiness.sample,
                lag=loop_lag.sample,
                admission=partial(admission.watch, partial(queue_depth.ask, broker, broker.topology.queue)),
                line=partial(estimates.watch, cache.line),
                withdrawals=withdrawals.catch_up,
                recovery=partial(keep_recovering, broker, cache, settings.recovery_grace_s),
            ),
            serving(public, settings.http_host, settings.http_port, longest_s, shortcuts),
        ):
            log.info("started", port=settings.http_port, admin_port=settings.admin_port)
            await stop.asked.wait()
            log.info("stopping")
    log.info("stopped")


def _shortcuts(settings: GatewaySettings, handlers: Handlers) -> list[Shortcut]:
    if not settings.http_shortcut:
        return []
    return [
        Shortcut("POST", "/v1/jobs", handlers.accept, settings.request_log_one_in),
        Shortcut("POST", "/predict/start", handlers.start, settings.request_log_one_in),
    ]
