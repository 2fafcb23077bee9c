"""What a poll is told, for every state of cache and store and every kind of id."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio

from common.cache import Cache, Piece
from common.errors import CacheUnavailable, ServiceError
from common.ids import JobIds
from common.jobs import Record, Status
from common.lookup import Lookup
from common.store import Store
from result_reader.settings import ReaderSettings
from stack import ports
from stack.process import Process
from tests.contract.clients import NewCache, NewStore, completed, job_id, queued, with_status
from tests.deployment import JOB_ID_KEY, Place

DEADLINE_S = 3600
IDS = JobIds([JOB_ID_KEY])
NEW_ID: dict[str, Callable[[], str]] = {
    "young": IDS.mint,
    "old": lambda: IDS.mint(now=time.time() - 2 * DEADLINE_S),
    "foreign": job_id,
}
COMPLETED, RUNS, QUEUED = "completed", "in_progress", "queued"
NOT_FOUND, EXPIRED, DELETED = "job_not_found", "job_expired", "job_deleted"
NO_CACHE, NO_STORE = "cache_unavailable", "store_unavailable"

#: docs/architecture.md has this table in words. Of an id that is young, old, foreign.
ANSWERS = {
    ("miss", "completed"): (COMPLETED, COMPLETED, COMPLETED),
    ("miss", "expired"): (EXPIRED, EXPIRED, EXPIRED),
    ("miss", "in_progress"): (RUNS, RUNS, RUNS),
    ("miss", "overdue"): (RUNS, EXPIRED, RUNS),
    ("miss", "nothing"): (QUEUED, EXPIRED, NOT_FOUND),
    ("miss", "away"): (NO_STORE, NO_STORE, NO_STORE),
    ("away", "completed"): (COMPLETED, COMPLETED, COMPLETED),
    ("away", "expired"): (NO_CACHE, NO_CACHE, NO_CACHE),
    ("away", "in_progress"): (RUNS, RUNS, RUNS),
    ("away", "overdue"): (RUNS, NO_CACHE, RUNS),
    ("away", "nothing"): (QUEUED, NO_CACHE, NO_CACHE),
    ("away", "away"): (NO_STORE, NO_STORE, NO_STORE),
}
STORE_STATES = ("completed", "expired", "in_progress", "overdue", "nothing", "away")
ANSWERS |= {("miss", "deleted"): (DELETED, DELETED, DELETED), ("away", "deleted"): (DELETED, DELETED, DELETED)}
for cached, answer in (
    ("queued", QUEUED),
    ("in_progress", RUNS),
    ("completed", COMPLETED),
    ("withdrawn", NOT_FOUND),
    ("deleted", DELETED),
):
    ANSWERS |= {(cached, stored): (answer, answer, answer) for stored in STORE_STATES}
CASES = [
    (kind, in_cache, in_store, answer)
    for (in_cache, in_store), answers in ANSWERS.items()
    for kind, answer in zip(NEW_ID, answers, strict=True)
]

NewLookup = Callable[[str, str], Awaitable[Lookup]]


@pytest.fixture
def new_lookup(place: Place, cache: Cache, store: Store, new_cache: NewCache, new_store: NewStore) -> NewLookup:
    """Makes a lookup of a reader that cannot reach what is "away"."""

    async def _new_lookup(in_cache: str, in_store: str) -> Lookup:
        nowhere = f"127.0.0.1:{ports.free_port()}"
        return Lookup(
            settings_in(place),
            IDS,
            await new_cache(f"redis://{nowhere}/0") if in_cache == "away" else cache,
            await new_store(f"mongodb://{nowhere}/", timeout_s=0.2) if in_store == "away" else store,
        )

    return _new_lookup


def settings_in(place: Place) -> ReaderSettings:
    return ReaderSettings.model_validate(
        {
            "redis_url": place.environment["REDIS_URL"],
            "mongo_url": place.environment["MONGO_URL"],
            "job_id_keys": JOB_ID_KEY,
            "job_deadline_s": DEADLINE_S,
        }
    )


def overdue(of: str) -> Record:
    """A job that still runs, a while after the time by which it should have ended."""
    now = time.time()
    return Record.queued(of, now - 600, now - 300).started(1, "a-model")


async def put_into_cache(cache: Cache, state: str, of: str) -> None:
    if state == "withdrawn":
        await cache.withdraw(of, 60)
    elif state == "deleted":
        await cache.cancels.erase(of, 60)
    elif state not in {"miss", "away"}:
        await cache.advance(with_status(queued(of), Status(state)), 60)


async def put_into_store(store: Store, state: str, of: str) -> None:
    keep_until = time.time() + 60
    if state == "completed":
        await store.save(completed(of), keep_until)
    elif state == "expired":
        await store.save(completed(of, ttl_s=-60), keep_until)
    elif state == "in_progress":
        await store.begin(with_status(queued(of), Status.IN_PROGRESS), keep_until)
    elif state == "deleted":
        await store.erase(of, keep_until)
    elif state == "overdue":
        await store.begin(overdue(of), keep_until)


async def told(lookup: Lookup, of: str) -> str:
    try:
        found = await lookup.find(of, "")
    except ServiceError as error:
        return error.code
    record = Record.decode(found.body)
    assert (record.id, record.is_terminal) == (of, found.is_terminal)
    return record.status


@pytest.mark.parametrize(("kind", "in_cache", "in_store", "answer"), CASES, ids=str)
async def test_what_is_told(
    kind: str, in_cache: str, in_store: str, answer: str, cache: Cache, store: Store, new_lookup: NewLookup
) -> None:
    of = NEW_ID[kind]()
    await put_into_cache(cache, in_cache, of)
    await put_into_store(store, in_store, of)
    lookup = await new_lookup(in_cache, in_store)

    first, second = await told(lookup, of), await told(lookup, of)

    assert (first, second) == (answer, answer)


@pytest.mark.parametrize(
    ("in_store", "kind"), [("completed", "old"), ("in_progress", "foreign"), ("nothing", "young")]
)
async def test_what_was_found_elsewhere_goes_back_into_the_cache(
    in_store: str, kind: str, cache: Cache, store: Store, new_lookup: NewLookup
) -> None:
    of = NEW_ID[kind]()
    await put_into_store(store, in_store, of)
    found = await (await new_lookup("miss", in_store)).find(of, "")
    assert await cache.get(of) == found
    assert await (await new_lookup("miss", "away")).find(of, "") == found


async def test_what_should_have_ended_does_not_go_into_the_cache(
    cache: Cache, store: Store, new_lookup: NewLookup
) -> None:
    of = job_id()
    await put_into_store(store, "overdue", of)
    assert await told(await new_lookup("miss", "overdue"), of) == RUNS
    assert await cache.get(of) is None


async def test_a_job_is_never_told_to_have_gone_back_when_the_cache_loses_its_memory(
    cache: Cache, store: Store, new_lookup: NewLookup
) -> None:
    """As a worker writes it: the store first."""
    of = IDS.mint()
    lookup = await new_lookup("miss", "nothing")
    heard = [await told(lookup, of)]
    for status in (Status.IN_PROGRESS, Status.COMPLETED):
        await put_into_store(store, status, of)
        await cache.advance(with_status(queued(of), status), 60)
        heard.append(await told(lookup, of))
        await forget(cache, of)
        heard.append(await told(lookup, of))
    assert heard == [QUEUED, RUNS, RUNS, COMPLETED, COMPLETED]


async def test_an_end_in_the_store_is_told_though_the_emptied_cache_is_just_told_that_the_job_runs(
    cache: Cache, store: Store, new_lookup: NewLookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = IDS.mint()
    await put_into_store(store, "completed", of)
    find = store.find

    async def find_slowly(job_id: str) -> Record | None:
        found = await find(job_id)
        await put_into_cache(cache, "in_progress", of)
        return found

    monkeypatch.setattr(store, "find", find_slowly)
    assert await told(await new_lookup("miss", "completed"), of) == COMPLETED


async def test_the_store_is_asked_too_once_the_subscription_broke_though_no_poll_has_met_an_absent_cache(
    place: Place, new_cache: NewCache, store: Store, own_redis: Process
) -> None:
    """As when Redis crashes and is back at once, and has forgotten the last second of what was told."""
    of, cache = IDS.mint(), await new_cache(own_redis.program.url)
    await put_into_cache(cache, "in_progress", of)
    await put_into_store(store, "completed", of)
    lookup, announcements = Lookup(settings_in(place), IDS, cache, store), cache.finished_jobs()
    await anext(announcements)
    assert await told(lookup, of) == RUNS

    async with redis.asyncio.Redis.from_url(own_redis.program.url) as server:
        assert await server.client_kill_filter(_type="pubsub") == 1
    with pytest.raises(CacheUnavailable):
        await anext(announcements)

    assert await told(lookup, of) == COMPLETED


async def forget(cache: Cache, of: str) -> None:
    """As a server does that was started anew and empty."""
    await cache._commands.call(b"DEL", cache._keys.job(of))
    assert await cache.get(of) is None


@pytest.mark.parametrize("turns", range(8))
async def test_a_job_that_ends_between_two_reads_is_not_without_its_text(
    new_lookup: NewLookup, cache: Cache, turns: int
) -> None:
    """The record is read, then the text, which is deleted when the job ends: after so many turns of the loop."""
    lookup = await new_lookup("in_progress", "nothing")
    started = Record.queued(IDS.mint(), time.time(), time.time() + DEADLINE_S).started(1, "a-model")
    await cache.advance(started, 60)
    await cache.texts.append(Piece(started.id, 1, 0, "one"), 0, 60)
    finding = asyncio.ensure_future(lookup.find(started.id, ""))
    for _ in range(turns):
        await asyncio.sleep(0)
    await cache.advance(started.completed("one", "a-model", None, 60), 60)
    assert Record.decode((await finding).body).output_text == "one"
