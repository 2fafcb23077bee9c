"""The table of faults: each is caused for real when its block is entered, and healed when it is left.

Tests and soak share it. `pair` makes two of them happen at once.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from stack import replies
from stack.process import Process
from stack.replies import Respond
from tests.faults import commands, cuts
from tests.faults.clients import Clients
from tests.faults.readiness import ready, start, stop

#: How many jobs wait in the queue that is deleted, at least.
WAITING = 20

Happening = Callable[[Clients], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """How it happens, and for how many seconds, at least and at most, it is left so."""

    happening: Happening
    lasts_s: tuple[float, float] = (2, 10)
    #: Whether clients of HTTP may find their connection broken.
    drops_connections: bool = False
    #: Seconds after the heal before the soak causes another fault: what was kept on the broker while the store was
    #: away comes to the store only by and by, and until then nothing else may be away.
    settles_s: float = 0
    #: Whether the tests cause it too, or the soak alone, since it takes long and is much like another one.
    in_tests: bool = True

    @asynccontextmanager
    async def hits(self, clients: Clients) -> AsyncIterator[None]:
        """It is there while the block lasts."""
        clients.ledger.drops_allowed = self.drops_connections
        async with self.happening(clients):
            yield
        clients.ledger.drops_allowed = False


def killed(kind: str) -> Happening:
    """SIGKILL of one service; another is started when it heals."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        clients.fleet.kill(clients.dice.choice(getattr(clients.fleet, kind)))
        yield
        await clients.fleet.mend()

    return happening


@asynccontextmanager
async def all_workers_killed(clients: Clients) -> AsyncIterator[None]:
    """SIGKILL of every worker at once."""
    for worker in clients.fleet.workers:
        clients.fleet.kill(worker)
    yield
    await clients.fleet.mend()


@asynccontextmanager
async def worker_terminated(clients: Clients) -> AsyncIterator[None]:
    """SIGTERM of a worker, which finishes what it has in hand."""
    await clients.fleet.terminate(clients.dice.choice(clients.fleet.workers))
    yield
    await clients.fleet.mend()


@asynccontextmanager
async def worker_frozen(clients: Clients) -> AsyncIterator[None]:
    """SIGSTOP of a worker for longer than its lease; then it goes on with what another may have done by now."""
    worker = clients.dice.choice(clients.fleet.workers)
    clients.fleet.freeze(worker)
    yield
    worker.process.thaw()


@asynccontextmanager
async def deployed(clients: Clients) -> AsyncIterator[None]:
    """Every service is replaced by a new one, one after the other."""
    await clients.fleet.replace_all()
    yield


def frozen(server: str) -> Happening:
    """SIGSTOP of a server: its connections stay, and nothing is answered."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        process = _server(clients, server)
        process.freeze()
        yield
        process.thaw()
        await ready(process)

    return happening


def stopped(server: str) -> Happening:
    """An orderly stop; it comes back with its data."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        process = _server(clients, server)
        await stop(process)
        yield
        await start(process)

    return happening


def crashed(server: str) -> Happening:
    """SIGKILL of a server; it comes back with what it had written."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        process = _server(clients, server)
        process.kill()
        yield
        await start(process)

    return happening


@asynccontextmanager
async def redis_wiped(clients: Clients) -> AsyncIterator[None]:
    """SIGKILL of Redis; it comes back empty."""
    redis = clients.fleet.servers.redis
    redis.kill()
    shutil.rmtree(redis.program.directory)
    yield
    await start(redis)


@asynccontextmanager
async def redis_full(clients: Clients) -> AsyncIterator[None]:
    """Redis answers, but refuses every write."""
    await commands.configure_redis(clients.fleet.servers, maxmemory="1")
    yield
    await commands.configure_redis(clients.fleet.servers, maxmemory="0")


@asynccontextmanager
async def broker_out_of_memory(clients: Clients) -> AsyncIterator[None]:
    """The memory alarm: RabbitMQ reads nothing from who publishes."""
    await commands.run_rabbitmqctl(clients.fleet.servers, "set_vm_memory_high_watermark", "absolute", "1MB")
    yield
    await commands.run_rabbitmqctl(clients.fleet.servers, "set_vm_memory_high_watermark", "0.4")


@asynccontextmanager
async def queue_deleted(clients: Clients) -> AsyncIterator[None]:
    """The job queue is deleted with what waits in it, since all workers have their hands full."""
    upstream, fleet = clients.ledger.upstream, clients.fleet
    upstream.answers.clear()
    # In small groups, or a slow machine has no time to keep copies of them in Redis.
    for _ in range(0, fleet.prefetch * len(fleet.workers) + WAITING, 5):
        await asyncio.gather(*(clients.submit() for _ in range(5)))
    await clients.delete_job_queue()
    upstream.answers.set()
    yield


def upstream(mood: Respond) -> Happening:
    """The upstream fails every call."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        clients.ledger.upstream_failed = True
        clients.ledger.upstream.mood = mood
        yield
        clients.ledger.upstream.mood = None

    return happening


