"""Times as text to numbers, and the frequency of a series.

A time is an int64: microseconds since 1970 where the format is a date, the number itself where it is an integer.
A format is one of `integer`, `epoch-s`, `epoch-ms`, `native` (dates of Parquet), `iso`, `iso-zone` (with an offset from
UTC), or a pattern of strptime such as `%b %d %Y`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from remanence.data.arrow import compute

__all__ = [
    "DAY",
    "SECOND",
    "Frequency",
    "calendar_names",
    "calendar_values",
    "detect",
    "gap_sizes",
    "guess_format",
    "is_date",
    "parse",
]

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
_SLAB = 1 << 20
PATTERNS = (
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%b %d %Y",
    "%B %d %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%Y-%m",
    "%Y/%m",
    "%b %Y",
    "%Y年%m月%d日",
    "%Y年%m月%d日 %H时",
    "%Y年%m月%d日 %H时%M分",
    "%Y年%m月%d日 %H时%M分%S秒",
    "%Y年%m月%d日 %H:%M",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y年%m月",
    "%Y%m%d",
)


class Frequency(BaseModel):
    """The step between two rows: `step` units.

    Units: `row` (no time at all), `integer` (plain numbers), `microsecond`, `month`, `business` (weekdays).

    Example:
        >>> hourly = Frequency(unit="microsecond", step=3_600_000_000)
        >>> hourly.name, hourly.season
        ('hourly', 24)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["row", "integer", "microsecond", "month", "business"]
    step: int

    @property
    def name(self) -> str:
        """A word for people."""
        if self.unit == "microsecond":
            words = {
                SECOND: "every second",
                60 * SECOND: "every minute",
                HOUR: "hourly",
                DAY: "daily",
                7 * DAY: "weekly",
            }
            for size, word in ((DAY, "days"), (HOUR, "hours"), (60 * SECOND, "minutes"), (SECOND, "seconds")):
                if self.step % size == 0:
                    return words.get(self.step) or f"every {self.step // size} {word}"
            return f"every {self.step / SECOND:g} seconds"
        if self.unit == "month":
            return {1: "monthly", 3: "quarterly", 12: "yearly"}.get(self.step) or f"every {self.step} months"
        words = {"row": "row by row", "business": "weekdays"}
        return words.get(self.unit) or ("in steps of 1" if self.step == 1 else f"in steps of {self.step}")

    @property
    def season(self) -> int:
        """Steps of the usual season: a day of hours, a week of days, a year of months; 1 where there is none."""
        if self.unit == "business":
            return 5
        if self.unit == "month":
            return max(1, 12 // self.step)
        if self.unit != "microsecond":
            return 1
        for cycle in (60 * SECOND, HOUR, DAY, 7 * DAY, 364 * DAY):
            # The shortest cycle of at least four steps: a minute of seconds, a day of hours, a week of days.
            if cycle in (60 * SECOND, HOUR) and self.step >= 60 * SECOND:
                continue
            if cycle % self.step == 0 and cycle // self.step >= 4:
                return cycle // self.step
        return 1

    def ordinals(self, times: np.ndarray) -> np.ndarray:
        """Number the steps, so that neighbours differ by one; a time off the grid gets -1 in `rest`, see `detect`."""
        if self.unit == "month":
            return times.view("M8[us]").astype("M8[M]").astype(np.int64) // self.step
        if self.unit == "business":
            return np.busday_count(np.datetime64("1970-01-01"), times.view("M8[us]").astype("M8[D]")).astype(np.int64)
        return times // self.step if self.step else times

    def later(self, time: int, steps: np.ndarray) -> np.ndarray:
        """Times some steps after one time: int64 `[steps]`."""
        if self.unit == "business":
            start = np.datetime64(time, "us").astype("M8[D]")
            days = np.busday_offset(start, steps, roll="forward")
            return (days.astype("M8[us]").astype(np.int64) + time % DAY).astype(np.int64)
        if self.unit != "month":
            return time + steps * self.step
        stamp = np.datetime64(time, "us")
        months = stamp.astype("M8[M]") + steps * self.step
        day = (stamp.astype("M8[D]") - stamp.astype("M8[M]").astype("M8[D]")).astype(np.int64)
        length = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
        last_of_month = (stamp.astype("M8[D]") + 1).astype("M8[M]") != stamp.astype("M8[M]")
        days = np.where(last_of_month, length - 1, np.minimum(day, length - 1))
        return (months.astype("M8[D]") + days).astype("M8[us]").astype(np.int64) + time % DAY


def is_date(time_format: str) -> bool:
    """Whether times of this format are points of the calendar."""
    return time_format not in ("integer", "row")


def guess_format(values: Iterable[Any]) -> str | None:
    """Name the format that reads all these values, or None.

    Where day and month could be either way round, the one that keeps the values in order is taken.
    """
    given = [value for value in values if value is not None and value != ""]
    if not given:
        return None
    if isinstance(given[0], date):
        return "native"
    if not isinstance(given[0], str | int):
        return None
    texts = pa.array([str(value) for value in given])
    # Whole numbers fit one pattern only; trying all of them would take half a minute on ten thousand columns.
    whole = parse(texts, "integer")[1] < 0
    names = ("integer", "%Y%m%d") if whole else ("iso", "iso-zone", *PATTERNS)
    fits = [name for name in names if parse(texts, name)[1] < 0]
    if "integer" in fits:
        numbers = parse(texts, "integer")[0]
        if "%Y%m%d" in fits and numbers.min() >= 18000101 and numbers.max() <= 22000101:
            return "%Y%m%d"
        low, high = int(numbers.min()), int(numbers.max())
        for name, unit in (("epoch-s", 1), ("epoch-ms", 1000)):
            if 600_000_000 * unit <= low and high <= 4_000_000_000 * unit:
                return name
        return "integer"
    ordered = [name for name in fits if (np.diff(parse(texts, name)[0]) >= 0).all()]
    return next(iter(ordered or fits), None)


def parse(values: pa.Array, time_format: str) -> tuple[np.ndarray, int]:
    """Read times.

    Returns:
        int64 `[row]`, and the first row that does not have this format (-1: none).
    """
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        stamps = values.cast(pa.timestamp("us", getattr(values.type, "tz", None)))
        return _filled(stamps.cast(pa.timestamp("us")) if stamps.type.tz is None else stamps)
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = values.cast(pa.int64(), safe=False).cast(pa.string())
    if time_format in ("integer", "epoch-s", "epoch-ms"):
        numbers, bad = _cast(values, pa.int64())
        return numbers * {"integer": 1, "epoch-s": SECOND, "epoch-ms": 1000}[time_format], bad
    if time_format == "iso":
        return _cast(values, pa.timestamp("us"))
    if time_format == "iso-zone":
        return _cast(values, pa.timestamp("us", "UTC"))
    if time_format == "native":
        return np.zeros(len(values), np.int64), 0
    return _filled(compute.strptime(values, format=time_format, unit="us", error_is_null=True))


def _cast(values: pa.Array, kind: pa.DataType) -> tuple[np.ndarray, int]:
    try:
        return _filled(values.cast(kind))
    except pa.ArrowInvalid:
        return np.zeros(len(values), np.int64), _first_bad(values, kind)


def _first_bad(values: pa.Array, kind: pa.DataType) -> int:
    """Halve the rows until the first one that cannot be cast is alone."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            values.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _filled(stamps: pa.Array) -> tuple[np.ndarray, int]:
    bad = int(np.argmax(stamps.is_null().to_numpy(zero_copy_only=False))) if stamps.null_count else -1
    if pa.types.is_timestamp(stamps.type):
        stamps = stamps.view(pa.int64())
    return compute.fill_null(stamps, 0).to_numpy(zero_copy_only=False).astype(np.int64), bad


def detect(times: np.ndarray, starts: Sequence[int], time_format: str) -> Frequency | None:
    """Find the step of sorted times without duplicates; None where no step divides the differences.

    Args:
        times: int64 `[row]`, series after series.
        starts: row at which each series starts.
    """
    if time_format == "row":
        return Frequency(unit="row", step=1)
    sizes, counts = gap_sizes(times, starts)
    if not len(sizes):
        return Frequency(
            unit="microsecond" if is_date(time_format) else "integer", step=DAY if is_date(time_format) else 1
        )
    step = int(sizes[counts.argmax()])
    if not is_date(time_format):
        return Frequency(unit="integer", step=step) if not (sizes % step).any() else None
    if sizes.min() >= 27 * DAY and (monthly := _monthly(times, sizes, counts)):
        return monthly
    if step == DAY and len(sizes) > 1 and len(times) > 10:
        weekday = (times // DAY + 3) % 7
        if (weekday < 5).all() and (times % DAY == times[0] % DAY).all():
            return Frequency(unit="business", step=1)
    return Frequency(unit="microsecond", step=step) if not (sizes % step).any() else None


def gap_sizes(times: np.ndarray, starts: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences between neighbours of one series: each size once, rising, and how often it comes."""
    found: dict[int, int] = {}
    edges = np.asarray(starts, np.int64)
    for begin in range(0, max(len(times) - 1, 0), _SLAB):
        stop = min(begin + _SLAB, len(times) - 1)
        gaps = np.diff(times[begin : stop + 1])
        inside = np.ones(len(gaps), bool)
        inside[edges[(edges > begin) & (edges <= stop)] - 1 - begin] = False
        for size, count in zip(*np.unique(gaps[inside], return_counts=True), strict=True):
            found[int(size)] = found.get(int(size), 0) + int(count)
    sizes = np.array(sorted(found), np.int64)
    return sizes, np.array([found[size] for size in sizes.tolist()], np.int64)


def _monthly(times: np.ndarray, gaps: np.ndarray, weights: np.ndarray) -> Frequency | None:
    stamps = times.view("M8[us]")
    months, days = stamps.astype("M8[M]"), stamps.astype("M8[D]")
    same_day = len(np.unique(days - months.astype("M8[D]"))) == 1
    last_day = bool(((days + 1).astype("M8[M]") != months).all())
    if not (same_day or last_day) or len(np.unique(times % DAY)) > 1:
        return None
    steps = np.rint(gaps / (30.4375 * DAY)).astype(np.int64)
    step = int(np.bincount(steps, weights).argmax())
    return Frequency(unit="month", step=step) if not (steps % step).any() else None


def calendar_names(frequency: Frequency, days: float) -> tuple[str, ...]:
    """Calendar inputs that suit a frequency, given the days that the training part spans.

    A part of the calendar is used only where the training part has seen all of it: the year after a year.
    """
    parts: list[str] = []
    if frequency.unit == "month":
        parts = ["month"] if frequency.step < 12 else []
    elif frequency.unit in ("microsecond", "business"):
        step = DAY if frequency.unit == "business" else frequency.step
        parts += ["hour"] if step < DAY and days >= 1 else []
        parts += ["weekday"] if step <= DAY and days >= 7 else []
        parts += ["monthday"] if step <= DAY and days >= 365 else []
        parts += ["yearday"] if step < 365 * DAY and days >= 365 else []
    return tuple(f"{part}_{wave}" for part in parts for wave in ("sin", "cos"))


def calendar_values(times: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Waves of the calendar at these times: float32 `[row, name]` between -1 and 1."""
    out = np.empty((len(times), len(names)), np.float32)
    days = times // DAY
    first = int(days.min(initial=0 if not len(days) else days[0]))
    span = int(days.max(initial=first)) - first + 1
    # Rows of one day share its waves, so these are computed once a day where there are fewer days than rows.
    table = np.arange(first, first + span) if span < len(days) else days
    place = days - first if span < len(days) else slice(None)
    for at, name in enumerate(names):
        part, wave = name.split("_")
        turn = (times % DAY) / DAY if part == "hour" else _day_turn(table, part)
        waves = (np.sin if wave == "sin" else np.cos)(2 * np.pi * turn).astype(np.float32)
        out[:, at] = waves if part == "hour" else waves[place]
    return out


def _day_turn(days: np.ndarray, part: str) -> np.ndarray:
    """How much of a week, month or year has passed on these days since 1970, 0 to 1."""
    if part == "weekday":
        return ((days + 3) % 7) / 7
    stamps = days.astype("M8[D]")
    months, years = stamps.astype("M8[M]"), stamps.astype("M8[Y]")
    if part == "monthday":
        return (stamps - months.astype("M8[D]")).astype(np.int64) / 31
    if part == "yearday":
        return (stamps - years.astype("M8[D]")).astype(np.int64) / 366
    return (months - years.astype("M8[M]")).astype(np.int64) / 12
