"""What the gateway can be told."""

from pydantic import Field

from common.settings import BrokerSettings, CacheSettings, DeadlineSettings, PublicHttpSettings


class GatewaySettings(PublicHttpSettings, BrokerSettings, CacheSettings, DeadlineSettings):
    """The gateway's environment."""

    job_timeout_s: float = Field(default=300, gt=0, le=86_400)
