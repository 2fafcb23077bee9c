"""Puts the gateway together and runs it."""

from contextlib import aclosing

import structlog

from common import queue_depth
from common.auth import warn_if_unsafe
from common.broker import Broker
from common.cache import Cache
from common.ids import JobIds
from common.lifecycle import Stop, background
from common.templates import Templates
from common.web import admin_application, application, serving
from gateway.acceptance import Acceptance
from gateway.handlers import Handlers
from gateway.settings import GatewaySettings

log = structlog.get_logger()


async def serve(settings: GatewaySettings) -> None:
    """Serve until told to stop; then finish the requests in hand."""
    stop = Stop()
    warn_if_unsafe(settings)
    ids = JobIds([key.get_secret_value() for key in settings.job_id_keys])
    async with aclosing(Broker(settings, "gateway")) as broker, aclosing(Cache(settings)) as cache:
        acceptance = Acceptance(ids, Templates.load(), cache, broker)
        admin = admin_application(stop.asked, needed={"broker": broker.check}, useful={"cache": cache.ping})
        public = application(Handlers(settings, acceptance).routes())
        async with (
            serving(admin, settings.http_host, settings.admin_port, 1),
            background(broker.connect(), queue_depth.sample(broker)),
            serving(public, settings.http_host, settings.http_port, settings.broker_timeout_s + 5),
        ):
            log.info("started", port=settings.http_port, admin_port=settings.admin_port)
            await stop.asked.wait()
            log.info("stopping")
    log.info("stopped")
