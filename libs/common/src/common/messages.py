"""The message on the broker that is a job: our own form, and the two forms of the original's publishers.

The contract is docs/messages.md. Unknown fields are ignored here, unlike at the HTTP door, so that an older
worker can serve a newer publisher; what is known is validated by the same rules.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import from_json

from common.errors import ErrorCode, ServiceError
from common.ids import FOREIGN, unverified_time
from common.jobs import Record
from common.prompts import ChatMessage, JobRequest, Options
from common.turns import Turn
from common.validation import first_problem

MAX_BODY_BYTES = 1024 * 1024

#: What a publisher may claim; beyond it lie numbers that cannot be counted on from.
MAX_ATTEMPTS_BEFORE = 1_000_000

#: Attempts that were started before this message was published (a number).
ATTEMPT_HEADER = "x-attempt"
#: Unix seconds after which the answer is of no use.
DEADLINE_HEADER = "x-deadline"
REQUEST_ID_HEADER = "x-request-id"
TRACEPARENT_HEADER = "traceparent"
#: Why a message lies in the dead-letter queue.
REASON_HEADER = "x-reason"
REASON_TEXT_HEADER = "x-reason-text"
#: Unix seconds since when it lies there.
DEAD_SINCE_HEADER = "x-dead-since"
#: Unix seconds at which an operator put it back onto the job queue: its time begins anew then.
REPLAYED_AT_HEADER = "x-replayed-at"
#: Unix seconds before which no attempt is to be made.
NOT_BEFORE_HEADER = "x-not-before"
#: On a message whose body is no job but a terminal record that the store could not take: how often it was tried.
UNSAVED_HEADER = "x-unsaved"

HeaderValue = str | int | float | bool | None


@dataclass
class Message:
    """A message as it lies on the broker. `timestamp` is in Unix seconds.

    Nobody changes one; but to make one that is frozen takes twice as long.
    """

    body: bytes
    message_id: str | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    timestamp: float | None = None
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)


_MESSAGE = TypeAdapter(Message)


class _KeptTurn(BaseModel):
    turn: Turn | None = None


class InvalidMessage(ServiceError):
    """A message that is not a job. `job_id` is the id to tell, if one can be read."""

    def __init__(self, message: str, param: str | None = None, job_id: str | None = None) -> None:
        super().__init__(ErrorCode.INVALID_MESSAGE, message, param)
        self.job_id = job_id


@dataclass(frozen=True)
class JobMessage:
    """What the body of a message says."""

    job_id: str
    request: JobRequest
    payload: JsonValue = None


def encode(job_id: str, prompt: list[ChatMessage], options: Options, metadata: dict[str, str]) -> bytes:
    """The body that the gateway publishes; `options.system` is already part of the prompt."""
    given = {name: getattr(options, name) for name in sorted(options.model_fields_set) if name != "system"}
    body = {
        "id": job_id,
        "messages": [{"role": message.role, "content": message.content} for message in prompt],
        "options": {name: value for name, value in given.items() if value is not None},
        "metadata": metadata,
    }
    return orjson.dumps(body)


def pack(message: Message) -> bytes:
    """The whole message, properties and headers included, for a copy of it; its body must be UTF-8."""
    return orjson.dumps(message, default=bytes.decode)


def unpack(copy: bytes) -> Message:
    """The message that was packed; raises ValueError if the copy is none."""
    return _MESSAGE.validate_json(copy)


def decode(message: Message) -> JobMessage:
    """Read a job from a message in any of the forms; raises InvalidMessage, with the id if it has one."""
    try:
        document = _document(message.body)
    except InvalidMessage as error:
        raise InvalidMessage(error.message, error.param, _readable(message.message_id)) from error
    job_id = _job_id(document, message.message_id)
    try:
        request = JobRequest.model_validate(_in_our_names(document))
    except InvalidMessage as error:
        raise InvalidMessage(error.message, error.param, job_id) from error
    except ValidationError as error:
        param, text = first_problem(error)
        raise InvalidMessage(text, param, job_id) from error
    return JobMessage(job_id, request, document.get("payload"))


def deadline_of(message: Message, default: float) -> float:
    """The deadline that the publisher gave, in Unix seconds; raises InvalidMessage if it is no number."""
    value = message.headers.get(DEADLINE_HEADER)
    if value is None:
        return default
    try:
        deadline = float(value)
    except (TypeError, ValueError):
        deadline = math.nan
    if not math.isfinite(deadline):
        raise InvalidMessage("must be a number of Unix seconds", DEADLINE_HEADER)
    return deadline


def attempts_before(message: Message) -> int:
    """How many attempts were started before the message was published."""
    value = message.headers.get(ATTEMPT_HEADER)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return min(max(value, 0), MAX_ATTEMPTS_BEFORE)


def created_at(job_id: str, message: Message, now: float) -> float:
    """When the job came to be, in Unix seconds: as its id says, or its message; never later than `now`."""
    return min(unverified_time(job_id) or message.timestamp or now, now)


def dead_letter_headers(code: ErrorCode, text: str, attempts: int = 0) -> dict[str, HeaderValue]:
    """What is written on a message that goes among the dead letters now."""
    return {
        REASON_HEADER: code.value,
        REASON_TEXT_HEADER: text,
        DEAD_SINCE_HEADER: int(time.time()),
        ATTEMPT_HEADER: attempts,
    }


def replayed_at(message: Message) -> float | None:
    """When an operator put the message back onto the job queue, in Unix seconds; None if never."""
    return _finite(message.headers.get(REPLAYED_AT_HEADER))


def not_before(message: Message) -> float:
    """The moment before which no attempt is to be made, in Unix seconds; 0 if there is none."""
    value = message.headers.get(NOT_BEFORE_HEADER)
    try:
        moment = float(value) if isinstance(value, str | int | float) else 0.0
    except ValueError:
        return 0
    return moment if math.isfinite(moment) else 0


def unsaved_record(message: Message) -> Record | None:
    """The terminal record in a message that keeps one for the store; None if the message is not of that kind."""
    if message.headers.get(UNSAVED_HEADER) is None:
        return None
    try:
        record = Record.decode(message.body)
    except ValueError as error:
        raise InvalidMessage("the body is no record", UNSAVED_HEADER, _readable(message.message_id)) from error
    if not record.is_terminal or not FOREIGN.fullmatch(record.id):
        raise InvalidMessage("the record is not terminal, or its id is none", UNSAVED_HEADER)
    return record


def unsaved_turn(message: Message) -> Turn | None:
    """What is to be saved with the terminal record, beside which it stands; what an older worker kept has none."""
    return _KeptTurn.model_validate_json(message.body).turn


def keeping(record: Record, message: Message, turn: Turn | None = None) -> Message:
    """The message that keeps a terminal record for the store; `message` is the one that it came from."""
    times = message.headers.get(UNSAVED_HEADER)
    tried = times + 1 if isinstance(times, int) and not isinstance(times, bool) else 1
    body = record.encode()
    if turn is not None:
        body = b'%b,"turn":%b}' % (body[:-1], turn.model_dump_json().encode())
    return Message(body, message_id=record.id, timestamp=time.time(), headers={UNSAVED_HEADER: tried})


def request_id_of(message: Message) -> str | None:
    """The id of the HTTP request that submitted the job, if one did."""
    value = message.headers.get(REQUEST_ID_HEADER)
    return value if isinstance(value, str) else None


def _finite(value: HeaderValue) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _document(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise InvalidMessage(f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidMessage("the body is not valid JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise InvalidMessage("the body is not a JSON object")
    if _holds_infinity(document):
        raise InvalidMessage("the body holds a number that is too large")
    return document


def _holds_infinity(value: Any) -> bool:
    """Whether a number such as 1e999 became infinite, which no JSON can say again."""
    if isinstance(value, dict):
        return any(_holds_infinity(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_infinity(item) for item in value)
    return isinstance(value, float) and math.isinf(value)


def _readable(message_id: str | None) -> str | None:
    return message_id if message_id is not None and FOREIGN.fullmatch(message_id) else None


def _job_id(document: dict[str, Any], message_id: str | None) -> str:
    """The job's id: `id`, or the `reqId` of the article's publisher, or the message's own."""
    name, value = next(
        ((name, document[name]) for name in ("id", "reqId") if document.get(name) is not None),
        ("message_id", message_id),
    )
    if value is None:
        raise InvalidMessage("is required", "id")
    if not isinstance(value, str) or not FOREIGN.fullmatch(value):
        raise InvalidMessage("must be 1 to 128 characters of A-Z a-z 0-9 . _ : -", name)
    if document.get("reqId") not in (None, value):
        raise InvalidMessage("id and reqId differ", "reqId", value)
    return value


