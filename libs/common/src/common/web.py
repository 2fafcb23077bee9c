"""What both public doors and every admin port have in common: the error shape, request ids, metrics, health."""

import itertools
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client.aiohttp import make_aiohttp_handler

from common import metrics
from common.errors import RETRY_AFTER_S, ErrorCode, InvalidRequest, ServiceError
from common.lifecycle import CannotStart
from common.readiness import Readiness

log = structlog.get_logger()

MAX_BODY_BYTES = 256 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Says whether what it watches is well; false means that only another process can mend it.
Watchdog = Callable[[], bool]

# Together a request id that nobody else makes: for each one anew, randomness would cost as much as a metric.
_PROCESS = secrets.token_hex(8)
_numbers = itertools.count()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_HTTP_ERRORS = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}

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
    turns = itertools.cycle(range(log_one_in)) if log_one_in else itertools.repeat(-1)

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id(request)
        request[REQUEST_ID] = request_id
        # Not unbound at the end: the next request in this task binds its own.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets an answer and the log the cause)
            response = error_response(_as_service_error(error), request_id, _headers_of(error))
        response.headers["X-Request-Id"] = request_id
        if not request.content.is_eof():
            # Refused before its body has arrived: the connection is of no use for another request.
            response.force_close()
        route, seconds = _route(request), time.perf_counter() - started
        metrics.http_requests(route, request.method if route != "other" else "other", response.status).inc()
        metrics.http_seconds(route).observe(seconds)
        if response.status >= 400 or next(turns) == 0:
            _log_request(route, response.status, seconds)
        return response

    return answer


def _log_request(route: str, status: int, seconds: float) -> None:
    level = logging.WARNING if status >= 500 else logging.INFO
    log.log(level, "request_answered", route=route, status=status, seconds=round(seconds, 6))


def error_response(
    error: ServiceError,
    request_id: str | None,
    headers: Mapping[str, str] | None = None,
    envelope: Mapping[str, object] | None = None,
) -> web.Response:
    """The error as an HTTP answer; `envelope` is put around it for clients that expect another shape."""
    body = {**(envelope or {}), "error": error.body(request_id).model_dump()}
    response = web.json_response(body, status=error.http_status, headers=headers)
    if error.http_status in (429, 503):
        response.headers["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S)
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def json_bytes(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer whose body is JSON already."""
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})})


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
async def serving(app: web.Application, host: str, port: int, shutdown_timeout_s: float) -> AsyncIterator[None]:
    """Serve an application for as long as the block runs; requests in hand are finished within the timeout."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_timeout_s)
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


def _request_id(request: web.Request) -> str:
    offered = request.headers.get("X-Request-Id")
    return offered if offered and _REQUEST_ID.fullmatch(offered) else f"req_{_PROCESS}{next(_numbers):016x}"


def _as_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, web.HTTPException) and error.status < 500:
        return ServiceError(_HTTP_ERRORS.get(error.status, ErrorCode.INVALID_REQUEST))
    log.error("request_failed", exc_info=error)
    return ServiceError(ErrorCode.INTERNAL)


def _headers_of(error: Exception) -> dict[str, str]:
    """What the framework's own error says beside its text: which methods are allowed."""
    if isinstance(error, web.HTTPException) and "Allow" in error.headers:
        return {"Allow": error.headers["Allow"]}
    return {}


def _route(request: web.Request) -> str:
    """The route's template, which is one of a few; the path itself is anything."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "other"
