"""FastStream as its manual has it: a subscriber that calls the model. It keeps no results, so this does.

python faststream_app.py, which is `faststream run` without its command line.
"""

import os

import openai
import uvloop
from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from pydantic import BaseModel
from redis.asyncio import Redis


class Job(BaseModel):
    id: str
    msg: str


broker = RabbitBroker(os.environ["AMQP_URL"], default_channel=Channel(prefetch_count=int(os.environ["PREFETCH"])))
app = FastStream(broker)
redis = Redis.from_url(os.environ["REDIS_URL"])
client = openai.AsyncOpenAI(api_key="sk-none", base_url=os.environ["OPENAI_BASE_URL"], max_retries=0)


@broker.subscriber(RabbitQueue("faststream", durable=True))
async def ask(job: Job) -> None:
    completion = await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": job.msg}]
    )
    await redis.set(f"faststream:{job.id}", completion.choices[0].message.content or "", ex=600)


if __name__ == "__main__":
    uvloop.run(app.run())
