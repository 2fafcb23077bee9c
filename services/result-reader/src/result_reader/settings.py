"""What the result-reader can be told."""

from common.settings import CacheSettings, DeadlineSettings, PublicHttpSettings, StoreSettings


class ReaderSettings(PublicHttpSettings, CacheSettings, StoreSettings, DeadlineSettings):
    """The result-reader's environment."""
