"""One function per figure of what was learnt: curves, forecasts, confusion, models side by side.

Each takes plain arrays and a language, and returns a finished Altair chart. What was remembered is drawn in
`explain.inside`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from remanence.explain.style import COLOURS, GREY, INK, axis_of_steps, columns, styled, tips
from remanence.explain.words import Language, Words

__all__ = ["Curve", "ForecastExample", "comparison", "confusion", "forecasts", "learning_curves", "numbers"]

WIDTH = 620
"""Pixels of a full-width figure; the report narrows it on a phone."""

SPACING = {"row": 92, "column": 56}
"""Pixels between the plots of panels, room for an axis and a title: `flush` lines the plots up and leaves none."""


@dataclass(frozen=True)
class Curve:
    """How one training went.

    Args:
        model: name of the model.
        seed: of the training.
        steps: updates (or epochs) at which the losses were written, `[point]`.
        train: loss on the training part, `[point]`; NaN where none was written.
        valid: error on the validation part, `[point]`; NaN where none was written.
        unit: what `steps` counts: `epoch` or `step`.
        best: where the weights that were kept come from, or None.
    """

    model: str
    seed: int
    steps: np.ndarray
    train: np.ndarray
    valid: np.ndarray
    unit: str = "epoch"
    best: float | None = None


NAIVE = Words("naive", "朴素预测")


@dataclass(frozen=True)
class ForecastExample:
    """One forecast, with what came before and what came true, in the user's units.

    Args:
        title: which window, such as `OT, from 2018-02-21 08:00`.
        labels: times of history and horizon, `[history + horizon]`.
        history: what the model saw last, `[history]`.
        truth: what came, `[horizon]`; NaN where unknown.
        forecast: the point forecast, `[horizon]`.
        naive: what the simple model says that repeats the past, `[horizon]`, or None.
        lower: bound of the interval, `[horizon]`, or None.
        upper: its other bound, or None.
        coverage: share of values that the interval should hold, such as 0.8.
        naive_name: which simple model that is.
    """

    title: str
    labels: tuple[str, ...]
    history: np.ndarray
    truth: np.ndarray
    forecast: np.ndarray
    naive: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    coverage: float = 0.8
    naive_name: Words = NAIVE


UNITS = {"epoch": Words("epoch", "轮次"), "step": Words("step of training", "训练步")}


def learning_curves(curves: Sequence[Curve], *, measure: str = "", language: Language = "en") -> Any:
    """Draw training loss (dashed) and validation error (solid) of each seed, a panel for each model.

    Args:
        curves: one a model and seed.
        measure: name of the validation error, such as `MAE`.
        language: of the words in the figure.
    """
    models = list(dict.fromkeys(curve.model for curve in curves))
    seeds = list(dict.fromkeys(str(curve.seed) for curve in curves))
    panels = [_learning_panel([c for c in curves if c.model == model], seeds, measure, language) for model in models]
    if len(panels) == 1:
        return styled(panels[0].properties(width=WIDTH))
    return styled(alt.concat(*panels, columns=2, bounds="flush", spacing=SPACING).resolve_scale(color="shared"))


def _learning_panel(curves: list[Curve], seeds: list[str], measure: str, language: Language) -> Any:
    names = (
        Words("training loss", "训练损失").pick(language),
        Words("validation", "验证误差").pick(language) + (f" {measure}" if measure else ""),
    )
    parts: dict[str, list[Any]] = {"step": [], "value": [], "line": [], "seed": []}
    for curve in curves:
        for name, values in zip(names, (curve.train, curve.valid), strict=True):
            known = np.isfinite(values)
            parts["step"] += list(np.asarray(curve.steps)[known])
            parts["value"] += list(np.asarray(values)[known])
            parts["line"] += [name] * int(known.sum())
            parts["seed"] += [str(curve.seed)] * int(known.sum())
    # Whole epochs only, and no more than eight of them.
    last = int(max(parts["step"], default=1))
    ticks = list(range(1, last + 1, max(1, -(-last // 8)))) or [last]
    axis = alt.Axis(values=ticks, format="d", title=UNITS[curves[0].unit].pick(language), grid=False)
    base = (
        alt.Chart(columns(**parts))
        .transform_flatten(list(parts))
        .encode(
            x=alt.X("step:Q", axis=axis, scale=alt.Scale(zero=False, nice=False)),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color(
                "seed:N",
                title=Words("seed", "种子").pick(language),
                scale=alt.Scale(domain=seeds),
                legend=None if len(seeds) == 1 else alt.Legend(orient="bottom"),
            ),
            tooltip=tips(language, "line:N", "seed:N", "step:Q", "value:Q .4g"),
        )
    )
    lines = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=18)).encode(
        strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=list(names), range=[[4, 3], [1, 0]]), legend=None)
    )
    said = Words(f"dashed: {names[0]}; solid: {names[1]}", f"虚线：{names[0]}；实线：{names[1]}").pick(language)
    title = alt.TitleParams(curves[0].model, subtitle=said)
    return lines.properties(width=280, height=200, title=title)


def forecasts(examples: Sequence[ForecastExample], *, language: Language = "en") -> Any:
    """Draw forecasts with their intervals against the truth and the naive forecast, a panel for each window."""
    panels = [_forecast_panel(example, language) for example in examples]
    if len(panels) == 1:
        return styled(panels[0].properties(width=WIDTH))
    return styled(alt.concat(*panels, columns=2, bounds="flush", spacing=SPACING))


def _forecast_panel(example: ForecastExample, language: Language) -> Any:
    truth, model, naive, span = (
        Words("truth", "真值").pick(language),
        Words("forecast", "预测").pick(language),
        example.naive_name.pick(language),
        Words(f"{example.coverage:.0%} interval", f"{example.coverage:.0%} 区间").pick(language),
    )
    seen = len(example.history)
    ahead = np.arange(seen, seen + len(example.forecast))
    axis, labels = axis_of_steps(example.labels, title="", most=7, labelAngle=-30)
    parts: dict[str, list[Any]] = {"step": [], "value": [], "line": []}
    drawn = [(truth, np.arange(seen + len(ahead)), np.concatenate([example.history, example.truth]))]
    if example.naive is not None:
        drawn.append((naive, ahead, example.naive))
    drawn.append((model, ahead, example.forecast))
    for name, steps, values in drawn:
        known = np.isfinite(values)
        parts["step"] += list(steps[known])
        parts["value"] += list(np.asarray(values)[known])
        parts["line"] += [name] * int(known.sum())
    x = alt.X("step:Q", axis=axis, scale=alt.Scale(nice=False, zero=False))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
    colour = alt.Color(
        "line:N",
        title=None,
        legend=alt.Legend(orient="bottom"),
        scale=alt.Scale(domain=[truth, model, naive, span], range=[INK, COLOURS[0], COLOURS[4], "#bcd9ec"]),
    )
    layers = []
    if example.lower is not None and example.upper is not None:
        band = columns(step=ahead, lower=example.lower, upper=example.upper, line=[span] * len(ahead))
        layers.append(
            alt.Chart(band)
            .transform_flatten(["step", "lower", "upper", "line"])
            .mark_area(opacity=0.8)
            .encode(x=x, y=alt.Y("lower:Q", title=None, scale=alt.Scale(zero=False)), y2="upper:Q", color=colour)
        )
    layers.append(
        alt.Chart(columns(step=[seen - 0.5]))
        .transform_flatten(["step"])
        .mark_rule(color=GREY, strokeDash=[2, 3])
        .encode(x=x)
    )
    tooltip = tips(language, "line:N", "value:Q .4g")
    layers.append(
        alt.Chart(columns(**parts))
        .transform_flatten(list(parts))
        .mark_line(strokeWidth=2)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    return alt.layer(*layers).add_params(labels).properties(width=280, height=190, title=example.title)


def numbers(truth: np.ndarray, answer: np.ndarray, column: str, *, language: Language = "en") -> Any:
    """Draw the numbers that were answered over the true ones; what lies on the line is right.

    Args:
        truth: `[example]`, in the user's units.
        answer: `[example]`.
        column: what the numbers are.
        language: of the words in the figure.
    """
    both = np.concatenate([truth, answer])
    low, high = float(both.min()), float(both.max())
    scale = alt.Scale(domain=[low, high if high > low else low + 1], zero=False)
    true, said = Words("truth", "真实值").pick(language), Words("answer", "模型的回答").pick(language)
    across = alt.X("truth:Q", title=f"{column}: {true}", scale=scale)
    down = alt.Y("answer:Q", title=f"{column}: {said}", scale=scale)
    dots = columns(truth=np.asarray(truth, float), answer=np.asarray(answer, float))
    ends = columns(truth=[low, high], answer=[low, high])
    points = alt.Chart(dots).transform_flatten(["truth", "answer"]).mark_circle(color=COLOURS[0], opacity=0.5, size=24)
    line = alt.Chart(ends).transform_flatten(["truth", "answer"]).mark_line(color=GREY, strokeDash=[4, 3])
    chart = alt.layer(line.encode(x=across, y=down), points.encode(x=across, y=down))
    return styled(chart.properties(width=WIDTH // 2, height=WIDTH // 2))


def confusion(counts: np.ndarray, classes: Sequence[str], *, language: Language = "en") -> Any:
    """Draw how often each true class (rows) got each answer (columns); the colour is the share of its row.

    Args:
        counts: `[class, class]`, rows the truth.
        classes: their names, `[class]`.
        language: of the words in the figure.
    """
    counts = np.asarray(counts)
    size = len(classes)
    names = tuple(str(name) for name in classes)
    row, column = np.indices(counts.shape)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    data = columns(
        truth=row.ravel(),
        answer=column.ravel(),
        count=counts.ravel(),
        share=share.ravel(),
        true=[names[i] for i in row.ravel()],
        said=[names[i] for i in column.ravel()],
    )
    side, most = Words("truth", "真实类别").pick(language), 40
    said = Words("answer", "模型的回答").pick(language)
    across, labels = axis_of_steps(names, title=said, most=most, labelAngle=0 if size <= 3 else -40)
    down, _ = axis_of_steps(names, title=side, most=most)
    cell = max(14, min(64, 420 // max(size, 1)))
    base = (
        alt.Chart(data)
        .transform_flatten(["truth", "answer", "count", "share", "true", "said"])
        .encode(
            x=alt.X("answer:O", axis=across),
            y=alt.Y("truth:O", axis=down),
            tooltip=[
                alt.Tooltip("true:N", title=side),
                alt.Tooltip("said:N", title=said),
                *tips(language, "count:Q", "share:Q .1%"),
            ],
        )
    )
    layers = [
        base.mark_rect(stroke="#ffffff").encode(
            color=alt.Color("share:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None)
        )
    ]
    if size <= 12:
        layers.append(
            base.mark_text(fontSize=11).encode(
                text="count:Q", color=alt.condition("datum.share > 0.55", alt.value("#ffffff"), alt.value(INK))
            )
        )
    return styled(alt.layer(*layers).add_params(labels).properties(width=alt.Step(cell), height=alt.Step(cell)))


KINDS = {
    "trivial": Words("knows no pattern", "不看规律"),
    "simple": Words("simple", "简单模型"),
    "recurrent": Words("recurrent", "循环网络"),
}


def comparison(rows: Sequence[Mapping[str, Any]], *, metric: str, title: str = "", language: Language = "en") -> Any:
    """Draw the error of each model with its interval, best first; a dot for each seed.

    Args:
        rows: as `compare` gives them: `model`, `kind`, `metrics`, `seeds`, `interval`.
        metric: which of their metrics.
        title: what people call it.
        language: of the words in the figure.
    """
    known = [row for row in rows if np.isfinite(_number(row["metrics"].get(metric)))]
    known = sorted(known, key=lambda row: _number(row["metrics"][metric]))
    order = [str(row["model"]) for row in known]
    kinds = [KINDS[row["kind"]].pick(language) if row["kind"] in KINDS else str(row["kind"]) for row in known]
    ends = [row.get("interval") or (None, None) for row in known]
    value = np.array([_number(row["metrics"][metric]) for row in known])
    low = np.array([_number(end[0]) for end in ends])
    high = np.array([_number(end[1]) for end in ends])
    low, high = np.where(np.isfinite(low), low, value), np.where(np.isfinite(high), high, value)
    domain = [words.pick(language) for words in KINDS.values()]
    base = alt.Chart(
        columns(place=range(len(order)), kind=kinds, value=value, low=low, high=high, model=order)
    ).transform_flatten(["place", "kind", "value", "low", "high", "model"])
    axis, labels = axis_of_steps(tuple(order), title="", labelLimit=200)
    y = alt.Y("place:O", axis=axis)
    colour = alt.Color(
        "kind:N",
        title=None,
        legend=alt.Legend(orient="bottom"),
        scale=alt.Scale(domain=domain, range=[COLOURS[4], COLOURS[1], COLOURS[0]]),
    )
    tooltip = tips(language, "model:N", "value:Q .4g", "low:Q .4g", "high:Q .4g")
    x = alt.X("low:Q", title=title or metric, scale=alt.Scale(zero=False))
    bars = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=x, x2="high:Q", y=y, color=colour, tooltip=tooltip)
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q", y=y, color=colour, tooltip=tooltip)
    return styled((bars + dots).add_params(labels).properties(width=WIDTH - 140, height=alt.Step(26)))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
