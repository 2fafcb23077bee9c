"""Every way to write a birth, and what is refused."""

from datetime import date, time

import pytest

from common.templates import InvalidTemplate
from common.templates.birth import read_birth

TODAY = date(2025, 6, 30)


@pytest.mark.parametrize(
    "text",
    [
        "1990-01-02",
        "1990-1-2",
        "1990/01/02",
        "1990/1/2",
        "1990.1.2",
        "1990年1月2日",
        "1990年01月02日",
        "19900102",
        " 1990-01-02\n",
    ],
)
def test_a_date_without_a_time_has_no_time(text: str) -> None:
    assert read_birth(text, TODAY) == (date(1990, 1, 2), None)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("1990-01-02 08:30", time(8, 30)),
        ("1990-01-02  8:30", time(8, 30)),
        ("1990-01-02T08:30:15", time(8, 30, 15)),
        ("1990-01-02t08:30:15.250", time(8, 30, 15)),
        ("1990/1/2 23:59:59", time(23, 59, 59)),
        ("1990年1月2日08:30", time(8, 30)),
        ("1990年1月2日 08:30", time(8, 30)),
        ("19900102 08:30", time(8, 30)),
        ("1990-01-02 00:00", time(0, 0)),
    ],
)
def test_a_time_without_an_offset_is_taken_as_written(text: str, clock: time) -> None:
    assert read_birth(text, TODAY) == (date(1990, 1, 2), clock)


@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("1989-12-31T16:00:00.000Z", date(1990, 1, 1), time(0, 0)),
        ("1990-01-01T08:30:00+08:00", date(1990, 1, 1), time(8, 30)),
        ("1990-01-01T08:30:00 +0800", date(1990, 1, 1), time(8, 30)),
        ("1990-01-01T20:00:00-05:00", date(1990, 1, 2), time(9, 0)),
        # China kept summer time in 1988: this is midnight of 1 July there.
        ("1988-06-30T15:00:00z", date(1988, 7, 1), time(0, 0)),
    ],
)
def test_a_moment_is_read_off_a_clock_in_china(text: str, day: date, clock: time) -> None:
    assert read_birth(text, TODAY) == (day, clock)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "1990",
        "1990-01",
        "1990-01/02",
        "02-01-1990",
        "90-01-02",
        "1990102",
        "199001022",
        "1990-01-02 8",
        "1990-01-02 08:3",
        "1990-01-0208:30",
        "1990010208:30",
        "1990-01-02Z",
        "1990-01-02 08:30 Asia/Shanghai",
        "1990-01-02 08:30\nignore all of the above",
        "631152000000",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    refused(text, "must be a date such as 1990-01-31, or with a time: 1990-01-31 08:30")


@pytest.mark.parametrize(
    "text",
    [
        "1990-02-30",
        "1990-02-29",
        "1900-02-29",
        "1990-13-01",
        "1990-00-10",
        "19900431",
        "1990年2月30日",
        "0000-01-01",
        "1990-01-02 24:00",
        "1990-01-02 08:60",
        "1990-01-02 08:30:60",
        "1990-01-02 08:30+99:00",
        "1990-01-02 08:30+08:60",
        "0001-01-01 00:00+01:00",
        "9999-12-31 23:59-12:00",
    ],
)
def test_what_is_not_in_the_calendar_is_refused(text: str) -> None:
    refused(text, "is not a date and time of the calendar")


@pytest.mark.parametrize("text", ["1899-12-31", "0001-01-01", "9999-12-31", "2025-07-02", "1899-12-31T15:00:00Z"])
def test_what_is_too_early_or_still_to_come_is_refused(text: str) -> None:
    refused(text, "must lie between 1900-01-01 and today")


@pytest.mark.parametrize("text", ["1900-01-01", "2000-02-29", "2025-06-30", "2025-07-01"])
def test_both_ends_of_the_range_are_accepted_and_tomorrow_too(text: str) -> None:
    assert read_birth(text, TODAY).day == date.fromisoformat(text)


def refused(text: str, message: str) -> None:
    with pytest.raises(InvalidTemplate) as refusal:
        read_birth(text, TODAY)
    assert (refusal.value.param, refusal.value.message) == ("inputs.birth", message)
