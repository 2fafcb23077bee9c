"""The result-reader's routes."""

import asyncio
import hashlib
import re

import orjson
from aiohttp import ETag, web

from common.auth import Clients
from common.errors import InvalidRequest, ServiceError
from common.jobs import EncodedRecord
from common.web import REQUEST_ID, RETRY_AFTER_S, json_bytes
from result_reader.lookup import Lookup
from result_reader.waiting import Waiting

MAX_WAIT_S = 25
MAX_IDS = 50

#: As JSON writes a number that is not negative; float() alone would also take "nan", "1_0" and "١".
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class Handlers:
    """One method a route."""

    def __init__(self, clients: Clients, lookup: Lookup, waiting: Waiting) -> None:
        self._clients = clients
        self._lookup = lookup
        self._waiting = waiting

    def routes(self) -> list[web.RouteDef]:
        """The paths that an ingress sends here, except the original's."""
        return [web.get("/v1/results/{id}", self.result), web.get("/v1/results", self.results)]

    async def result(self, request: web.Request) -> web.Response:
        """`GET /v1/results/{id}`: the record, at once or when it is terminal."""
        client = self._clients.of(request.headers.get("Authorization"))
        wait_s = _wait_s(request)
        job_id = request.match_info["id"]

        async def look() -> EncodedRecord:
            return await self._lookup.find(job_id, client)

        found = await (self._waiting.until_terminal(job_id, wait_s, look) if wait_s else look())
        return _conditional(request, found)

    async def results(self, request: web.Request) -> web.Response:
        """`GET /v1/results?ids=`: an item for each id, in the order asked for; an unknown one is an item too."""
        client = self._clients.of(request.headers.get("Authorization"))
        items = await asyncio.gather(*(self._item(job_id, client, request[REQUEST_ID]) for job_id in _ids(request)))
        return json_bytes(b'{"data":[' + b",".join(items) + b"]}")

    async def _item(self, job_id: str, client: str, request_id: str) -> bytes:
        try:
            found = await self._lookup.find(job_id, client)
        except ServiceError as error:
            return orjson.dumps({"id": job_id, "error": error.body(request_id).model_dump()})
        return found.body


def _wait_s(request: web.Request) -> float:
    text = request.query.get("wait", "0")
    if not (_NUMBER.fullmatch(text) and float(text) <= MAX_WAIT_S):
        raise InvalidRequest(f"must be a number of seconds from 0 to {MAX_WAIT_S}", "wait")
    return float(text)


def _ids(request: web.Request) -> list[str]:
    ids = [job_id for part in request.query.getall("ids", []) for job_id in part.split(",") if job_id]
    if not 1 <= len(ids) <= MAX_IDS:
        raise InvalidRequest(f"must be 1 to {MAX_IDS} job ids, separated by commas", "ids")
    return ids


def _conditional(request: web.Request, found: EncodedRecord) -> web.Response:
    """200 with the record, or 304 if the client has the same one already."""
    etag = ETag(hashlib.blake2b(found.body, digest_size=12).hexdigest())
    known = request.if_none_match or ()
    unchanged = any(tag.value in (etag.value, "*") for tag in known)
    response = web.Response(status=304) if unchanged else json_bytes(found.body)
    response.etag = etag
    response.headers["Cache-Control"] = "private, no-cache"
    if not found.is_terminal:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
