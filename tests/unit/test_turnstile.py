"""How many go through in one turn of the event loop, and who."""

import asyncio
from itertools import pairwise

from gpt_worker.turnstile import Turnstile


class Visitors:
    """Go through one turnstile; `passed` is who has."""

    def __init__(self, at_once: int, count: int) -> None:
        self._turnstile = Turnstile(at_once)
        self.passed: list[int] = []
        self.tasks = [asyncio.create_task(self._visit(number)) for number in range(count)]

    async def _visit(self, number: int) -> None:
        await self._turnstile.pass_through()
        self.passed.append(number)

    async def passed_by_turn(self) -> list[int]:
        counts = [0]
        while not all(task.done() for task in self.tasks):
            await asyncio.sleep(0)
            counts.append(len(self.passed))
        return [after - before for before, after in pairwise(counts) if after > before]


async def test_a_few_go_through_in_each_turn_in_their_order() -> None:
    visitors = Visitors(3, 10)
    assert await visitors.passed_by_turn() == [3, 3, 3, 1]
    assert visitors.passed == list(range(10))


async def test_whoever_leaves_the_line_takes_nobodys_turn() -> None:
    visitors = Visitors(2, 6)
    await asyncio.sleep(0)
    for number in (0, 1, 3):
        visitors.tasks[number].cancel()
    assert await visitors.passed_by_turn() == [2, 1]
    assert visitors.passed == [2, 4, 5]


async def test_it_can_be_used_again_after_a_while() -> None:
    turnstile = Turnstile(1)
    for _ in range(3):
        await turnstile.pass_through()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
