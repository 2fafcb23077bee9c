"""The bound on the job queue: exact for what one gateway publishes, and corrected by what the broker says."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from common.errors import BrokerUnavailable, ErrorCode, QueueFull
from gateway.admission import MAX_AGE_S, MAX_RETRY_AFTER_S, Admission


class Clock:
    """Stands still until somebody moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Queue:
    """A job queue that is asked how deep it is."""

    def __init__(self, admission: Admission) -> None:
        self.depth = 0
        self._admission = admission

    async def is_sampled(self) -> None:
        async def ask() -> int:
            return self.depth

        await self._admission.sample(ask)

    async def is_sampled_while(self, admission: Admission, publishes: int) -> None:
        """The broker counts before some publishes that are confirmed before its answer comes."""

        async def ask() -> int:
            counted = self.depth
            self.depth += admitted(admission, publishes)
            return counted

        await self._admission.sample(ask)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(3, clock)


@pytest.fixture
def queue(admission: Admission) -> Queue:
    return Queue(admission)


@pytest.fixture
def in_flight(admission: Admission) -> Iterator[ExitStack]:
    """A publish that neither succeeds nor fails before the test ends."""
    with ExitStack() as stack:
        stack.enter_context(admission)
        yield stack


def admitted(admission: Admission, tries: int = 10) -> int:
    """How many of some publishes are admitted; each succeeds at once."""
    count = 0
    for _ in range(tries):
        try:
            with admission:
                count += 1
        except QueueFull:
            pass
    return count


def retry_after_s(admission: Admission) -> int:
    with pytest.raises(QueueFull) as refusal, admission:
        pass
    assert refusal.value.code is ErrorCode.QUEUE_FULL
    assert refusal.value.retry_after_s is not None
    return refusal.value.retry_after_s


def test_without_a_bound_everything_is_admitted() -> None:
    assert admitted(Admission(None), 1000) == 1000


def test_as_many_as_the_bound_are_admitted(admission: Admission) -> None:
    assert admitted(admission) == 3


async def test_what_is_published_already_is_counted_once(admission: Admission, queue: Queue) -> None:
    queue.depth = admitted(admission, 2)
    await queue.is_sampled()
    assert admitted(admission) == 1


async def test_what_lay_there_before_and_what_others_publish_counts(admission: Admission, queue: Queue) -> None:
    queue.depth = 2
    await queue.is_sampled()
    assert admitted(admission) == 1


async def test_a_publish_in_flight_holds_its_place_whether_the_broker_has_counted_it_or_not(
    admission: Admission, queue: Queue, in_flight: ExitStack
) -> None:
    await queue.is_sampled()
    queue.depth = 1
    await queue.is_sampled()
    in_flight.close()
    assert admitted(admission) == 2


async def test_what_is_published_while_the_broker_counts_is_not_forgotten(admission: Admission, queue: Queue) -> None:
    await queue.is_sampled_while(admission, publishes=2)
    assert admitted(admission) == 1


async def test_what_workers_take_makes_place(admission: Admission, queue: Queue) -> None:
    queue.depth = admitted(admission)
    await queue.is_sampled()
    queue.depth = 1
    await queue.is_sampled()
    assert admitted(admission) == 2


def test_a_publish_that_fails_gives_its_place_back(admission: Admission) -> None:
    for _ in range(10):
        with pytest.raises(BrokerUnavailable), admission:
            raise BrokerUnavailable
    assert admitted(admission) == 3


async def test_a_publish_that_fails_while_the_broker_counts_gives_its_place_back(
    admission: Admission, in_flight: ExitStack
) -> None:
    async def ask() -> int:
        with pytest.raises(BrokerUnavailable), in_flight.pop_all():
            raise BrokerUnavailable
        return 0

    await admission.sample(ask)
    assert admitted(admission) == 3


async def test_a_sample_that_is_too_old_refuses_nobody(admission: Admission, queue: Queue, clock: Clock) -> None:
    queue.depth = 3
    await queue.is_sampled()
    clock.now += MAX_AGE_S
    assert admitted(admission, 1) == 0
    clock.now += 0.1
    assert admitted(admission, 1) == 1


async def test_a_broker_that_does_not_answer_leaves_the_count_as_it_is(admission: Admission) -> None:
    async def ask() -> int:
        raise BrokerUnavailable

    admitted(admission, 2)
    with pytest.raises(BrokerUnavailable):
        await admission.sample(ask)
    assert admitted(admission) == 1


@pytest.mark.parametrize(("taken_per_s", "seconds"), [(0, MAX_RETRY_AFTER_S), (2, 5), (1, 10), (1000, 1)])
async def test_who_is_refused_is_told_when_a_tenth_of_the_queue_is_taken(
    clock: Clock, taken_per_s: int, seconds: int
) -> None:
    admission = Admission(100, clock)
    queue = Queue(admission)
    for _ in range(60):
        queue.depth += admitted(admission, 2000)
        await queue.is_sampled()
        queue.depth = max(0, queue.depth - taken_per_s)
        clock.now += 1
    admitted(admission, 2000)
    assert abs(retry_after_s(admission) - seconds) <= 1
