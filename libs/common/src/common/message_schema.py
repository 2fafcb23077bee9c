"""The JSON schema of a message on the job queue, for publishers that are not ours."""

from typing import Any

from common.ids import FOREIGN
from common.prompts import JobRequest

_ORIGINAL_OPTIONS: dict[str, Any] = {
    "systemMessage": {"type": "string", "description": "`system` under the original's name"},
    "timeoutMs": {"type": "number", "description": "`timeout_s` in milliseconds"},
    "completionParams": {
        "type": "object",
        "description": "`model`, `temperature`, `top_p`, `max_tokens`, `presence_penalty`, `frequency_penalty` and "
        "`stop`, as the original nests them; the same option beside it wins",
    },
    "parentMessageId": {"type": "string", "description": "`parent_id` under the original's name"},
}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Null is the same as absent, whatever the field."""
    alternatives = schema.get("anyOf", [])
    if {"type": "null"} in alternatives or not {"type", "$ref"} & schema.keys():
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def schema() -> dict[str, Any]:
    """The schema; what it does not name is allowed and ignored."""
    described = JobRequest.model_json_schema(ref_template="#/$defs/{model}")
    options = described["$defs"]["Options"]
    options["properties"] |= _ORIGINAL_OPTIONS
    job_id = {"type": "string", "pattern": f"^{FOREIGN.pattern}$"}
    options["properties"] = {name: _or_null(schema) for name, schema in options["properties"].items()}
    described["properties"] = {
        "id": {**job_id, "description": "the job's id; without it, the message's property `message_id`"},
        "reqId": {**job_id, "description": "`id` under the name of the article's publisher"},
        **described["properties"],
        "payload": {"description": "anything; kept with the result"},
    }
    described["properties"] = {name: _or_null(schema) for name, schema in described["properties"].items()}
    for definition in (described, options):
        definition.pop("additionalProperties")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **described,
        "title": "Job message",
        "description": "The body of a message on the job queue.",
    }
