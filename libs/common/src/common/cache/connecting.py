"""How connections to Redis are made, by redis-py: TLS, passwords, databases and sockets of files are its matter."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hiredis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import AbstractBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from common.breaker import Away
from common.cache.commands import Part
from common.errors import CacheUnavailable

#: The errors of calls that got no answer.
LOST = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)

#: Bytes that pass even a slow network in a second: a call with that many more may take a second longer.
SLOW_BYTES_PER_S = 1_000_000

NO_RETRY = (NoBackoff(), 0)

#: Bytes that are read at once, by those who read a connection themselves.
READ_BYTES = 256 * 1024
#: What hiredis answers while a reply has not come whole.
UNFINISHED = object()
#: A command as bytes. hiredis' own annotation leaves out tuples of any length.
pack: Callable[[tuple[Part, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]


class CutOff:
    """When a connection broke for the last time, of all those of this process."""

    def __init__(self) -> None:
        self._at = -math.inf

    def note(self) -> None:
        self._at = time.monotonic()

    def was_within(self, seconds: float) -> bool:
        return time.monotonic() - self._at < seconds


def new_pool(url: str, timeout_s: float, connections: int, retry: tuple[AbstractBackoff, int]) -> Any:
    """A pool of which no connection is there yet.

    Each exchange has our own timeout. The driver's, for sockets, is a wait_for, which on Python 3.11 may
    swallow ours in a busy loop: then a call goes on for as long as all its retries take.
    """
    return redis.asyncio.ConnectionPool.from_url(
        url,
        max_connections=connections,
        socket_timeout=None,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        retry=Retry(*retry),
        health_check_interval=15,
        protocol=2,
        driver_info=None,  # its telling would cost a round trip, and Redis 7.0 does not know it
    )


@contextmanager
def translated(cut_off: CutOff) -> Iterator[None]:
    """Turn every way in which the server can fail us into CacheUnavailable."""
    try:
        yield
    except DataError:
        # Ours, not the server's: trying again would not help.
        raise
    except (RedisTimeoutError, TimeoutError, Away) as error:
        raise CacheUnavailable from error
    except (RedisError, OSError) as error:
        if isinstance(error, RedisConnectionError | OSError):
            cut_off.note()
        raise CacheUnavailable from error
