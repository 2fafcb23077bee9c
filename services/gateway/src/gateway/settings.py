"""What the gateway can be told."""

from pydantic import Field

from common.lookup import LookupSettings
from common.settings import BrokerSettings, Origin, RetentionSettings, TimeoutSettings


class GatewaySettings(LookupSettings, BrokerSettings, TimeoutSettings, RetentionSettings):
    """The gateway's environment."""

    max_queue_depth: int | None = Field(default=None, ge=1)
    recovery_grace_s: float = Field(default=20, gt=0, le=3600)
    playground: bool = False
    playground_results_url: Origin | None = None

    @property
    def longest_answer_s(self) -> float:
        """The longest that a request waits for servers: to mark, publish and withdraw a job, or to end one."""
        return self.broker_timeout_s + 2 * (self.cache_timeout_s + self.store_timeout_s)
