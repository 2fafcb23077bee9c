"""What only the store knows of conversations: who follows whom, for how long, and how much of it is read."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from common.errors import StoreUnavailable
from common.jobs import Record, Status
from common.store import Store
from common.store.conversations import LARGEST_TURN, MOST_TURNS, Conversation, Earlier, Standing
from common.turns import Said, Turn
from tests.contract.clients import NewStore, completed, job_id, queued, with_status
from tests.deployment import NOWHERE, Place

PLENTY = 100_000_000
Collection = AsyncCollection[dict[str, Any]]


@pytest.fixture
async def collection(place: Place) -> AsyncIterator[Collection]:
    """The store's documents, seen with another client than ours."""
    async with AsyncMongoClient[dict[str, Any]](place.environment["MONGO_URL"], tz_aware=True) as client:
        yield client.get_default_database()["results"]


def later(seconds: float = 60) -> float:
    return time.time() + seconds


async def said(
    store: Store, text: str, parent_id: str | None = None, *, until: float | None = None, system: str | None = None
) -> str:
    """Save a completed job with its turn; returns its id."""
    messages = [Said(role="user", content=text)]
    if system is not None:
        messages.insert(0, Said(role="system", content=system))
    record = completed(text=f"answer to {text[:20]}", ttl_s=-1)
    await store.save(record, 0, Turn(parent_id=parent_id, messages=messages, until=until or later()))
    return record.id


async def conversation(store: Store, *questions: str) -> str:
    """Save a conversation; returns the id of its last job."""
    last = None
    for question in questions:
        last = await said(store, question, last)
    assert last is not None
    return last


def asked(found: Conversation) -> list[str]:
    return [turn.messages[-1].content for turn in found.turns]


async def test_a_conversation_is_read_from_its_last_turn_to_its_first(store: Store) -> None:
    await said(store, "of somebody else")
    last = await conversation(store, "a", "b", "c")

    found = await store.conversations.until(last, PLENTY)

    assert found.standing is Standing.OPEN
    assert found.turns == [Earlier([Said(role="user", content=text)], f"answer to {text}") for text in "cba"]


async def test_two_can_follow_the_same(store: Store) -> None:
    first = await said(store, "first")
    for text in ("this", "that"):
        assert asked(await store.conversations.until(await said(store, text, first), PLENTY)) == [text, "first"]


async def test_a_job_without_a_turn_cannot_be_continued(store: Store) -> None:
    begun, failed, done = with_status(queued(), Status.IN_PROGRESS), with_status(queued(), Status.FAILED), completed()
    await store.begin(begun, later())
    await store.save(failed, later())
    await store.save(done, later())
    await store.erase(deleted := job_id(), later())

    expected = {
        "never-heard-of": Standing.UNKNOWN,
        begun.id: Standing.UNFINISHED,
        failed.id: Standing.CLOSED,
        done.id: Standing.CLOSED,
        deleted: Standing.CLOSED,
    }
    for of, standing in expected.items():
        assert await store.conversations.until(of, PLENTY) == Conversation(standing, [])
        assert not await store.conversations.is_open(of)


async def test_a_turn_outlives_its_record(store: Store, collection: Collection) -> None:
    last = await said(store, "a", until=(until := later(100)))

    document = await collection.find_one({"_id": last})
    assert document is not None
    assert document["expires_at"] < datetime.now(UTC)
    assert document["delete_at"] == document["turn"]["until"]
    assert abs(document["delete_at"].timestamp() - until) < 1
    assert await store.conversations.is_open(last)


async def test_a_turn_lasts_as_long_as_its_record_at_least(store: Store, collection: Collection) -> None:
    record = completed()
    await store.save(record, 0, Turn(messages=[], until=0))

    document = await collection.find_one({"_id": record.id})
    assert document is not None
    assert document["turn"]["until"] == document["delete_at"] == document["expires_at"]


async def test_a_conversation_that_is_over_cannot_be_continued(store: Store) -> None:
    over = await said(store, "a", until=later(-1))
    assert (await store.conversations.until(over, PLENTY)).standing is Standing.CLOSED
    assert not await store.conversations.is_open(over)


async def test_what_is_over_or_gone_ends_the_look_back(store: Store, collection: Collection) -> None:
    for missing in (await said(store, "over", await said(store, "before"), until=later(-1)), "never-was"):
        last = await said(store, "last", await said(store, "middle", missing))
        assert asked(await store.conversations.until(last, PLENTY)) == ["last", "middle"]
    await collection.delete_many({})


async def test_a_deleted_turn_is_gone_and_what_was_before_it(store: Store) -> None:
    middle = await conversation(store, "first", "middle")
    last = await said(store, "last", middle)
    await store.erase(middle, later())
    assert asked(await store.conversations.until(last, PLENTY)) == ["last"]


async def test_of_more_than_is_asked_for_only_the_system_messages_are_read(store: Store) -> None:
    first = await said(store, "x" * 5000, system="be kind")
    last = await said(store, "last", await said(store, "middle", first))

    turns = (await store.conversations.until(last, 3000)).turns

    assert [turn.answer for turn in turns] == ["answer to last", "answer to middle", None]
    assert turns[-1].messages == [Said(role="system", content="be kind")]


async def test_no_more_than_so_many_turns_are_looked_up(store: Store) -> None:
    last = await conversation(store, *(str(number) for number in range(MOST_TURNS + 3)))
    turns = (await store.conversations.until(last, PLENTY)).turns
    assert (len(turns), turns[-1].messages[0].content) == (MOST_TURNS, "3")


async def test_a_conversation_that_no_document_could_hold_is_read(store: Store) -> None:
    last = await conversation(store, *(["x" * (LARGEST_TURN - 2000)] * MOST_TURNS))
    found = await store.conversations.until(last, 3 * LARGEST_TURN)
    assert [turn.answer is None for turn in found.turns] == [False] * 3 + [True] * (MOST_TURNS - 3)


async def test_a_turn_that_is_too_large_is_passed_over_with_what_was_before_it(store: Store) -> None:
    large = await said(store, "x" * LARGEST_TURN, await said(store, "first"))
    assert await store.conversations.until(large, PLENTY) == Conversation(Standing.OPEN, [])
    assert asked(await store.conversations.until(await said(store, "last", large), PLENTY)) == ["last"]


async def test_a_conversation_in_a_circle_ends(store: Store, collection: Collection) -> None:
    first = await said(store, "first", "second")
    await collection.update_one({"_id": first}, {"$set": {"turn.parent_id": first}})
    assert asked(await store.conversations.until(first, PLENTY)) == ["first"]


async def test_the_first_save_is_the_one_that_counts(store: Store) -> None:
    record: Record = completed()
    for text in ("first", "second"):
        await store.save(record, 0, Turn(messages=[Said(role="user", content=text)], until=later()))
    assert asked(await store.conversations.until(record.id, PLENTY)) == ["first"]


async def test_a_store_that_is_away_is_an_error(new_store: NewStore) -> None:
    store = await new_store(NOWHERE["MONGO_URL"], 0.2)
    with pytest.raises(StoreUnavailable):
        await store.conversations.until("a", PLENTY)
    with pytest.raises(StoreUnavailable):
        await store.conversations.is_open("a")
