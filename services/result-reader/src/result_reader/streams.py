"""The routes that tell a job's answer as it is written: as server-sent events, and as JSON for those who cannot."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from aiohttp import web

from common.auth import Clients
from common.errors import InvalidRequest, ServiceError
from common.estimates import Estimates
from common.jobs import EncodedRecord
from common.lookup import Lookup
from common.replies import Reply
from common.web import REQUEST_ID
from result_reader.events import Event
from result_reader.following import Following
from result_reader.handlers import seconds_to_wait

#: Seconds of silence after which a comment keeps the proxies between us and the client awake.
PING_S = 10
#: Seconds after which a client that takes nothing is left to come again.
STUCK_S = 30

_PING = b": ping\n\n"
_ID = re.compile(r"[0-9]{1,16}")
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    # nginx would gather what is meant to be read at once.
    "X-Accel-Buffering": "no",
}


class Streams:
    """One method a route."""

    def __init__(self, clients: Clients, lookup: Lookup, following: Following, estimates: Estimates) -> None:
        self._clients = clients
        self._lookup = lookup
        self._following = following
        self._estimates = estimates

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/results/{id}/stream", self.stream), web.get("/v1/results/{id}/events", self.events)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/results/{id}/stream`: server-sent events until the job has ended."""
        response = web.StreamResponse(headers={**_HEADERS, "X-Request-Id": request[REQUEST_ID]})
        try:
            async with aclosing(self._events(request, PING_S)) as batches:  # type: ignore[type-var]
                async for events in batches:
                    if not response.prepared:
                        await response.prepare(request)
                    async with asyncio.timeout(STUCK_S):
                        await response.write(b"".join(event.as_server_sent() for event in events) or _PING)
            if not response.prepared:  # it had heard everything
                await response.prepare(request)
            await response.write_eof()
        except (ConnectionError, TimeoutError):
            # Gone, or stuck: what it has not read it asks for again.
            response.force_close()
        except ServiceError:
            if not response.prepared:
                raise
            # The job was deleted meanwhile, or has expired: whoever goes on is told so.
            await response.write_eof()
        return response

    async def events(self, request: web.Request) -> web.Response:
        """`GET /v1/results/{id}/events`: the events after `after`, held for `wait` seconds until there is one."""
        wait_s, after = seconds_to_wait(request), _after(request)[0]
        found: list[Event] = []
        async with aclosing(self._events(request, wait_s)) as batches:  # type: ignore[type-var]
            found = await anext(batches, [])
        data = b",".join(event.as_json() for event in found)
        return Reply(b'{"data":[%s],"after":%d}' % (data, found[-1].id if found else after)).response()

    def _events(self, request: web.Request, silence_s: float) -> AsyncIterator[list[Event]]:
        client = self._clients.of(request.headers.get("Authorization"))
        job_id = request.match_info["id"]
        after, param = _after(request)

        async def look() -> EncodedRecord:
            found = await self._lookup.find(job_id, client)
            return replace(found, body=self._estimates.told(found).body)

        return self._following.events(job_id, after, param, look, silence_s)


def _after(request: web.Request) -> tuple[int, str]:
    """The id of the last event that the client has, and where it says so; raises InvalidRequest."""
    text, param = request.query.get("after"), "after"
    if text is None:
        text, param = request.headers.get("Last-Event-ID") or "0", "Last-Event-ID"
    if not _ID.fullmatch(text):
        raise InvalidRequest("must be the id of an event", param)
    return int(text), param
