"""`POST /predict/query`: the original's call, which answers everything with HTTP 200 in its own envelope."""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.auth import Clients
from common.errors import CacheUnavailable, InvalidRequest, ServiceError, StoreUnavailable
from common.jobs import Record, Status
from common.lookup import Lookup
from common.validation import first_problem
from common.web import json_body


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
        """The state of a job, for the original's mini-program."""
        try:
            found = await self._lookup.find(_req_id(await json_body(request)), self._clients.of_predict())
        except (CacheUnavailable, StoreUnavailable):
            # "Done" would make the client give up a job that may be well.
            return web.json_response(_PENDING)
        except ServiceError as error:
            return web.json_response(_failed(error.message))
        return web.json_response(_envelope(Record.decode(found.body)) if found.is_terminal else _PENDING)


_PENDING: dict[str, Any] = {"isOk": True, "model": {"pending": True}}


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
