"""The alignment of a written text as a figure: its pieces down, the steps of the source across."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from remanence.explain.style import LEFT_RANGE, axis_of_steps, columns, styled
from remanence.explain.words import Language, Words
from remanence.tasks.alignment import Alignment

__all__ = ["alignment_heatmap"]

_SIDE = 26
"""Pixels of a cell, where there are few."""
_WIDEST = 640
_MOST = 64


def alignment_heatmap(alignment: Alignment, *, language: Language = "en") -> Any:
    """Draw how much of each step of the source went into each piece written.

    Args:
        alignment: of one text.
        language: of the words in the figure.
    """
    weights = alignment.weights
    piece, step = np.indices(weights.shape)
    data = columns(
        piece=piece.ravel(),
        step=step.ravel(),
        weight=weights.ravel(),
        written=[alignment.written[i] for i in piece.ravel()],
        read=[alignment.source[i] for i in step.ravel()],
    )
    # One sign stands upright, longer names on their side.
    upright = all(len(name) <= 2 for name in alignment.source)
    across, read = axis_of_steps(
        alignment.source, title=Words("read", "原文").pick(language), most=_MOST, labelAngle=0 if upright else -60,
        orient="top", labelFontSize=13 if upright else 11,
    )  # fmt: skip
    down, written = axis_of_steps(
        alignment.written, title=Words("written", "写出").pick(language), most=_MOST, labelFontSize=12
    )
    cell = min(_SIDE, _WIDEST / max(1, len(alignment.source)))
    chart = (
        alt.Chart(data)
        .transform_flatten(["piece", "step", "weight", "written", "read"])
        .mark_rect()
        .encode(
            x=alt.X("step:O", axis=across, scale=alt.Scale(domain=list(range(weights.shape[1])))),
            y=alt.Y("piece:O", axis=down, scale=alt.Scale(domain=list(range(weights.shape[0])))),
            color=alt.Color(
                "weight:Q",
                scale=alt.Scale(domain=[0, 1], range=list(LEFT_RANGE), clamp=True),
                title=Words("weight", "权重").pick(language),
                legend=alt.Legend(format=".0%", gradientLength=120),
            ),
            tooltip=[
                alt.Tooltip("written:N", title=Words("written", "写出").pick(language)),
                alt.Tooltip("read:N", title=Words("read", "原文").pick(language)),
                alt.Tooltip("weight:Q", format=".1%", title=Words("weight", "权重").pick(language)),
            ],
        )
    )
    size = {"width": cell * weights.shape[1], "height": min(_SIDE, 22) * max(1, weights.shape[0])}
    return styled(chart.add_params(read, written).properties(**size))
