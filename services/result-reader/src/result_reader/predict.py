"""`POST /predict/query`: the original's call, which answers everything with HTTP 200 in its own envelope."""

from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.auth import Clients
from common.errors import CacheUnavailable, InvalidRequest, ServiceError, StoreUnavailable
from common.jobs import Record, Status
from common.lookup import Lookup
from common.replies import Reply
from common.requests import Asked
from common.validation import first_problem
from common.web import REQUEST_ID, json_body


class Query(BaseModel):
    """The body of the call."""

    model_config = ConfigDict(strict=True)

    req_id: str = Field(alias="reqId", max_length=128)


class PredictQuery:
    """Answers `{reqId}` with pending, done, or failed."""

    def __init__(self, clients: Clients, lookup: Lookup) -> None:
        self._clients = clients
        self._lookup = lookup

    def routes(self) -> list[web.RouteDef]:
        """The original's path."""
        return [web.post("/predict/query", self.query)]

    async def query(self, request: web.Request) -> web.Response:
        """What `state` says, and of a body that cannot be read what is wrong with it."""
        try:
            asked = Asked(request.headers, request[REQUEST_ID], body=await json_body(request))
        except ServiceError as error:
            return _reply(_failed(error.message)).response()
        return (await self.state(asked)).response()

    async def state(self, asked: Asked) -> Reply:
        """The state of a job, for the original's mini-program."""
        try:
            found = await self._lookup.find(_req_id(asked.body), self._clients.of_predict())
        except (CacheUnavailable, StoreUnavailable):
            # "Done" would make the client give up a job that may be well.
            return _PENDING
        except ServiceError as error:
            return _reply(_failed(error.message))
        return _reply(_envelope(Record.decode(found.body))) if found.is_terminal else _PENDING


def _reply(envelope: dict[str, Any]) -> Reply:
    return Reply(orjson.dumps(envelope))


_PENDING = _reply({"isOk": True, "model": {"pending": True}})


def _envelope(record: Record) -> dict[str, Any]:
    if record.status is Status.COMPLETED:
        return {"isOk": True, "model": {"done": True, "text": record.output_text}}
    return _failed(record.error.message if record.error else "The job was cancelled.")


def _failed(message: str) -> dict[str, Any]:
    return {"isOk": False, "model": {"done": True}, "errMsg": message}


def _req_id(body: bytes) -> str:
    try:
        return Query.model_validate_json(body).req_id
    except ValidationError as error:
        param, message = first_problem(error)
        raise InvalidRequest(f"{param}: {message}" if param else message, param) from error
