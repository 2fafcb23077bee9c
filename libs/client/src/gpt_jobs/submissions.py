"""What can be submitted, as arguments; and the body that they make."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from gpt_jobs.jobs import Job


class Message(TypedDict):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Submission(TypedDict, total=False):
    """The arguments beside `prompt`. The prompt comes in one form: that one, `messages`, or `template`."""

    messages: Sequence[Message]
    template: str
    inputs: Mapping[str, Any]
    #: model, system, temperature, max_tokens, …: as in docs/api.md.
    options: Mapping[str, Any]
    #: Seconds from now after which an answer is of no use.
    deadline_s: float
    metadata: Mapping[str, str]
    #: The job whose conversation this one continues.
    parent: Job | str
    #: One of your own, if the same submission may be made by another process too; otherwise each has a new one.
    idempotency_key: str


def body_of(prompt: str | None, submission: Submission) -> dict[str, Any]:
    """The JSON of a submission."""
    body: dict[str, Any] = {
        name: value for name, value in submission.items() if name not in {"parent", "idempotency_key"}
    }
    if prompt is not None:
        body["msg"] = prompt
    parent = submission.get("parent")
    if parent is not None:
        body["options"] = {**body.get("options", {}), "parent_id": id_of(parent)}
    return body


def key_of(submission: Submission) -> str:
    """The key by which the service knows a submission that is made again."""
    return submission.get("idempotency_key") or uuid.uuid4().hex


def id_of(job: Job | str) -> str:
    """A job's id, whichever way the job is named."""
    return job.id if isinstance(job, Job) else job
