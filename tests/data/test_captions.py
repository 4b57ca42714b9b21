"""Videos with a text each: frames and texts stay together, whatever is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.clips import write_clip
from remanence.data.clips import Clip
from remanence.data.paired import prepare_pairs, reopen_pairs
from remanence.settings import DataSettings

SETTINGS = DataSettings(task="caption", split_column="split", frame_rate=10.0, frame_size=(8, 12))
LEVELS = (40, 90, 140, 190)
WORDS = ("dark", "grey", "pale", "bright")


def told(folder: Path) -> Path:
    """Films of one shade each, which their text names."""
    lines = ["film,caption,split"]
    for place in range(16):
        write_clip(folder / f"{place}.mp4", np.full((2 + place % 3, 16, 24), LEVELS[place % 4], np.uint8), 10)
        split = "train" if place < 10 else "valid" if place < 12 else "test"
        lines.append(f"{place}.mp4,it is {WORDS[place % 4]},{split}")
    (folder / "films.csv").write_text("\n".join(lines) + "\n")
    return folder / "films.csv"


def shades(part, encoders) -> list[tuple[int, str]]:
    """The shade of each film of a part, and its text."""
    batch = part.batch(np.arange(len(part)))
    assert batch.target is not None and batch.inputs.data.shape[2] == 96
    levels = [round(float(row[0].double().mean()) / 10) * 10 for row in batch.inputs.data]
    return list(zip(levels, (encoders.target.decode(row) for row in batch.target.tolist()), strict=True))


def test_films_and_texts_stay_together(tmp_path: Path) -> None:
    parts = prepare_pairs(told(tmp_path), SETTINGS, "caption")
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [10, 2, 4]
    assert parts.data.input == ("film",) and parts.data.answer == "caption"
    assert isinstance(parts.encoders.source, Clip) and parts.encoders.source.shape == (1, 8, 12)
    wanted = [(LEVELS[place % 4], f"it is {WORDS[place % 4]}") for place in range(12, 16)]
    assert shades(parts.test, parts.encoders) == wanted
    assert parts.test.name(1) == "films.csv, row 14 (13.mp4)"
    again = type(parts.encoders).model_validate_json(parts.encoders.model_dump_json())
    assert again == parts.encoders


def test_what_is_left_out_takes_its_text_along(tmp_path: Path) -> None:
    path = told(tmp_path)
    for place in (3, 13):
        film = tmp_path / f"{place}.mp4"
        film.write_bytes(film.read_bytes()[:-25])
    parts = prepare_pairs(path, SETTINGS.model_copy(update={"bad": "skip"}), "caption")
    kept = [place for place in range(10) if place != 3]
    assert shades(parts.train, parts.encoders) == [(LEVELS[place % 4], f"it is {WORDS[place % 4]}") for place in kept]
    assert [text for _, text in shades(parts.test, parts.encoders)] == ["it is dark", "it is pale", "it is bright"]
    assert any("2 of 16 videos left out" in note and "films.csv:5" in note for note in parts.notes)


def test_a_new_film_is_taken_as_those_before(tmp_path: Path) -> None:
    parts = prepare_pairs(told(tmp_path), SETTINGS, "caption")
    single = reopen_pairs(tmp_path / "6.mp4", parts.data, parts.encoders, answers=False)
    batch = single.batch(np.array([0]))
    assert batch.target is None and batch.inputs.data.shape == (1, 2, 96)
    assert float(batch.inputs.data.double().mean()) == pytest.approx(LEVELS[2], abs=3)
    assert "6.mp4" in single.name(0)
