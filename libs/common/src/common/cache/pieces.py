"""Listening to what many jobs write: one connection for all of them, a channel for each that somebody follows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import hiredis

from common.cache.connecting import NO_RETRY, READ_BYTES, UNFINISHED, CutOff, new_pool, pack, translated
from common.cache.texts import Piece, decode_piece

# Seconds without a word after which the server is asked whether it still lives, and by which it must have answered.
_SILENCE_S = 2


class Pieces:
    """One subscription at a time. redis-py makes the connection; we read it, as shared_connection.py does."""

    def __init__(self, url: str, channels: str, timeout_s: float, cut_off: CutOff) -> None:
        self._channels = channels.encode()
        self._timeout_s = timeout_s
        self._cut_off = cut_off
        self._pool = new_pool(url, timeout_s, 1, NO_RETRY)
        self._connection: Any = None
        self._followed: set[str] = set()

    def follow(self, job_id: str) -> None:
        """Hear what the job writes, from the moment on at which its id comes out of `listen`."""
        self._followed.add(job_id)
        self._send(b"SUBSCRIBE", job_id)

    def unfollow(self, job_id: str) -> None:
        """Hear no more of it."""
        self._followed.discard(job_id)
        self._send(b"UNSUBSCRIBE", job_id)

    async def listen(self) -> AsyncIterator[Piece | str]:
        """The pieces as they come; the id of a job when listening to it begins, so that what was before can be read.

        Raises CacheUnavailable when the connection is lost; the next `listen` begins for all that are followed.
        """
        with translated(self._cut_off):
            connection = self._pool.make_connection()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await connection.connect()
                self._connection = connection
                for job_id in self._followed:
                    self._send(b"SUBSCRIBE", job_id)
                async for reply in self._replies(connection._reader):  # noqa: SLF001 (see decision 0015)
                    if reply[0] == b"message":
                        yield decode_piece(self._job_id(reply[1]), reply[2])
                    elif reply[0] == b"subscribe":
                        yield self._job_id(reply[1])
            finally:
                self._connection = None
                await connection.disconnect(nowait=True)

    async def _replies(self, stream: asyncio.StreamReader) -> AsyncIterator[list[Any]]:
        replies, pinged = hiredis.Reader(notEnoughData=UNFINISHED), False
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    data = await stream.read(READ_BYTES)
            except TimeoutError:
                if pinged:
                    raise
                self._write(pack((b"PING",)))
                pinged = True
                continue
            if not data:
                raise ConnectionError("the server closed the connection")
            pinged = False
            replies.feed(data)
            while (reply := replies.gets()) is not UNFINISHED:
                if isinstance(reply, hiredis.ReplyError):
                    raise ConnectionError("the server refuses to be listened to") from reply
                if isinstance(reply, list):
                    yield reply

    def _send(self, command: bytes, job_id: str) -> None:
        self._write(pack((command, self._channels + job_id.encode())))

    def _write(self, packed: bytes) -> None:
        if self._connection is not None and self._connection._writer is not None:  # noqa: SLF001 (as above)
            self._connection._writer.write(packed)  # noqa: SLF001

    def _job_id(self, channel: bytes) -> str:
        return channel[len(self._channels) :].decode()
