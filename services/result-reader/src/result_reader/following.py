"""Follows what running jobs write: one subscription to the cache for all who follow any of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import structlog

from common import metrics
from common.cache import Cache, Piece
from common.errors import CacheUnavailable, StoreUnavailable
from common.jobs import EncodedRecord, Record
from common.lookup import Lookup
from result_reader.events import Event, Seen, check_sent, due
from result_reader.waiting import RESUBSCRIBE_S, Waiting, set_before

log = structlog.get_logger()

Look = Callable[[], Awaitable[EncodedRecord]]


class _Written:
    """What is known of the text of one job, for all who follow it here."""

    def __init__(self) -> None:
        self.attempt = 0
        self.text = ""
        self.followers: set[_Follower] = set()

    def learn(self, seen: Seen) -> None:
        """Take over what a record says, if that is more."""
        if (seen.attempt, len(seen.text)) > (self.attempt, len(self.text)):
            self.attempt, self.text = seen.attempt, seen.text

    def take(self, piece: Piece) -> None:
        """Add what was announced; if something before it is missing, have it looked up."""
        if piece.attempt > self.attempt:
            self.attempt, self.text = piece.attempt, ""
        is_missing_some = piece.offset > len(self.text)
        if piece.attempt == self.attempt and not is_missing_some:
            self.text = self.text[: piece.offset] + piece.text + self.text[piece.offset + len(piece.text) :]
        for follower in self.followers:
            follower.changed.set()
            follower.must_look |= is_missing_some

    def look_again(self) -> None:
        for follower in self.followers:
            follower.set()


class _Follower:
    """One who follows; to `set` it, as an announcement that the job has ended does, has it look for itself."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.must_look = True

    def set(self) -> None:
        self.must_look = True
        self.changed.set()


class Following:
    """Who follows which job."""

    def __init__(self, cache: Cache, lookup: Lookup, waiting: Waiting) -> None:
        self._cache = cache
        self._lookup = lookup
        self._waiting = waiting
        self._written: dict[str, _Written] = {}

    async def listen(self) -> None:
        """Take what is announced, for ever; whatever may have been missed is looked up."""
        while True:
            try:
                async for heard in self._cache.pieces.listen():
                    if isinstance(heard, Piece):
                        if heard.job_id in self._written:
                            self._written[heard.job_id].take(heard)
                    elif heard in self._written:
                        self._written[heard].look_again()
            except CacheUnavailable:
                log.warning("pieces_lost")
            await asyncio.sleep(RESUBSCRIBE_S)

    async def events(
        self, job_id: str, after: int, param: str, look: Look, silence_s: float
    ) -> AsyncIterator[list[Event]]:
        """The events after that id, as they come; an empty list after each `silence_s` seconds without any.

        Ends after the event that ends the job, or when the service is told to stop. Raises what `look` raises at
        first, and InvalidRequest that names the `param` if no event had that id.
        """
        with self._registered(job_id) as (written, follower):
            seen = await self._look(follower, look)
            if not self._lookup.may_be_behind:
                check_sent(after, seen, param)
            while True:
                written.learn(seen)
                if not seen.record.is_terminal:
                    seen = replace(seen, attempt=written.attempt, text=written.text)
                events = list(due(after, seen))
                if events:
                    after = events[-1].id
                    yield events
                if seen.record.is_terminal or self._waiting.is_stopped:
                    return
                if not await set_before(follower.changed, asyncio.get_running_loop().time() + silence_s):
                    yield []
                    follower.must_look = True
                follower.changed.clear()
                if follower.must_look:
                    with suppress(CacheUnavailable, StoreUnavailable):
                        seen = await self._look(follower, look)

    @contextmanager
    def _registered(self, job_id: str) -> Iterator[tuple[_Written, _Follower]]:
        written, follower = self._written.get(job_id), _Follower()
        if written is None:
            written = self._written[job_id] = _Written()
            self._cache.pieces.follow(job_id)
        written.followers.add(follower)
        try:
            with self._waiting.registered(job_id, follower), metrics.STREAMS.track_inprogress():
                yield written, follower
        finally:
            written.followers.discard(follower)
            if not written.followers:
                del self._written[job_id]
                self._cache.pieces.unfollow(job_id)

    async def _look(self, follower: _Follower, look: Look) -> Seen:
        follower.must_look = False
        try:
            return Seen.of(Record.decode((await look()).body))
        except BaseException:
            follower.must_look = True
            raise
