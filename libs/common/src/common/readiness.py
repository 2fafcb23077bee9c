"""Whether a service can serve: asked by /readyz, and every few seconds for the gauges."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Never

from common import metrics
from common.errors import ServiceError

#: Returns if the server answers; raises ServiceError.
Check = Callable[[], Awaitable[None]]

INTERVAL_S = 5


class Readiness:
    """A service can serve if every `needed` server answers, and any at all; without a `useful` one, in part.

    One that is told to `stop` cannot.
    """

    def __init__(
        self,
        stop: asyncio.Event,
        *,
        needed: Mapping[str, Check] = MappingProxyType({}),
        useful: Mapping[str, Check] = MappingProxyType({}),
    ) -> None:
        self._stop = stop
        self._needed = frozenset(needed)
        self._useful = frozenset(useful)
        self._checks = {**needed, **useful}

    async def look(self) -> tuple[str, dict[str, str]]:
        """`ok`, `degraded` or `unavailable`, and for each server `ok` or the code of its error; asks each anew."""
        answers = await asyncio.gather(*(_result_of(check) for check in self._checks.values()))
        results = dict(zip(self._checks, answers, strict=True))
        present = {name for name, result in results.items() if result == "ok"}
        if self._stop.is_set() or not present or not present.issuperset(self._needed):
            return "unavailable", results
        return "ok" if present.issuperset(self._useful) else "degraded", results

    async def sample(self) -> Never:
        """Keep the gauges current. Of a service that stops, the checks say no more whether servers answer."""
        while True:
            status, results = await self.look()
            metrics.READY.set(status != "unavailable")
            if not self._stop.is_set():
                for server, result in results.items():
                    metrics.SERVER_UP.labels(server).set(result == "ok")
            await asyncio.sleep(INTERVAL_S)


async def _result_of(check: Check) -> str:
    try:
        await check()
    except ServiceError as error:
        return error.code
    return "ok"
