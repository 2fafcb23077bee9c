"""The bodies that the gateway takes, and how they are read."""

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from common.errors import InvalidRequest
from common.prompts import JobRequest
from common.validation import first_problem


class Submission(JobRequest):
    """The body of `POST /v1/jobs`."""

    deadline_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds from now after which the answer is of no use; at most the service's JOB_DEADLINE_S",
    )


#: The body of `POST /predict/start`: the inputs of the template `fortune`, which has their schema.
PREDICT_INPUTS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


def read_submission(body: bytes, max_deadline_s: float, max_timeout_s: float) -> Submission:
    """The submission in a request's body; raises InvalidRequest that names the field at fault."""
    try:
        submission = Submission.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error
    _at_most(submission.deadline_s, max_deadline_s, "deadline_s")
    _at_most(submission.options.timeout_s, max_timeout_s, "options.timeout_s")
    return submission


def read_predict_start(body: bytes) -> Submission:
    """The original's call as a submission of the template `fortune`; a null input is an absent one."""
    try:
        inputs = PREDICT_INPUTS.validate_json(body, strict=True)
        given: dict[str, JsonValue] = {name: value for name, value in inputs.items() if value is not None}
        return Submission(template="fortune", inputs=given)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> InvalidRequest:
    param, message = first_problem(error)
    return InvalidRequest(message, param)


def _at_most(value: float | None, limit: float, param: str) -> None:
    if value is not None and value > limit:
        raise InvalidRequest(f"must be at most {limit:g}", param)