@asynccontextmanager
async def upstream_refuses(clients: Clients) -> AsyncIterator[None]:
    """One worker cannot connect to the upstream; what it was asking is cut off."""
    proxy = clients.fleet.proxies["worker OPENAI_BASE_URL"]
    clients.ledger.upstream_failed = True
    # A call that is cut off is made again, as the answer has never reached the worker.
    clients.fleet.lose_hands(clients.fleet.workers[0])
    proxy.refuse()
    yield
    await proxy.heal()


def pair(one: Happening, other: Happening, *, loses_hands: bool = False) -> Happening:
    """Both at once. `loses_hands`: together they take from living workers the claim on what they have."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        async with AsyncExitStack() as both:
            for fault in (one, other):
                await both.enter_async_context(fault(clients))
            if loses_hands:
                clients.fleet.lose_all_hands()
            yield

    return happening


def _server(clients: Clients, name: str) -> Process:
    process: Process = getattr(clients.fleet.servers, name)
    return process


FAULTS: dict[str, Fault] = {
    "worker killed": Fault(killed("workers")),
    "all workers killed": Fault(all_workers_killed, in_tests=False),
    "worker terminated": Fault(worker_terminated),
    "worker frozen": Fault(worker_frozen, (18, 25), in_tests=False),
    "gateway killed": Fault(killed("gateways"), drops_connections=True),
    "reader killed": Fault(killed("readers"), drops_connections=True),
    "deploy": Fault(deployed, (0, 0)),
    "RabbitMQ restarted": Fault(stopped("rabbitmq")),
    "RabbitMQ crashed": Fault(crashed("rabbitmq"), in_tests=False),
    "RabbitMQ frozen": Fault(frozen("rabbitmq"), (20, 25)),
    "RabbitMQ out of memory": Fault(broker_out_of_memory, (5, 20)),
    "queue deleted": Fault(queue_deleted, (0, 2)),
    "Redis wiped": Fault(redis_wiped),
    "Redis crashed": Fault(crashed("redis"), in_tests=False),
    "Redis frozen": Fault(frozen("redis"), (5, 20)),
    "Redis full": Fault(redis_full, (3, 15)),
    "MongoDB stopped": Fault(stopped("mongodb"), (5, 20), settles_s=30),
    "MongoDB crashed": Fault(crashed("mongodb"), settles_s=30, in_tests=False),
    "MongoDB frozen": Fault(frozen("mongodb"), (5, 20), settles_s=30),
    "Redis wiped, MongoDB stopped": Fault(pair(redis_wiped, stopped("mongodb")), settles_s=30),
    "Redis and RabbitMQ frozen": Fault(pair(frozen("redis"), frozen("rabbitmq"), loses_hands=True), (5, 20)),
    "MongoDB and RabbitMQ away": Fault(pair(stopped("mongodb"), stopped("rabbitmq")), (5, 15), settles_s=30),
    "worker killed, MongoDB frozen": Fault(
        pair(killed("workers"), frozen("mongodb")), (5, 15), settles_s=30, in_tests=False
    ),
    "worker killed, Redis wiped": Fault(pair(killed("workers"), redis_wiped), (3, 15)),
    "upstream down": Fault(upstream(replies.status(503)), (3, 10)),
    "upstream over its limit": Fault(upstream(replies.status(429, headers={"Retry-After": "2"})), (3, 10)),
    "upstream resets": Fault(upstream(replies.reset(40)), (3, 10), in_tests=False),
    "upstream refuses connections": Fault(upstream_refuses, (3, 10)),
    **{
        name: Fault(happening, drops_connections="gateway" in name, in_tests="gateway" in name)
        for name, happening in cuts.KILLS.items()
    },
    **{name: Fault(happening, (0, 1)) for name, happening in cuts.CUTS.items()},
}
