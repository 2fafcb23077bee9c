"""Who may read what: an id that is not yours is not an id, and costs no look-up."""

import pymongo
import pytest
import redis.asyncio
from aiohttp import ClientSession

from common.ids import JobIds
from stack.model_stub import ModelStub
from tests.client import Application, Client, ask
from tests.deployment import JOB_ID_KEY, Deployment, Place
from tests.waiting import eventually

KEYS = "alice:alice-key,bob:bob-key,bob:bobs-new-key"


def _tampered(job_id: str) -> str:
    return job_id[:-1] + ("A" if job_id[-1] != "A" else "B")


@pytest.mark.parametrize(
    "job_id",
    [
        "job_" + "A" * 32,
        pytest.param(_tampered(JobIds([JOB_ID_KEY]).mint()), id="tampered"),
        pytest.param(JobIds([JOB_ID_KEY]).mint().lower(), id="lower case"),
        pytest.param(JobIds([JOB_ID_KEY]).mint("someone"), id="another client's"),
        pytest.param(JobIds(["another key"]).mint(), id="another key's"),
        "job_",
        "job_short",
        "with space",
        "ü",
        "x" * 129,
        "a%2Fb",
    ],
)
async def test_an_invented_id_is_unknown_without_any_look_up(
    job_id: str, system: Client, system_deployment: Deployment
) -> None:
    place = system_deployment.place
    before = await _look_ups(place)

    answer = await system.poll(job_id)

    assert (answer.status, answer.body["error"]["code"]) == (404, "job_not_found")
    assert await _look_ups(place) == before


async def test_a_real_id_costs_a_look_up(system: Client, system_deployment: Deployment) -> None:
    before = await _look_ups(system_deployment.place)

    assert (await system.poll("a-foreign-id")).status == 404

    assert await _look_ups(system_deployment.place) == (before[0] + 1, before[1] + 1)


async def test_an_id_older_than_every_deadline_is_expired(system: Client) -> None:
    old = JobIds([JOB_ID_KEY]).mint(now=1_700_000_000)

    answer = await system.poll(old)

    assert (answer.status, answer.body["error"]["code"]) == (410, "job_expired")


async def test_an_accepted_job_whose_record_was_lost_is_still_queued(
    system: Client, system_deployment: Deployment
) -> None:
    fresh = JobIds([JOB_ID_KEY]).mint()
    before = await _look_ups(system_deployment.place)

    first, second = await system.poll(fresh), await system.poll(fresh)

    assert (first.status, first.body["status"], second.raw) == (200, "queued", first.raw)
    assert (await _look_ups(system_deployment.place))[1] == before[1] + 1, "the second poll reached the store"


@pytest.fixture
def guarded(deployment: Deployment) -> Deployment:
    """Services that know their clients."""
    deployment.place.environment["API_KEYS"] = KEYS
    deployment.worker()
    return deployment


async def test_a_job_belongs_to_the_client_that_submitted_it(guarded: Deployment, http: ClientSession) -> None:
    gateway, reader = guarded.gateway(), guarded.reader()
    alice, bob = (Client(http, gateway, reader, key) for key in ("alice-key", "bob-key"))
    bobs_new = Client(http, gateway, reader, "bobs-new-key")

    record = await bob.submit(msg="hello")

    assert (await bob.result(record["id"]))["status"] == "completed"
    assert (await bobs_new.poll(record["id"])).status == 200
    before = await _look_ups(guarded.place)
    assert (await alice.poll(record["id"])).status == 404
    assert await _look_ups(guarded.place) == before


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", "Basic alice-key", "alice-key", "Bearer alice-kéy"]
)
async def test_without_a_key_nothing_is_served(
    authorization: str | None, guarded: Deployment, http: ClientSession
) -> None:
    gateway, reader = guarded.gateway(), guarded.reader()
    headers = {} if authorization is None else {"Authorization": authorization}

    for answer in (
        await ask(http, "POST", gateway.url / "v1/jobs", json={"msg": "x"}, headers=headers),
        await ask(http, "GET", reader.url / "v1/results/some-id", headers=headers),
        await ask(http, "GET", reader.url / "v1/results" % {"ids": "some-id"}, headers=headers),
        await ask(http, "POST", gateway.url / "predict/start", json={}, headers=headers),
    ):
        assert (answer.status, answer.body["error"]["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_original_calls_count_as_the_client_that_predict_client_names(
    guarded: Deployment, http: ClientSession
) -> None:
    gateway, reader = guarded.gateway(PREDICT_CLIENT="bob"), guarded.reader(PREDICT_CLIENT="bob")
    client = Client(http, gateway, reader, "bob-key")

    started = await client.post("/predict/start", {"gender": "男", "birth": "1990-01-31"})
    job_id = started.body["model"]["reqId"]

    assert (await client.result(job_id))["status"] == "completed"
    assert (await client.query(job_id)).body["model"]["done"] is True


async def test_foreign_ids_can_be_switched_off(
    deployment: Deployment, application: Application, http: ClientSession, stub: ModelStub
) -> None:
    open_client = Client(http, deployment.gateway(), deployment.reader())
    closed_client = Client(http, deployment.gateway(), deployment.reader(FOREIGN_IDS="false"))
    deployment.worker()

    await application.publish({"id": "foreign", "msg": "hello"})
    await eventually(lambda: len(stub.calls) == 1)
    await open_client.result("foreign")

    assert (await closed_client.poll("foreign")).status == 404


async def _look_ups(place: Place) -> tuple[int, int]:
    """Reads of a record that the cache and the store have served."""
    async with redis.asyncio.Redis.from_url(place.environment["REDIS_URL"]) as cache:
        commands = await cache.info("commandstats")
    with pymongo.MongoClient[dict[str, object]](place.environment["MONGO_URL"]) as mongo:
        counters = mongo.admin.command("serverStatus")["opcounters"]
    reads = commands.get("cmdstat_hmget", {"calls": 0})["calls"]
    return int(reads), int(counters["query"])
