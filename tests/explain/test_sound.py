"""Sounds and what was heard in them, on one time axis: by numbers worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.explain.render import specification
from remanence.explain.sound import Heard, Sound, sound_picture, transcript_figure
from remanence.explain.words import Words

FEATURE = Words("band", "频带")


def rows_with(chart: Any, name: str) -> list[dict[str, Any]]:
    return [rows[0] for rows in specification(chart)["datasets"].values() if name in rows[0]]


def test_a_picture_holds_the_mean_of_neighbouring_frames() -> None:
    values = np.arange(400.0).repeat(2).reshape(400, 2) * [1, -1]
    (drawn,) = rows_with(sound_picture(Sound(values, 0.01, FEATURE)), "feature")
    # 400 frames in 160 columns: the first is of the frames 0 and 1, the last ends with the sound.
    assert (drawn["value"][:2], drawn["start"][0], drawn["stop"][0], drawn["stop"][-1]) == ([0.5, -0.5], 0, 0.02, 4.0)
    assert len(drawn["value"]) == 320


def test_letters_stand_where_they_were_heard() -> None:
    heard = Heard(
        held=3,
        blank=np.array([0.9, 0.1, 0.3, 0.95]),
        written=(("7", 1, 3),),
        chances=np.array([[0.05, 0.85, 0.5, 0.01]]),
        other=("1", "1", "9", "9"),
        other_chance=np.array([0.05, 0.05, 0.2, 0.04]),
    )
    chart = transcript_figure(Sound(np.zeros((12, 2)), 0.01, FEATURE), heard)
    (bars,) = rows_with(chart, "floor")
    assert (bars["at"], bars["stop"], bars["chance"]) == ([0.03, 0.06], [0.06, 0.09], [0.85, 0.5])
    blank, named, nearly = (
        next(row for row in rows_with(chart, "chance") if "floor" not in row and row["symbol"] == symbols)
        for symbols in (["blank"] * 4, ["7"], ["9"])
    )
    assert (blank["at"], blank["chance"]) == ([0, 0.03, 0.06, 0.09], [0.9, 0.1, 0.3, 0.95])
    # In the middle of its likeliest step, and of the only step at which another symbol came near.
    assert (named["at"], named["chance"], nearly["at"], nearly["chance"]) == ([0.045], [0.85], [0.075], [0.2])


def test_nothing_heard_is_drawn_as_blank_alone() -> None:
    none = Heard(1, np.ones(3), (), np.zeros((0, 3)), ("a",) * 3, np.zeros(3))
    words = str(specification(transcript_figure(Sound(np.zeros((3, 1)), 0.0, FEATURE), none, language="zh")))
    assert "空白符" in words and "帧" in words and "秒" not in words
