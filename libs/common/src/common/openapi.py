"""The parts of the OpenAPI documents that the services share; each service describes its own routes."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from common.errors import MEANINGS, ErrorBody, ErrorCode
from common.jobs import Record
from common.replies import Reply

Schema = dict[str, Any]


class ErrorAnswer(BaseModel):
    """What every answer with a status of 400 and above holds."""

    model_config = ConfigDict(frozen=True)

    error: ErrorBody


SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key of `API_KEYS`. Not needed where that is not set.",
}
REQUEST_ID_HEADER = {
    "X-Request-Id": {
        "description": "The request's id: the one that the client sent in this header, or a new one.",
        "schema": {"type": "string"},
    }
}
JOB_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
RETRY_AFTER_HEADER = {
    "Retry-After": {"description": "Seconds until it is worth asking again.", "schema": {"type": "integer"}}
}


def document(title: str, description: str, paths: Schema, models: list[type[BaseModel]]) -> Schema:
    """An OpenAPI 3.1 document of some paths; `models` are the bodies that clients send."""
    _, definitions = models_json_schema(
        [(Record, "serialization"), (ErrorAnswer, "serialization"), *((model, "validation") for model in models)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": "1"},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"apiKey": SECURITY_SCHEME},
        },
    }


def served(described: Schema) -> web.RouteDef:
    """`GET /openapi.json`, for whoever comes: the document says nothing of what a key protects."""
    body = orjson.dumps(described)

    async def answer(_request: web.Request) -> web.Response:
        return Reply(body).response()

    return web.get("/openapi.json", answer)


def reference(name: str) -> Schema:
    """A schema of the components, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(description: str, schema: Schema, headers: Mapping[str, Schema] | None = None) -> Schema:
    """A JSON answer."""
    return {
        "description": description,
        "headers": {**REQUEST_ID_HEADER, **(headers or {})},
        "content": {"application/json": {"schema": schema}},
    }


def envelope(model: Schema, *, is_ok: bool, **others: Schema) -> Schema:
    """The original's envelope, with the fields that `model` always has, and what else stands beside it."""
    required = {"required": list(model)} if model else {}
    described = {"type": "object", **required, **({"properties": model} if model else {})}
    return {
        "type": "object",
        "required": ["isOk", "model", *others],
        "properties": {"isOk": {"const": is_ok}, "model": described, **others},
    }


def errors(*codes: ErrorCode, schema: Schema | None = None) -> Schema:
    """The answers for some errors, by status."""
    by_status: dict[int, list[ErrorCode]] = {}
    for code in codes:
        by_status.setdefault(MEANINGS[code].http_status, []).append(code)
    return {
        str(status): answer(
            f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in of_status)}",
            schema or reference("ErrorAnswer"),
            RETRY_AFTER_HEADER if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) else None,
        )
        for status, of_status in by_status.items()
    }
