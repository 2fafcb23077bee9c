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
    last, streamed, retries = after, True, transport.retries()
    while True:
        source = _server_sent(transport, result, last) if streamed else _as_json(transport, result, last)
        came = False
        try:
            async with aclosing(source) as events:
                async for event in events:
                    came = True
                    # Of a job that waits the place changes, and the number does not.
                    if event.id > last or (event.id == last and isinstance(event, Waiting)):
                        last = event.id
                        yield event
                    if isinstance(event, Ended):
                        return
            problem: GptJobsError = Unreachable(f"{result.origin()} ended the stream without an end of the job")
        except _NotStreamed:
            streamed = False
            continue
        except GptJobsError as error:
            problem = error
        if came:
            retries.begin()
        await retries.pause(problem)


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
