"""Dead letters in the hands of an operator, beside a running worker."""

import json
from contextlib import suppress

from aio_pika.exceptions import ChannelNotFoundEntity

from tests.client import Application, Client
from tests.deployment import Deployment
from tests.operators import INVALID, Operator, died
from tests.waiting import eventually


async def test_a_malformed_message_is_listed_with_its_reason_and_shown_as_it_came(
    impatient: Client, application: Application, operator: Operator
) -> None:
    await application.publish(INVALID, correlation_id="c-1", headers={"x-request-id": "r-1"})
    await died(application, 1)
    await application.publish(b"no JSON \x1b[31m", message_id="no id")
    await died(application, 2)

    table = await operator.dead("list")
    bad, unreadable = await operator.listed()
    shown = await operator.dead("show", "bad")
    raw = await operator.dead("show", unreadable["id"])

    assert bad["id"] == "bad"
    assert (bad["code"], bad["attempts"], bad["size"]) == ("invalid_message", 0, len(json.dumps(INVALID)))
    assert bad["reason"].startswith("options.temperature: ")
    assert 0 <= bad["age_s"] < 60
    assert unreadable["id"].startswith("@")
    for part in ("bad", bad["reason"], unreadable["id"], "the oldest for", "2 invalid_message"):
        assert part in table.out
    for part in ("correlation_id: c-1", "x-request-id: r-1", "x-reason: invalid_message", json.dumps(INVALID)):
        assert part in shown.out
    assert "no JSON \\u001b[31m" in raw.out
    assert (await operator.dead("show", "nobody")).status == 1
    assert (await impatient.result("bad"))["status"] == "failed"
    assert await application.depth(".dead") == 2


async def test_a_job_whose_workers_died_is_listed_with_its_attempts(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker(MAX_ATTEMPTS="3")
    await application.publish({"id": "hard", "msg": "hello"}, headers={"x-attempt": 3})
    await died(application, 1)

    (listed,) = await operator.listed()

    assert (listed["code"], listed["attempts"]) == ("attempts_exhausted", 3)


async def test_a_deleted_queue_of_dead_letters_is_made_again(
    deployment: Deployment, application: Application
) -> None:
    deployment.worker(PREFETCH="1")
    await application.publish(INVALID)
    await died(application, 1)

    await application.delete_queue(".dead")
    await application.publish({**INVALID, "id": "worse"})

    async def there_again() -> bool:
        with suppress(ChannelNotFoundEntity):
            return await application.depth(".dead") == 1
        return False

    await eventually(there_again)
    assert b"worse" in (await application.next_in(".dead")).body


async def test_purging_removes_what_was_said(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker()
    for number in range(3):
        await application.publish({**INVALID, "id": f"bad-{number}"})
        await died(application, number + 1)

    one = await operator.dead("purge", "bad-1", "nobody")
    assert (one.status, "1 purged" in one.out, "nobody" in one.err) == (1, True, True)
    assert "0 purged" in (await operator.dead("purge", "--code", "internal")).out
    assert [message["id"] for message in await operator.listed()] == ["bad-0", "bad-2"]
    assert "2 purged" in (await operator.dead("purge", "--all", "--yes")).out
    assert await operator.listed() == []
