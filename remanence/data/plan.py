"""Where the parts of a panel end, and how far a forecast looks back and ahead: every open number filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from remanence.data import times as timing
from remanence.data.panel import Panel
from remanence.data.splits import PARTS, cut_in_time, split_marks
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["Plan", "plan"]


_LONG, _SHORT = 480, 96
"""Steps of a context from which on another one is suggested, and those of that."""


@dataclass(frozen=True)
class Plan:
    """Numbers of a forecast.

    Args:
        settings: with horizon, context, season and calendar filled in.
        ends: row at which each part of each series ends, int64 `[series, part]`.
        shares: rows of each part over all series.
        calendar: names of calendar inputs.
        notes: what was chosen.
    """

    settings: DataSettings
    ends: np.ndarray
    shares: tuple[int, int, int]
    calendar: tuple[str, ...]
    notes: tuple[str, ...]


def plan(panel: Panel, settings: DataSettings) -> Plan:
    """Choose what is open, from the times and the number of rows (never from values)."""
    notes: list[str] = []
    ends = _ends(panel, settings)
    sizes = np.diff(np.concatenate([panel.starts[:-1, None], ends], 1), axis=1)
    shares = sizes.sum(0)
    if unused := len(panel) - int(shares.sum()):
        notes.append(f"{unused} rows after the test part are not used (--split {_shown(settings.split)})")
    season = settings.season or _season(panel, sizes, notes)
    if season > (longest := max(1, int(sizes[:, 0].max()))):
        raise SettingError(
            f"a season of {season} steps is longer than the {longest} training rows",
            name="season",
            remedy="choose a shorter one, or 1 for none",
        )
    horizon = settings.horizon or _horizon(sizes, season, notes)
    context = settings.context or _context(sizes, season, horizon, notes)
    short = [name for name, size in zip(panel.names, sizes[:, 0], strict=True) if size < context + horizon]
    if short and len(short) < len(panel.names):
        shown = ", ".join(short[:3]) + (", …" if len(short) > 3 else "")
        notes.append(f"{len(short)} series too short to train on ({shown}): fewer than {context + horizon} rows")
    calendar = _calendar(panel, ends, settings, notes)
    filled = settings.model_copy(
        update={
            "task": "forecast",
            "season": season,
            "horizon": horizon,
            "context": context,
            "calendar": bool(calendar),
        }
    )
    rows = tuple(int(share) for share in shares)
    notes.append(f"split by time: {rows[0]} training, {rows[1]} validation, {rows[2]} test rows")
    return Plan(filled, ends, (rows[0], rows[1], rows[2]), calendar, tuple(notes))


def _ends(panel: Panel, settings: DataSettings) -> np.ndarray:
    starts, stops = panel.starts[:-1], panel.starts[1:]
    if panel.marks is None:
        return np.array(
            [
                start + np.array(cut_in_time(stop - start, settings.split))
                for start, stop in zip(starts, stops, strict=True)
            ]
        )
    parts = split_marks(panel.marks, panel.mark_names, settings.split_column or "", panel.path)
    back = np.diff(parts) < 0
    back[panel.starts[1:-1] - 1] = False
    if back.any():
        at = int(np.argmax(back)) + 1
        raise DataError(
            f"{PARTS[parts[at]]} comes after {PARTS[parts[at - 1]]} at {panel.shown(at)}: parts must follow in time",
            path=panel.path,
            column=settings.split_column or "",
            remedy="mark the oldest rows train, the newest test",
        )
    return np.array(
        [
            start + np.searchsorted(parts[start:stop], [0, 1, 2], "right")
            for start, stop in zip(starts, stops, strict=True)
        ]
    )


def _season(panel: Panel, sizes: np.ndarray, notes: list[str]) -> int:
    season, longest = panel.frequency.season, int(sizes[:, 0].max())
    if season > 1 and season * 2 > longest:
        notes.append(f"season: none (a season of {season} steps does not fit twice into {longest} training rows)")
        return 1
    notes.append(f"season: {season} steps ({panel.frequency.name})" if season > 1 else "season: none")
    return season


def _horizon(sizes: np.ndarray, season: int, notes: list[str]) -> int:
    """One season, or ten steps, as far as every part that is not empty can hold it."""
    longest = sizes[int(sizes[:, 0].argmax())]
    room = min([int(longest[0]) // 4, *(int(size) for size in longest[1:] if size)])
    horizon = max(1, min(season if season > 1 else 10, room))
    notes.append(f"horizon: {horizon} steps (--horizon)")
    return horizon


def _context(sizes: np.ndarray, season: int, horizon: int, notes: list[str]) -> int:
    """Four horizons and at least a season, but no more than a quarter of the training part unless a season needs it."""
    rows = int(sizes[:, 0].max())
    context = max(1, min(max(season, horizon, min(4 * horizon, rows // 4)), rows - horizon))
    notes.append(f"context: {context} steps (--context)")
    if context > _LONG:
        notes.append(
            f"so long a context takes long to train: --context {_SHORT} is quicker, see whether it does as well"
        )
    return context


def _calendar(panel: Panel, ends: np.ndarray, settings: DataSettings, notes: list[str]) -> tuple[str, ...]:
    if settings.calendar is False or not timing.is_date(panel.time_format):
        return ()
    place = int((ends[:, 0] - panel.starts[:-1]).argmax())
    last = max(int(ends[place, 0]) - 1, 0)
    days = int(panel.times[last] - panel.times[panel.starts[place]]) / timing.DAY
    names = timing.calendar_names(panel.frequency, days)
    if names:
        parts = list(dict.fromkeys(name.split("_")[0] for name in names))
        notes.append(f"calendar inputs: {', '.join(parts)} (--no-calendar leaves them out)")
    return names


def _shown(split: tuple[float, ...]) -> str:
    return ",".join(f"{part:g}" for part in split)
