"""The result-reader's routes."""

import asyncio
import hashlib
import re
from functools import partial

import orjson
from aiohttp import web

from common.auth import Clients
from common.errors import InvalidRequest, ServiceError
from common.estimates import Estimates
from common.jobs import EncodedRecord
from common.lookup import Lookup
from common.replies import Reply
from common.requests import Asked
from common.web import REQUEST_ID
from result_reader.waiting import Waiting

MAX_WAIT_S = 25
MAX_IDS = 50

#: As JSON writes a number that is not negative; float() alone would also take "nan", "1_0" and "١".
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class Handlers:
    """One method a route."""

    def __init__(self, clients: Clients, lookup: Lookup, waiting: Waiting, estimates: Estimates) -> None:
        self._clients = clients
        self._lookup = lookup
        self._waiting = waiting
        self._estimates = estimates

    def routes(self) -> list[web.RouteDef]:
        """The paths that an ingress sends here, except the original's."""
        return [web.get("/v1/results/{id}", self.result), web.get("/v1/results", self.results)]

    async def result(self, request: web.Request) -> web.Response:
        """`GET /v1/results/{id}`: the record, at once or when it is terminal; 304 if the client has the same one."""
        job_id = request.match_info["id"]
        client = self._clients.of(request.headers.get("Authorization"))
        look = partial(self._lookup.find, job_id, client)
        wait_s = seconds_to_wait(request) if request.query_string else 0
        reply = self._reply(await (self._waiting.until_terminal(job_id, wait_s, look) if wait_s else look()))
        if "If-None-Match" in request.headers:
            known = request.if_none_match or ()
            if any(tag.value in (reply.headers["ETag"].strip('"'), "*") for tag in known):
                return web.Response(status=304, headers=reply.headers)
        return reply.response()

    async def poll(self, asked: Asked) -> Reply:
        """The record as it is now of the job that the tail names."""
        client = self._clients.of(asked.headers.get("Authorization"))
        return self._reply(await self._lookup.find(asked.tail, client))

    async def results(self, request: web.Request) -> web.Response:
        """`GET /v1/results?ids=`: an item for each id, in the order asked for; an unknown one is an item too."""
        client = self._clients.of(request.headers.get("Authorization"))
        items = await asyncio.gather(*(self._item(job_id, client, request[REQUEST_ID]) for job_id in _ids(request)))
        return Reply(b'{"data":[' + b",".join(items) + b"]}").response()

    async def _item(self, job_id: str, client: str, request_id: str) -> bytes:
        try:
            found = await self._lookup.find(job_id, client)
        except ServiceError as error:
            return orjson.dumps({"id": job_id, "error": error.body(request_id).model_dump()})
        return self._estimates.told(found).body

    def _reply(self, found: EncodedRecord) -> Reply:
        body, retry_after_s = self._estimates.told(found)
        etag = hashlib.sha256(body).hexdigest()[:24]  # the fastest, where processors know it
        headers = {"ETag": f'"{etag}"', "Cache-Control": "private, no-cache"}
        if not found.is_terminal:
            headers["Retry-After"] = str(retry_after_s)
        return Reply(body, headers=headers)


def seconds_to_wait(request: web.Request) -> float:
    """`wait` of the query, 0 if it is not there; raises InvalidRequest."""
    text = request.query.get("wait", "0")
    if not (_NUMBER.fullmatch(text) and float(text) <= MAX_WAIT_S):
        raise InvalidRequest(f"must be a number of seconds from 0 to {MAX_WAIT_S}", "wait")
    return float(text)


def _ids(request: web.Request) -> list[str]:
    ids = [job_id for part in request.query.getall("ids", []) for job_id in part.split(",") if job_id]
    if not 1 <= len(ids) <= MAX_IDS:
        raise InvalidRequest(f"must be 1 to {MAX_IDS} job ids, separated by commas", "ids")
    return ids
