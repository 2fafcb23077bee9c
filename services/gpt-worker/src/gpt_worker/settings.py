"""What the worker can be told."""

from typing import Self

from pydantic import Field, model_validator

from common.settings import (
    BrokerSettings,
    CacheSettings,
    DeadlineSettings,
    Lifetime,
    RetentionSettings,
    Secrets,
    ServiceSettings,
    StoreSettings,
    TimeoutSettings,
)
from common.validation import problem_with

#: Seconds beyond the longest call of the model that a worker may need to save and acknowledge.
SAVE_MARGIN_S = 15


class WorkerSettings(
    ServiceSettings,
    BrokerSettings,
    CacheSettings,
    StoreSettings,
    TimeoutSettings,
    DeadlineSettings,
    RetentionSettings,
):
    """The worker's environment."""

    openai_api_key: Secrets = ()
    openai_base_url: str | None = Field(default=None, pattern="^https?://")
    openai_model: str = Field(default="gpt-4o-mini", min_length=1, max_length=128)
    openai_key_rest_s: Lifetime = 300

    streaming: bool = True

    prefetch: int = Field(default=10, ge=1, le=65_535)
    max_attempts: int = Field(default=5, ge=1, le=1000)
    retry_delay_s: float = Field(default=5, ge=0.001, le=86_400)
    retry_max_delay_s: float = Field(default=300, ge=0.001, le=86_400)
    conversation_ttl_s: float = Field(default=86_400, ge=0, le=10 * 365 * 86_400)
    context_tokens: int = Field(default=8192, ge=1, le=100_000_000)

    @property
    def drain_s(self) -> float:
        """How long a worker that is told to stop may go on with what is in its hands."""
        return self.job_timeout_s + SAVE_MARGIN_S

    @model_validator(mode="after")
    def _key_or_base_url(self) -> Self:
        """A model server of one's own may need no key; OpenAI does."""
        if not self.openai_api_key and self.openai_base_url is None:
            raise problem_with("OPENAI_API_KEY", "is missing")
        return self
