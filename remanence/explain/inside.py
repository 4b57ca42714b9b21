"""One function per figure of what was remembered: gates, what is left of each input, activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from remanence.errors import SettingError
from remanence.explain.gates import Gates
from remanence.explain.memory import Memory, shown_steps
from remanence.explain.style import COLOURS, GREY, LEFT_RANGE, axis_of_steps, columns, styled, tips
from remanence.explain.words import Language, Words

__all__ = ["activations", "first_input", "gate_heatmaps", "half_left", "memory_heatmaps"]

UNITS_SHOWN = 32
"""Most units in a heatmap of a gate: those that change most are chosen, and the figure says so."""

STEP_OF = Words("step of the example", "例子的各步")
SECOND_OF = Words("second of the example", "例子的各秒")


def gate_heatmaps(
    gates: Gates, quantities: Sequence[str] = (), *, layer: str | None = None, language: Language = "en"
) -> Any:
    """Draw quantities of one layer as heatmaps, step by unit.

    Values that all lie in 0 … 1 (gates) share a scale from white to dark; others diverge from 0.

    Args:
        gates: of one example.
        quantities: which, such as `("f", "i")`; when empty all, but of many those that tell most (`Gates.telling`).
        layer: such as `layer0.forward`; the first when None.
        language: of the words in the figure.
    """
    layer = gates.layers()[0] if layer is None else layer
    names = tuple(quantities) or gates.telling(layer)
    steps = shown_steps(len(gates.labels))
    panels = [_gate_panel(name, gates.value(name, layer), gates, steps, language) for name in names]
    return styled(alt.concat(*panels, columns=2, spacing=18).resolve_scale(color="independent", x="independent"))


def _gate_panel(name: str, values: np.ndarray, gates: Gates, steps: np.ndarray, language: Language) -> Any:
    units = np.sort(np.argsort(-values.std(0), kind="stable")[:UNITS_SHOWN])
    shown = values[np.ix_(steps, units)]
    step, unit = np.indices(shown.shape)
    data = columns(step=step.ravel(), unit=units[unit.ravel()], value=shown.ravel())
    gate = bool(shown.size) and float(shown.min()) >= 0.0 and float(shown.max()) <= 1.0
    most = max(float(np.abs(shown).max(initial=0.0)), 1e-6)
    scale = (
        alt.Scale(scheme="blues", domain=[0, 1]) if gate else alt.Scale(scheme="purpleorange", domain=[-most, 0, most])
    )
    seconds = Words("seconds", "秒").pick(language) if gates.apart else ""
    axis, labels = _step_axis(tuple(gates.labels[i] for i in steps), seconds, 40)
    place = alt.Tooltip("step:O", title=Words("step", "步").pick(language))
    chart = (
        alt.Chart(data)
        .transform_flatten(["step", "unit", "value"])
        .mark_rect()
        .encode(
            x=alt.X("step:O", axis=axis),
            y=alt.Y(
                "unit:O",
                axis=alt.Axis(labels=False, ticks=False, domain=False, title=Words("unit", "单元").pick(language)),
            ),
            color=alt.Color(
                "value:Q",
                scale=scale,
                title=None,
                legend=alt.Legend(gradientLength=90, gradientThickness=9, tickCount=3, format=".2~g"),
            ),
            tooltip=[place, *tips(language, "unit:O", "value:Q .3f")],
        )
    )
    notes = []
    if len(units) < values.shape[1]:
        most_changed = Words(
            f"{len(units)} of {values.shape[1]} units, those that change most",
            f"{values.shape[1]} 个单元中变化最大的 {len(units)} 个",
        )
        notes.append(most_changed.pick(language))
    if len(steps) < len(gates.labels):
        notes.append(_thinned(len(steps), len(gates.labels)).pick(language))
    title = alt.TitleParams(name, subtitle=notes) if notes else alt.TitleParams(name)
    return chart.add_params(labels).properties(width=290, height=max(60, min(190, 6 * len(units))), title=title)


def _thinned(shown: int, length: int) -> Words:
    return Words(f"{shown} of {length} steps, evenly chosen", f"从 {length} 步中均匀取 {shown} 步")


def _step_axis(labels: tuple[str, ...], title: str, most: int, **options: Any) -> tuple[Any, Any]:
    """Tokens of one sign stand upright, longer labels lie on their side."""
    short = all(len(label) <= 2 for label in labels)
    few = most if short or len(labels) <= 24 else max(8, most // 2)
    return axis_of_steps(
        labels,
        title=title,
        most=few,
        labelAngle=0 if short else -60,
        labelFontSize=11 if len(labels) <= 30 else 9,
        **options,
    )


def memory_heatmaps(memories: Sequence[Memory], *, reading: str = "reach", language: Language = "en") -> Any:
    """Draw how much of input s (row) is left at step t (column), models side by side on one colour scale.

    Args:
        memories: one a model, of the same example.
        reading: `reach` (through everything) or `path` (along the cell state; models without one are left out).
        language: of the words in the figure.

    Raises:
        SettingError: no model has such a reading.
    """
    chosen = [memory for memory in memories if reading == "reach" or memory.path is not None]
    if reading not in ("reach", "path") or not chosen:
        raise SettingError(f"no model here has the reading '{reading}'", name="reading", remedy="use 'reach'")
    panels = [_memory_panel(memory, reading, language) for memory in chosen]
    columns = 3 if len(panels) == 3 else 2
    return styled(alt.concat(*panels, columns=columns, spacing=24).resolve_scale(color="shared"))


def _memory_panel(memory: Memory, reading: str, language: Language) -> Any:
    left = memory.reach if reading == "reach" else memory.path
    assert left is not None
    s, t = np.nonzero(np.isfinite(left))
    data = columns(s=s, t=t, left=left[s, t], input=[memory.labels[i] for i in s], at=[memory.labels[i] for i in t])
    size = max(170, min(330, 24 * len(memory.steps)))
    at = Words("at second t", "在第 t 秒") if memory.apart else Words("at step t", "在第 t 步")
    came = Words("input at second s", "第 s 秒的输入") if memory.apart else Words("input s", "第 s 步的输入")
    across, labels = _step_axis(memory.labels, at.pick(language), 40)
    down, _ = axis_of_steps(
        memory.labels,
        title=came.pick(language),
        most=40,
        labelFontSize=11 if len(memory.labels) <= 30 else 9,
    )
    # The square root gives the first per cents room: the difference between 1 % and 10 % is what memory is about.
    colour = alt.Color(
        "left:Q",
        scale=alt.Scale(type="pow", exponent=0.5, domain=[0, 1], range=list(LEFT_RANGE), clamp=True),
        title=Words("left", "留存").pick(language),
        legend=alt.Legend(format=".0%", values=[0, 0.01, 0.05, 0.25, 0.5, 1.0], gradientLength=180),
    )
    every = list(range(len(memory.labels)))
    chart = (
        alt.Chart(data)
        .transform_flatten(["s", "t", "left", "input", "at"])
        .mark_rect()
        .encode(
            x=alt.X("t:O", axis=across, scale=alt.Scale(domain=every)),
            y=alt.Y("s:O", axis=down, scale=alt.Scale(domain=every)),
            color=colour,
            tooltip=[
                alt.Tooltip("input:N", title=Words("input", "输入").pick(language)),
                *tips(language, "s:O"),
                alt.Tooltip("at:N", title=Words("at", "在").pick(language)),
                *tips(language, "t:O", "left:Q .1%"),
            ],
        )
    )
    title = alt.TitleParams(_title(memory), subtitle=_notes(memory, reading, language))
    return chart.add_params(labels).properties(width=size, height=size, title=title)


def _title(memory: Memory) -> str:
    return memory.model.upper() if len(memory.model) <= 5 else memory.model


def _notes(memory: Memory, reading: str, language: Language) -> list[str]:
    """What a reader must know of how the figure was made, a line each."""
    notes = [half_left(memory, reading).pick(language)]
    left = memory.reach if reading == "reach" else memory.path
    highest = 0.0 if left is None else float(np.nanmax(left, initial=0.0))
    if highest > 1.005:
        notes.append(Words(f"up to {highest:.0%}, drawn as 100%", f"最高 {highest:.0%}，按 100% 着色").pick(language))
    if len(memory.steps) < memory.length:
        notes.append(_thinned(len(memory.steps), memory.length).pick(language))
    if reading == "reach" and memory.probes:
        notes.append(
            Words(f"estimated with {memory.probes} random directions", f"用 {memory.probes} 个随机方向估计").pick(
                language
            )
        )
    if memory.bidirectional:
        notes.append(Words("forward direction only", "只画正向").pick(language))
    return notes


def half_left(memory: Memory, reading: str = "reach") -> Words:
    """When half of an input is left, in steps, and in seconds where steps are of time."""
    life = memory.half_life(reading)
    if np.isinf(life):
        return Words("more than half is left to the end", "到最后仍剩一半以上")
    if np.isnan(life):
        return Words("nothing gets in: this model does not react to its input", "什么都没进来：模型对输入没有反应")
    if not memory.apart:
        return Words(f"half is left after {life:.1f} steps", f"{life:.1f} 步后剩下一半")
    seconds = f"{life * memory.apart:.2g}"
    return Words(f"half is left after {seconds} s ({life:.1f} steps)", f"{seconds} 秒（{life:.1f} 步）后剩下一半")


def first_input(memories: Sequence[Memory], *, reading: str = "reach", language: Language = "en") -> Any:
    """Draw what is left of the first input at each later step, a line a model, on a logarithmic scale.

    Args:
        memories: one a model, of the same example.
        reading: `reach` or `path`.
        language: of the words in the figure.
    """
    parts: dict[str, list[Any]] = {"step": [], "left": [], "model": []}
    for memory in memories:
        left = memory.reach if reading == "reach" else memory.path
        if left is None:
            continue
        # A logarithm has no zero: a line ends where less than a ten-thousandth is left.
        known = np.isfinite(left[0]) & (left[0] >= 1e-4)
        parts["step"] += list(np.arange(len(memory.steps))[known])
        parts["left"] += list(left[0][known])
        parts["model"] += [_title(memory)] * int(known.sum())
    one = memories[0]
    # Of a long example where all is forgotten soon, what lies behind is left out.
    shown = min(len(one.steps), max([8, *(step + 2 for step in parts["step"])]))
    title = (SECOND_OF if one.apart else STEP_OF).pick(language)
    if len(one.steps) < one.length:
        title += f" ({_thinned(len(one.steps), one.length).pick(language)})"
    axis, labels = _step_axis(one.labels[:shown], title, 40)
    most = max([1.0, *parts["left"]])
    scale = alt.Scale(type="log", domain=[1e-4, most], nice=False)
    percent = alt.Axis(
        values=[1e-4, 1e-3, 1e-2, 0.1, 0.5, 1, 10, 100],
        format="~%",
        title=Words("left of the first input", "第一个输入的留存").pick(language),
    )
    lines = (
        alt.Chart(columns(**parts))
        .transform_flatten(list(parts))
        .mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=26))
        .encode(
            x=alt.X("step:O", axis=axis, scale=alt.Scale(domain=list(range(shown)))),
            y=alt.Y("left:Q", axis=percent, scale=scale),
            color=alt.Color(
                "model:N",
                title=None,
                scale=alt.Scale(domain=list(dict.fromkeys(parts["model"]))),
                legend=alt.Legend(orient="bottom"),
            ),
            tooltip=tips(language, "model:N", "step:O", "left:Q .2%"),
        )
    )
    half = (
        alt.Chart(columns(left=[0.5]))
        .transform_flatten(["left"])
        .mark_rule(color=GREY, strokeDash=[3, 3])
        .encode(y="left:Q")
    )
    return styled(alt.layer(half, lines).add_params(labels).properties(width=620, height=220))


def activations(gates: Gates, *, language: Language = "en") -> Any:
    """Draw sigmoid and tanh with their slopes, and where this model's gates and candidates fell on them.

    A saturated gate (slope near 0) no longer learns; the histogram below the curves shows how many are. A function that
    the cell does not use is left out.

    Raises:
        SettingError: the cell uses neither.
    """
    used = set(gates.functions.values())
    if not used:
        raise SettingError(f"{gates.model}: no quantity is a sigmoid or tanh", name="cell")
    panels = []
    for title, function, slope, inverse, low in (
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z)), lambda y: y * (1 - y), lambda y: -np.log(1 / y - 1), 0.0),
        ("tanh", np.tanh, lambda y: 1 - y * y, np.arctanh, -1.0),
    ):
        if title not in used:
            continue
        z = np.linspace(-6, 6, 121)
        y = function(z)
        names = (title, Words("its slope", "它的斜率").pick(language))
        data = columns(z=np.tile(z, 2), value=np.concatenate([y, slope(y)]), line=[names[0]] * 121 + [names[1]] * 121)
        x = alt.X("z:Q", title=None, axis=alt.Axis(grid=False), scale=alt.Scale(domain=[-6, 6], clamp=True))
        lines = (
            alt.Chart(data)
            .transform_flatten(["z", "value", "line"])
            .mark_line(strokeWidth=2)
            .encode(
                x=x,
                y=alt.Y("value:Q", title=None),
                color=alt.Color(
                    "line:N",
                    title=None,
                    legend=alt.Legend(orient="bottom"),
                    scale=alt.Scale(domain=list(names), range=[COLOURS[0], COLOURS[1]]),
                ),
            )
        )
        came = _before_activation(gates, title, inverse)
        counts, edges = np.histogram(np.clip(came, -6, 6), bins=48, range=(-6, 6))
        share = counts / max(counts.max(initial=0), 1) * 0.5 + low
        bars = (
            alt.Chart(columns(z=edges[:-1], z2=edges[1:], value=share, floor=np.full(48, low)))
            .transform_flatten(["z", "z2", "value", "floor"])
            .mark_rect(color="#c9d1d9")
            .encode(x=x, x2="z2:Q", y="floor:Q", y2="value:Q")
        )
        panels.append(alt.layer(bars, lines).properties(width=280, height=180, title=title))
    return styled(alt.concat(*panels, columns=2).resolve_scale(color="independent"))


def _before_activation(gates: Gates, function: str, inverse: Any) -> np.ndarray:
    """What went into a function, got back from what came out; infinite where it came out at an end."""
    found = [np.zeros(0)]
    for name, values in gates.values.items():
        if gates.functions.get(name.rpartition(".")[2]) == function:
            with np.errstate(divide="ignore"):
                found.append(inverse(values.astype(np.float64)).ravel())
    return np.concatenate(found)
