"""What the result-reader reads from a query."""

from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import make_mocked_request

from common.errors import InvalidRequest
from result_reader import handlers


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ("0", 0),
        ("25", 25),
        ("1.5", 1.5),
        ("007", 7),
        ("25.0", 25),
        ("1e1", 10),
        ("2.5e-3", 0.0025),
    ],
)
def test_wait_is_a_number_of_seconds(wait: str, seconds: float) -> None:
    assert handlers.seconds_to_wait(make_mocked_request("GET", "/?" + urlencode({"wait": wait}))) == seconds


def test_without_wait_nobody_waits() -> None:
    assert handlers.seconds_to_wait(make_mocked_request("GET", "/")) == 0


@pytest.mark.parametrize(
    "wait",
    ["", "-1", "+1", "25.1", "26", "nan", "inf", "1e2", ".5", "3.", "1_0", "1,5", " 1", "1 ", "١", "²", ".", "1.2.3",
     "ten", "9" * 5000],
)  # fmt: skip
def test_any_other_wait_is_refused(wait: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        handlers.seconds_to_wait(make_mocked_request("GET", "/?" + urlencode({"wait": wait})))
    assert (refusal.value.param, refusal.value.message) == ("wait", "must be a number of seconds from 0 to 25")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("ids=a", ["a"]),
        ("ids=a,b,c", ["a", "b", "c"]),
        ("ids=a&ids=b,c", ["a", "b", "c"]),
        ("ids=a,,b,", ["a", "b"]),
        ("ids=b,a,b", ["b", "a", "b"]),
        ("ids=a%2Cb", ["a", "b"]),
        ("ids=" + ",".join("x" * 50), ["x"] * 50),
    ],
)
def test_ids_are_separated_by_commas_and_keep_their_order(query: str, ids: list[str]) -> None:
    assert handlers._ids(make_mocked_request("GET", "/?" + query)) == ids


@pytest.mark.parametrize("query", ["", "ids", "ids=", "ids=,,", "id=a", "ids=" + ",".join("x" * 51)])
def test_no_ids_or_too_many_are_refused(query: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        handlers._ids(make_mocked_request("GET", "/?" + query))
    assert (refusal.value.param, refusal.value.message) == ("ids", "must be 1 to 50 job ids, separated by commas")
