"""Submit and poll with FastAPI and taskiq: taskiq-aio-pika as the broker, Redis for the results.

uvicorn fastapi_taskiq:app
python fastapi_taskiq.py ID… <TEXT        # the text as the result of these tasks
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from taskiq import TaskiqResult
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

results: RedisAsyncResultBackend[str] = RedisAsyncResultBackend(os.environ["REDIS_URL"], result_ex_time=3600)
broker = AioPikaBroker(os.environ["AMQP_URL"]).with_result_backend(results)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


class Submission(BaseModel):
    msg: str


@broker.task(task_name="ask")
async def ask(msg: str) -> str:
    return msg


@app.post("/jobs", status_code=202)
async def submit(submission: Submission) -> dict[str, str]:
    return {"id": (await ask.kiq(submission.msg)).task_id, "status": "queued"}


@app.get("/jobs/{job_id}")
async def poll(job_id: str) -> dict[str, Any]:
    if not await results.is_result_ready(job_id):
        return {"id": job_id, "status": "queued", "output_text": None}
    result = await results.get_result(job_id)
    return {"id": job_id, "status": "completed", "output_text": result.return_value}


async def keep(text: str, task_ids: list[str]) -> None:
    for task_id in task_ids:
        await results.set_result(task_id, TaskiqResult(is_err=False, return_value=text, execution_time=1.0))
    await results.shutdown()


if __name__ == "__main__":
    asyncio.run(keep(sys.stdin.read(), sys.argv[1:]))
