"""The gateway's routes as an OpenAPI document, made from the models that read the requests."""

from typing import Any

from common import openapi
from common.errors import ErrorCode
from common.openapi import Schema, answer, envelope, errors, reference
from common.templates import Templates
from gateway.once_only import HEADER, MAX_KEY_CHARS, REPLAYED_HEADER
from gateway.schemas import Submission
from gateway.settings import GatewaySettings

_COMMON_ERRORS = (
    ErrorCode.INVALID_REQUEST,
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.IDEMPOTENCY_CONFLICT,
    ErrorCode.JOB_DELETED,
    ErrorCode.TOO_LARGE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.QUEUE_FULL,
    ErrorCode.BROKER_UNAVAILABLE,
    ErrorCode.CACHE_UNAVAILABLE,
    ErrorCode.STORE_UNAVAILABLE,
)
_OF_A_JOB = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.JOB_NOT_FOUND,
    ErrorCode.CACHE_UNAVAILABLE,
    ErrorCode.STORE_UNAVAILABLE,
)
_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "Chosen by the client, a new one for each job: who repeats the submission gets the same job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
_REPLAYED = {
    REPLAYED_HEADER: {
        "description": "There if this key was used before for the same submission, and the job is that one.",
        "schema": {"const": "true"},
    }
}
_STARTED = envelope({"reqId": {"type": "string"}}, is_ok=True)
_NOT_STARTED = envelope({}, is_ok=False, errMsg={"type": "string"}, error=reference("ErrorBody"))


def _default(setting: str) -> float:
    default: float = GatewaySettings.model_fields[setting].default
    return default


def document(
    templates: Templates,
    max_deadline_s: float = _default("job_deadline_s"),
    max_timeout_s: float = _default("job_timeout_s"),
) -> Schema:
    """The document for a gateway with these limits."""
    paths = {
        "/v1/jobs": {"post": _submit()},
        "/v1/jobs/{id}/cancel": {"post": _cancel()},
        "/v1/jobs/{id}": {"delete": _delete()},
        "/predict/start": {"post": _predict_start(templates.schema("fortune"))},
    }
    described = openapi.document(
        "gpt-jobs gateway", "Accepts jobs: prompts that a model answers later.", paths, [Submission]
    )
    schemas = described["components"]["schemas"]
    schemas["Submission"]["properties"]["deadline_s"]["anyOf"][0]["maximum"] = max_deadline_s
    schemas["Options"]["properties"]["timeout_s"]["anyOf"][0]["maximum"] = max_timeout_s
    _name_the_templates(schemas["Submission"]["properties"], templates)
    return described


def _submit() -> Schema:
    headers = {
        "Location": {"description": "Where the result will be.", "schema": {"type": "string"}},
        **openapi.RETRY_AFTER_HEADER,
    }
    again = "The job that was submitted under this key before, as it is now. `Retry-After` while it is not terminal."
    return {
        "operationId": "submit",
        "summary": "Submit a job",
        "security": [{"apiKey": []}, {}],
        "parameters": [_KEY],
        "requestBody": _json_body(reference("Submission")),
        "responses": {
            "200": answer(again, reference("Record"), {**headers, **_REPLAYED}),
            "202": answer("The broker has confirmed the job.", reference("Record"), headers),
            **errors(*_COMMON_ERRORS, ErrorCode.PARENT_NOT_FOUND, ErrorCode.PARENT_NOT_FINISHED),
        },
    }


def _cancel() -> Schema:
    return {
        "operationId": "cancel",
        "summary": "Cancel a job",
        "security": [{"apiKey": []}, {}],
        "parameters": [openapi.JOB_ID],
        "responses": {
            "200": answer(
                "The record: `cancelled`, or as it ended before; `Retry-After` if its worker is still to end it.",
                reference("Record"),
                openapi.RETRY_AFTER_HEADER,
            ),
            **errors(*_OF_A_JOB, ErrorCode.JOB_EXPIRED, ErrorCode.JOB_DELETED),
        },
    }


def _delete() -> Schema:
    return {
        "operationId": "delete",
        "summary": "Delete a job: its prompt, its answer, and all else that is kept of it",
        "security": [{"apiKey": []}, {}],
        "parameters": [openapi.JOB_ID],
        "responses": {
            "204": {"description": "Nothing is left.", "headers": openapi.REQUEST_ID_HEADER},
            **errors(*_OF_A_JOB),
        },
    }


def _predict_start(inputs: Schema) -> Schema:
    return {
        "operationId": "predictStart",
        "summary": "Submit a job of the template `fortune`, as the original's mini-program does",
        "parameters": [_KEY],
        "requestBody": _json_body(inputs),
        "responses": {
            "200": answer("The broker has confirmed the job.", _STARTED, _REPLAYED),
            **errors(*_COMMON_ERRORS, schema=_NOT_STARTED),
        },
    }


def _json_body(schema: Schema) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _name_the_templates(properties: dict[str, Any], templates: Templates) -> None:
    """Say which templates there are, and what each takes, which the model leaves to them."""
    template = properties["template"]["anyOf"][0]
    template.clear()
    template["enum"] = list(templates.names)
    inputs = [templates.schema(name) for name in templates.names]
    properties["inputs"]["anyOf"] = [*inputs, {"type": "null"}]
