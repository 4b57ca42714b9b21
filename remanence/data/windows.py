"""Windows over a panel: `context` steps seen, `horizon` steps to forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Batch, Part
from remanence.data.panel import Panel, open_panel
from remanence.data.parts import DataParts
from remanence.data.plan import Plan, plan
from remanence.data.scalers import Moments
from remanence.data.schema import guess
from remanence.data.sources import fingerprint
from remanence.data.spills import drop_pages, gather
from remanence.data.splits import PARTS
from remanence.data.steps import Origins, Steps, scaled_steps, stride_of
from remanence.errors import DataError, SettingError
from remanence.sequences import Sequences
from remanence.settings import DataSettings

__all__ = ["ForecastPart", "prepare_forecast", "reopen_forecast"]

_SLAB_ROWS = 1 << 18


class ForecastPart(Part):
    """Windows of one side of a split. `batch` fills inputs, target, future, index and series.

    Args:
        steps: the rows.
        encoders: what was fitted.
        origins: row of the first step that each window forecasts.
        answers: whether targets are known.
    """

    def __init__(
        self, steps: Steps, encoders: ForecastEncoders, origins: np.ndarray | Origins, *, answers: bool = True
    ) -> None:
        self.encoders, self.origins = encoders, origins
        self._steps, self._answers = steps, answers
        self._future = np.array([encoders.features.index(name) for name in encoders.future_features], np.int64)
        if answers or isinstance(origins, Origins):
            self.lengths = np.broadcast_to(np.int64(encoders.context), len(origins))
        else:
            self.lengths = np.minimum(encoders.context, origins - self._first(origins))

    def _origin(self, index: int) -> int:
        return int(self.origins[np.array([index])][0])

    def _places(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._steps.panel.starts, rows, "right") - 1

    def _first(self, rows: np.ndarray) -> np.ndarray:
        return self._steps.panel.starts[self._places(rows)]

    def batch(self, index: np.ndarray) -> Batch:
        """The windows at these positions, in this order."""
        index = np.asarray(index, np.int64)
        origin, lengths = self.origins[index], np.ascontiguousarray(self.lengths[index])
        horizon, longest = self.encoders.horizon, int(lengths.max(initial=0))
        rows = (origin - lengths)[:, None] + np.arange(longest + horizon)
        last = len(self._steps.inputs) - 1
        values = gather(self._steps.inputs, np.minimum(rows, last))
        inputs = values[:, :longest]
        if (lengths < longest).any():
            inputs = np.where((np.arange(longest) < lengths[:, None])[..., None], inputs, np.float32(0))
            ahead = gather(self._steps.inputs, origin[:, None] + np.arange(horizon))
        else:
            ahead = values[:, longest:]
        return Batch(
            Sequences(torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(lengths)),
            torch.from_numpy(self._targets(ahead, origin)) if self._answers else None,
            torch.from_numpy(ahead[..., self._future]) if len(self._future) else None,
            torch.from_numpy(index),
            torch.from_numpy(self._steps.codes[self._places(origin)]),
        )

    def _targets(self, ahead: np.ndarray, origin: np.ndarray) -> np.ndarray:
        targets = ahead[..., : len(self.encoders.target)].copy()
        if self._steps.absent is not None:
            targets[self._steps.absent[origin[:, None] + np.arange(self.encoders.horizon)]] = np.nan
        return targets

    def name(self, index: int) -> str:
        """Where a window stands: its series, and the first time that it forecasts."""
        series = self.series(index)
        when = self._steps.panel.shown(self._origin(index))
        return f"series {series}, {when}" if series else when

    def series(self, index: int) -> str:
        """Name of the series of a window; empty where the file holds one."""
        return self._steps.panel.names[int(self._places(np.array([self._origin(index)]))[0])]

    def times(self, index: int) -> list[str]:
        """The `horizon` times that a window forecasts, as text."""
        origin = self._origin(index)
        return [self._steps.panel.shown(row) for row in range(origin, origin + self.encoders.horizon)]

    def past(self, index: np.ndarray, steps: int) -> np.ndarray:
        """Scaled targets `[example, steps, target]` float32 right before the origin, NaN where there are none."""
        origin = self.origins[np.asarray(index, np.int64)]
        rows = origin[:, None] + np.arange(-steps, 0)
        outside = rows < self._first(origin)[:, None]
        rows = np.maximum(rows, 0)
        past = self._steps.inputs[rows][..., : len(self.encoders.target)].copy()
        past[outside] = np.nan
        if self._steps.absent is not None:
            past[self._steps.absent[rows]] = np.nan
        return past


def prepare_forecast(path: str | Path, settings: DataSettings) -> DataParts[ForecastEncoders, ForecastPart]:
    """Read a file, split it by time, fit the scaler on the training rows, make windows.

    Raises:
        DataError: the file cannot be used (see `tables`, `panel`), a target is constant, or there are too few rows.
        SettingError: an option that does not suit a forecast.
    """
    guessed = guess(path, settings, task="forecast")
    for name in ("valid_file", "test_file"):
        if getattr(settings, name):
            raise SettingError(
                "a forecast reads one file, whose parts follow each other in time", name=name,
                remedy="append that file's rows to the first file, add a column that says train, valid or test in each "
                "row, and name it: --split-column part",
            )  # fmt: skip
    panel = open_panel(path, guessed.settings)
    planned = plan(panel, guessed.settings)
    context, horizon = planned.settings.context or 1, planned.settings.horizon or 1
    if (planned.ends[:, 0] - panel.starts[:-1]).max() < context + horizon:
        raise _too_few(panel, context, horizon, part="the training part")
    encoders, notes = _fit(panel, planned)
    steps = scaled_steps(panel, encoders)
    parts = [_part(steps, encoders, planned, part, notes) for part in range(3)]
    _refuse_few(panel, planned, parts)
    return DataParts(
        planned.settings,
        encoders,
        parts[0],
        parts[1],
        parts[2],
        (*guessed.notes, *panel.notes, *planned.notes, *notes),
        fingerprint(panel.path),
    )


def reopen_forecast(
    path: str | Path, settings: DataSettings, encoders: ForecastEncoders, *, answers: bool = True
) -> ForecastPart:
    """Read a new file through fitted encoders.

    Args:
        answers: every window whose targets are in the file; otherwise the one after each series' end. Where there are
            columns known ahead of time, the file ends with `horizon` rows that hold these and empty targets.

    Raises:
        DataError: a column is missing, another frequency, too few rows.
    """
    update = {name: getattr(encoders, name) for name in ("time", "series", "target", "observed", "known", "missing")}
    update |= {"split_column": None}
    if not answers and encoders.known:
        update["missing"] = "fill"
    panel = open_panel(
        path,
        settings.model_copy(update=update),
        time_format=None if encoders.time_format == "native" else encoders.time_format,
    )
    if len(panel) > len(panel.names) and panel.frequency != encoders.frequency:
        raise DataError(
            f"steps are {panel.frequency.name}; the model was trained on {encoders.frequency.name} steps",
            path=panel.path,
            remedy="give rows of the same frequency",
        )
    panel = replace(panel, frequency=encoders.frequency)
    if answers:
        spans = [range(start + encoders.context, stop - encoders.horizon + 1) for start, stop in _spans(panel)]
        stride = stride_of(sum(map(len, spans)), encoders, settings.stride)
        origins = [span[::stride] for span in spans]
        steps = scaled_steps(panel, encoders)
        part = ForecastPart(steps, encoders, _scored(steps, encoders, origins))
        if not len(part):
            raise _too_few(panel, encoders.context, encoders.horizon)
        part.notes = panel.notes
        return part
    ends = [_end(panel, start, stop, encoders) for start, stop in _spans(panel)]
    longer, origins = _lengthened(panel, ends, encoders)
    part = ForecastPart(scaled_steps(longer, encoders), encoders, origins, answers=False)
    part.notes = (*panel.notes, *_short(panel, ends, encoders.context))
    return part


def _spans(panel: Panel) -> list[tuple[int, int]]:
    return list(zip(panel.starts[:-1].tolist(), panel.starts[1:].tolist(), strict=True))


def _short(panel: Panel, ends: Sequence[int], context: int) -> tuple[str, ...]:
    """A note where a forecast reads fewer rows than the windows that were learnt from."""
    rows = {name: end - int(start) for name, start, end in zip(panel.names, panel.starts, ends, strict=False)}
    few = {name: count for name, count in rows.items() if count < context}
    if not few:
        return ()
    shown = ", ".join(f"{name} {count}" if name else str(count) for name, count in list(few.items())[:3])
    which = f"{len(few)} of {len(rows)} series have" if len(rows) > 1 else "the file has"
    more = ", …" if len(few) > 3 else ""
    return (f"{which} fewer rows ({shown}{more}) than the {context} that the model reads before a forecast",)


def _end(panel: Panel, start: int, stop: int, encoders: ForecastEncoders) -> int:
    """Where a series' past ends: before its trailing rows without targets, where some columns are known ahead."""
    if not encoders.known:
        return stop
    empty = np.all(np.isnan(panel.values[start:stop, : len(encoders.target)]), axis=1)
    tail = int(np.argmin(empty[::-1])) if not empty.all() else stop - start
    known = panel.values[stop - tail : stop, -len(encoders.known) :]
    if tail < encoders.horizon or tail == stop - start or np.isnan(known[: encoders.horizon]).any():
        raise DataError(
            f"columns known ahead ({', '.join(encoders.known)}) are needed for {encoders.horizon} steps to come, "
            f"came {tail} rows with empty targets at the end",
            path=panel.path,
            remedy=f"append {encoders.horizon} rows with these columns filled and {', '.join(encoders.target)} empty",
        )
    inner = panel.values[start : stop - tail]
    if encoders.missing == "refuse" and np.isnan(inner).any():
        row = int(np.argmax(np.any(np.isnan(inner), axis=1)))
        raise DataError(
            f"an empty cell at {panel.shown(start + row)}", path=panel.path, remedy="mend it; --missing was refuse"
        )
    return stop - tail


