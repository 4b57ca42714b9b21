"""The piano roll draws what was likely and what came, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from remanence.explain.music import piano_roll
from remanence.explain.render import save_svg, specification


@pytest.mark.parametrize("language", ["en", "zh"])
def test_piano_roll_keeps_likely_keys_and_those_that_sounded(language, tmp_path) -> None:
    chances, truth = np.full((5, 88), 0.001), np.zeros((5, 88))
    chances[1, 40], truth[1, 40] = 0.9, 1
    chances[3, 41] = 0.5
    truth[4, 12] = 1
    chart = piano_roll(chances, truth, language=language)
    (rows,) = next(iter(specification(chart)["datasets"].values()))
    assert list(zip(rows["frame"], rows["key"], strict=True)) == [(2, 61), (4, 62), (5, 33)]
    assert rows["chance"] == pytest.approx([0.9, 0.5, 0.001])
    assert rows["sounded"] in (["yes", "no", "yes"], ["是", "否", "是"])
    save_svg(chart, tmp_path / "roll.svg")
    assert "rect" in (tmp_path / "roll.svg").read_text(encoding="utf-8")


def test_silence_is_drawn_too() -> None:
    assert specification(piano_roll(np.zeros((3, 88)), np.zeros((3, 88))))
