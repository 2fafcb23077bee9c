"""Celery as its manual has it: RabbitMQ as the broker, Redis for the results, a task that calls the model.

celery --app celery_tasks worker --pool threads --concurrency 10
"""

import os
import sys

import openai
from celery import Celery

app = Celery("celery_tasks", broker=os.environ["AMQP_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    result_expires=600,
    # A job must not be lost with its worker; all subjects acknowledge when they have the answer.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
)

client = openai.OpenAI(api_key="sk-none", base_url=os.environ["OPENAI_BASE_URL"], max_retries=0)


@app.task(name="ask")
def ask(prompt: str) -> str | None:
    completion = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": prompt}])
    return completion.choices[0].message.content


if __name__ == "__main__":
    for number in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
        ask.delay(f"What does the year of the dragon bring? {number}")
