"""A piece of music as a model expects it: how likely each key is in each frame, and which keys sounded."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from remanence.data.frames import LOWEST
from remanence.explain.style import INK, columns, styled, tips
from remanence.explain.words import Language, Words

__all__ = ["piano_roll"]

WIDTH = 620
LEAST = 0.02
"""Probabilities below it are left out: most keys are silent, and thousands of pale marks would slow a page."""


def piano_roll(chances: np.ndarray, truth: np.ndarray, *, language: Language = "en") -> Any:
    """Draw the probability of each key in each frame, and mark the keys that sounded.

    Args:
        chances: `[frame, key]`, in 0 … 1.
        truth: `[frame, key]`, 1 where a key sounded.
        language: of the words in the figure.
    """
    frame, key = np.nonzero((chances >= LEAST) | (truth > 0))
    names = Words("key (C4 is middle C)", "琴键（C4 是中央 C）"), Words("probability", "概率"), Words("frame", "帧")
    sounded = np.array([Words("no", "否").pick(language), Words("yes", "是").pick(language)])
    came = sounded[(truth[frame, key] > 0).astype(int)]
    data = columns(frame=frame + 1, key=key + LOWEST, chance=chances[frame, key], sounded=came)
    low, high = int(key.min(initial=39)) + LOWEST - 1, int(key.max(initial=39)) + LOWEST + 1
    keys = list(range(high, low - 1, -1))
    octaves = alt.Axis(values=[each for each in keys if each % 12 == 0], labelExpr="'C' + (datum.value / 12 - 1)")
    base = (
        alt.Chart(data)
        .transform_flatten(["frame", "key", "chance", "sounded"])
        .encode(
            x=alt.X("frame:O", title=names[2].pick(language), axis=alt.Axis(labelOverlap=True, labelAngle=0)),
            y=alt.Y("key:O", title=names[0].pick(language), axis=octaves, scale=alt.Scale(domain=keys)),
            tooltip=[
                alt.Tooltip("frame:O", title=names[2].pick(language)),
                *tips(language, "key:O"),
                alt.Tooltip("chance:Q", format=".1%", title=names[1].pick(language)),
                alt.Tooltip("sounded:N", title=Words("sounded", "响了").pick(language)),
            ],
        )
    )
    heat = base.mark_rect().encode(
        color=alt.Color(
            "chance:Q",
            scale=alt.Scale(scheme="blues", domain=[0, 1]),
            title=names[1].pick(language),
            legend=alt.Legend(format=".0%"),
        )
    )
    marks = base.transform_filter(f"datum.sounded === '{sounded[1]}'").mark_point(
        filled=True, size=14, color=INK, opacity=0.9
    )
    return styled(alt.layer(heat, marks).properties(width=WIDTH - 90, height=max(120, 7 * (high - low + 1))))