def _in_our_names(document: dict[str, Any]) -> dict[str, Any]:
    """The fields that we know, with the original's option names turned into ours, and null as absent."""
    known = {name: document[name] for name in JobRequest.model_fields if document.get(name) is not None}
    options = known.get("options")
    if isinstance(options, dict):
        known["options"] = _options_in_our_names(options)
    return known


def _in_seconds(milliseconds: Any) -> Any:
    """What is no sensible number stays as it is, for the validation to refuse."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return milliseconds
    return milliseconds / 1000 if milliseconds < 1e12 else milliseconds


def _options_in_our_names(options: dict[str, Any]) -> dict[str, Any]:
    """The options of the `chatgpt` package's `sendMessage`, beside our own, which win."""
    completion_params = options.get("completionParams") or {}
    if not isinstance(completion_params, dict):
        raise InvalidMessage("must be an object", "options.completionParams")
    ours = dict(completion_params)
    if isinstance(ours.get("stop"), str):
        ours["stop"] = [ours["stop"]]
    if "systemMessage" in options:
        ours["system"] = options["systemMessage"]
    if "parentMessageId" in options:
        ours["parent_id"] = options["parentMessageId"]
    if "timeoutMs" in options:
        ours["timeout_s"] = _in_seconds(options["timeoutMs"])
    ours |= {name: value for name, value in options.items() if value is not None}
    return {name: ours[name] for name in Options.model_fields if ours.get(name) is not None}
