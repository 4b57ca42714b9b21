"""Videos that a table names: labels, splits, pixels, and those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.clips import write_clip
from remanence.data.describe import describe
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.data.record_files import read_records
from remanence.data.schema import guess
from remanence.errors import DataError
from remanence.settings import DataSettings

SETTINGS = DataSettings(task="classify", input=("film",), label="way", frame_rate=10.0, frame_size=(8, 12))
LEVELS = (40, 80, 120, 160, 200)


def films(folder: Path, count: int = 20, name: str = "films.csv") -> Path:
    """Films of one shade each, of three frames and more; the shade says which film it is."""
    (folder / "all").mkdir(exist_ok=True)
    lines = ["film,way,person"]
    for place in range(count):
        frames = np.full((3 + place % 3, 16, 24), LEVELS[place % 5], np.uint8)
        write_clip(folder / f"all/{place}.mp4", frames, 10)
        lines.append(f"all/{place}.mp4,{'ab'[place % 2]},p{place % 4}")
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def test_films_are_read_in_their_order(tmp_path: Path) -> None:
    records = read_records(films(tmp_path), SETTINGS)
    assert records.values is not None and records.offsets is not None and records.form is not None
    assert records.values.dtype == np.uint8 and records.values.shape == (int(records.offsets[-1]), 96)
    assert np.diff(records.offsets).tolist() == [3 + place % 3 for place in range(20)]
    means = [records.values[start].mean() for start in records.offsets[:-1]]
    np.testing.assert_allclose(means, [LEVELS[place % 5] for place in range(20)], atol=3)
    assert [records.label_names[code] for code in records.labels] == ["a", "b"] * 10
    assert records.where(2) == "films.csv:4 (2.mp4)" and records.line(2) == 4


def test_a_batch_holds_pixels_and_padding(tmp_path: Path) -> None:
    parts = prepare_classify(films(tmp_path), SETTINGS)
    batch = parts.train.batch(np.arange(len(parts.train)))
    assert batch.inputs.data.dtype.is_floating_point is False and batch.inputs.data.shape[1:] == (5, 96)
    assert not batch.inputs.data[~batch.inputs.mask()].any()
    assert any("10 frames a second, 8 × 12, grey" in note for note in parts.notes)


def test_pixels_are_measured_on_the_training_part_alone(tmp_path: Path) -> None:
    path = films(tmp_path)
    parts = prepare_classify(path, SETTINGS)
    clip = parts.encoders.clip
    assert clip is not None
    batch = parts.train.batch(np.arange(len(parts.train)))
    pixels = batch.inputs.data[batch.inputs.mask()].double() / 255
    assert clip.mean[0] == pytest.approx(float(pixels.mean())) and clip.scale[0] == pytest.approx(
        float(pixels.std(correction=0))
    )
    row = int(parts.test.name(0).split(":")[1].split(" ")[0]) - 2
    write_clip(tmp_path / f"all/{row}.mp4", np.full((3, 16, 24), 255, np.uint8), 10)
    again = prepare_classify(path, SETTINGS)
    assert again.encoders == parts.encoders and again.fingerprint != parts.fingerprint


def test_a_film_that_cannot_be_read_is_named_or_left_out(tmp_path: Path) -> None:
    path = films(tmp_path)
    broken = tmp_path / "all/3.mp4"
    broken.write_bytes(broken.read_bytes()[:-40])
    (tmp_path / "all/7.mp4").unlink()
    with pytest.raises(DataError, match=r"films\.csv:5, column 'film': 3\.mp4: cut short.*--bad skip"):
        prepare_classify(path, SETTINGS)
    skip = SETTINGS.model_copy(update={"bad": "skip"})
    parts = prepare_classify(path, skip)
    assert len(parts.train) + len(parts.valid) + len(parts.test) == 18
    note = next(note for note in parts.notes if "left out" in note)
    assert "2 of 20 videos" in note and "films.csv:5" in note and "films.csv:9" in note
    names = {part.name(at) for part in (parts.train, parts.valid, parts.test) for at in range(len(part))}
    assert "films.csv:5 (3.mp4)" not in names and "films.csv:6 (4.mp4)" in names
    for part in (parts.train, parts.valid, parts.test):
        for at in range(len(part)):
            place = int(part.name(at).split(":")[1].split(" ")[0]) - 2
            assert part.batch(np.array([at])).inputs.data[0, 0].double().mean() == pytest.approx(
                LEVELS[place % 5], abs=3
            ), "what is left keeps its own frames and label"
            assert part.label(at) == "ab"[place % 2]


@pytest.mark.parametrize("cell", ["../films.csv.mp4", "/etc/film.mp4", "all/0.mp4;all/1.mp4", "all/none.mp4"])
def test_a_path_that_leads_elsewhere_is_refused(cell: str, tmp_path: Path) -> None:
    path = films(tmp_path, 6)
    path.write_text(path.read_text().replace("all/2.mp4", cell))
    with pytest.raises(DataError, match=r"films\.csv:4"):
        read_records(path, SETTINGS)


def test_one_film_and_a_table_without_labels_can_be_answered(tmp_path: Path) -> None:
    parts = prepare_classify(films(tmp_path), SETTINGS)
    single = reopen_classify(tmp_path / "all/4.mp4", parts.data, parts.encoders, answers=False)
    assert len(single) == 1 and single.name(0) == "4.mp4"
    assert single.batch(np.array([0])).inputs.data.shape == (1, 4, 96)
    (tmp_path / "new.csv").write_text("film\nall/1.mp4\nall/2.mp4\n")
    table = reopen_classify(tmp_path / "new.csv", parts.data, parts.encoders, answers=False)
    assert table.lengths.tolist() == [4, 5]
    with pytest.raises(DataError, match="no label"):
        reopen_classify(tmp_path / "all/4.mp4", parts.data, parts.encoders, answers=True)
    (tmp_path / "texts.csv").write_text("film,way\nsome text,a\nanother,b\n")
    with pytest.raises(DataError, match="the model reads videos"):
        reopen_classify(tmp_path / "texts.csv", parts.data, parts.encoders, answers=True)


def test_columns_are_guessed_and_described(tmp_path: Path) -> None:
    path = films(tmp_path)
    guessed = guess(path, DataSettings())
    assert (guessed.settings.task, guessed.settings.input, guessed.settings.label) == ("classify", ("film",), "way")
    facts = describe(path, DataSettings(frame_rate=10.0)).facts
    assert facts["a row is"] == "one video" and facts["a step is"] == "a frame of 32 × 32 (grey), 10 a second"
    assert facts["lengths"]["most"] == 5.0