def _lengthened(panel: Panel, ends: Sequence[int], encoders: ForecastEncoders) -> tuple[Panel, np.ndarray]:
    """The rows that a forecast after each series' end needs: its last context, and `horizon` steps to come."""
    values, times, starts, origins = [], [], [0], []
    ahead = np.arange(1, encoders.horizon + 1)
    for (start, stop), end in zip(_spans(panel), ends, strict=True):
        first = max(start, end - encoders.context)
        future = np.full((encoders.horizon, len(panel.columns)), np.nan)
        given = panel.values[end : min(stop, end + encoders.horizon)]
        future[: len(given)] = given
        values += [panel.values[first:end], future]
        times += [panel.times[first:end], encoders.frequency.later(int(panel.times[end - 1]), ahead)]
        origins.append(starts[-1] + end - first)
        starts.append(starts[-1] + end - first + encoders.horizon)
    longer = replace(panel, values=np.concatenate(values), times=np.concatenate(times), starts=np.array(starts))
    return longer, np.array(origins, np.int64)


def _fit(panel: Panel, planned: Plan) -> tuple[ForecastEncoders, list[str]]:
    """Fit scaler and naive scale on the training rows, and on nothing else."""
    settings, notes = planned.settings, []
    targets = len(settings.target)
    moments = Moments(len(panel.columns))
    season = settings.season or 1
    sums = np.zeros((len(panel.names), targets))
    counts = np.zeros((len(panel.names), targets))
    for place, (start, _) in enumerate(_spans(panel)):
        stop = int(planned.ends[place, 0])
        for row in range(start, stop, _SLAB_ROWS):
            moments.update(panel.values[row : min(row + _SLAB_ROWS, stop)])
            block = panel.values[max(start, row - season) : min(row + _SLAB_ROWS, stop), :targets]
            change = np.abs(block[season:] - block[:-season])
            there = ~np.isnan(change)
            sums[place] += np.where(there, change, 0.0).sum(0)
            counts[place] += there.sum(0)
            drop_pages(panel.values)
    for column, constant in zip(panel.columns, moments.constant(), strict=True):
        if constant and column in settings.target:
            raise DataError(
                "the target is constant in the training part: there is nothing to forecast",
                path=panel.path,
                column=column,
                remedy="choose another --target, or a longer training part with --split",
            )
        if constant:
            notes.append(f"column '{column}' is constant in the training part: it tells a model nothing")
    overall = sums.sum(0) / np.maximum(counts.sum(0), 1)
    overall = np.where(overall > 0, overall, 1.0)
    each = sums / np.maximum(counts, 1)
    each = np.where(each > 0, each, overall)
    encoders = ForecastEncoders(
        time=settings.time,
        series=settings.series,
        target=settings.target,
        observed=settings.observed,
        known=settings.known,
        calendar=planned.calendar,
        missing=settings.missing,
        scaler=moments.scaler(panel.columns),
        time_format=panel.time_format,
        frequency=panel.frequency,
        season=season,
        context=settings.context or 1,
        horizon=settings.horizon or 1,
        series_names=panel.names,
        naive_scale=tuple(tuple(row) for row in each.tolist()),
        naive_scale_all=tuple(overall.tolist()),
    )
    return encoders, notes


