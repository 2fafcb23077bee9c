"""A TCP proxy on loopback that misbehaves on command: cuts, refuses, stalls, delays.

async with TcpProxy(port_of_the_server) as proxy:
cut = proxy.cut_at(BASIC_ACK, Direction.FROM_SERVER)  # the next one does not get there
await cut.happened.wait()
"""

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CHUNK = 64 * 1024
#: A pattern may be split between two chunks; this is as long as one can be.
LONGEST_PATTERN = 64


class Direction(enum.Enum):
    """Who sends."""

    FROM_CLIENT = "from client"
    FROM_SERVER = "from server"


class Moment(enum.Enum):
    """When a connection on which certain bytes are sent is cut."""

    #: They do not get there.
    BEFORE = "before"
    #: They get there, and nothing after them.
    AFTER = "after"
    #: They get there; what the other side says to them does not.
    BEFORE_THE_ANSWER = "before the answer"


@dataclass
class Cut:
    """An order to cut connections on which the pattern is sent; `happened` is set after so many of them."""

    pattern: bytes
    direction: Direction
    moment: Moment
    times: int
    #: Called at the very moment.
    also: Callable[[], None]
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self) -> None:
        self.also()
        self.times -= 1
        if self.times == 0:
            self.happened.set()


@dataclass(eq=False)
class _Connection:
    """Both ends of one forwarded connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    #: The last bytes of each side.
    tails: dict[Direction, bytes] = field(default_factory=dict)
    #: The order that waits for the other side's answer.
    before_answer: Cut | None = None

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)


class TcpProxy:
    """Forwards everything that comes to `port` to a port of a server."""

    def __init__(self, server_port: int, *, port: int = 0) -> None:
        self.port = port
        #: Seconds that each chunk is held back.
        self.delay_s = 0.0
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._forwarders: set[asyncio.Task[None]] = set()
        self._cuts: list[Cut] = []
        self._flows = asyncio.Event()
        self._flows.set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.refuse()
        await asyncio.gather(*self._forwarders, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection; new ones are accepted."""
        for connection in list(self._connections):
            connection.reset()

    def cut_at(
        self,
        pattern: bytes,
        direction: Direction,
        moment: Moment = Moment.BEFORE,
        *,
        times: int = 1,
        also: Callable[[], None] = lambda: None,
    ) -> Cut:
        """Cut the next connections on which that is sent, so many times; `also` is called when it happens."""
        cut = Cut(pattern, direction, moment, times, also)
        self._cuts.append(cut)
        return cut

    def refuse(self) -> None:
        """Reset every connection, and take no new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()

    def stall(self) -> None:
        """Accept, and forward nothing, until it is healed."""
        self._flows.clear()

    async def heal(self) -> None:
        """Forward again as if nothing had been; what was held back goes on."""
        self._cuts.clear()
        self.delay_s = 0.0
        self._flows.set()
        if self._listener is None:
            await self._listen()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def _accept(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        forwarder = asyncio.ensure_future(self._forward(from_client, client))
        self._forwarders.add(forwarder)
        forwarder.add_done_callback(self._forwarders.discard)

    async def _forward(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            _reset(client)
            return
        connection = _Connection(client, server)
        self._connections.add(connection)
        pumps = [
            asyncio.ensure_future(self._pump(connection, from_client, server, Direction.FROM_CLIENT)),
            asyncio.ensure_future(self._pump(connection, from_server, client, Direction.FROM_SERVER)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._connections.discard(connection)
            client.close()
            server.close()

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: Direction
    ) -> None:
        """One direction, until either side is gone."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_s)
                await self._flows.wait()
                cut, passes = self._judge(connection, chunk, sender)
                if passes:
                    writer.write(chunk)
                    await writer.drain()
                if cut is not None:
                    cut.count()
                    if not passes:
                        connection.reset()
                    return

    def _judge(self, connection: _Connection, chunk: bytes, sender: Direction) -> tuple[Cut | None, bool]:
        """The order by which the connection is cut now, and whether the chunk still gets there."""
        awaited = connection.before_answer
        if awaited is not None and awaited.direction is not sender:
            return awaited, False
        seen = connection.tails.get(sender, b"") + chunk
        connection.tails[sender] = seen[-LONGEST_PATTERN:]
        for cut in self._cuts:
            if cut.times > 0 and cut.direction is sender and cut.pattern in seen:
                if cut.moment is Moment.BEFORE_THE_ANSWER:
                    connection.before_answer = cut
                    return None, True
                return cut, cut.moment is Moment.AFTER
        return None, True


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        # Lingering for no time makes close() send RST instead of an orderly FIN.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
