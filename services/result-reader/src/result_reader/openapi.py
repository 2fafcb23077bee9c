"""The result-reader's routes as an OpenAPI document, made from the models that answer the requests."""

from common import openapi
from common.errors import ErrorCode
from common.openapi import Schema, answer, envelope, errors, reference
from result_reader.handlers import MAX_IDS, MAX_WAIT_S

_ETAG = {"ETag": {"description": "Changes whenever the record does.", "schema": {"type": "string"}}}
_UNKNOWN = {
    "type": "object",
    "required": ["id", "error"],
    "properties": {"id": {"type": "string"}, "error": reference("ErrorBody")},
    "additionalProperties": False,
}
_TRUE = {"const": True}
_QUERIED = {
    "oneOf": [
        {"description": "It waits or runs.", **envelope({"pending": _TRUE}, is_ok=True)},
        {"description": "It is answered.", **envelope({"done": _TRUE, "text": {"type": "string"}}, is_ok=True)},
        {
            "description": "It failed, has expired, or never was; `errMsg` says which.",
            **envelope({"done": _TRUE}, is_ok=False, errMsg={"type": "string"}),
        },
    ]
}


def document() -> Schema:
    """The document for any result-reader."""
    paths = {
        "/v1/results/{id}": {"get": _result()},
        "/v1/results/{id}/stream": {"get": _stream()},
        "/v1/results/{id}/events": {"get": _events()},
        "/v1/results": {"get": _results()},
        "/predict/query": {"post": _predict_query()},
    }
    return openapi.document("gpt-jobs result-reader", "Answers what has become of jobs.", paths, [])


def _result() -> Schema:
    wait = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0}
    return {
        "operationId": "result",
        "summary": "Read a job's record, at once or when it is terminal",
        "security": [{"apiKey": []}, {}],
        "parameters": [
            openapi.JOB_ID,
            {
                "name": "wait",
                "in": "query",
                "description": "Seconds to hold the request while the job is not terminal.",
                "schema": wait,
            },
            {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": answer(
                "The record; a failed job too. `Retry-After` while it is not terminal.",
                reference("Record"),
                {**_ETAG, **openapi.RETRY_AFTER_HEADER},
            ),
            "304": {"description": "The record is the one of `If-None-Match`.", "headers": _ETAG},
            **errors(
                ErrorCode.INVALID_REQUEST,
                ErrorCode.UNAUTHENTICATED,
                ErrorCode.JOB_NOT_FOUND,
                ErrorCode.JOB_EXPIRED,
                ErrorCode.JOB_DELETED,
                ErrorCode.STORE_UNAVAILABLE,
                ErrorCode.CACHE_UNAVAILABLE,
            ),
        },
    }


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_AFTER = {
    "name": "after",
    "in": "query",
    "description": "The id of the last event that is known; 0 for all of them.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 9_999_999_999_999_999, "default": 0},
}
_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "integer"},
        "event": {"enum": ["status", "delta", "completed", "failed", "cancelled"]},
        "data": {"type": "object"},
    },
    "additionalProperties": False,
}
_ERRORS_OF_EVENTS = (
    ErrorCode.INVALID_REQUEST,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.JOB_NOT_FOUND,
    ErrorCode.JOB_EXPIRED,
    ErrorCode.JOB_DELETED,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.CACHE_UNAVAILABLE,
)


def _stream() -> Schema:
    events = {
        "description": "Events, each with its id, until the job has ended.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "As `after`, which wins.",
        "schema": _AFTER["schema"],
    }
    return {
        "operationId": "stream",
        "summary": "Follow a job's answer as it is written, as server-sent events",
        "security": [{"apiKey": []}, {}],
        "parameters": [_ID, _AFTER, last],
        "responses": {"200": events, **errors(*_ERRORS_OF_EVENTS)},
    }


def _events() -> Schema:
    wait = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0}
    properties = {"data": {"type": "array", "items": _EVENT}, "after": {"type": "integer"}}
    found = {"type": "object", "required": ["data", "after"], "properties": properties}
    return {
        "operationId": "events",
        "summary": "Read the events of a job that come after a known one",
        "security": [{"apiKey": []}, {}],
        "parameters": [
            _ID,
            _AFTER,
            {
                "name": "wait",
                "in": "query",
                "description": "Seconds to hold the request while there is no event.",
                "schema": wait,
            },
        ],
        "responses": {
            "200": answer("The events, and after which one to go on.", found),
            **errors(*_ERRORS_OF_EVENTS),
        },
    }


def _results() -> Schema:
    ids = {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "pattern": "^[^,]*$"},
        "minItems": 1,
        "maxItems": MAX_IDS,
    }
    data = {"type": "array", "items": {"anyOf": [reference("Record"), _UNKNOWN]}}
    return {
        "operationId": "results",
        "summary": "Read the records of several jobs",
        "security": [{"apiKey": []}, {}],
        "parameters": [
            {"name": "ids", "in": "query", "required": True, "style": "form", "explode": False, "schema": ids}
        ],
        "responses": {
            "200": answer(
                "An item for each id, in the order asked for.",
                {"type": "object", "required": ["data"], "properties": {"data": data}},
            ),
            **errors(ErrorCode.INVALID_REQUEST, ErrorCode.UNAUTHENTICATED),
        },
    }


def _predict_query() -> Schema:
    question = {"type": "object", "required": ["reqId"], "properties": {"reqId": {"type": "string"}}}
    body = {"anyOf": [question, {"description": "Anything else is answered too, in the same envelope."}]}
    return {
        "operationId": "predictQuery",
        "summary": "Ask for a job as the original's mini-program does",
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": answer("Whatever there is to say, in the original's envelope.", _QUERIED)},
    }
