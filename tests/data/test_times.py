"""Times: how they are written, how far apart they stand, what season they suggest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from remanence.data.notation import Notation, one_zone, unit_of, zones_of
from remanence.data.times import DAY, Frequency, calendar_names, calendar_values, detect, guess_format, parse


def stamps(*texts: str) -> np.ndarray:
    return np.array(texts, "M8[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("texts", "expected", "first"),
    [
        (["2012/01/01", "2012/01/02"], "%Y/%m/%d", "2012-01-01"),
        (["Jan 1 2000", "Feb 1 2000"], "%b %d %Y", "2000-01-01"),
        (["2016-07-01 00:00:00", "2016-07-01 01:00:00"], "iso", "2016-07-01"),
        (["2016-07-01T05:30", "2016-07-01T06:30"], "iso", "2016-07-01 05:30"),
        (["2024-01-01T08:00:00+08:00"], "iso-zone", "2024-01-01"),
        (["31/12/2020", "01/01/2021"], "%d/%m/%Y", "2020-12-31"),
        (["05/01/2020", "06/01/2020", "13/01/2020"], "%d/%m/%Y", "2020-01-05"),
        (["01/31/2020", "02/29/2020"], "%m/%d/%Y", "2020-01-31"),
        (["20200101", "20200102"], "%Y%m%d", "2020-01-01"),
        (["1700000000", "1700003600"], "epoch-s", "2023-11-14 22:13:20"),
        (["1700000000000"], "epoch-ms", "2023-11-14 22:13:20"),
        (["2020年1月31日"], "%Y年%m月%d日", "2020-01-31"),
        (["2020-01", "2020-02"], "%Y-%m", "2020-01-01"),
        (["03/01/2024 12:00 AM", "03/01/2024 1:30 PM"], "%m/%d/%Y %I:%M %p", "2024-03-01"),
        (["31/01/2024 12:00:30 pm"], "%d/%m/%Y %I:%M:%S %p", "2024-01-31 12:00:30"),
        (["2024-03-01 01:05 PM"], "%Y-%m-%d %I:%M %p", "2024-03-01 13:05"),
        (["2024年3月1日 00时00分", "2024年3月1日13时05分"], "%Y年%m月%d日 %H时%M分", "2024-03-01"),
        (["2024年3月1日 7:05"], "%Y年%m月%d日 %H:%M", "2024-03-01 07:05"),
        (["7", "8"], "integer", "7"),
    ],
)
def test_format_is_found_and_read(texts: list[str], expected: str, first: str) -> None:
    assert guess_format(texts) == expected
    times, bad = parse(pa.array(texts), expected)
    assert bad == -1
    assert Notation(expected).show(int(times[0])) == first


@pytest.mark.parametrize("texts", [["x"], ["2020-01-01", "2020/01/02"], ["1.5"], [], ["2020-13-01"]])
def test_what_is_no_time_has_no_format(texts: list[str]) -> None:
    assert guess_format(texts) is None


@pytest.mark.parametrize("bad", [0, 1, 41, 62])
@pytest.mark.parametrize("time_format", ["iso", "%Y/%m/%d", "integer"])
def test_first_bad_row_is_found(bad: int, time_format: str) -> None:
    good = {"iso": "2020-01-01", "%Y/%m/%d": "2020/01/01", "integer": "3"}[time_format]
    texts = [good] * 63
    texts[bad] = "later"
    assert parse(pa.array(texts), time_format)[1] == bad


@pytest.mark.parametrize(
    ("times", "name", "season"),
    [
        (stamps("2024-01-01T00", "2024-01-01T01", "2024-01-01T02"), "hourly", 24),
        (stamps("2024-01-01", "2024-01-02"), "daily", 7),
        (stamps("2024-01-31", "2024-02-29", "2024-03-31"), "monthly", 12),
        (stamps("2024-01-15", "2024-02-15", "2024-03-15", "2024-05-15"), "monthly", 12),
        (stamps("2024-01-01", "2024-04-01", "2024-07-01"), "quarterly", 4),
        (stamps("2000-01-01", "2001-01-01", "2002-01-01"), "yearly", 1),
        (stamps("2024-01-01", "2024-01-08"), "weekly", 52),
        (stamps("2024-01-01T00:00", "2024-01-01T00:15"), "every 15 minutes", 96),
        (np.arange(1, 9, dtype=np.int64) * 3, "in steps of 3", 1),
    ],
)
def test_frequency_is_named_and_suggests_a_season(times: np.ndarray, name: str, season: int) -> None:
    found = detect(times, [0], "iso" if times[0] > 10**9 else "integer")
    assert found is not None
    assert (found.name, found.season) == (name, season)


def test_weekdays_are_a_frequency() -> None:
    days = np.array([day for day in np.arange("2024-01-01", "2024-02-10", dtype="M8[D]") if np.is_busday(day)])
    found = detect(days.astype("M8[us]").astype(np.int64), [0], "iso")
    assert found == Frequency(unit="business", step=1)
    friday = int(stamps("2024-01-05")[0])
    assert Notation("iso").show(int(found.later(friday, np.array([1]))[0])) == "2024-01-08"


@pytest.mark.parametrize(
    ("texts", "zone", "shown"),
    [
        (["2024-01-01T08:00:00+08:00", "2024-01-01T09:00:00+08:00"], 8 * 60, "2024-01-01 08:00+08:00"),
        (["2024-01-01 00:00:30-0330"], -(3 * 60 + 30), "2024-01-01 00:00:30-03:30"),
        (["2024-01-01T00:00Z", "2024-01-02T00:00Z"], 0, "2024-01-01 00:00+00:00"),
        (["2024-01-01T08:00+08:00", "2024-01-01T02:00+01:00"], 0, "2024-01-01 00:00+00:00"),
    ],
)
def test_times_with_an_offset_are_told_by_their_own_clock(texts: list[str], zone: int, shown: str) -> None:
    cells = pa.array(texts)
    found = one_zone(zones_of(cells, "iso-zone"))
    assert found == zone * 60_000_000
    assert Notation("iso-zone", found).show(int(parse(cells, "iso-zone")[0][0])) == shown
    assert one_zone(zones_of(pa.array(["2024-01-01"]), "iso")) is None


def test_zones_of_typed_times_are_those_of_their_seasons() -> None:
    berlin = pa.array(stamps("2024-01-01T12", "2024-07-01T12")).cast(pa.timestamp("us", "Europe/Berlin"))
    assert {size // 60_000_000 for size in zones_of(berlin, "native")} == {60, 120}


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["2024-03-08", "2024-03-09"], "D"),
        (["2024-03-08", "2024-03-08T00:01"], "m"),
        (["2024-03-08T00:00:01", "2024-03-08"], "s"),
        (["2024-03-08T00:00:00.5"], "us"),
    ],
)
def test_times_of_one_file_are_written_alike(texts: list[str], unit: str) -> None:
    times = stamps(*texts)
    assert unit_of(times) == unit
    shown = [Notation("iso", unit=unit_of(times)).show(int(time)) for time in times]
    assert len({len(text) for text in shown}) == 1
    assert stamps(*shown).tolist() == times.tolist()


def test_series_edges_are_no_steps() -> None:
    times = np.concatenate([stamps("2024-01-01", "2024-01-02", "2024-01-03")] * 2)
    assert detect(times, [0, 3], "iso") == Frequency(unit="microsecond", step=DAY)


def test_uneven_steps_have_no_frequency() -> None:
    assert detect(np.array([0, 2, 4, 7], np.int64), [0], "integer") is None


@pytest.mark.parametrize(
    ("start", "later"), [("2024-01-31", "2024-02-29"), ("2024-01-15", "2024-02-15"), ("2023-12-31", "2024-01-31")]
)
def test_month_ends_stay_month_ends(start: str, later: str) -> None:
    monthly = Frequency(unit="month", step=1)
    assert monthly.later(int(stamps(start)[0]), np.array([1])).tolist() == stamps(later).tolist()


def test_calendar_uses_only_what_training_has_seen() -> None:
    hourly = Frequency(unit="microsecond", step=DAY // 24)
    assert calendar_names(hourly, 3) == ("hour_sin", "hour_cos")
    assert calendar_names(hourly, 30)[2:] == ("weekday_sin", "weekday_cos")
    assert "yearday_sin" in calendar_names(hourly, 400)
    assert calendar_names(Frequency(unit="month", step=12), 4000) == ()


@pytest.mark.parametrize("rows", [1, 63])
def test_calendar_waves_match_the_calendar(rows: int) -> None:
    import datetime

    times = stamps("2023-12-30T05:30") + np.arange(rows) * DAY // 4
    names = ("hour_sin", "weekday_cos", "monthday_sin", "yearday_cos", "month_sin")
    values = calendar_values(times, names)
    for row, time in enumerate(times):
        day = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(time))
        turns = [
            (day.hour + day.minute / 60) / 24,
            day.weekday() / 7,
            (day.day - 1) / 31,
            (day.timetuple().tm_yday - 1) / 366,
            (day.month - 1) / 12,
        ]
        waves = [
            (np.sin if name.endswith("sin") else np.cos)(2 * np.pi * turn)
            for name, turn in zip(names, turns, strict=True)
        ]
        np.testing.assert_allclose(values[row], waves, atol=1e-6)
