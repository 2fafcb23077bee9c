"""When the next attempt is made."""

import email.utils
import time

import pytest

from gpt_worker.retries import delay_s, retry_after_s

MANY = range(300)


@pytest.mark.parametrize(("attempt", "longest_s"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 20), (50, 20), (5000, 20)])
def test_each_pause_is_twice_as_long_up_to_a_bound_and_half_of_it_is_random(attempt: int, longest_s: float) -> None:
    delays = [delay_s(attempt, None, 2, 20) for _ in MANY]
    assert all(longest_s / 2 <= delay <= longest_s for delay in delays)
    assert max(delays) - min(delays) > longest_s / 4


def test_the_upstreams_word_counts_and_nobody_comes_before() -> None:
    delays = [delay_s(1, 100, 2, 20) for _ in MANY]
    assert all(100 <= delay <= 110 for delay in delays)
    assert len(set(delays)) > 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "99999999999"}, 99999999999),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),
        ({"retry-after": "Sun, 99 Nov 99999 08:49:37 GMT"}, None),
    ],
)
def test_what_the_headers_say(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_a_date_is_counted_from_now() -> None:
    said = retry_after_s({"retry-after": email.utils.formatdate(time.time() + 100, usegmt=True)})
    assert said is not None
    assert 98 < said <= 100
