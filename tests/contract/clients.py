"""What the contract tests share: how a client is made, and records to write."""

import secrets
import time
from collections.abc import Awaitable
from typing import Protocol

from common.cache import Cache
from common.errors import ErrorCode, ServiceError
from common.jobs import Record, Status
from common.store import Store


class NewCache(Protocol):
    """Makes a client of the cache."""

    def __call__(self, url: str | None = None, timeout_s: float = 5) -> Awaitable[Cache]: ...


class NewStore(Protocol):
    """Makes a client of the store."""

    def __call__(self, url: str | None = None, timeout_s: float = 5) -> Awaitable[Store]: ...


def job_id() -> str:
    return f"a-job-{secrets.token_hex(8)}"


def queued(of: str | None = None) -> Record:
    now = time.time()
    return Record.queued(of or job_id(), now, now + 60, {"k": "v"})


def with_status(record: Record, status: Status, text: str = "an answer", ttl_s: float = 60) -> Record:
    """The record when it has come to this status."""
    if status is Status.QUEUED:
        return record
    if status is Status.IN_PROGRESS:
        return record.started(1, "a-model")
    if status is Status.COMPLETED:
        return record.completed(text, "a-model", None, ttl_s)
    failed = record.failed(ServiceError(ErrorCode.INTERNAL, text).body(), ttl_s)
    return failed.model_copy(update={"status": status})


def completed(of: str | None = None, text: str = "an answer", ttl_s: float = 60) -> Record:
    return with_status(queued(of), Status.COMPLETED, text, ttl_s)
