"""Submissions: ours recorded, published persistent and confirmed; the article's neither persistent nor confirmed."""

from functools import partial
from typing import Literal

from redis.asyncio import Redis

from bench import loads, programs, queues, visitors
from bench.figures import Findings, Goal, at_least, at_most, ratio
from bench.over_http import Measured, Subject, measure
from bench.rig import CORE_OF_SERVICE, Rig
from stack.places import Place

PATH = "submit"
HELLO, KOA = "hello world", "the article's Koa service"
CELERY, TASKIQ = "FastAPI + Celery", "FastAPI + taskiq"
CLASSIC, QUORUM = "ours, classic queue", "ours, quorum queue"
BARE = "the servers' part alone, quorum queue"
AS_ORIGINAL = "ours, /predict/start, quorum"
LONG, PLAIN = "ours, quorum, without the shortcut", "ours, quorum, plain"
#: The same service without the shortcut, with a connection to Redis for each command and a write for each publish.
WITHOUT = {"CACHE_BATCHING": "false", "BROKER_BATCHING": "false", "HTTP_SHORTCUT": "false"}


async def run(rig: Rig) -> Findings:
    peers = [_hello(rig), _koa(rig), _celery(rig), _taskiq(rig), _bare(rig)]
    measured = await measure(rig, PATH, [*peers, *_ours(rig)], (rig.servers.rabbitmq, rig.servers.redis))
    return Findings(measured.figures(), tuple(_goals(measured)))


def _goals(measured: Measured) -> list[Goal]:
    goals = []
    for subject in (CLASSIC, QUORUM, AS_ORIGINAL):
        ours, ours_p99 = measured.per_s(subject), measured.p99(subject)
        goals += [
            at_least(f"{PATH}: {subject}", 1.2, "Koa's requests/s", ratio(ours, measured.per_s(KOA))),
            at_most(f"{PATH}: {subject}", 0.5, "× Koa's p99", ratio(ours_p99, measured.p99(KOA))),
            at_least(f"{PATH}: {subject}", 0.45, "hello world's requests/s", ratio(ours, measured.per_s(HELLO))),
        ]
    return goals


def _hello(rig: Rig) -> Subject:
    process = rig.start(programs.hello(rig.directory), core=CORE_OF_SERVICE)
    return Subject(HELLO, process, loads.posts("/hello", visitors.bodies()))


def _koa(rig: Rig) -> Subject:
    place = rig.place()
    process = rig.start(programs.koa(rig.directory, place), core=CORE_OF_SERVICE)
    return Subject(KOA, process, loads.posts("/predict/start", visitors.bodies()), partial(clear, place))


def _celery(rig: Rig) -> Subject:
    """It publishes persistent, without confirms, and leaves no mark in Redis."""
    place = rig.place()
    process = rig.start(programs.fastapi(place, "fastapi_celery"), core=CORE_OF_SERVICE)
    return Subject(CELERY, process, loads.posts("/jobs", visitors.prompts()), partial(clear, place))


def _taskiq(rig: Rig) -> Subject:
    """It publishes persistent and confirmed, to a queue of a fixed name, and leaves no mark in Redis."""
    place = rig.place()
    place.environment["AMQP_QUEUE"] = "taskiq"
    process = rig.start(programs.fastapi(place, "fastapi_taskiq"), core=CORE_OF_SERVICE)
    return Subject(TASKIQ, process, loads.posts("/jobs", visitors.prompts()), partial(clear, place))


def _bare(rig: Rig) -> Subject:
    """What is left if the gateway cost next to nothing."""
    place = rig.place("quorum")
    process = rig.start(programs.bare(rig.directory, place), core=CORE_OF_SERVICE)
    return Subject(BARE, process, loads.posts("/v1/jobs", visitors.prompts()), partial(clear, place))


def _ours(rig: Rig) -> list[Subject]:
    jobs = loads.posts("/v1/jobs", visitors.prompts())
    return [
        _gateway(rig, CLASSIC, jobs, "classic"),
        _gateway(rig, QUORUM, jobs, "quorum"),
        _gateway(rig, AS_ORIGINAL, loads.posts("/predict/start", visitors.bodies()), "quorum"),
        _gateway(rig, LONG, jobs, "quorum", HTTP_SHORTCUT="false"),
        _gateway(rig, PLAIN, jobs, "quorum", **WITHOUT),
    ]


def _gateway(rig: Rig, name: str, script: str, queue_type: Literal["classic", "quorum"], **settings: str) -> Subject:
    place = rig.place(queue_type)
    process = rig.start(programs.gateway(rig.directory, place, **settings), core=CORE_OF_SERVICE)
    return Subject(name, process, script, partial(clear, place))


async def clear(place: Place) -> None:
    """Without their records too: a gateway publishes again what is recorded as waiting and is in no queue."""
    await queues.purge(place.environment["AMQP_URL"], place.queue)
    async with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        await redis.flushall()
