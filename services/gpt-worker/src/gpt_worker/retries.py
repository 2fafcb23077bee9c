"""When the next attempt is made: as late as the upstream asks, otherwise later each time, and never all at once."""

import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

#: So much later than asked at the most, for those that were all told the same moment.
_SPREAD = 0.1


def delay_s(attempt: int, retry_after_s: float | None, first_s: float, longest_s: float) -> float:
    """Seconds until the attempt after `attempt`, which is 1 for the first.

    Without a word from the upstream it is exponential backoff with "equal jitter": half of it is fixed, half random.
    """
    if retry_after_s is not None:
        return retry_after_s * random.uniform(1, 1 + _SPREAD)  # noqa: S311 (no secret)
    # Bounded before it is multiplied: 2.0 ** 2000 is no number.
    backoff = min(longest_s, first_s * 2.0 ** min(attempt - 1, 100))
    return backoff * random.uniform(0.5, 1)  # noqa: S311


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the upstream asks to be left alone: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).

    Some add `retry-after-ms`, which is more exact. None if there is no such header, or it says nothing.
    """
    in_milliseconds = _number(headers.get("retry-after-ms"))
    seconds = in_milliseconds / 1000 if in_milliseconds is not None else _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"))
    return seconds if seconds is not None and seconds > 0 else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
