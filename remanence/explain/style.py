"""How every figure looks: one light theme, colours that colour-blind readers can tell apart, fonts with Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import altair as alt
import numpy as np

from remanence.explain.words import Language, Words

__all__ = ["COLOURS", "FONT", "GREY", "INK", "LEFT_RANGE", "axis_of_steps", "columns", "styled", "tips", "token_text"]

FONT = (
    '"Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", '
    '"Microsoft YaHei", "WenQuanYi Micro Hei", sans-serif'
)

INK, GREY, FAINT = "#24292f", "#6e7781", "#e7eaee"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, https://jfly.uni-koeln.de/color/, without its yellow, which is faint on white."""

LEFT_RANGE = ("#f4f8fc", "#d6e6f4", "#9ec9e2", "#4a98c9", "#1764ab", "#08306b", "#041c40")
"""From nothing left (white) to all of it (dark blue)."""


def columns(**values: Any) -> alt.InlineData:
    """Hold data as columns in a single row, to be spread by `transform_flatten`: small, free of Altair's row limit."""
    return alt.InlineData(values=[{name: _plain(column) for name, column in values.items()}])


def _plain(column: Any) -> list[Any]:
    array = np.asarray(column)
    if array.dtype.kind != "f":
        return array.tolist()
    # Four digits are more than an eye can see, and half the size of the page.
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in array.ravel()]


def token_text(token: str, longest: int = 30) -> str:
    """Make a step's label visible and short: what is only blanks gets signs, a long word an ellipsis.

    Example:
        >>> token_text(" "), token_text("internationalisation of everything")
        ('␣', 'internationalisation of ever…')
    """
    if not token.strip():
        token = "".join({"\n": "↵", "\r": "↵", "\t": "⇥"}.get(sign, "␣") for sign in token)
    shown = "".join(sign if sign.isprintable() else "�" for sign in token)
    return shown if len(shown) <= longest else shown[: longest - 2] + "…"


def axis_of_steps(
    labels: tuple[str, ...], *, title: str, most: int = 64, **options: Any
) -> tuple[alt.Axis, alt.Parameter]:
    """Build an axis whose positions 0, 1, 2, … carry labels, so that a repeated token keeps its own place.

    Args:
        labels: text at each position.
        title: of the axis.
        most: labels to show; beyond it every second, third … only.
        options: passed on to the axis.

    Returns:
        The axis, and the parameter that holds its labels, to be added to the chart.
    """
    shown = [token_text(label) for label in labels]
    every = max(1, -(-len(shown) // most))
    name = f"labels_{crc32(chr(0).join(shown).encode()):x}"
    parameter = alt.param(name=name, value=shown)
    axis = alt.Axis(
        title=title,
        values=list(range(0, len(shown), every)),
        labelExpr=f"{name}[datum.value]",
        labelOverlap=False,
        ticks=False,
        domain=False,
        **options,
    )
    return axis, parameter


_TIPS = {
    "count": Words("count", "次数"),
    "high": Words("interval to", "区间上限"),
    "key": Words("key", "琴键"),
    "left": Words("left", "留存"),
    "line": Words("line", "曲线"),
    "low": Words("interval from", "区间下限"),
    "model": Words("model", "模型"),
    "s": Words("s, counted from 0", "s（从 0 数起）"),
    "seed": Words("seed", "种子"),
    "share": Words("share of its row", "占该行"),
    "step": Words("step", "步"),
    "t": Words("t, counted from 0", "t（从 0 数起）"),
    "unit": Words("unit", "单元"),
    "value": Words("value", "值"),
}


def tips(language: Language, *shown: str) -> list[alt.Tooltip]:
    """Name what is shown where the mouse rests on a mark.

    Args:
        language: of the names.
        shown: fields with their types, and a format behind a blank where they have one: `value:Q .4g`.

    Example:
        >>> [one.to_dict()["title"] for one in tips("zh", "seed:N", "value:Q .4g")]
        ['种子', '值']
    """
    found = []
    for one in shown:
        field, _, form = one.partition(" ")
        title = _TIPS[field.partition(":")[0]].pick(language)
        found.append(alt.Tooltip(field, title=title, format=form) if form else alt.Tooltip(field, title=title))
    return found


def styled(chart: Any, *, config: Mapping[str, Any] | None = None) -> Any:
    """Give a finished chart the house's theme."""
    text: dict[str, Any] = {"labelFont": FONT, "titleFont": FONT, "labelColor": GREY, "titleColor": INK}
    return chart.configure(
        background="#ffffff",
        font=FONT,
        padding=8,
        axis=alt.AxisConfig(
            **text,
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            gridColor=FAINT,
            domainColor="#c9d1d9",
            tickColor="#c9d1d9",
            titlePadding=8,
        ),
        legend=alt.LegendConfig(
            **text, labelFontSize=11, titleFontSize=12, titleFontWeight="normal", symbolStrokeWidth=3
        ),
        title=alt.TitleConfig(
            font=FONT,
            subtitleFont=FONT,
            color=INK,
            subtitleColor=GREY,
            fontSize=13,
            subtitleFontSize=11,
            fontWeight=600,
            anchor="start",
            offset=8,
        ),
        header=alt.HeaderConfig(labelFont=FONT, titleFont=FONT, labelColor=INK),
        view=alt.ViewConfig(stroke=None),
        range=alt.RangeConfig(category=list(COLOURS)),
        **(config or {}),
    )
