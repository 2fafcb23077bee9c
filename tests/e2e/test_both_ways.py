"""What takes the shortcut is answered as without it, byte for byte but for what differs from request to request."""

import asyncio
import json
import re
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from tests.deployment import Deployment, Service

KEY = "a-key-of-alice-0123"
SETTINGS = {"API_KEYS": f"alice:{KEY}", "PREDICT_CLIENT": "alice", "CORS_ORIGINS": "https://shop.example"}
JSON = "Content-Type: application/json"
TIMEOUT_S = 20

SUBMISSIONS: dict[str, tuple[str, list[str], bytes]] = {
    "prompt": ("/v1/jobs", [], b'{"msg": "hello", "metadata": {"order": "17"}}'),
    "messages": ("/v1/jobs", [], b'{"messages": [{"role": "user", "content": "hello"}], "deadline_s": 60}'),
    "template": (
        "/v1/jobs",
        [],
        '{"template": "fortune", "inputs": {"gender": "男", "birth": "1990-05-17"}}'.encode(),
    ),
    "no-json": ("/v1/jobs", [], b'{"msg": '),
    "no-prompt": ("/v1/jobs", [], b"{}"),
    "unknown-field": ("/v1/jobs", [], b'{"msg": "hello", "color": "red"}'),
    "too-late": ("/v1/jobs", [], b'{"msg": "hello", "deadline_s": 1e9}'),
    "unknown-client": ("/v1/jobs", ["Authorization: Bearer wrong"], b'{"msg": "hello"}'),
    "two-keys": ("/v1/jobs", ["Idempotency-Key: a", "Idempotency-Key: b"], b'{"msg": "hello"}'),
    "predict": ("/predict/start", [], '{"name": "小明", "gender": "男", "birth": "1990-05-17"}'.encode()),
    "predict-incomplete": ("/predict/start", [], b'{"name": "x"}'),
}


class Doors:
    """The same two services twice in one place: with the shortcut and without it."""

    def __init__(self, deployment: Deployment) -> None:
        self.services: list[Service] = []
        for shortcut in ("true", "false"):
            self.services.append(deployment.gateway(**SETTINGS, HTTP_SHORTCUT=shortcut))
            self.services.append(deployment.reader(**SETTINGS, HTTP_SHORTCUT=shortcut))
        self.gateways = [service.url for service in self.services[::2]]
        self.readers = [service.url for service in self.services[1::2]]

    async def have_gone_both_ways(self, http: ClientSession) -> bool:
        """Whether some requests took a shortcut, and none did where there is none."""
        short, long = [
            sum([await service.metric(http, "gpt_jobs_http_shortcuts_total") for service in services])
            for services in (self.services[:2], self.services[2:])
        ]
        return short > 0 and long == 0


@pytest.fixture
async def doors(deployment: Deployment) -> Doors:
    return await asyncio.to_thread(Doors, deployment)


async def asked(door: URL, method: str, path: str, headers: list[str], body: bytes = b"") -> tuple[str, Any]:
    """The head of the answer as it came, and its document; asked on a connection that is in use already."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "X-Request-Id: req_of_the_test", *headers]
    if body:
        lines += [JSON, f"Content-Length: {len(body)}"]
    if not any(line.startswith("Authorization") for line in headers):
        lines.append(f"Authorization: Bearer {KEY}")
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection(door.host, door.port)
        writer.write(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        await answered(reader)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        answer = await answered(reader)
        writer.close()
    return answer


async def answered(reader: asyncio.StreamReader) -> tuple[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"Content-Length: (\d+)", head)
    assert length
    return head, json.loads(await reader.readexactly(int(length[1])))


def alike(answer: tuple[str, Any]) -> tuple[str, Any]:
    """Without the moment, and with the same id and times for all jobs."""
    head, document = answer
    head = re.sub(r"Date: [^\r]+", "Date: now", head)
    text = re.sub(r'"(created|expires|deadline)_at": \d+', r'"\1_at": 0', json.dumps(document))
    text = re.sub(r', "queue": \{[^}]*\}', "", text)
    head = re.sub(r"(Content-Length|Retry-After): \d+", r"\1: n", head)
    if document.get("status") == "queued":  # either reader knows the line from a sample of its own
        head = re.sub(r'ETag: "[0-9a-f]+"', "ETag: e", head)
    return re.sub(r"job_[A-Z2-7]{32}", "job", head), json.loads(re.sub(r"job_[A-Z2-7]{32}", "job", text))


async def test_submissions(doors: Doors, http: ClientSession) -> None:
    for name, (path, headers, body) in SUBMISSIONS.items():
        short, long = [await asked(door, "POST", path, headers, body) for door in doors.gateways]
        assert alike(short) == alike(long), name
    assert await doors.have_gone_both_ways(http)


async def test_polls(doors: Doors, deployment: Deployment, http: ClientSession) -> None:
    ids = {"waiting": "", "finished": ""}
    for state in ("finished", "waiting"):
        _, record = await asked(doors.gateways[0], "POST", "/v1/jobs", [], b'{"msg": "hello"}')
        ids[state] = record["id"]
        if state == "finished":
            worker = await asyncio.to_thread(deployment.worker)
            async with http.get(
                doors.readers[0].with_path(f"/v1/results/{record['id']}"),
                params={"wait": "20"},
                headers={"Authorization": f"Bearer {KEY}"},
            ) as answer:
                assert (await answer.json())["status"] == "completed"
            await asyncio.to_thread(worker.process.stop)
    ids |= {"invented": "job_" + "A" * 32, "foreign": "a-foreign-id", "malformed": "x" * 200}
    for job_id in ids.values():
        short, long = [await asked(door, "GET", f"/v1/results/{job_id}", []) for door in doors.readers]
        assert alike(short) == alike(long)
        assert "\r\nVary: Origin\r\n" in short[0]
        query = json.dumps({"reqId": job_id}).encode()
        short, long = [await asked(door, "POST", "/predict/query", [], query) for door in doors.readers]
        assert alike(short) == alike(long)
    for headers, body in (([], b"{}"), ([], b"no json"), (["Authorization: Bearer wrong"], b'{"reqId": "x"}')):
        short, long = [await asked(door, "POST", "/predict/query", headers, body) for door in doors.readers]
        assert alike(short) == alike(long)
    unknown = ["Authorization: Bearer wrong"]
    short, long = [await asked(door, "GET", f"/v1/results/{ids['waiting']}", unknown) for door in doors.readers]
    assert alike(short) == alike(long)
    assert await doors.have_gone_both_ways(http)


async def test_both_ways_lead_to_the_same_job(doors: Doors) -> None:
    submission = ("POST", "/v1/jobs", ["Idempotency-Key: once"], b'{"msg": "hello"}')
    first, again = [await asked(door, *submission) for door in doors.gateways]
    assert first[1]["id"] == again[1]["id"]
    assert (first[0].split()[1], again[0].split()[1]) == ("202", "200")
