"""The original's own two calls, as the original's mini-program makes them."""

from aiohttp import ClientSession

from stack import replies
from stack.model_stub import ModelStub
from tests.client import Client
from tests.deployment import Deployment


async def test_the_original_mini_program_gets_its_fortune(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    stub.respond = replies.text("大吉大利")

    started = await client.post("/predict/start", {"name": "小明", "gender": "男", "birth": "1990-01-31 08:30"})
    job_id = started.body["model"]["reqId"]
    pending = await client.query(job_id)
    deployment.worker()
    await client.result(job_id)
    done = await client.query(job_id)

    assert started.status == 200
    assert started.body == {"isOk": True, "model": {"reqId": job_id}}
    assert (pending.status, pending.body) == (200, {"isOk": True, "model": {"pending": True}})
    assert (done.status, done.body) == (200, {"isOk": True, "model": {"done": True, "text": "大吉大利"}})
    assert "小明" in str(stub.calls[0].messages)
    assert "水瓶座" in str(stub.calls[0].messages)


async def test_a_failed_fortune_is_told_in_our_words(
    deployment: Deployment, stub: ModelStub, http: ClientSession
) -> None:
    client = Client(http, deployment.gateway(), deployment.reader())
    deployment.worker()
    stub.respond = replies.status(400)

    started = await client.post("/predict/start", {"gender": "女", "birth": "1990-01-31"})
    job_id = started.body["model"]["reqId"]
    await client.result(job_id)
    failed = await client.query(job_id)

    assert failed.status == 200
    assert failed.body == {"isOk": False, "model": {"done": True}, "errMsg": "The model refused the request."}
