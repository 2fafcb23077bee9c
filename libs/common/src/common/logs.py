"""JSON logs on standard output, one line an event, with `service`, and `job_id` and `request_id` where bound.

Prompts, answers, keys and URLs with passwords are never given to a logger.
"""

import logging
import sys
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor


def configure(service: str, level: str) -> None:
    """Send our own events and those of the libraries through the same lines."""

    def with_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where_it_broke,
        with_service,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_text),
            ],
        )
    )
    # The libraries tell of each reconnect and each request at INFO, which we tell ourselves.
    logging.basicConfig(handlers=[handler], level=max(logging.getLevelName(level), logging.WARNING), force=True)


def _where_it_broke(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Name an exception's type and frames, and those of what caused it, but no values.

    The text of an exception may hold a prompt, an upstream's words or a key, and so may a local variable.
    """
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if isinstance(given, tuple):
        error = given[1]
    if error is not None:
        event["exception"] = _frames_of(error)
    return event


def _frames_of(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [type(error).__name__, *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)]
    inner = [error.__cause__ or error.__context__]
    if isinstance(error, BaseExceptionGroup):
        inner += error.exceptions
    return lines + [line for cause in inner if cause is not None for line in _frames_of(cause)]


def _text(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
