"""Commands for dead letters lose nothing, whoever looks at the same time, however often, and wherever they die."""

import asyncio
import json
import os
import pty
import signal

from stack.model_stub import ModelStub
from tests.client import Application, Client
from tests.deployment import NOWHERE, Deployment
from tests.operators import INVALID, Operator, died, failed_jobs
from tests.waiting import eventually


async def dead_letters(application: Application, count: int) -> None:
    for number in range(count):
        await application.publish({**INVALID, "id": f"bad-{number}"})
    await died(application, count)


def ids(printed: str) -> list[str]:
    return [message["id"] for message in json.loads(printed)["messages"]]


async def test_two_who_look_at_once_both_see_everything_and_lose_nothing(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker()
    await dead_letters(application, 50)
    expected = {f"bad-{number}" for number in range(50)}

    looks = await asyncio.gather(*(operator.dead("list", "--json") for _ in range(4)))

    assert [set(ids(look.out)) for look in looks] == [expected] * 4
    assert await application.depth(".dead") == 50


async def test_looking_any_number_of_times_loses_and_reorders_nothing(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker()
    await dead_letters(application, 40)
    first = ids((await operator.dead("list", "--json")).out)

    for _ in range(10):
        looks = await asyncio.gather(*(operator.dead("list", "--json") for _ in range(3)))
        assert [ids(look.out) for look in looks] == [first] * 3


async def test_a_replay_that_is_killed_loses_nothing(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    jobs = await failed_jobs(impatient, application, stub, 200)
    calls = len(stub.calls)

    async with operator.at_work("replay", "--all") as replaying:
        await eventually(lambda: len(stub.calls) > calls + 20)
        assert replaying.returncode is None
        replaying.send_signal(signal.SIGKILL)
        await replaying.wait()

    assert 0 < len(await operator.listed()) < 200
    assert (await operator.dead("replay", "--all")).status == 0
    results = await asyncio.gather(*(impatient.result(job_id) for job_id in jobs))
    assert [result["status"] for result in results] == ["completed"] * 200
    # What was published and not yet taken out when the blow fell.
    assert {message["id"] for message in await operator.listed()} <= set(jobs)
    assert len(stub.calls) <= calls + 201


async def test_a_look_that_is_killed_locks_nobody_out(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker()
    await dead_letters(application, 20)

    async with operator.at_work("list") as looking:

        async def in_hand() -> bool:
            return await application.depth(".dead") < 20 or looking.returncode is not None

        await eventually(in_hand)
        if looking.returncode is None:
            looking.send_signal(signal.SIGKILL)
        await looking.wait()

    await died(application, 20)
    assert len(await operator.listed()) == 20


async def test_purging_at_a_terminal_asks_first(
    deployment: Deployment, application: Application, operator: Operator
) -> None:
    deployment.worker()
    await dead_letters(application, 2)

    assert await at_a_terminal(operator, b"n\n", "purge", "--all") == 1
    assert await application.depth(".dead") == 2
    assert await at_a_terminal(operator, b"y\n", "purge", "bad-1") == 0
    assert await application.depth(".dead") == 1


async def at_a_terminal(operator: Operator, typed: bytes, *arguments: str) -> int | None:
    """The exit status of a command whose standard input is a terminal."""
    outer, inner = pty.openpty()
    os.write(outer, typed)
    try:
        async with operator.at_work(*arguments, stdin=inner) as process:
            _, err = await asyncio.wait_for(process.communicate(), 30)
            assert b"Remove for good" in err
            return process.returncode
    finally:
        os.close(inner)
        os.close(outer)


async def test_what_is_missing_or_away_is_said_in_one_line(operator: Operator) -> None:
    without = {name: value for name, value in operator.environment.items() if not name.endswith("_URL")}
    cases = [
        (("list",), without, 2, "AMQP_URL is missing"),
        (("replay", "--all"), {**without, "AMQP_URL": "amqp://x/"}, 2, "MONGO_URL is missing; REDIS_URL is missing"),
        (("list",), without | NOWHERE, 1, "RabbitMQ (AMQP_URL)"),
        (("list",), operator.environment, 1, "the broker has no queue"),
    ]
    for arguments, environment, status, said in cases:
        printed = await operator.dead(*arguments, environment=environment)
        assert (printed.status, printed.out) == (status, "")
        assert said in printed.err
        assert printed.err.count("\n") == 1
        assert "a-secret" not in printed.err


async def test_a_cache_that_is_away_leaves_the_dead_letter_where_it_is(
    impatient: Client, application: Application, operator: Operator, stub: ModelStub
) -> None:
    (job_id,) = await failed_jobs(impatient, application, stub, 1)
    environment = operator.environment | {"REDIS_URL": NOWHERE["REDIS_URL"]}

    printed = await operator.dead("replay", job_id, environment=environment)

    assert (printed.status, "Redis (REDIS_URL)" in printed.err) == (1, True)
    assert (await impatient.result(job_id))["status"] == "failed"
    await died(application, 1)
