"""Jobs as the peers leave them in Redis, and the polls for them."""

import json
import subprocess
import uuid
from collections.abc import Mapping

from redis.asyncio import Redis

from bench import loads, programs
from stack.places import Place

#: So many different jobs are asked for, of every service.
JOBS = 500


async def koa(place: Place, cached: Mapping[str, object]) -> str:
    """As the article's services keep them, `{"pending": True}` from the submission on."""
    ids = _ids()
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        for req_id in ids:
            await redis.set(place.environment["REDIS_PREFIX"] + req_id, json.dumps(cached), ex=3600)
    return loads.posts("/predict/query", [{"reqId": req_id} for req_id in ids])


def fastapi_waiting() -> str:
    """To Celery and to taskiq a job that waits is one of which Redis knows nothing."""
    return _polls(_ids())


def fastapi_finished(place: Place, module: str, text: str) -> str:
    """As the result backend of that peer keeps them."""
    ids = _ids()
    program = programs.fastapi(place, module)
    command = (str(programs.PEERS_PYTHON), f"{module}.py", *ids)
    subprocess.run(command, input=text.encode(), cwd=program.directory, env=program.environment, check=True)
    return _polls(ids)


def _ids() -> list[str]:
    return [str(uuid.uuid4()) for _ in range(JOBS)]


def _polls(ids: list[str]) -> str:
    return loads.gets([f"/jobs/{job_id}" for job_id in ids])
