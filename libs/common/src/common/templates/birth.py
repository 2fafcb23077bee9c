"""A birth as a client writes it, and as the calendar knows it."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.templates.inputs import InvalidTemplate

EARLIEST = date(1900, 1, 1)

# Its history (summer time 1986-1991, local mean time before 1901) keeps a midnight that JavaScript's
# `toJSON` wrote in UTC on its day.
_CHINA = ZoneInfo("Asia/Shanghai")

_DATES = (
    r"(\d{4})-(\d{1,2})-(\d{1,2})",
    r"(\d{4})/(\d{1,2})/(\d{1,2})",
    r"(\d{4})\.(\d{1,2})\.(\d{1,2})",
    r"(\d{4})年(\d{1,2})月(\d{1,2})日",
    r"(\d{4})(\d{2})(\d{2})",
)
_TIME = r"(?:(?:T|\s+|(?<=日))(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
_FORMS = tuple(re.compile(written + _TIME, re.ASCII | re.IGNORECASE) for written in _DATES)


class Birth(NamedTuple):
    """Date and time by the clock at the place of birth; no time where none was given."""

    day: date
    clock: time | None


def read_birth(text: str, today: date) -> Birth:
    """The birth that the text states; raises InvalidTemplate (`inputs.birth`) if it states none.

    Without an offset the clock is taken as written, wherever that was. With `Z` or an offset the text is a
    moment, and stands for what a clock in China showed then. `today` is the date in UTC: one day more is
    accepted, since east of Greenwich it may be tomorrow.
    """
    found = next(filter(None, (form.fullmatch(text.strip()) for form in _FORMS)), None)
    if found is None:
        raise _refusal("must be a date such as 1990-01-31, or with a time: 1990-01-31 08:30")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        moment = datetime.combine(date(year, month, day), time(hour, minute, second))
        if offset := found[7]:
            moment = moment.replace(tzinfo=datetime.strptime(offset.upper(), "%z").tzinfo).astimezone(_CHINA)
    except (ValueError, OverflowError) as error:
        raise _refusal("is not a date and time of the calendar") from error
    if not EARLIEST <= moment.date() <= today + timedelta(days=1):
        raise _refusal("must lie between 1900-01-01 and today")
    return Birth(moment.date(), moment.time() if found[4] else None)


def today_utc() -> date:
    return datetime.now(UTC).date()


def _refusal(message: str) -> InvalidTemplate:
    return InvalidTemplate("inputs.birth", message)
