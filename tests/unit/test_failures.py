"""The table of the upstream's failures, row by row: a change of it must be meant."""

import pytest

from common.errors import MEANINGS
from gpt_worker.failures import CLASSES, Failure, of_status

#   failure            code                    again      key
TABLE = """
    rate_limit         upstream_rate_limited   transient  -
    quota              upstream_quota          -          key
    server_error       upstream_unavailable    transient  -
    conflict           upstream_unavailable    transient  -
    connection         upstream_unavailable    transient  -
    timeout            upstream_timeout        transient  -
    malformed_answer   upstream_unavailable    transient  -
    oversized_answer   upstream_unavailable    -          -
    request_refused    upstream_rejected       -          -
    key_refused        upstream_rejected       -          key
    context_too_long   context_too_long        -          -
    content_filter     content_rejected        -          -
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_follows(row: list[str]) -> None:
    failure, code, again, key = row
    found = CLASSES[Failure(failure)]
    assert (found.code, found.is_transient, found.blames_key) == (code, again == "transient", key == "key")
    assert MEANINGS[found.code].retryable or not found.is_transient


def test_every_failure_is_in_the_table() -> None:
    assert {row[0] for row in ROWS} == set(Failure) == set(CLASSES)


@pytest.mark.parametrize(
    ("status", "code", "kind", "failure"),
    [
        (400, None, None, "request_refused"),
        (400, "context_length_exceeded", None, "context_too_long"),
        (400, "content_filter", None, "content_filter"),
        (400, 400, ["odd"], "request_refused"),
        (401, "invalid_api_key", None, "key_refused"),
        (402, None, None, "quota"),
        (403, None, None, "key_refused"),
        (404, "model_not_found", None, "request_refused"),
        (408, None, None, "timeout"),
        (409, None, None, "conflict"),
        (413, None, None, "context_too_long"),
        (422, None, None, "request_refused"),
        (429, None, None, "rate_limit"),
        (429, "rate_limit_exceeded", "requests", "rate_limit"),
        (429, "insufficient_quota", "insufficient_quota", "quota"),
        (429, None, "insufficient_quota", "quota"),
        (500, None, None, "server_error"),
        (502, None, None, "server_error"),
        (503, "anything", None, "server_error"),
        (504, None, None, "server_error"),
        (529, None, "overloaded_error", "server_error"),
    ],
)
def test_what_an_answer_with_an_error_status_means(status: int, code: object, kind: object, failure: str) -> None:
    assert of_status(status, code, kind) == failure
