"""What the result-reader can be told."""

from common.lookup import LookupSettings


class ReaderSettings(LookupSettings):
    """The result-reader's environment."""
