"""The settings that several services share, one class for each thing they are about, and how they are loaded.

Everything comes from environment variables that are named like the fields, in upper case.
"""

import re
import sys
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.jobs import DEADLINE_MARGIN_S, Record

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]+)(:\d{1,5})?")


def _url_of(*schemes: str) -> AfterValidator:
    """Whether a URL is of one of the schemes; the message must not repeat it, it may hold a password."""

    def check(url: SecretStr) -> SecretStr:
        scheme, _, rest = url.get_secret_value().partition("://")
        if scheme not in schemes or not rest:
            raise ValueError(f"must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        user, _, hosts = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
        if "@" in user or user.count(":") > 1:
            raise ValueError("must have the special characters of its user and password percent-encoded")
        if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
            raise ValueError("must name a host, and a port only as a number")
        return url

    return AfterValidator(check)


def _comma_separated(value: Any) -> Any:
    """The parts of a comma-separated variable; blank ones are left out."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


ManagementUrl = Annotated[SecretStr, _url_of("http", "https")]
#: Seconds that one exchange with a server may take.
Timeout = Annotated[float, Field(gt=0, le=300)]
#: Seconds that something is kept.
Lifetime = Annotated[float, Field(gt=0, le=10 * 366 * 86_400)]
#: Where a page comes from, as browsers write it.
Origin = Annotated[str, Field(pattern=r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?$")]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_comma_separated)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_comma_separated)]


class ApiKey(BaseModel):
    """A key and the client that it belongs to; a client may have several."""

    model_config = ConfigDict(frozen=True)

    client: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    key: SecretStr = Field(min_length=1)


def _api_keys(value: Any) -> Any:
    """`name:key,…` as keys. The messages must not repeat any part, since a part may be a key."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition(":") for pair in _comma_separated(value)]
    if not pairs or any(not separator or not name.strip() or not key.strip() for name, separator, key in pairs):
        raise ValueError("must be name:key pairs, separated by commas")
    keys = [key.strip() for _, _, key in pairs]
    if len(set(keys)) < len(keys):
        raise ValueError("the same key stands there twice")
    return tuple({"client": name.strip(), "key": key.strip()} for name, _, key in pairs)


ApiKeys = Annotated[tuple[ApiKey, ...], NoDecode, BeforeValidator(_api_keys)]


def _upper_case(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


class Settings(BaseSettings):
    """How all settings are read: once, from the environment, where an empty variable is an unset one."""

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class ServiceSettings(Settings):
    """What every service has."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper_case)] = "INFO"
    http_host: str = "0.0.0.0"  # noqa: S104 (a container is reached from outside)
    admin_port: int = Field(default=9090, ge=1, le=65535)


class PublicHttpSettings(ServiceSettings):
    """For a service with a public door."""

    http_port: int = Field(default=8080, ge=1, le=65535)
    http_shortcut: bool = True
    job_id_keys: Annotated[Secrets, Field(min_length=1)]
    api_keys: ApiKeys = ()
    request_log_one_in: int = Field(default=1000, ge=0, le=1_000_000_000)
    predict_client: Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,64}$")] | None = None
    foreign_ids: bool = True


class BrokerSettings(Settings):
    """How to reach RabbitMQ, and the names there."""

    amqp_url: Annotated[SecretStr, _url_of("amqp", "amqps")]
    amqp_exchange: str = Field(default="chat-gpt-exchange", min_length=1, max_length=127)
    amqp_queue: str = Field(default="request-queue", min_length=1, max_length=127)
    broker_timeout_s: Timeout = 5
    broker_batching: bool = True


class CacheSettings(Settings):
    """How to reach Redis."""

    redis_url: Annotated[SecretStr, _url_of("redis", "rediss")]
    redis_prefix: str = Field(default="gpt-jobs:", max_length=64)
    cache_timeout_s: Timeout = 0.5
    cache_batching: bool = True
    result_cache_ttl_s: Lifetime = 600


class StoreSettings(Settings):
    """How to reach MongoDB. A database named in the URL is used; otherwise `gpt_jobs`."""

    mongo_url: Annotated[SecretStr, _url_of("mongodb", "mongodb+srv")]
    store_timeout_s: Timeout = 3
    store_batching: bool = True


class RetentionSettings(Settings):
    """How long what has become of a job can be read."""

    result_store_ttl_s: Lifetime = 3600


class TimeoutSettings(Settings):
    """The one number that a call's timeout, the time to drain and the grace of a pod follow from."""

    job_timeout_s: float = Field(default=300, gt=0, le=86_400)


class DeadlineSettings(Settings):
    """The longest that a job may take, waiting and work together."""

    job_deadline_s: float = Field(default=3600, gt=0, le=30 * 86_400)

    def known_by_id_until(self, record: Record) -> float:
        """Until when a reader takes a job without any record for one that waits, in Unix seconds, and some more."""
        return record.created_at + self.job_deadline_s + 2 * DEADLINE_MARGIN_S


SettingsType = TypeVar("SettingsType", bound=BaseSettings)


def load(settings: type[SettingsType], service: str) -> SettingsType:
    """The settings from the environment; ends the process with one line that names each wrong variable."""
    try:
        return settings()
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_in_words(error)))
        sys.stderr.write(f"{service}: cannot start: {problems}\n")
        sys.exit(2)


def _in_words(error: ValidationError) -> list[str]:
    """A sentence for each variable, in which the variable's value never occurs."""
    sentences = []
    for details in error.errors(include_url=False, include_input=False):
        if details["type"] == "problem":
            sentences.append(f"{details['ctx']['param']} {details['ctx']['reason']}")
            continue
        name = str(details["loc"][0]).upper()
        problem = "is missing" if details["type"] == "missing" else details["msg"].removeprefix("Value error, ")
        sentences.append(f"{name} {problem}" if problem == "is missing" else f"{name}: {problem}")
    return sentences
