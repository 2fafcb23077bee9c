"""Messages that are no job, among messages that are: each is put aside with its reason, and disturbs nobody."""

import json
from typing import Any

from aiohttp import ClientSession

from tests.faults.clients import Clients
from tests.operators import Operator

#: What is published; where an id can be read, it is `bad-<number>` and gets a failed record.
UNREADABLE: list[bytes] = [
    b"",
    b"no JSON",
    b'{"msg": ',
    b"\xff\xfe",
    b"[]",
    b"null",
    b"17",
    b'{"id": "b a d", "msg": "x"}',
    b"[" * 9999,
]
REFUSED: list[dict[str, Any]] = [
    {},
    {"msg": ""},
    {"msg": 1},
    {"messages": []},
    {"messages": [{"role": "robot", "content": "x"}]},
    {"template": "no such template", "inputs": {}},
    {"template": "fortune", "inputs": {"birth": "soon"}},
    {"msg": "hello", "options": {"temperature": 9}},
    {"msg": "hello", "options": "none"},
    {"msg": "hello", "metadata": {"a": 1}},
]


async def test_each_malformed_message_is_put_aside_and_told(clients: Clients, http: ClientSession) -> None:
    operator = Operator(clients.fleet.place)
    before = len(await operator.listed())
    load = clients.submit_at(8)
    await clients.until_accepted(5)

    for body in UNREADABLE:
        assert await clients.publish_raw(body)
    for number, refused in enumerate(REFUSED):
        assert await clients.publish_raw(json.dumps({"id": f"bad-{number}", **refused}).encode())
    await clients.until_accepted(clients.ledger.accepted_count + 10)
    load.cancel()
    assert await clients.settled(30) is not None

    verdict = clients.verdict()
    assert verdict.is_kept, f"\n{verdict}"
    dead = (await operator.listed())[before:]
    assert [letter["code"] for letter in dead] == ["invalid_message"] * (len(UNREADABLE) + len(REFUSED))
    for number in range(len(REFUSED)):
        async with http.get(clients.fleet.readers[0].url / f"v1/results/bad-{number}") as response:
            record = await response.json()
        assert (record["status"], record["error"]["code"]) == ("failed", "invalid_message")
