"""What cache and store both promise of a terminal record."""

import asyncio
import time
from typing import Protocol

import pytest

from common.cache import Cache
from common.jobs import Record
from common.store import Store
from tests.contract.clients import NewCache, NewStore, completed, job_id
from tests.waiting import eventually

ODD = "emoji 👋🏽 · NUL \x00 · \u2028\u2029 · \"'\\ · 你好 · $where.a · e\u0301\ufeff"


class Keeper(Protocol):
    """Where terminal records are kept."""

    async def save(self, record: Record, ttl_s: float = 60) -> None: ...

    async def read(self, job_id: str) -> bytes | None: ...


class KeptInCache:
    """The cache as a keeper."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def save(self, record: Record, ttl_s: float = 60) -> None:
        await self._cache.advance(record, ttl_s)

    async def read(self, job_id: str) -> bytes | None:
        found = await self._cache.get(job_id)
        assert found is None or found.is_terminal
        return found.body if found else None


class KeptInStore:
    """The store as a keeper; a record expires there when it says so itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, record: Record, ttl_s: float = 60) -> None:
        expiring = record.model_copy(update={"expires_at": int(time.time() + ttl_s)}) if ttl_s < 60 else record
        await self._store.save(expiring, keep_until=0)

    async def read(self, job_id: str) -> bytes | None:
        found = await self._store.find(job_id)
        return found.encode() if found else None


@pytest.fixture(params=["cache", "store"])
async def keepers(request: pytest.FixtureRequest, new_cache: NewCache, new_store: NewStore) -> tuple[Keeper, Keeper]:
    """The same keeper, as two processes see it."""
    if request.param == "cache":
        return KeptInCache(await new_cache()), KeptInCache(await new_cache())
    first, second = await new_store(), await new_store()
    await first.prepare()
    await second.prepare()
    return KeptInStore(first), KeptInStore(second)


Keepers = tuple[Keeper, Keeper]


async def test_there_is_nothing_before_it_is_written(keepers: Keepers) -> None:
    assert await keepers[0].read(job_id()) is None


@pytest.mark.parametrize("text", ["an answer", "", ODD, "答" * 500_000], ids=["short", "empty", "odd", "long"])
async def test_the_same_bytes_come_back_for_everyone(keepers: Keepers, text: str) -> None:
    record = completed(text=text)
    await keepers[0].save(record)
    assert [await keeper.read(record.id) for keeper in keepers] == [record.encode()] * 2


async def test_a_terminal_record_is_immutable(keepers: Keepers) -> None:
    first = completed()
    await keepers[0].save(first)
    for keeper in keepers:
        await keeper.save(completed(first.id, text="another answer"))
    assert await keepers[1].read(first.id) == first.encode()


async def test_of_many_writers_exactly_one_wins_and_all_see_the_same(keepers: Keepers) -> None:
    same = job_id()
    candidates = [completed(same, text=f"answer {number}") for number in range(20)]
    await asyncio.gather(*(keepers[number % 2].save(record) for number, record in enumerate(candidates)))
    kept = await keepers[0].read(same)
    assert kept in [record.encode() for record in candidates]
    assert await keepers[1].read(same) == kept


async def test_one_job_does_not_touch_another(keepers: Keepers) -> None:
    one, other = completed(text="one"), completed(text="other")
    await keepers[0].save(one)
    await keepers[0].save(other)
    assert await keepers[0].read(one.id) == one.encode()


async def test_a_record_is_gone_when_its_time_is_over(keepers: Keepers) -> None:
    short, long = completed(), completed()
    await keepers[0].save(long)
    await keepers[0].save(short, ttl_s=0.5)

    async def gone() -> bool:
        return await keepers[0].read(short.id) is None

    await eventually(gone)
    assert await keepers[0].read(long.id) == long.encode()
