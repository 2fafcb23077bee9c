"""The pool of the upstream's API keys, which rests those that the upstream refuses."""

import random
import time
from collections.abc import Callable, Sequence


class KeyPool:
    """Which key to try next. A refused key rests for `rest_s` seconds and is then tried again."""

    def __init__(self, keys: Sequence[str], rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._resting_until = dict.fromkeys(keys, 0.0)
        self._rest_s = rest_s
        self._clock = clock

    def candidates(self) -> list[str]:
        """The living keys in random order; if all rest, the one whose rest ends first."""
        now = self._clock()
        living = [key for key, until in self._resting_until.items() if until <= now]
        if living:
            return random.sample(living, len(living))
        return [min(self._resting_until, key=lambda key: self._resting_until[key])]

    def rest(self, key: str) -> None:
        """Do not offer the key for a while, as long as there is another."""
        self._resting_until[key] = self._clock() + self._rest_s
