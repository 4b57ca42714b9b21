"""A sound as a model hears it: its features over time, and below them the letters that were heard, where they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from remanence.explain.style import COLOURS, GREY, INK, columns, styled, token_text
from remanence.explain.words import Language, Words

__all__ = ["Heard", "Sound", "sound_picture", "transcript_figure"]

WIDTH = 620
MOST = 160
"""Columns of the picture of a sound: a longer one is averaged over neighbouring frames."""
NEARLY = 0.1
"""Chance from which a symbol that was not written is shown, too."""
_SPREAD = 2.5
"""Standard deviations at which colours end."""

SECONDS, FRAMES = Words("seconds", "秒"), Words("frames", "帧")


@dataclass(frozen=True)
class Sound:
    """What a model reads of a sound.

    Args:
        values: features, scaled as in training, `[frame, feature]`.
        apart: seconds between two frames; 0 where they are not known, and frames are counted.
        what: what a feature is, such as a band of the mel scale.
    """

    values: np.ndarray
    apart: float
    what: Words

    @property
    def unit(self) -> float:
        """Seconds of a frame, or 1."""
        return self.apart or 1.0


@dataclass(frozen=True)
class Heard:
    """How likely what was at each step.

    Args:
        held: frames of a step.
        blank: chance that nothing begins, `[step]`.
        written: symbols of the likeliest path in order, with their first step and the one behind their last.
        chances: of each of them at every step, `[written, step]`.
        other, other_chance: the likeliest symbol of a step that is not on the path there, and its chance, `[step]`.
    """

    held: int
    blank: np.ndarray
    written: tuple[tuple[str, int, int], ...]
    chances: np.ndarray
    other: tuple[str, ...]
    other_chance: np.ndarray


def sound_picture(sound: Sound, *, language: Language = "en") -> Any:
    """Draw the features of a sound, from left to right."""
    return styled(_picture(sound, language))


def transcript_figure(sound: Sound, heard: Heard, *, language: Language = "en") -> Any:
    """Draw the features of a sound, and below them what was heard when."""
    panels = [_picture(sound, language), _letters(sound, heard, language)]
    return styled(alt.concat(*panels, columns=1, spacing=6).resolve_scale(color="independent"))


def _axis(sound: Sound, language: Language) -> dict[str, Any]:
    title = (SECONDS if sound.apart else FRAMES).pick(language)
    scale = alt.Scale(domain=[0, len(sound.values) * sound.unit], nice=False)
    return {"title": title, "scale": scale, "axis": alt.Axis(grid=False)}


def _picture(sound: Sound, language: Language) -> Any:
    length, features = sound.values.shape
    edges = np.unique(np.linspace(0, length, min(MOST, length) + 1).round().astype(int))
    means = np.add.reduceat(sound.values.astype(np.float64), edges[:-1], axis=0) / np.diff(edges)[:, None]
    column, feature = np.indices(means.shape)
    starts = edges * sound.unit
    data = columns(
        start=starts[:-1][column.ravel()], stop=starts[1:][column.ravel()], feature=feature.ravel(),
        value=means.round(1).ravel(),
    )  # fmt: skip
    what = sound.what.pick(language)
    chart = (
        alt.Chart(data)
        .transform_flatten(["start", "stop", "feature", "value"])
        .mark_rect()
        .encode(
            x=alt.X("start:Q", **_axis(sound, language)),
            x2="stop:Q",
            y=alt.Y(
                "feature:O",
                scale=alt.Scale(reverse=True),
                axis=alt.Axis(labels=False, ticks=False, domain=False, title=what),
            ),
            color=alt.Color(
                "value:Q",
                scale=alt.Scale(scheme="purpleorange", domain=[-_SPREAD, 0, _SPREAD], clamp=True),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("start:Q", title=(SECONDS if sound.apart else FRAMES).pick(language)),
                alt.Tooltip("feature:O", title=what),
                alt.Tooltip("value:Q"),
            ],
        )
    )
    return chart.properties(width=WIDTH, height=max(60, min(120, 5 * features)))


def _letters(sound: Sound, heard: Heard, language: Language) -> Any:
    kinds = (
        Words("blank", "空白符").pick(language), Words("written", "写出").pick(language),
        Words("nearly heard", "险些听成").pick(language),
    )  # fmt: skip
    chance, scale = Words("chance", "概率").pick(language), alt.Scale(domain=[0, 1.18])
    shared = {
        "x": alt.X("at:Q", **_axis(sound, language)),
        "y": alt.Y("chance:Q", title=chance, scale=scale, axis=alt.Axis(format="%", values=[0, 0.5, 1])),
        "color": alt.Color(
            "kind:N", title=None, legend=alt.Legend(orient="bottom"),
            scale=alt.Scale(domain=list(kinds), range=[GREY, COLOURS[0], COLOURS[1]]),
        ),
        "tooltip": [
            alt.Tooltip("at:Q", title=(SECONDS if sound.apart else FRAMES).pick(language)),
            alt.Tooltip("symbol:N", title=Words("symbol", "符号").pick(language)),
            alt.Tooltip("chance:Q", format=".1%", title=chance),
        ],
    }  # fmt: skip
    apart = heard.held * sound.unit
    at = np.arange(len(heard.blank)) * apart
    # A step lasts until the next one begins: its chance is a tread of a stair.
    blank = _chart(at=at, chance=heard.blank, symbol=[kinds[0]] * len(at), kind=[kinds[0]] * len(at))
    layers = [blank.mark_line(interpolate="step-after", strokeWidth=1.5, opacity=0.7).encode(**shared)]
    if heard.written:
        bars = _bars(heard, at, apart, kinds[1]).mark_rect(opacity=0.75)
        layers.append(bars.encode(**shared, x2="stop:Q", y2="floor:Q"))
        layers.append(_names(heard, at, apart).encode(x=shared["x"], y=shared["y"]))
    near = np.flatnonzero(heard.other_chance >= NEARLY).tolist()
    if near:
        symbols = [token_text(heard.other[step]) for step in near]
        nearly = _chart(
            at=at[near] + apart / 2, chance=heard.other_chance[near], symbol=symbols, kind=[kinds[2]] * len(near)
        )
        layers.append(nearly.mark_text(fontSize=12).encode(**shared, text="symbol:N"))
    return alt.layer(*layers).properties(width=WIDTH, height=130)


def _chart(**values: Any) -> Any:
    return alt.Chart(columns(**values)).transform_flatten(list(values))


def _bars(heard: Heard, at: np.ndarray, apart: float, kind: str) -> Any:
    """A bar for each step at which a written symbol was heard, as high as its chance."""
    rows = [
        (at[step], at[step] + apart, row[step], 0.0, token_text(symbol), kind)
        for (symbol, start, stop), row in zip(heard.written, heard.chances, strict=True)
        for step in range(start, stop)
    ]
    names = "at", "stop", "chance", "floor", "symbol", "kind"
    return _chart(**dict(zip(names, zip(*rows, strict=True), strict=True)))


def _names(heard: Heard, at: np.ndarray, apart: float) -> Any:
    """The symbols that were written, above where each was likeliest."""
    written = list(zip(heard.written, heard.chances, strict=True))
    best = [start + int(row[start:stop].argmax()) for (_, start, stop), row in written]
    found = _chart(
        at=at[best] + apart / 2,
        chance=[row[step] for (_, row), step in zip(written, best, strict=True)],
        symbol=[token_text(symbol) for (symbol, _, _), _ in written],
    )
    return found.mark_text(dy=-8, fontSize=14, fontWeight=600, color=INK).encode(text="symbol:N")
