"""Follows a job by its events over drops and restarts: server-sent ones, or JSON where those do not get through."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http import HTTPStatus

from yarl import URL

from gpt_jobs.errors import ApiError, GptJobsError, Unreachable
from gpt_jobs.events import Ended, Event, ServerSentEvents, Waiting, read_event
from gpt_jobs.transport import Transport

#: The service says something every 10 s, be it a comment.
SILENCE_S = 15.0
HOLD_S = 20

_REFUSALS = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_ACCEPTABLE}


class _NotStreamed(Exception):
    """Server-sent events do not come through here."""


async def follow(transport: Transport, result: URL, after: int) -> AsyncGenerator[Event, None]:
    """Each event after the number `after`, once, until the one that ends the job."""
    following = _Following(transport, result, after)
    while not following.is_over:
        try:
            async with aclosing(following.go_on()) as events:
                async for event in events:
                    yield event
        except (GptJobsError, _NotStreamed) as problem:
            await following.recover(problem)


class _Following:
    """How far one has come with a job, and by which way one goes on."""

    def __init__(self, transport: Transport, result: URL, after: int) -> None:
        self.is_over = False
        self._transport, self._result = transport, result
        self._retries = transport.retries()
        self._streamed = True
        self._began_after = self._last = after

    async def go_on(self) -> AsyncGenerator[Event, None]:
        """What comes until the end of the job or of the connection; raises GptJobsError and _NotStreamed."""
        way = _server_sent if self._streamed else _as_json
        async with aclosing(way(self._transport, self._result, self._last)) as events:
            async for event in events:
                self._retries.begin()
                self.is_over = isinstance(event, Ended)
                # Of a job that waits the place changes, and the number does not.
                if event.id > self._last or (event.id == self._last and isinstance(event, Waiting)):
                    self._last = event.id
                    yield event
                if self.is_over:
                    return
        raise Unreachable(f"{self._result.origin()} ended the stream before the job")

    async def recover(self, problem: GptJobsError | _NotStreamed) -> None:
        """Return when it is time to go on; raises the problem if that is of no use."""
        if isinstance(problem, _NotStreamed):
            self._streamed = False
        elif self._last > self._began_after and _is_of_nothing(problem):
            self._last = self._began_after  # what had been written is lost with a server, and is told anew
        else:
            await self._retries.pause(problem)


def _is_of_nothing(error: GptJobsError) -> bool:
    """Whether the service knows no event of the number that it was asked to go on from."""
    return error.code == "invalid_request" and error.param in {"after", "Last-Event-ID"}


async def _server_sent(transport: Transport, result: URL, after: int) -> AsyncGenerator[Event, None]:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}
    is_held_back = False
    try:
        async with transport.stream(result / "stream", headers, SILENCE_S) as response:
            if response.content_type != "text/event-stream":
                raise _NotStreamed
            incoming, is_held_back = ServerSentEvents(), True
            async for piece in response.content.iter_any():
                is_held_back = False
                for event in _complete(incoming, piece, result):
                    yield event
    except ApiError as error:
        if error.http_status in _REFUSALS and error.code != "job_not_found":
            raise _NotStreamed from error
        raise
    except Unreachable as problem:
        # A proxy on the way keeps what is not complete, or does not take it for HTTP.
        if is_held_back or not problem.retryable:
            raise _NotStreamed from problem
        raise


def _complete(incoming: ServerSentEvents, piece: bytes, result: URL) -> Iterator[Event]:
    try:
        yield from incoming.feed(piece)
    except (ValueError, KeyError, TypeError) as problem:
        raise Unreachable(f"{result.origin()} sent an event that is none") from problem


async def _as_json(transport: Transport, result: URL, after: int) -> AsyncGenerator[Event, None]:
    while True:
        url = (result / "events") % {"after": after, "wait": HOLD_S}
        page = await transport.once("GET", url, hold_s=HOLD_S)
        try:
            after = max(after, page["after"])
            events = [read_event(item["id"], item["event"], item["data"]) for item in page["data"]]
        except (ValueError, KeyError, TypeError) as problem:
            raise Unreachable(f"{result.origin()} sent events that are none", retryable=False) from problem
        for event in events:
            if event is not None:
                yield event
