"""How times are written for people: alike in one file, and by the clock of the file where it names one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from remanence.data.arrow import compute
from remanence.data.spills import slabs
from remanence.data.times import DAY, SECOND, is_date

__all__ = ["Notation", "Unit", "one_zone", "unit_of", "zones_of"]

Unit = Literal["D", "m", "s", "us"]
_MINUTE = 60 * SECOND
_SIZES: tuple[tuple[Unit, int], ...] = (("D", DAY), ("m", _MINUTE), ("s", SECOND))
_ZONE = r"[0-9](?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)\s*$"


@dataclass(frozen=True)
class Notation:
    """Times as text.

    Args:
        time_format: as the file writes them (see `times`).
        zone: microseconds that the file's clock is ahead of UTC; None where it does not say.
        unit: the smallest that is written, `D`, `m`, `s` or `us`; None: what each time needs.

    Example:
        >>> day = 19790 * DAY
        >>> Notation("iso").show(day), Notation("iso", unit="m").show(day), Notation("integer").show(7)
        ('2024-03-08', '2024-03-08 00:00', '7')
        >>> Notation("iso-zone", zone=DAY // 3).show(day)
        '2024-03-08 08:00+08:00'
    """

    time_format: str
    zone: int | None = None
    unit: Unit | None = None

    def show(self, time: int) -> str:
        """A date, a date and a time of the day, or the number."""
        if not is_date(self.time_format):
            return str(time)
        local = np.int64(time) + (self.zone or 0)
        unit = self.unit or unit_of(np.array([local]))
        # A day has no offset: a time of the day says whose midnight is meant.
        unit = "m" if unit == "D" and self.zone is not None else unit
        text = str(np.datetime_as_string(local.view("M8[us]"), unit=unit)).replace("T", " ")
        return text if self.zone is None else text + _offset(self.zone)

    def show_seconds(self, seconds: float) -> str:
        """The same of seconds since 1970, as samples have them."""
        return self.show(round(seconds * SECOND))


def unit_of(times: np.ndarray, zone: int | None = None) -> Unit:
    """The largest unit that writes all these times whole.

    Example:
        >>> unit_of(np.array([0, DAY])), unit_of(np.array([0, 60_000_000])), unit_of(np.array([1]))
        ('D', 'm', 'us')
    """
    for unit, size in _SIZES:
        if not any(((times[slab] + (zone or 0)) % size).any() for slab in slabs(times)):
            return unit
    return "us"


def zones_of(times: pa.Array, time_format: str) -> set[int]:
    """Microseconds that the clocks of these cells are ahead of UTC; none where they do not say."""
    if pa.types.is_timestamp(times.type) and times.type.tz is not None:
        stamps = times.cast(pa.timestamp("us", times.type.tz)).drop_null()
        apart = compute.subtract(compute.local_timestamp(stamps).view(pa.int64()), stamps.view(pa.int64()))
        return {int(size) for size in compute.unique(apart).to_pylist()}
    if time_format != "iso-zone" or not pa.types.is_string(times.type):
        return set()
    found = compute.struct_field(compute.extract_regex(times, pattern=_ZONE), "zone")
    return {_microseconds(text) for text in compute.unique(found).to_pylist() if text}


def one_zone(zones: Collection[int]) -> int | None:
    """The offset that all cells share; UTC's, 0, where they differ; None where none says."""
    return None if not zones else next(iter(zones)) if len(zones) == 1 else 0


def _microseconds(zone: str) -> int:
    if zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return (-minutes if zone[0] == "-" else minutes) * _MINUTE


def _offset(zone: int) -> str:
    hours, minutes = divmod(abs(zone) // _MINUTE, 60)
    return f"{'-' if zone < 0 else '+'}{hours:02}:{minutes:02}"
