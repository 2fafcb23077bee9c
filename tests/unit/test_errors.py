"""One table of error codes, one shape."""

import pytest

from common import errors
from common.errors import MEANINGS, ErrorCode, ErrorType, InvalidRequest, ServiceError


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ErrorCode)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_has_the_same_shape(code: ErrorCode) -> None:
    body = ServiceError(code).body("req_1").model_dump(mode="json")
    assert body == {
        "code": code.value,
        "message": MEANINGS[code].message,
        "type": MEANINGS[code].type.value,
        "param": None,
        "retryable": MEANINGS[code].retryable,
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid_request", 400),
        ("unauthenticated", 401),
        ("not_found", 404),
        ("job_not_found", 404),
        ("method_not_allowed", 405),
        ("job_expired", 410),
        ("parent_not_found", 400),
        ("parent_not_finished", 409),
        ("too_large", 413),
        ("unsupported_media_type", 415),
        ("queue_full", 429),
        ("internal", 500),
        ("broker_unavailable", 503),
        ("cache_unavailable", 503),
        ("store_unavailable", 503),
    ],
)
def test_an_answer_with_an_error_has_its_status(code: str, status: int) -> None:
    assert ServiceError(ErrorCode(code)).http_status == status


def test_what_is_unavailable_is_worth_another_try_and_what_is_invalid_is_not() -> None:
    for code, meaning in MEANINGS.items():
        if meaning.type is ErrorType.UNAVAILABLE:
            assert (meaning.retryable, meaning.http_status) == (True, 503)
        if meaning.http_status in range(400, 500):
            passes = meaning.type is ErrorType.RATE_LIMIT or code is ErrorCode.PARENT_NOT_FINISHED
            assert meaning.retryable == passes


def test_messages_are_sentences_that_fit_a_small_screen() -> None:
    for meaning in MEANINGS.values():
        assert meaning.message[0].isupper()
        assert meaning.message.endswith(".")
        assert len(meaning.message) <= 80


def test_an_invalid_request_says_what_and_where() -> None:
    body = InvalidRequest("must be at most 5", "deadline_s").body()
    assert (body.code, body.message, body.param, body.request_id) == (
        "invalid_request",
        "must be at most 5",
        "deadline_s",
        None,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BrokerUnavailable(), ErrorCode.BROKER_UNAVAILABLE),
        (errors.CacheUnavailable(), ErrorCode.CACHE_UNAVAILABLE),
        (errors.StoreUnavailable(), ErrorCode.STORE_UNAVAILABLE),
    ],
)
def test_a_server_that_is_away_has_a_code_of_its_own(error: ServiceError, code: ErrorCode) -> None:
    assert error.code is code
