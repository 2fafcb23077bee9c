"""Connections that are cut between two chosen messages, by the bytes of their protocols."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from stack.tcp_proxy import Direction, Moment
from tests.faults.clients import Clients

#: The beginning of AMQP's methods on the wire: class 60; publish is 40, ack is 80 and has 9 bytes of arguments.
PUBLISH = b"\x00\x3c\x00\x28"
ACK = b"\x00\x00\x00\x0d\x00\x3c\x00\x50"
#: In what is written to the store: the record of a job with its answer.
ANSWER = b'"status":"completed"'
SCRIPT = b"EVALSHA"

Happening = Callable[[Clients], AbstractAsyncContextManager[None]]
UP, DOWN = Direction.FROM_CLIENT, Direction.FROM_SERVER
#: How often in a row, and how long that may take to come about with load running.
TIMES = 3
PATIENCE_S = 30.0


def cut(proxy: str, pattern: bytes, sender: Direction, moment: Moment) -> Happening:
    """Cut connections of the first service of its kind, where and when it is said; entered when that has happened."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        where = clients.fleet.proxies[proxy]
        order = where.cut_at(pattern, sender, moment, times=TIMES)
        async with asyncio.timeout(PATIENCE_S):
            await order.happened.wait()
        yield
        await where.heal()

    return happening


def killed_at(proxy: str, pattern: bytes, sender: Direction, moment: Moment) -> Happening:
    """SIGKILL of the first service of its kind between two messages; another is started when it heals."""

    @asynccontextmanager
    async def happening(clients: Clients) -> AsyncIterator[None]:
        fleet, where = clients.fleet, clients.fleet.proxies[proxy]
        victim = (fleet.gateways if proxy.startswith("gateway") else fleet.workers)[0]
        order = where.cut_at(pattern, sender, moment, also=lambda: fleet.kill(victim))
        async with asyncio.timeout(PATIENCE_S):
            await order.happened.wait()
        yield
        await fleet.mend()

    return happening


KILLS = {
    "gateway killed before the confirm": killed_at("gateway AMQP_URL", ACK, DOWN, Moment.BEFORE),
    "worker killed before the save": killed_at("worker MONGO_URL", ANSWER, UP, Moment.BEFORE),
    "worker killed after the save": killed_at("worker MONGO_URL", ANSWER, UP, Moment.BEFORE_THE_ANSWER),
    "worker killed before the cache": killed_at("worker REDIS_URL", ANSWER, UP, Moment.BEFORE),
    "worker killed before a retry is confirmed": killed_at("worker AMQP_URL", ACK, DOWN, Moment.BEFORE),
    "worker killed before the ack": killed_at("worker AMQP_URL", ACK, UP, Moment.BEFORE),
    "worker killed after the ack": killed_at("worker AMQP_URL", ACK, UP, Moment.AFTER),
}
CUTS = {
    "cut before the publish": cut("gateway AMQP_URL", PUBLISH, UP, Moment.BEFORE),
    "cut before the confirm": cut("gateway AMQP_URL", ACK, DOWN, Moment.BEFORE),
    "cut after the confirm": cut("gateway AMQP_URL", ACK, DOWN, Moment.AFTER),
    "cut before the save": cut("worker MONGO_URL", ANSWER, UP, Moment.BEFORE),
    "cut after the save": cut("worker MONGO_URL", ANSWER, UP, Moment.BEFORE_THE_ANSWER),
    "cut before the cache": cut("worker REDIS_URL", SCRIPT, UP, Moment.BEFORE),
    "cut after the cache": cut("worker REDIS_URL", SCRIPT, UP, Moment.BEFORE_THE_ANSWER),
    "cut before a retry is confirmed": cut("worker AMQP_URL", ACK, DOWN, Moment.BEFORE),
    "cut before the ack": cut("worker AMQP_URL", ACK, UP, Moment.BEFORE),
    "cut after the ack": cut("worker AMQP_URL", ACK, UP, Moment.AFTER),
}
