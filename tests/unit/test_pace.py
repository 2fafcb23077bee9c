"""How long a job takes a slot, as a worker knows it."""

import pytest

from gpt_worker.pace import Pace


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def attempt(pace: Pace, clock: Clock, seconds: float, *, attempted: bool = True) -> None:
    with pace.slot() as slot:
        clock.now += seconds
        slot.was_attempted = attempted


def test_before_the_first_attempt_is_over_nothing_is_known() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    with pace.slot():
        clock.now = 100
        assert pace.seconds is None


def test_it_is_the_mean_at_first_and_follows_a_change_later() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    for seconds in (1, 2, 3):
        attempt(pace, clock, seconds)
    assert pace.seconds == pytest.approx(2)
    for _ in range(10):
        attempt(pace, clock, 10)
    assert pace.seconds == pytest.approx(10)


def test_what_was_no_attempt_does_not_count() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    attempt(pace, clock, 2)
    attempt(pace, clock, 0.001, attempted=False)
    assert pace.seconds == pytest.approx(2)


def test_an_attempt_that_broke_the_slot_is_let_go() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    attempt(pace, clock, 2)
    with pytest.raises(ValueError, match="a fault"), pace.slot():
        raise ValueError("a fault")
    clock.now += 1000
    assert pace.seconds == pytest.approx(2)


def test_calls_that_hang_are_slow_before_they_are_over() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    attempt(pace, clock, 2)
    with pace.slot(), pace.slot():
        clock.now += 30
        assert pace.seconds == pytest.approx(30)


def test_idleness_is_not_slowness() -> None:
    clock = Clock()
    pace = Pace(10, clock)
    attempt(pace, clock, 2)
    clock.now += 10_000
    assert pace.seconds == pytest.approx(2)
