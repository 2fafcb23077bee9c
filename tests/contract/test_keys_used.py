"""An idempotency key stands for one job, whoever uses it and whoever dies meanwhile."""

import asyncio

from common.cache import Cache, Claim, KeyHold, Lease, Use, Used
from tests.contract.clients import NewCache, job_id, queued
from tests.waiting import eventually


def hold(key: str = "a-key", client: str = "") -> KeyHold:
    return KeyHold.on(client, key)


async def use(cache: Cache, by: KeyHold, job: str, print_: str = "a print", held_s: float = 60) -> Used:
    return await cache.keys_used.use(by, print_, job, held_s, 60)


async def test_the_first_holds_the_key_and_all_others_learn_its_job(cache: Cache) -> None:
    first, second = hold(), hold()
    assert await use(cache, first, "job-1") == Used(Use.HELD, "job-1")
    assert await use(cache, second, "job-2") == Used(Use.PENDING, "job-1")
    assert await cache.keys_used.accept(first, "job-1")
    assert await use(cache, second, "job-2") == Used(Use.ACCEPTED, "job-1")
    assert await use(cache, first, "job-3") == Used(Use.ACCEPTED, "job-1")


async def test_of_many_at_once_one_holds_the_key(new_cache: NewCache) -> None:
    caches = [await new_cache() for _ in range(4)]
    found = await asyncio.gather(*(use(caches[n % 4], hold(), f"job-{n}") for n in range(200)))
    assert [used.use for used in found].count(Use.HELD) == 1
    assert len({used.job_id for used in found}) == 1


async def test_the_same_hold_can_ask_again_when_an_answer_was_lost(cache: Cache) -> None:
    first = hold()
    await use(cache, first, "job-1")
    assert await use(cache, first, "job-1") == Used(Use.HELD, "job-1")


async def test_another_submission_is_told_so_whether_the_first_is_accepted_or_not(cache: Cache) -> None:
    first = hold()
    await use(cache, first, "job-1")
    assert (await use(cache, hold(), "job-2", "another print")).use is Use.OTHERWISE
    await cache.keys_used.accept(first, "job-1")
    assert (await use(cache, hold(), "job-2", "another print")).use is Use.OTHERWISE


async def test_each_client_has_keys_of_its_own(cache: Cache) -> None:
    await use(cache, hold(client="alice"), "job-1")
    assert await use(cache, hold(client="bob"), "job-2") == Used(Use.HELD, "job-2")
    assert await use(cache, hold(client="alic", key="ea-key"), "job-3") == Used(Use.HELD, "job-3")


async def test_who_comes_after_a_hold_that_ran_out_goes_on_with_the_same_job(cache: Cache) -> None:
    await use(cache, hold(), "job-1", held_s=0.05)
    second = hold()

    async def taken_over() -> bool:
        return await use(cache, second, "job-2") == Used(Use.HELD, "job-1")

    await eventually(taken_over)
    assert await use(cache, hold(), "job-3") == Used(Use.PENDING, "job-1")


async def test_a_key_that_is_let_go_is_free(cache: Cache) -> None:
    first = hold()
    await use(cache, first, "job-1")
    await cache.keys_used.let_go(hold(), is_anothers_job=False)
    assert (await use(cache, hold(), "job-2")).use is Use.PENDING
    await cache.keys_used.let_go(first, is_anothers_job=False)
    assert await use(cache, hold(), "job-3") == Used(Use.HELD, "job-3")


async def test_a_job_of_another_submission_stays_the_keys_when_it_is_let_go(cache: Cache) -> None:
    first = hold()
    await use(cache, first, "job-1")
    await cache.keys_used.let_go(first, is_anothers_job=True)
    assert await use(cache, hold(), "job-2") == Used(Use.HELD, "job-1")


async def test_a_key_is_forgotten_for_one_job_only(cache: Cache) -> None:
    first = hold()
    await use(cache, first, "job-1")
    await cache.keys_used.accept(first, "job-1")
    await cache.keys_used.forget(hold(), "job-2")
    assert (await use(cache, hold(), "job-3")).use is Use.ACCEPTED
    await cache.keys_used.forget(hold(), "job-1")
    assert (await use(cache, hold(), "job-3")).use is Use.HELD


async def test_a_key_ends_with_its_time(cache: Cache) -> None:
    await cache.keys_used.use(hold(), "a print", "job-1", 60, 0.05)

    async def ended() -> bool:
        return (await use(cache, hold(), "job-2")).job_id == "job-2"

    await eventually(ended)


async def test_a_withdrawn_job_frees_its_key(cache: Cache) -> None:
    first, record = hold(), queued()
    await use(cache, first, record.id)
    await cache.mark(record.id, record.encode(), 60, b"a message")
    assert await cache.withdraw(record.id, 60, first)
    assert await use(cache, hold(), "job-2") == Used(Use.HELD, "job-2")
    assert not await cache.keys_used.accept(first, record.id)


async def test_a_job_that_cannot_be_withdrawn_keeps_its_key(cache: Cache) -> None:
    first, record = hold(), queued()
    await use(cache, first, record.id)
    await cache.mark(record.id, record.encode(), 60, b"a message")
    await cache.take(record.id, Lease("a-worker", "1"), 0, 60)
    assert not await cache.withdraw(record.id, 60, first)
    assert await use(cache, hold(), "job-2") == Used(Use.PENDING, record.id)


async def test_who_was_too_slow_withdraws_nothing_that_another_has_taken_over(cache: Cache) -> None:
    first, second, record = hold(), hold(), queued()
    await use(cache, first, record.id, held_s=0)
    await cache.mark(record.id, record.encode(), 60, b"a message")
    assert await use(cache, second, "job-2") == Used(Use.HELD, record.id)
    assert await cache.withdraw(record.id, 60, first)
    assert await cache.get(record.id) == record.encoded()
    await cache.keys_used.accept(second, record.id)
    assert not await cache.withdraw(record.id, 60, first)
    assert (await cache.take(record.id, Lease("a-worker", "1"), 0, 60)).claim is Claim.TAKEN


async def test_the_broker_has_it_whoever_holds_the_key_by_then(cache: Cache) -> None:
    first, second, record = hold(), hold(), queued()
    await use(cache, first, record.id, held_s=0)
    await cache.mark(record.id, record.encode(), 60, b"a message")
    await use(cache, second, "job-2")
    assert await cache.keys_used.accept(first, record.id)
    assert not await cache.withdraw(record.id, 60, second)
    assert await use(cache, hold(), "job-3") == Used(Use.ACCEPTED, record.id)


async def test_a_job_whose_key_an_emptied_cache_has_forgotten_is_withdrawn_and_accepted_as_any(cache: Cache) -> None:
    record = queued()
    assert await cache.keys_used.accept(hold(), record.id)
    await cache.mark(record.id, record.encode(), 60, b"a message")
    assert await cache.keys_used.accept(hold(), record.id)
    assert await cache.withdraw(record.id, 60, hold())
    assert not await cache.keys_used.accept(hold(), record.id)
    assert await cache.withdraw(job_id(), 60, hold())
