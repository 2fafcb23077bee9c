"""A batch of which the server cannot say whether it will last is a failure for all of its callers."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from common.errors import StoreUnavailable
from common.settings import StoreSettings
from common.store import Store
from stack import ports, servers
from stack.process import Process
from tests.contract.clients import completed

#: What a primary says that has lost its majority; the server is told to say it once.
WITHOUT_MAJORITY = {
    "configureFailPoint": "failCommand",
    "mode": {"times": 1},
    "data": {"failCommands": ["update"], "writeConcernError": {"code": 64, "errmsg": "waiting for replication"}},
}


async def test_without_a_majority_nobody_is_told_that_it_is_saved(tmp_path: Path) -> None:
    program = servers.mongodb(tmp_path / "mongodb", ports.free_port(), parameters=("enableTestCommands=1",))
    settings = StoreSettings.model_validate({"mongo_url": program.url, "store_timeout_s": 20})
    with Process(program, tmp_path / "mongodb.log"):
        async with aclosing(Store(settings)) as store:
            await store.prepare()
            there = completed()
            await store.save(there, keep_until=time.time() + 60)
            async with AsyncMongoClient[dict[str, Any]](program.url) as client:
                await client.admin.command(WITHOUT_MAJORITY)
            records = [completed() for _ in range(10)]
            calls = [store.save(record, keep_until=time.time() + 60) for record in (*records, there)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(result, StoreUnavailable) for result in results)
            again = await asyncio.gather(*(store.save(record, keep_until=time.time() + 60) for record in records))
            assert again == records
