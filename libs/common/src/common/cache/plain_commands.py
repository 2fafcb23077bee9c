"""Commands one by one, each on a connection of redis-py's pool: what shared_connection.py is compared with."""

import asyncio
from typing import Any

import redis.asyncio
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import NoScriptError

from common.breaker import Breaker
from common.cache.commands import Part, ScriptUnknown
from common.cache.connecting import SLOW_BYTES_PER_S, CutOff, new_pool, translated
from common.timeouts import answered_within

_CONNECTIONS = 16


class PlainCommands:
    """A connection of its own for each command under way."""

    def __init__(self, url: str, timeout_s: float, breaker: Breaker, cut_off: CutOff) -> None:
        # A pooled connection that the server closed in the meantime fails once.
        retry = (ExponentialWithJitterBackoff(base=0.02, cap=0.2), 2)
        self._redis = redis.asyncio.Redis.from_pool(new_pool(url, timeout_s, _CONNECTIONS, retry))
        self._timeout_s = timeout_s
        self._breaker = breaker
        self._cut_off = cut_off
        # To stand in line for a connection says nothing about the server, so that is no part of a call's time.
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    async def call(self, *parts: Part, always: bool = False) -> Any:
        size = sum(len(part) for part in parts if isinstance(part, bytes))
        async with self._turns:
            with translated(self._cut_off), self._breaker.watching(always=always):
                async with answered_within(self._timeout_s + size / SLOW_BYTES_PER_S):
                    try:
                        return await self._redis.execute_command(*parts)  # type: ignore[no-untyped-call]
                    except NoScriptError as error:
                        raise ScriptUnknown from error

    async def aclose(self) -> None:
        await self._redis.aclose()
