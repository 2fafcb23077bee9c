"""Background tasks that die are begun again; those that die again and again make the health fail."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from common import upkeep as module
from common.lifecycle import CannotStart
from common.upkeep import MOST_DEATHS, Upkeep
from tests.waiting import eventually


class Died(Exception):
    """What a task died of."""


class Mortal:
    """A task that dies `deaths` times, and then lives on."""

    def __init__(self, deaths: int) -> None:
        self._deaths_left = deaths
        self.is_alive = asyncio.Event()

    async def live(self) -> None:
        if self._deaths_left:
            self._deaths_left -= 1
            raise Died
        self.is_alive.set()
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0)


def deaths_counted() -> float:
    return REGISTRY.get_sample_value("gpt_jobs_watchdog_total", {"watch": "task"}) or 0


async def test_a_task_that_dies_is_begun_again_and_counted_and_its_neighbours_live_on() -> None:
    upkeep, mortal, neighbour, before = Upkeep(), Mortal(MOST_DEATHS - 1), Mortal(0), deaths_counted()
    async with upkeep.of(mortal=mortal.live, neighbour=neighbour.live):
        await eventually(mortal.is_alive.is_set)
        assert neighbour.is_alive.is_set()
        assert upkeep.is_well()
    assert deaths_counted() == before + MOST_DEATHS - 1


async def test_tasks_that_die_again_and_again_are_not_well_until_they_live_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upkeep, mortal = Upkeep(), Mortal(MOST_DEATHS)
    async with upkeep.of(mortal=mortal.live):
        await eventually(mortal.is_alive.is_set)
        assert not upkeep.is_well()
        monkeypatch.setattr(module, "WITHIN_S", 0.0)
        assert upkeep.is_well()


async def test_a_task_that_ends_by_itself_is_not_begun_again() -> None:
    begun = 0

    async def end() -> None:
        nonlocal begun
        begun += 1

    async with Upkeep().of(ends=end):
        for _ in range(10):
            await asyncio.sleep(0)
    assert begun == 1


async def test_what_must_be_changed_outside_ends_the_service() -> None:
    async def cannot_start() -> None:
        raise CannotStart

    with pytest.raises(ExceptionGroup) as raised:
        async with Upkeep().of(cannot_start=cannot_start):
            await asyncio.Event().wait()
    assert raised.group_contains(CannotStart)
