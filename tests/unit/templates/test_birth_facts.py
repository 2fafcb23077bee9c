"""The calendar, held against dates that are common knowledge and against the rules of the almanac."""

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lunar_python import LunarYear, Solar
from lunar_python.util import SolarUtil

from common.templates.fortune import birth_facts

STEMS, BRANCHES, ANIMALS = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥", "鼠牛虎兔龙蛇马羊猴鸡狗猪"
PILLARS = ("年柱", "月柱", "日柱", "时柱")
BIRTHS = st.datetimes(datetime(1900, 1, 1), datetime(2030, 12, 31))  # noqa: DTZ001 - by the clock on the wall


@pytest.mark.parametrize(
    ("moment", "pillars"),
    [
        ("1949-10-01 15:00", "己丑 癸酉 甲子 壬申"),  # the proclamation of the People's Republic
        ("1990-01-01 08:30", "己巳 丙子 丙寅 壬辰"),
        ("2000-01-01 12:00", "己卯 丙子 戊午 戊午"),
        # 立春 of 1984 was at 23:18:44 on 4 February, of 2000 at 20:40:24.
        ("1984-02-04 23:18", "癸亥 乙丑 戊辰 甲子"),
        ("1984-02-04 23:19", "甲子 丙寅 戊辰 甲子"),
        ("2000-02-04 20:40", "己卯 丁丑 壬辰 庚戌"),
        ("2000-02-04 20:41", "庚辰 戊寅 壬辰 庚戌"),
        # From 23:00 the hour is counted from the next day, the day is not.
        ("1988-08-08 22:59", "戊辰 庚申 乙未 丁亥"),
        ("1988-08-08 23:00", "戊辰 庚申 乙未 戊子"),
        ("1988-08-09 00:00", "戊辰 庚申 丙申 戊子"),
    ],
)
def test_eight_characters(moment: str, pillars: str) -> None:
    facts = birth_facts(*split(moment))
    assert [facts[key] for key in PILLARS] == pillars.split()


@pytest.mark.parametrize(
    ("day", "lunar", "zodiac", "by_new_year"),
    [
        ("1900-01-31", "一九〇〇年正月初一", "猪", "鼠"),
        ("1990-01-01", "一九八九年腊月初五", "蛇", None),
        ("1990-01-26", "一九八九年腊月三十", "蛇", None),
        ("1990-01-27", "一九九〇年正月初一", "蛇", "马"),
        ("1990-02-05", "一九九〇年正月初十", "马", None),
        ("2000-02-05", "二〇〇〇年正月初一", "龙", None),
        ("2020-05-23", "二〇二〇年闰四月初一", "鼠", None),
        ("2023-03-22", "二〇二三年闰二月初一", "兔", None),
        ("2021-02-05", "二〇二〇年腊月廿四", "牛", "鼠"),
    ],
)
def test_lunar_date_and_both_ways_to_count_the_zodiac(
    day: str, lunar: str, zodiac: str, by_new_year: str | None
) -> None:
    facts = birth_facts(date.fromisoformat(day), None)
    assert facts["农历"] == lunar
    assert facts["生肖"] == zodiac
    assert facts.get("生肖(以正月初一换年)") == by_new_year


@pytest.mark.parametrize(
    ("last_day", "sign"),
    [
        ("01-19", "摩羯座"),
        ("02-18", "水瓶座"),
        ("03-20", "双鱼座"),
        ("04-19", "白羊座"),
        ("05-20", "金牛座"),
        ("06-21", "双子座"),
        ("07-22", "巨蟹座"),
        ("08-22", "狮子座"),
        ("09-22", "处女座"),
        ("10-23", "天秤座"),
        ("11-22", "天蝎座"),
        ("12-21", "射手座"),
        ("12-31", "摩羯座"),
    ],
)
def test_western_zodiac(last_day: str, sign: str) -> None:
    assert birth_facts(date.fromisoformat(f"1995-{last_day}"), None)["星座"] == sign


def test_without_a_time_there_is_no_hour_pillar() -> None:
    facts = birth_facts(date(1990, 1, 1), None)
    assert facts == {
        "公历": "1990年1月1日",
        "农历": "一九八九年腊月初五",
        "星座": "摩羯座",
        "生肖": "蛇",
        "年柱": "己巳",
        "月柱": "丙子",
        "日柱": "丙寅",
        "日主": "丙火",
        "五行": "木1 火3 土1 金0 水1",
    }


def test_without_a_time_the_day_of_a_solar_term_leaves_two_possibilities() -> None:
    facts = birth_facts(date(1984, 2, 4), None)
    assert facts["年柱"] == "癸亥 或 甲子"
    assert facts["月柱"] == "乙丑 或 丙寅"
    assert facts["日柱"] == "戊辰"
    assert facts["生肖"] == "猪 或 鼠"


def test_midnight_is_a_time() -> None:
    assert birth_facts(date(1990, 1, 1), time(0, 0))["时柱"] == "戊子"


@given(BIRTHS)
def test_the_pillars_obey_the_rules_of_the_almanac(moment: datetime) -> None:
    facts = birth_facts(moment.date(), moment.time())
    year, month, day, hour = (facts[key] for key in PILLARS)
    for pillar in (year, month, day, hour):
        assert (STEMS.index(pillar[0]) - BRANCHES.index(pillar[1])) % 2 == 0
    # 五虎遁: the year's stem gives that of its first month, 寅; 五鼠遁: the day's that of its first hour, 子.
    months = (BRANCHES.index(month[1]) - 2) % 12
    assert STEMS.index(month[0]) == (STEMS.index(year[0]) * 2 + 2 + months) % 10
    late = moment.hour == 23
    assert BRANCHES.index(hour[1]) == (moment.hour + 1) // 2 % 12
    assert STEMS.index(hour[0]) == ((STEMS.index(day[0]) + late) * 2 + BRANCHES.index(hour[1])) % 10
    # 1 January 1900 was 甲戌, the eleventh of the sixty days.
    days = (moment.date() - date(1900, 1, 1)).days
    assert day == STEMS[days % 10] + BRANCHES[(days + 10) % 12]
    assert facts["生肖"] == ANIMALS[BRANCHES.index(year[1])]
    assert facts["日主"][0] == day[0]
    assert sum(int(part[1]) for part in facts["五行"].split()) == 8


def split(moment: str) -> tuple[date, time]:
    whole = datetime.fromisoformat(moment)
    return whole.date(), whole.time()


def test_the_calendar_of_a_year_is_made_once() -> None:
    """It takes 10 ms, in which a gateway does nothing else; the library itself keeps the last one only."""
    birth_facts(date(1990, 1, 1), time(10))
    before = LunarYear.fromYear.cache_info()
    birth_facts(date(1990, 1, 1), time(12))
    birth_facts(date(1990, 1, 2), None)
    after = LunarYear.fromYear.cache_info()
    assert after.hits > before.hits
    assert after.misses == before.misses


def test_what_the_library_remembers_is_what_it_works_out() -> None:
    """Solar terms, first days of months, and their numbers in the year are kept from one birth to the next."""
    for moment in (2299160.5, 2415020.0, 2445735.471, 2451545.0, 2462502.123456):
        told, anew = Solar.fromJulianDay(moment), Solar.fromJulianDay.__wrapped__(moment)
        assert Solar.fromJulianDay(moment) is told
        assert told.toYmdHms() == anew.toYmdHms()
        day = (told.getYear(), told.getMonth(), told.getDay())
        assert SolarUtil.getDaysInYear(*day) == SolarUtil.getDaysInYear.__wrapped__(*day)
