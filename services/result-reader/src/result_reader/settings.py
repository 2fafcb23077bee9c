"""What the result-reader can be told."""

from common.lookup import LookupSettings
from common.settings import Origins


class ReaderSettings(LookupSettings):
    """The result-reader's environment."""

    cors_origins: Origins = ()
