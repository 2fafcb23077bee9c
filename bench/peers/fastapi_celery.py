"""Submit and poll with FastAPI and Celery: RabbitMQ as the broker, Redis for the results.

    uvicorn fastapi_celery:app
    python fastapi_celery.py ID… <TEXT        # the text as the result of these tasks

The endpoints are plain functions, which FastAPI runs in threads, since Celery's publisher and its results block.
"""

import os
import sys
from typing import Any

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

celery = Celery("gpt", broker=os.environ["AMQP_URL"], backend=os.environ["REDIS_URL"])
celery.conf.update(task_default_queue=os.environ["AMQP_QUEUE"], result_expires=3600)
app = FastAPI()


class Submission(BaseModel):
    msg: str


@celery.task(name="ask")
def ask(msg: str) -> str:
    return msg


@app.post("/jobs", status_code=202)
def submit(submission: Submission) -> dict[str, str]:
    return {"id": ask.delay(submission.msg).id, "status": "queued"}


@app.get("/jobs/{job_id}")
def poll(job_id: str) -> dict[str, Any]:
    result = ask.AsyncResult(job_id)
    state = result.state
    return {"id": job_id, "status": state, "output_text": result.result if state == "SUCCESS" else None}


if __name__ == "__main__":
    text = sys.stdin.read()
    for task_id in sys.argv[1:]:
        celery.backend.store_result(task_id, text, "SUCCESS")
