"""The pool of the upstream's API keys, which sets aside those that the upstream refuses."""

import random
import time
from collections.abc import Callable, Iterable, Sequence


class KeyPool:
    """In which order to try the keys.

    A key rests once it was refused where another was taken: what all keys are refused for lies in the request,
    or in the account. After `rest_s` seconds it is tried like any other again.
    """

    def __init__(self, keys: Sequence[str], rest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._resting_until = dict.fromkeys(keys, 0.0)
        self._rest_s = rest_s
        self._clock = clock

    def candidates(self) -> list[str]:
        """The living keys in random order, then those that rest, for the case that no living one is taken."""
        now = self._clock()
        living = [key for key, until in self._resting_until.items() if until <= now]
        resting = [key for key in self._resting_until if key not in living]
        return random.sample(living, len(living)) + sorted(resting, key=self._resting_until.__getitem__)

    def taken(self, key: str, refused: Iterable[str]) -> None:
        """Note that the upstream took one key, and refused others for the same request."""
        self._resting_until[key] = 0.0
        for other in refused:
            self._resting_until[other] = self._clock() + self._rest_s
