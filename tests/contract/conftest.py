"""Clients of the real cache and store, in a place of each test's own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from common.cache import Cache
from common.settings import CacheSettings, StoreSettings
from common.store import Store
from stack import ports, servers
from stack.process import Process
from tests.contract.clients import NewCache, NewStore
from tests.deployment import Place


@pytest.fixture(scope="module", name="own_redis")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that the tests of one module may stop and freeze."""
    home: Path = tmp_path_factory.mktemp("own-redis")
    with Process(servers.redis(home / "redis", ports.free_port()), home / "redis.log") as process:
        yield process


@pytest.fixture(scope="module", name="own_mongodb")
def running_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that the tests of one module may stop, freeze and kill."""
    home: Path = tmp_path_factory.mktemp("own-mongodb")
    with Process(servers.mongodb(home / "mongodb", ports.free_port()), home / "mongodb.log") as process:
        yield process


@pytest.fixture(params=[True, False], ids=["batching", "plain"])
async def new_cache(place: Place, request: pytest.FixtureRequest) -> AsyncIterator[NewCache]:
    """Makes a client of the cache; each is one that another process could be. Both ways keep the same contract."""
    async with AsyncExitStack() as stack:

        async def _new_cache(url: str | None = None, timeout_s: float = 5) -> Cache:
            settings = CacheSettings.model_validate(
                {
                    "redis_url": url or place.environment["REDIS_URL"],
                    "redis_prefix": place.environment["REDIS_PREFIX"],
                    "cache_timeout_s": timeout_s,
                    "cache_batching": request.param,
                }
            )
            return await stack.enter_async_context(aclosing(Cache(settings)))

        yield _new_cache


@pytest.fixture(params=[True, False], ids=["store_batching", "store_plain"])
async def new_store(place: Place, request: pytest.FixtureRequest) -> AsyncIterator[NewStore]:
    """Makes a client of the store; each is one that another process could be. Both ways keep the same contract."""
    async with AsyncExitStack() as stack:

        async def _new_store(url: str | None = None, timeout_s: float = 5) -> Store:
            settings = StoreSettings.model_validate(
                {
                    "mongo_url": url or place.environment["MONGO_URL"],
                    "store_timeout_s": timeout_s,
                    "store_batching": request.param,
                }
            )
            return await stack.enter_async_context(aclosing(Store(settings)))

        yield _new_store


@pytest.fixture
async def cache(new_cache: NewCache) -> Cache:
    return await new_cache()


@pytest.fixture
async def store(new_store: NewStore) -> Store:
    made = await new_store()
    await made.prepare()
    return made
