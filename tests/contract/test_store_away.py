"""A store that does not answer is said to be unavailable, within the timeout."""

import time
from collections.abc import Awaitable, Callable

import pytest

from common.errors import StoreUnavailable
from common.store import Store
from stack import ports
from stack.process import Process
from tests.contract.clients import NewStore, completed, queued

TIMEOUT_S = 0.5
CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "prepare": lambda store: store.prepare(),
    "save": lambda store: store.save(completed(), keep_until=0),
    "begin": lambda store: store.begin(queued().started(1, "a-model"), 0),
    "start_over": lambda store: store.start_over(completed(), queued()),
    "find": lambda store: store.find("a-job"),
    "ping": lambda store: store.ping(),
}
call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


async def unavailable_in_time(awaited: Awaitable[object]) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await awaited
    assert time.monotonic() - began < TIMEOUT_S + 1


@call
async def test_a_store_that_is_not_there(new_store: NewStore, call: Callable[[Store], Awaitable[object]]) -> None:
    await unavailable_in_time(call(await new_store(f"mongodb://127.0.0.1:{ports.free_port()}/", TIMEOUT_S)))


@call
async def test_a_store_that_is_frozen(
    new_store: NewStore, own_mongodb: Process, call: Callable[[Store], Awaitable[object]]
) -> None:
    store = await new_store(own_mongodb.program.url, TIMEOUT_S)
    await store.ping()
    own_mongodb.freeze()
    try:
        await unavailable_in_time(call(store))
    finally:
        own_mongodb.thaw()


async def test_a_store_that_comes_back_is_used_again(new_store: NewStore, own_mongodb: Process) -> None:
    store, record = await new_store(own_mongodb.program.url), completed()
    await store.save(record, keep_until=0)
    own_mongodb.stop()
    away = await new_store(own_mongodb.program.url, TIMEOUT_S)
    await unavailable_in_time(away.ping())
    own_mongodb.start()
    assert await store.find(record.id) == record
