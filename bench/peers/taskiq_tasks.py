"""taskiq as its manual has it: its broker over aio-pika, Redis for the results, a task that calls the model.

taskiq worker taskiq_tasks:broker --workers 1 --max-async-tasks 10
"""

import asyncio
import os
import sys

import openai
from taskiq_aio_pika import AioPikaBroker
from taskiq_redis import RedisAsyncResultBackend

broker = AioPikaBroker(os.environ["AMQP_URL"], qos=int(os.environ.get("PREFETCH", "10"))).with_result_backend(
    RedisAsyncResultBackend(os.environ["REDIS_URL"], result_ex_time=600)
)

client = openai.AsyncOpenAI(api_key="sk-none", base_url=os.environ["OPENAI_BASE_URL"], max_retries=0)


@broker.task(task_name="ask")
async def ask(prompt: str) -> str | None:
    completion = await client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}]
    )
    return completion.choices[0].message.content


async def submit(numbers: range) -> None:
    await broker.startup()
    for number in numbers:
        await ask.kiq(f"What does the year of the dragon bring? {number}")
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(submit(range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2]))))
