"""A histogram as a service exports it, and what can be said of the time between two looks at it."""

import math
import re
from dataclasses import dataclass
from typing import Self

import aiohttp

from stack.process import Process


@dataclass(frozen=True)
class Histogram:
    """How many observations were at most so large, by that bound; the last bound is infinity."""

    cumulative: dict[float, float]

    @classmethod
    async def read(cls, http: aiohttp.ClientSession, service: Process, name: str) -> Self:
        """The one without labels of that name."""
        async with http.get(f"{service.program.admin_url}/metrics") as response:
            text = await response.text()
        buckets = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', text, re.MULTILINE)
        if not buckets:
            raise LookupError(f"{service.program.name} exports no {name}")
        return cls({float(bound): float(count) for bound, count in buckets})

    def since(self, before: Self) -> Self:
        """What was observed after that."""
        return type(self)({bound: count - before.cumulative[bound] for bound, count in self.cumulative.items()})

    def quantile(self, part: float) -> float:
        """The bound of the bucket that it lies in, which is no less than it is; infinite in the last one."""
        wanted = part * self.cumulative[math.inf]
        return min(bound for bound, count in self.cumulative.items() if count >= wanted)
