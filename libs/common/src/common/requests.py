"""What is done about each request of a public door, whichever way it takes: an id, our errors, counts, a log line."""

import itertools
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import structlog
from aiohttp import web
from multidict import CIMultiDictProxy

from common import metrics
from common.errors import ErrorCode, ServiceError

log = structlog.get_logger()

MAX_BODY_BYTES = 256 * 1024

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


class Asked(NamedTuple):
    """What a handler is told of a request, whichever way it has come."""

    headers: CIMultiDictProxy[str]
    request_id: str
    #: The rest of the path, where the route has a place for it.
    tail: str = ""
    body: bytes = b""


class Tally:
    """Counts requests and logs some: of those that go well one in `log_one_in`, or none if that is 0; all others."""

    def __init__(self, log_one_in: int) -> None:
        self._turns = itertools.cycle(range(log_one_in)) if log_one_in else itertools.repeat(-1)

    def note(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note a request that was answered; `route` is the path's template, which is one of a few."""
        count, observe = _counters(route, method, status)
        count()
        observe(seconds)
        if status >= 400 or next(self._turns) == 0:
            level = logging.WARNING if status >= 500 else logging.INFO
            log.log(level, "request_answered", route=route, status=status, seconds=round(seconds, 6))


@cache
def _counters(route: str, method: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    return metrics.HTTP_REQUESTS.labels(route, method, status).inc, metrics.http_seconds(route).observe


def request_id(headers: Mapping[str, str]) -> str:
    """The id that the client has given its request, or else a new one."""
    offered = headers.get("X-Request-Id")
    return offered if offered and _REQUEST_ID.fullmatch(offered) else f"req_{_PROCESS}{next(_numbers):016x}"


def as_service_error(error: Exception) -> ServiceError:
    """What the client is told of it; what nobody has foreseen is logged, and not told."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, web.HTTPException) and error.status < 500:
        return ServiceError(_HTTP_ERRORS.get(error.status, ErrorCode.INVALID_REQUEST))
    log.error("request_failed", exc_info=error)
    return ServiceError(ErrorCode.INTERNAL)
