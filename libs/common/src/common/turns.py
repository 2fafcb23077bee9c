"""What a job adds to a conversation: its own prompt, kept beside its record, whose text is the answer to it."""

from typing import Literal

from common.jobs import Frozen


class Said(Frozen):
    """One message, as it was sent to the model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Turn(Frozen):
    """A job's part of a conversation, without what came before it; `until` (Unix seconds) it can be continued."""

    parent_id: str | None = None
    messages: list[Said]
    until: float
