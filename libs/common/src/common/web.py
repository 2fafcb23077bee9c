"""Both public doors and every admin port as aiohttp's applications: what is done around each request, and health."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client.aiohttp import make_aiohttp_handler

from common import metrics
from common.connections import Runner
from common.errors import ErrorCode, InvalidRequest, ServiceError
from common.lifecycle import CannotStart
from common.readiness import Readiness
from common.replies import error_reply
from common.requests import MAX_BODY_BYTES, Tally, as_service_error, request_id
from common.shortcut import Shortcut

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Says whether what it watches is well; false means that only another process can mend it.
Watchdog = Callable[[], bool]

REQUEST_ID = web.RequestKey("request_id", str)


def application(routes: list[web.RouteDef], log_one_in: int = 0) -> web.Application:
    """A public application: our routes behind the middleware, and a bounded body.

    Of the requests that go well, one in `log_one_in` is logged, or none if that is 0; of the others each is.
    """
    app = web.Application(middlewares=[_answering(log_one_in)], client_max_size=MAX_BODY_BYTES)
    app.add_routes(routes)
    for route in routes:
        metrics.http_seconds(route.path)  # counted from 0
    return app


def _answering(log_one_in: int) -> Middleware:
    """Give each request an id, turn every error into our shape, count, and log some."""
    tally = Tally(log_one_in)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked_id = request_id(request.headers)
        request[REQUEST_ID] = asked_id
        # Not unbound at the end: the next request in this task binds its own.
        structlog.contextvars.bind_contextvars(request_id=asked_id)
        started = time.perf_counter()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer and the log the cause)
            response = error_reply(as_service_error(error), asked_id, _headers_of(error)).response()
        response.headers["X-Request-Id"] = asked_id
        if not request.content.is_eof():
            # Refused before its body has arrived: the connection is of no use for another request.
            response.force_close()
        route, seconds = _route(request), time.perf_counter() - started
        tally.note(route, request.method if route != "other" else "other", response.status, seconds)
        return response

    return answer


async def json_body(request: web.Request) -> bytes:
    """The body of a request that must be JSON in UTF-8; raises ServiceError 413 or 415."""
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() != "utf-8":
        raise ServiceError(ErrorCode.UNSUPPORTED_MEDIA_TYPE)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ServiceError(ErrorCode.TOO_LARGE, f"The request body is larger than {MAX_BODY_BYTES} bytes.") from error
    except web.RequestPayloadError as error:
        raise InvalidRequest("the body is not what its headers say") from error


def admin_application(
    readiness: Readiness, watchdogs: Mapping[str, Watchdog] = MappingProxyType({})
) -> web.Application:
    """`/healthz`: no watchdog has given up. `/readyz`: it can serve, and is not told to stop. `/metrics`."""

    async def health(_request: web.Request) -> web.Response:
        failing = [name for name, is_well in watchdogs.items() if not is_well()]
        if failing:
            return web.json_response({"status": "failing", "failing": failing}, status=503)
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        status, checks = await readiness.look()
        http_status = 503 if status == "unavailable" else 200
        return web.json_response({"status": status, "checks": checks}, status=http_status)

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", health),
            web.get("/readyz", ready),
            web.get("/metrics", make_aiohttp_handler()),
        ]
    )
    return app


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, shutdown_timeout_s: float, shortcuts: Sequence[Shortcut] = ()
) -> AsyncIterator[None]:
    """Serve an application for as long as the block runs; requests in hand are finished within the timeout."""
    runner = Runner(app, shortcuts, access_log=None, shutdown_timeout=shutdown_timeout_s)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
    except OSError as error:
        raise CannotStart(f"cannot listen on {host}:{port} ({error.strerror})") from error


def _headers_of(error: Exception) -> dict[str, str]:
    """What the framework's own error says beside its text: which methods are allowed."""
    if isinstance(error, web.HTTPException) and "Allow" in error.headers:
        return {"Allow": error.headers["Allow"]}
    return {}


def _route(request: web.Request) -> str:
    """The route's template, which is one of a few; the path itself is anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"
