"""Whom the fortune is told for: many different ones, as bodies of requests."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

#: More than a gateway remembers, so that each birth is worked out anew.
COUNT = 6_000
_FIRST, _APART = datetime(1950, 1, 1, tzinfo=UTC), timedelta(days=3, hours=5, minutes=7)


def bodies() -> list[dict[str, str]]:
    """As the original's mini-program sends them."""
    return list(_bodies())


def _bodies() -> Iterator[dict[str, str]]:
    for number in range(COUNT):
        birth = f"{_FIRST + number * _APART:%Y-%m-%d %H:%M}"
        yield {"name": f"来客{number}", "gender": "男" if number % 2 else "女", "birth": birth}


def prompts() -> list[dict[str, str]]:
    """The same for a client that writes its prompt itself, as long as the original's."""
    return [{"msg": f"{_PROMPT}我叫{it['name']},性别{it['gender']},出生于{it['birth']}。"} for it in _bodies()]


_PROMPT = (
    "请你扮演一位博学而温厚的命理师,根据我的资料,用六百字以内的中文为我作一次命理解读,"
    "依次谈谈性情、事业、情缘与养心,最后送我一句赠言。我的资料:"
)
