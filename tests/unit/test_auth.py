"""Which client a request comes from."""

import pytest
import structlog
from pydantic import SecretStr

from common.auth import ANYONE, Clients, warn_if_unsafe
from common.errors import ErrorCode, ServiceError
from common.settings import ApiKey, PublicHttpSettings

KEYS = tuple(
    ApiKey(client=client, key=SecretStr(key))
    for client, key in [("alice", "key-1"), ("alice", "key-2"), ("bob", "ключ")]
)
CLIENTS = Clients(KEYS, "mini-program")
OPEN = Clients((), None)


@pytest.mark.parametrize(
    ("authorization", "client"),
    [
        ("Bearer key-1", "alice"),
        ("Bearer key-2", "alice"),
        ("bearer key-1", "alice"),
        ("BEARER   key-1 ", "alice"),
        ("Bearer ключ", "bob"),
    ],
)
def test_a_key_says_who_it_is(authorization: str, client: str) -> None:
    assert CLIENTS.of(authorization) == client


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "key-1", "Basic key-1", "Bearer key-3", "Bearer KEY-1", "Bearer key-1x",
     "Bearer key", "Bearer key-1,key-2", "Bearer alice:key-1", "Bearerkey-1", "Bearer \udcff"],
)  # fmt: skip
def test_anything_else_is_refused(authorization: str | None) -> None:
    with pytest.raises(ServiceError) as refusal:
        CLIENTS.of(authorization)
    assert (refusal.value.code, refusal.value.http_status) == (ErrorCode.UNAUTHENTICATED, 401)


@pytest.mark.parametrize("authorization", [None, "", "Bearer anything"])
def test_without_keys_everyone_is_the_same_client(authorization: str | None) -> None:
    assert OPEN.of(authorization) == OPEN.of_predict() == ANYONE
    assert OPEN.is_open
    assert not CLIENTS.is_open


def test_the_originals_calls_count_as_the_client_that_is_named() -> None:
    assert CLIENTS.of_predict() == "mini-program"


def test_the_originals_calls_are_refused_if_none_is_named() -> None:
    with pytest.raises(ServiceError) as refusal:
        Clients(KEYS, None).of_predict()
    assert refusal.value.code is ErrorCode.UNAUTHENTICATED
    assert "PREDICT_CLIENT" in refusal.value.message


def warnings(settings: PublicHttpSettings) -> list[tuple[str, str]]:
    with structlog.testing.capture_logs() as logged:
        warn_if_unsafe(settings)
    return [(event["event"], event["setting"]) for event in logged]


def test_an_open_door_and_a_short_key_are_warned_of() -> None:
    unsafe = PublicHttpSettings(job_id_keys=(SecretStr("x" * 16), SecretStr("x" * 15)))
    assert warnings(unsafe) == [("open_to_anyone", "API_KEYS"), ("short_key", "JOB_ID_KEYS")]


def test_nothing_is_warned_of_where_all_is_well() -> None:
    assert warnings(PublicHttpSettings(job_id_keys=(SecretStr("x" * 16),), api_keys=KEYS)) == []
