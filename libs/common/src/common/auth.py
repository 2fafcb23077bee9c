"""Says which client a request comes from."""

import hashlib
import hmac

import structlog

from common.errors import ErrorCode, ServiceError
from common.settings import ApiKey, PublicHttpSettings

log = structlog.get_logger()

#: The name of every client where no API keys are set.
ANYONE = ""

MIN_SAFE_KEY_CHARS = 16


class Clients:
    """The clients that may submit and read; everyone is the same client where no keys are set."""

    def __init__(self, api_keys: tuple[ApiKey, ...], predict_client: str | None) -> None:
        self._keys = [(_digest(key.key.get_secret_value()), key.client) for key in api_keys]
        self._predict_client = predict_client

    @property
    def is_open(self) -> bool:
        """Whether anyone may submit and read."""
        return not self._keys

    def of(self, authorization: str | None) -> str:
        """The client that an `Authorization` header belongs to; raises ServiceError 401."""
        if self.is_open:
            return ANYONE
        scheme, _, key = (authorization or "").partition(" ")
        digest = _digest(key.strip())
        # All keys are compared, each in constant time, so that the time says nothing about any of them.
        found = [client for known, client in self._keys if hmac.compare_digest(known, digest)]
        if scheme.lower() != "bearer" or not found:
            raise ServiceError(ErrorCode.UNAUTHENTICATED)
        return found[0]

    def of_predict(self) -> str:
        """The client that the original's calls count as, since they carry no key; raises ServiceError 401."""
        if self.is_open:
            return ANYONE
        if self._predict_client is None:
            raise ServiceError(ErrorCode.UNAUTHENTICATED, "PREDICT_CLIENT is not set, so this call is not served.")
        return self._predict_client


def warn_if_unsafe(settings: PublicHttpSettings) -> None:
    """Say at the start what an operator may not have meant."""
    if not settings.api_keys:
        log.warning("open_to_anyone", setting="API_KEYS")
    if any(len(key.get_secret_value()) < MIN_SAFE_KEY_CHARS for key in settings.job_id_keys):
        log.warning("short_key", setting="JOB_ID_KEYS", recommended_chars=MIN_SAFE_KEY_CHARS)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
