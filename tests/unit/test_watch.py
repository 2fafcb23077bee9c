"""When a consumer is renewed, and when that has been in vain too often."""

from dataclasses import dataclass, field

import pytest

from common.broker.watching import MOST_IN_VAIN, Watch
from common.errors import BrokerUnavailable
from common.lifecycle import background
from tests.waiting import eventually

SILENCE_S = 0.01
LOOKS = 10


@dataclass
class Consumer:
    """A consumer as the watch sees it, the number of jobs that wait, and what the watch did."""

    is_lost: bool = False
    is_full: bool = False
    received: int = 0
    waiting: int = 1
    is_busy: bool = False
    is_away: bool = False
    cannot_be_renewed: bool = False
    looks: int = field(default=0, init=False)
    renewals: int = field(default=0, init=False)

    async def ready(self) -> int:
        self.looks += 1
        if self.is_away:
            raise BrokerUnavailable
        self.received += self.is_busy
        return self.waiting

    async def renew(self) -> None:
        if self.cannot_be_renewed or self.is_away:
            raise BrokerUnavailable
        self.renewals += 1
        self.is_lost = False

    def watch(self) -> Watch:
        return Watch(self, self.ready, self.renew, SILENCE_S)


async def test_one_that_gets_nothing_although_jobs_wait_is_renewed() -> None:
    consumer = Consumer()
    async with background(consumer.watch().run()):
        await eventually(lambda: consumer.renewals)


@pytest.mark.parametrize("consumer", [Consumer(waiting=0), Consumer(is_busy=True), Consumer(is_away=True)])
async def test_one_that_needs_nothing_or_gets_something_is_left_alone(consumer: Consumer) -> None:
    watch = consumer.watch()
    async with background(watch.run()):
        await eventually(lambda: consumer.looks > LOOKS)
    assert consumer.renewals == 0
    assert not watch.has_given_up


async def test_one_that_has_its_hands_full_is_left_alone() -> None:
    consumer = Consumer(is_full=True)
    async with background(consumer.watch().run(), consumer.watch().run()):
        empty_handed = Consumer()
        async with background(empty_handed.watch().run()):
            await eventually(lambda: empty_handed.renewals)
    assert consumer.renewals == 0


async def test_one_that_is_lost_is_renewed_at_once() -> None:
    consumer = Consumer(is_lost=True, waiting=0)
    async with background(consumer.watch().run()):
        await eventually(lambda: consumer.renewals)
    assert consumer.looks <= 1


@pytest.mark.parametrize("consumer", [Consumer(), Consumer(is_lost=True, cannot_be_renewed=True)])
async def test_renewing_in_vain_is_given_up_until_a_delivery_comes(consumer: Consumer) -> None:
    watch = consumer.watch()
    async with background(watch.run()):
        await eventually(lambda: watch.has_given_up)
        assert consumer.cannot_be_renewed or consumer.renewals >= MOST_IN_VAIN - 1
        consumer.is_busy = True
        await eventually(lambda: not watch.has_given_up)