def _part(steps: Steps, encoders: ForecastEncoders, planned: Plan, part: int, notes: list[str]) -> ForecastPart:
    """All windows whose targets lie inside one part of their series; the context may reach back into earlier parts."""
    spans = []
    for place, (start, _) in enumerate(_spans(steps.panel)):
        first = start if part == 0 else int(planned.ends[place, part - 1])
        stop = int(planned.ends[place, part])
        spans.append(range(max(first, start + encoders.context), stop - encoders.horizon + 1))
    stride = stride_of(sum(map(len, spans)), encoders, planned.settings.stride) if part else 1
    if stride > 1 and planned.settings.stride is None:
        notes.append(f"{PARTS[part]}: one window in {stride} is scored, of so many (--stride 1 scores all)")
    return ForecastPart(steps, encoders, _scored(steps, encoders, [span[::stride] for span in spans]))


def _scored(steps: Steps, encoders: ForecastEncoders, ranges: Sequence[range]) -> np.ndarray | Origins:
    """Leave out windows without a single known target."""
    if steps.absent is None:
        return Origins(ranges)
    origins = np.concatenate([np.arange(span.start, span.stop, span.step) for span in ranges])
    known = np.concatenate([[0], np.cumsum(~steps.absent.all(1))])
    return origins[known[origins + encoders.horizon] > known[origins]]


def _refuse_few(panel: Panel, planned: Plan, parts: Sequence[ForecastPart]) -> None:
    encoders = parts[0].encoders
    if not len(parts[0]):
        raise _too_few(panel, encoders.context, encoders.horizon, part="the training part")
    for name, share, part in zip(("validation", "test"), planned.shares[1:], parts[1:], strict=True):
        if share and not len(part):
            raise DataError(
                f"the {name} part has fewer rows than a horizon of {encoders.horizon} steps",
                path=panel.path,
                remedy="use a smaller --horizon, or another --split",
            )


def _too_few(panel: Panel, context: int, horizon: int, part: str = "the file") -> DataError:
    longest = int(np.diff(panel.starts).max())
    return DataError(
        f"too few rows: context {context} + horizon {horizon} = {context + horizon} do not fit into {part} "
        f"({longest} rows in the longest series)",
        path=panel.path,
        remedy="use a smaller --context or --horizon, or give more rows",
    )
