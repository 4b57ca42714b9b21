"""Labelled stretches of sounds and videos as a label a frame: by hand, guessed, opened again, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import remanence
from bench.clips import write_clip
from remanence.data.describe import describe
from remanence.data.schema import guess
from remanence.data.skeletons import read_skeleton_steps
from remanence.data.stretches import read_stretches
from remanence.data.tagged import prepare_tag, reopen_tag
from remanence.errors import DataError, RemanenceError, SettingError
from remanence.settings import DataSettings, settings_from

INTERVAL = {"input": ("file",), "interval": ("start", "end"), "label": "label"}


def sound(folder: Path, name: str, seconds: float = 0.1) -> None:
    soundfile.write(folder / name, np.random.default_rng(0).normal(0, 0.1, round(8000 * seconds)), 8000)


def table(folder: Path, *rows: str, header: str = "file,start,end,label") -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def labels_of(path: Path, settings: DataSettings) -> list[str]:
    found = read_stretches(path, settings)
    return [found.step_names[code] for code in found.steps]


def test_a_frame_has_the_label_of_the_stretch_around_its_middle(tmp_path: Path) -> None:
    sound(tmp_path, "a.wav")
    # Frames of 25 ms begin every 10 ms: their middles are at 12.5, 22.5, 32.5, … ms.
    path = table(tmp_path, "a.wav,0.0225,0.0325,x", "a.wav,0.04,0.06,y", "a.wav,0.065,0.066,z")
    found = labels_of(path, DataSettings(**INTERVAL))
    assert found[:6] == ["none", "x", "none", "y", "y", "none"] and set(found[6:]) == {"none"}
    times = read_stretches(path, DataSettings(**INTERVAL)).times
    assert times is not None and times[:4].tolist() == [0.0, 0.01, 0.02, 0.03]


def test_a_frame_of_a_video_has_the_label_of_its_moment(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", np.full((6, 16, 16), 99, np.uint8), 10)
    path = table(tmp_path, "a.mp4,0.1,0.3,x", "a.mp4,0.45,9,y")
    settings = DataSettings(**INTERVAL, frame_rate=10.0, frame_size=(4, 4))
    assert labels_of(path, settings) == ["none", "x", "x", "none", "none", "y"]


def test_rows_of_one_file_may_stand_anywhere_and_joined_sounds_are_one(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        sound(tmp_path, name)
    mixed = table(tmp_path, "b.wav,0,0.05,x", "a.wav,0.05,0.1,y", "b.wav,0.05,0.1,z", "a.wav;b.wav,0.1,0.2,x")
    found = read_stretches(mixed, DataSettings(**INTERVAL))
    assert found.names == ("b.wav", "a.wav", "a.wav;b.wav")
    lengths = np.diff(found.offsets)
    assert lengths[0] == lengths[1] and lengths[2] > 1.8 * lengths[0]
    last = found.steps[found.offsets[2] :]
    assert [found.step_names[code] for code in (last[0], last[-1])] == ["none", "x"]


def test_columns_are_guessed_and_what_a_file_is_for(tmp_path: Path) -> None:
    sound(tmp_path, "a.wav")
    path = table(tmp_path, "a.wav,0,0.05,x", "a.wav,0.05,0.1,y", header="sound,开始,结束,事件")
    found = guess(path, DataSettings())
    assert found.settings.task == "tag" and found.settings.interval == ("开始", "结束")
    assert (found.settings.input, found.settings.label) == (("sound",), "事件")
    facts = describe(path).facts
    assert facts["a row is"] == "one labelled stretch of a file"
    assert facts["a step is"].startswith("a frame, every 10 ms: 40 numbers (mel0, mel1,")


def test_sounds_with_a_label_each_are_described_as_sounds(tmp_path: Path) -> None:
    for name in "abcdefgh":
        sound(tmp_path, f"{name}.wav")
    rows = (f"{name}.wav,{'one' if name < 'c' else 'other'}" for name in "abcdefgh")
    found = describe(table(tmp_path, *rows, header="file,speaker"), DataSettings(features="mfcc", label="speaker"))
    facts = found.facts
    assert (facts["a row is"], facts["a sequence is"]) == ("one sound", "the sound that 'file' names")
    named = "mfcc0, mfcc1, mfcc2, mfcc3, mfcc4, mfcc5, mfcc6, mfcc7, …"
    assert facts["a step is"] == f"a frame, every 10 ms: 13 numbers ({named})"
    assert "classes with fewer than 5 examples: 'one' 2" in found.suspicious


def test_a_new_file_is_read_as_the_training_file_was(tmp_path: Path) -> None:
    for place in range(6):
        sound(tmp_path, f"{place}.wav")
    rows = [f"{place}.wav,0,{0.02 + place / 100},x" for place in range(6)]
    data = prepare_tag(table(tmp_path, *rows), settings_from({"task": "tag", "bands": 7, "hop_ms": 5.0}).data)
    assert data.encoders.reads == "sounds" and len(data.encoders.features) == 7
    alone = reopen_tag(tmp_path / "3.wav", data.data, data.encoders, answers=False)
    again = reopen_tag(table(tmp_path, *rows), data.data, data.encoders)
    assert again.lengths[3] == alone.lengths[0] == 16
    np.testing.assert_array_equal(alone.batch(np.array([0])).inputs.data, again.batch(np.array([3])).inputs.data)
    assert alone.heads(0)[1] == {"file": "3.wav", "time": 0.005}
    unlabelled = tmp_path / "names.csv"
    unlabelled.write_text("file\n4.wav\n5.wav\n")
    assert len(reopen_tag(unlabelled, data.data, data.encoders, answers=False)) == 2


def test_key_points_may_have_a_label_a_frame(tmp_path: Path) -> None:
    lengths = np.array([3, 2, 4])
    frames = np.arange(9 * 2 * 2, dtype=np.float32).reshape(9, 2, 2)
    np.savez(tmp_path / "k.npz", frames=frames, lengths=lengths, labels=np.array(list("abbabaabb")))
    found = read_skeleton_steps(tmp_path / "k.npz", DataSettings())
    assert [found.step_names[code] for code in found.steps] == list("abbabaabb")
    assert found.offsets.tolist() == [0, 3, 5, 9] and found.columns[1] == "point0 y"
    data = prepare_tag(tmp_path / "k.npz", settings_from({"task": "tag", "split": "1,1,1"}).data)
    assert data.encoders.input == found.columns and sorted(map(int, data.train.lengths)) <= [2, 3, 4]
    np.savez(tmp_path / "k.npz", frames=frames, lengths=lengths, labels=np.array(list("abc")))
    with pytest.raises(DataError, match="'labels' should hold 9 whole numbers or texts, one a frame"):
        prepare_tag(tmp_path / "k.npz", settings_from({"task": "tag"}).data)


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        (["a.wav,0,0.05,x", "a.wav,0.04,0.1,y"], {}, ["table.csv:3", "'start'", "before the one from 0 s has ended"]),
        (["a.wav,0.05,0.02,x"], {}, ["table.csv:2", "'end'", "from 0.05 to 0.02", "end after it begins"]),
        (["a.wav,-1,0.02,x"], {}, ["table.csv:2", "from -1 to 0.02"]),
        (["a.wav,0,,x"], {}, ["table.csv:2", "from 0 to nan"]),
        (["a.wav,0,soon,x"], {}, ["table.csv:2", "'soon'"]),
        (["a.wav,0,0.05,x", "a.wav,3,4,y"], {}, ["table.csv:3", "begins at 3 s, but the file lasts 0."]),
        (["a.wav,0,0.05,"], {}, ["table.csv:2", "'label'", "the label is missing"]),
        (["b.wav,0,0.05,x"], {}, ["table.csv:2", "b.wav", "no such file"]),
        (["../a.wav,0,0.05,x"], {}, ["table.csv:2", "leaves its folder"]),
        (["a.wav,0,0.05,x"], {"interval": "start"}, ["--interval", "expected two columns"]),
        (["a.wav,0,0.05,x"], {"interval": "start,stop"}, ["'stop'", "no such column (--interval)"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(
    rows: list[str], options: dict[str, Any], told: list[str], tmp_path: Path
) -> None:
    sound(tmp_path, "a.wav")
    with pytest.raises(RemanenceError) as caught:
        remanence.fit(table(tmp_path, *rows), task="tag", progress=False, out=tmp_path / "run", **options)
    assert isinstance(caught.value, DataError | SettingError)
    assert all(each in str(caught.value) for each in told), caught.value
    assert not (tmp_path / "run").exists()


def test_a_table_that_does_not_say_when_is_refused(tmp_path: Path) -> None:
    sound(tmp_path, "a.wav")
    with pytest.raises(DataError, match=r"no columns say where each stretch .* --interval start,end"):
        remanence.fit(table(tmp_path, "a.wav,x", header="file,label"), task="tag", progress=False)


def test_a_file_is_on_one_side_of_a_split(tmp_path: Path) -> None:
    sound(tmp_path, "a.wav")
    path = table(tmp_path, "a.wav,0,0.05,x,train", "a.wav,0.05,0.1,y,test", header="file,start,end,label,part")
    with pytest.raises(DataError, match=r"table\.csv:3, column 'part': 'test', but 'train' before in the same file"):
        remanence.fit(path, task="tag", split_column="part", progress=False)
