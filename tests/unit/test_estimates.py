"""Where a job stands and about when it begins, from one sample of the line."""

import pytest

from common.cache import LineSample
from common.errors import QueueFull
from common.estimates import MAX_AGE_S, Estimates, Standing
from common.jobs import EncodedRecord, QueuePlace, Record

#: 100 jobs wait, the last of them came as the 1000th; ten slots, all taken, finish five jobs a second.
BUSY = LineSample(waiting=100, running=10, last_place=1000, slots=10, rate=5.0)
IDLE = LineSample(waiting=0, running=4, last_place=1000, slots=10, rate=5.0)


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def knowing(sample: LineSample, clock: Clock | None = None) -> Estimates:
    estimates = Estimates(clock or Clock())
    estimates.know(sample)
    return estimates


def record(number: int | None) -> EncodedRecord:
    return EncodedRecord(Record.queued("a-job", 0, 60).encode(), is_terminal=False, place=number)


@pytest.mark.parametrize(
    ("number", "expected"), [(1000, Standing(100, 200)), (901, Standing(1, 2)), (951, Standing(51, 102))]
)
def test_who_came_later_says_how_many_are_before(number: int, expected: Standing) -> None:
    assert knowing(BUSY).of(number) == expected


def test_who_came_after_the_sample_stands_behind_it() -> None:
    assert knowing(BUSY).of(1010) == Standing(110, 220)


@pytest.mark.parametrize("number", [900, 1, -5])
def test_who_should_have_been_taken_is_next(number: int) -> None:
    assert knowing(BUSY).of(number) == Standing(1, 2)


def test_free_slots_take_the_first_at_once_whatever_the_rate() -> None:
    assert [knowing(IDLE).of(1000 + n) for n in (1, 6, 7)] == [Standing(1, 0), Standing(6, 0), Standing(7, 2)]
    unknown = LineSample(waiting=0, running=0, last_place=0, slots=1, rate=0.0)
    assert [knowing(unknown).of(n) for n in (1, 2)] == [Standing(1, 0), Standing(2, None)]


def test_without_workers_there_is_a_position_and_no_estimate() -> None:
    assert knowing(LineSample(3, 0, 3, 0, 0.0)).of(2) == Standing(2, None)


def test_an_old_sample_says_nothing() -> None:
    clock = Clock()
    estimates = knowing(BUSY, clock)
    clock.now = MAX_AGE_S + 0.1
    assert estimates.of(1000) is None
    assert estimates.told(record(1000)).retry_after_s == 2
    estimates.refuse_beyond(0.001)


def test_the_record_is_told_with_its_place() -> None:
    told = Record.decode(knowing(BUSY).told(record(1000)).body)
    assert told == Record.queued("a-job", 0, 60).model_copy(
        update={"queue": QueuePlace(position=100, estimated_start_s=20.0)}
    )
    assert knowing(BUSY).told(record(1000)).body == told.encode()


def test_without_a_place_or_a_sample_the_record_is_told_as_it_is() -> None:
    assert knowing(BUSY).told(record(None)).body == record(None).body
    assert Estimates().told(record(5)).body == record(5).body


@pytest.mark.parametrize(
    ("number", "seconds"), [(None, 2), (901, 1), (951, 6), (1000, 10), (1300, 30), (100_000, 30)]
)
def test_who_waits_asks_again_about_twice_until_it_begins(number: int | None, seconds: int) -> None:
    assert knowing(BUSY).told(record(number)).retry_after_s == seconds


@pytest.mark.parametrize(("deadline_s", "after_s"), [(20.1, 1), (15, 6), (0.1, 21)])
def test_what_would_begin_too_late_is_refused_until_it_would_fit(deadline_s: float, after_s: int) -> None:
    with pytest.raises(QueueFull) as refusal:
        knowing(BUSY).refuse_beyond(deadline_s)
    assert refusal.value.retry_after_s == after_s


def test_what_joins_between_two_samples_counts() -> None:
    estimates = knowing(BUSY)
    estimates.refuse_beyond(20.2)
    estimates.joined(1001)
    with pytest.raises(QueueFull):
        estimates.refuse_beyond(20.2)
    estimates.know(BUSY)
    estimates.refuse_beyond(20.2)


def test_the_longest_refusal_is_an_hour() -> None:
    with pytest.raises(QueueFull) as refusal:
        knowing(LineSample(10**9, 10, 10**9, 10, 0.001)).refuse_beyond(1)
    assert refusal.value.retry_after_s == 3600


def test_nothing_is_refused_while_nothing_is_known() -> None:
    Estimates().refuse_beyond(0.001)
    knowing(LineSample(10**6, 10, 10**6, 10, 0.0)).refuse_beyond(0.001)
