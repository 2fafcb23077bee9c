"""The programs that take jobs from RabbitMQ, call the model and keep the answers: ours and its peers."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import orjson
import pika
import pymongo
import redis

from bench.fleet import Fleet, Model
from bench.model import ANSWER
from bench.rig import CORE_OF_LOAD, CORE_OF_SERVICE, Rig
from stack.process import Process
from stack.program import ROOT, Program

PEERS = ROOT / "bench/peers"
PYTHON_OF_PEERS = ROOT / ".local/bench/venv/bin"

#: Jobs in hand at once; the article's number.
PREFETCH = 10


@dataclass(frozen=True)
class Consumer:
    """A running consumer. `submit` puts jobs of these numbers into its queue; `kept` counts answers it has kept."""

    name: str
    process: Process
    submit: Callable[[range], Awaitable[None]]
    kept: Callable[[], int]


def prompt(number: int) -> str:
    """What a job asks; all subjects get the same."""
    return f"What does the year of the dragon bring? {number}"


def ours(rig: Rig, http: aiohttp.ClientSession, model: Model) -> Consumer:
    """Its jobs come through the gateway, recorded and confirmed; the answers go to MongoDB, then Redis."""
    # As the others ask: for the whole answer.
    fleet = Fleet(rig, http, model, PREFETCH=str(PREFETCH), STREAMING="false")
    gateway = fleet.gateway(CORE_OF_LOAD)
    process = fleet.worker()

    async def submit(numbers: range) -> None:
        await fleet.submit(gateway, map(prompt, numbers))

    def saved() -> int:
        with pymongo.MongoClient[dict[str, str]](fleet.place.environment["MONGO_URL"]) as client:
            completed = {"record": {"$regex": f'"completed".*{ANSWER}'}}
            return client.get_default_database()["results"].count_documents(completed)

    return Consumer("gpt-jobs", process, submit, saved)


def article(rig: Rig, _: aiohttp.ClientSession, model: Model) -> Consumer:
    """The article's Node program; it acknowledges before its writes to Redis and MongoDB have arrived."""
    environment = _environment(rig, model)
    program = Program(
        name="article-consumer",
        command=("node", "index.js"),
        directory=PEERS / "consumer",
        answers=lambda: _has_consumer(rig, "request-queue"),
        environment=environment,
    )
    process = rig.start(program, core=CORE_OF_SERVICE)

    async def submit(numbers: range) -> None:
        await _publish(rig, "chat-gpt-exchange", "request-queue", numbers)

    return Consumer("the article's consumer (Node)", process, submit, lambda: _strings(rig, "CHATGPT:*"))


def celery(pool: str) -> Callable[[Rig, aiohttp.ClientSession, Model], Consumer]:
    """With one of its pools. A process of prefork holds one job, so there are as many as others have slots."""

    def start(rig: Rig, _: aiohttp.ClientSession, model: Model) -> Consumer:
        options = ("--pool", pool, "--concurrency", str(PREFETCH), "--loglevel", "WARNING")
        environment = _environment(rig, model)
        program = Program(
            name=f"celery-{pool}",
            command=(str(PYTHON_OF_PEERS / "celery"), "--app", "celery_tasks", "worker", *options),
            directory=PEERS,
            answers=lambda: _has_consumer(rig, "celery"),
            environment=environment,
        )
        process = rig.start(program, core=CORE_OF_SERVICE)
        submit = _submitter("celery_tasks.py", environment)
        return Consumer(f"Celery ({pool})", process, submit, lambda: _strings(rig, "celery-task-meta-*"))

    return start


def taskiq(rig: Rig, _: aiohttp.ClientSession, model: Model) -> Consumer:
    """Taskiq with taskiq-aio-pika and taskiq-redis, in one worker process."""
    options = ("--workers", "1", "--max-async-tasks", str(PREFETCH), "--log-level", "WARNING")
    environment = _environment(rig, model)
    program = Program(
        name="taskiq",
        command=(str(PYTHON_OF_PEERS / "taskiq"), "worker", "taskiq_tasks:broker", *options),
        directory=PEERS,
        answers=lambda: _has_consumer(rig, "taskiq"),
        environment=environment,
    )
    process = rig.start(program, core=CORE_OF_SERVICE)
    submit = _submitter("taskiq_tasks.py", environment)
    return Consumer("taskiq", process, submit, lambda: _strings(rig, "*"))


def faststream(rig: Rig, _: aiohttp.ClientSession, model: Model) -> Consumer:
    """FastStream, whose subscriber puts the answer into Redis itself."""
    environment = _environment(rig, model)
    program = Program(
        name="faststream",
        command=(str(PYTHON_OF_PEERS / "python"), "faststream_app.py"),
        directory=PEERS,
        answers=lambda: _has_consumer(rig, "faststream"),
        environment=environment,
    )
    process = rig.start(program, core=CORE_OF_SERVICE)

    async def submit(numbers: range) -> None:
        await _publish(rig, "", "faststream", numbers)

    return Consumer("FastStream", process, submit, lambda: _strings(rig, "faststream:*"))


def _environment(rig: Rig, model: Model) -> Mapping[str, str]:
    servers = rig.servers
    return {
        "AMQP_URL": servers.rabbitmq.program.url,
        "REDIS_URL": servers.redis.program.url,
        "MONGO_URL": f"{servers.mongodb.program.url}peer{secrets.token_hex(4)}",
        "OPENAI_BASE_URL": model.url,
        "PREFETCH": str(PREFETCH),
    }


def _submitter(script: str, environment: Mapping[str, str]) -> Callable[[range], Awaitable[None]]:
    """Frameworks write their messages themselves."""

    async def submit(numbers: range) -> None:
        child = await asyncio.create_subprocess_exec(
            *(str(PYTHON_OF_PEERS / "python"), script, str(numbers.start), str(len(numbers))),
            cwd=PEERS,
            env={**os.environ, **environment},
        )
        if await child.wait() != 0:
            raise RuntimeError(f"{script} could not submit")

    return submit


async def _publish(rig: Rig, exchange: str, key: str, numbers: range) -> None:
    """The article's messages, persistent."""
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
    with pika.BlockingConnection(pika.URLParameters(rig.servers.rabbitmq.program.url)) as connection:
        channel = connection.channel()
        for number in numbers:
            body = orjson.dumps({"id": f"j{number}", "msg": prompt(number)})
            channel.basic_publish(exchange, key, body, properties)


def _has_consumer(rig: Rig, queue: str) -> bool:
    """Whether somebody consumes from the queue."""
    with pika.BlockingConnection(pika.URLParameters(rig.servers.rabbitmq.program.url)) as connection:
        try:
            declared = connection.channel().queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker:  # it is not there yet
            return False
        return int(declared.method.consumer_count) > 0


def _strings(rig: Rig, pattern: str) -> int:
    """How many strings under such keys of Redis hold an answer."""
    with redis.Redis.from_url(rig.servers.redis.program.url) as client:
        keys = list(client.scan_iter(pattern, count=1000))
        return sum(ANSWER.encode() in value for value in client.mget(keys) if value) if keys else 0
