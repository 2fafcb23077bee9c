"""What follows from a birth by the Chinese calendar and the zodiac: the facts of the `fortune` template."""

from collections.abc import Mapping
from datetime import date, time
from functools import lru_cache
from typing import Final

from lunar_python import Lunar, LunarYear, Solar
from lunar_python.util import SolarUtil
from pydantic import JsonValue

from common.templates.birth import read_birth, today_utc
from common.templates.inputs import InvalidTemplate

# As written, in lower case; 1, 2 and 0 are WeChat's.
_GENDERS: Final = {
    **dict.fromkeys(("男", "男性", "male", "m", "1"), "男"),
    **dict.fromkeys(("女", "女性", "female", "f", "2"), "女"),
    **dict.fromkeys(("其他", "other"), "其他"),
    **dict.fromkeys(("未知", "保密", "unknown", "0"), "未说明"),
}

# The library works everything out for each birth. A year's calendar takes 10 ms, in which all other requests of a
# gateway wait, and it keeps but one of the two or three that a birth needs. Half of all the rest are the moments of a
# year's solar terms, the first days of its months, and the numbers of these days: 6,000, asked for again and again.
# The birth's own day is asked for too, and soon forgotten.
LunarYear.fromYear = staticmethod(lru_cache(300)(LunarYear.fromYear))
Solar.fromJulianDay = staticmethod(lru_cache(8192)(Solar.fromJulianDay))
SolarUtil.getDaysInYear = staticmethod(lru_cache(8192)(SolarUtil.getDaysInYear))

# Who has a fortune told often has it told again.
_BIRTHS_REMEMBERED = 4096


def fortune_facts(inputs: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The facts, named as the prompt names them; raises InvalidTemplate for what is no gender or no birth."""
    gender = _GENDERS.get(str(inputs["gender"]).strip().lower())
    if gender is None:
        raise InvalidTemplate("inputs.gender", f"must be one of {', '.join(_GENDERS)}")
    birth = read_birth(str(inputs["birth"]), today_utc())
    name = str(inputs.get("name") or "")
    visitor = {"姓名": name} if name.strip() else {}
    return {**visitor, "性别": gender, **birth_facts(birth.day, birth.clock)}


@lru_cache(_BIRTHS_REMEMBERED)
def birth_facts(day: date, clock: time | None) -> Mapping[str, str]:
    """Zodiacs, lunar date, pillars and five elements of a birth.

    The pillars' years and months begin at the very second of their solar term (立春, 惊蛰, …) in Beijing
    time, and 生肖 goes with the year pillar. Without a clock there is no hour pillar, and on the day of a
    solar term both possible values are given, the earlier first. From 23:00 the hour is the next day's 子时,
    while the day pillar stays.
    """
    lunar = _lunar(day, clock or time.min)
    written = f"{day.year}年{day.month}月{day.day}日"
    facts = {
        "公历": f"{written} {clock:%H:%M}" if clock else written,
        "农历": f"{lunar.getYearInChinese()}年{lunar.getMonthInChinese()}月{lunar.getDayInChinese()}",
        "星座": f"{lunar.getSolar().getXingZuo()}座",
    }
    if clock:
        facts |= _pillars(lunar, with_hour=True)
    else:
        last = _lunar(day, time(23, 59, 59))
        facts |= _either(_pillars(lunar, with_hour=False), _pillars(last, with_hour=False))
    if (by_new_year := str(lunar.getYearShengXiao())) != facts["生肖"]:
        facts["生肖(以正月初一换年)"] = by_new_year
    return facts


def _lunar(day: date, clock: time) -> Lunar:
    return Solar.fromYmdHms(day.year, day.month, day.day, clock.hour, clock.minute, clock.second).getLunar()


def _pillars(lunar: Lunar, *, with_hour: bool) -> dict[str, str]:
    eight = lunar.getEightChar()
    pillars = {"年柱": eight.getYear(), "月柱": eight.getMonth(), "日柱": eight.getDay()}
    elements = eight.getYearWuXing() + eight.getMonthWuXing() + eight.getDayWuXing()
    if with_hour:
        pillars["时柱"] = eight.getTime()
        elements += eight.getTimeWuXing()
    return {
        "生肖": lunar.getYearShengXiaoExact(),
        **pillars,
        "日主": eight.getDayGan() + eight.getDayWuXing()[0],
        "五行": " ".join(f"{element}{elements.count(element)}" for element in "木火土金水"),
    }


def _either(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    return {key: value if value == second[key] else f"{value} 或 {second[key]}" for key, value in first.items()}
