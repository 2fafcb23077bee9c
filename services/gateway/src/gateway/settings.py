"""What the gateway can be told."""

from common.settings import BrokerSettings, CacheSettings, DeadlineSettings, PublicHttpSettings, TimeoutSettings


class GatewaySettings(PublicHttpSettings, BrokerSettings, CacheSettings, TimeoutSettings, DeadlineSettings):
    """The gateway's environment."""
