"""Tasks on files: the test part changes nothing that was fitted; what was prepared is trained and answered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.clips import write_clip
from remanence.settings import settings_from
from remanence.tasks import TASKS, task
from remanence.tasks.task import Prepared

ROWS = 120


def _forecast_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(0)
    values = np.sin(np.arange(ROWS) / 3) + 0.1 * random.standard_normal((2, ROWS))
    values[:, int(0.8 * ROWS) :] += test_value
    lines = [f"2024-01-{1 + row // 24:02d} {row % 24:02d}:00,{values[0, row]},{values[1, row]}" for row in range(ROWS)]
    path = folder / "load.csv"
    path.write_text("time,load,wind\n" + "\n".join(lines) + "\n")
    options = {"time": "time", "target": "load", "observed": "wind", "horizon": 3, "context": 8, "season": 6}
    return path, options | {"task": "forecast"}


def _text_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(1)
    rows = []
    for row in range(ROWS):
        words = [["good", "bad", "so", "so", "very"][at] for at in random.integers(0, 5, 6)]
        part = ("train", "valid", "test")[0 if row < 72 else 1 if row < 96 else 2]
        rows.append((part, "yes" if "good" in words else "no", words))
    lines = [
        f"{part},{label},{' '.join([*words, 'novel' * int(part == 'test' and test_value != 0)])}"
        for part, label, words in rows
    ]
    path = folder / "texts.csv"
    path.write_text("part,label,text\n" + "\n".join(lines) + "\n")
    return path, {"task": "classify", "input": "text", "label": "label", "split_column": "part"}


def _number_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(2)
    lines = []
    for sequence in range(40):
        part = ("train", "valid", "test")[0 if sequence < 24 else 1 if sequence < 32 else 2]
        rise = sequence % 2
        for step in range(5):
            value = (2 * rise - 1) * step + random.standard_normal() + test_value * (part == "test")
            lines.append(f"{part},s{sequence},{'up' if rise else 'down'},{value}")
    path = folder / "steps.csv"
    path.write_text("part,person,label,x\n" + "\n".join(lines) + "\n")
    options = {"input": "x", "label": "label", "sequence": "person", "split_column": "part"}
    return path, options | {"task": "classify"}


def _token_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(3)
    lines = []
    for sentence in range(60):
        part = ("train", "valid", "test")[0 if sentence < 40 else 1 if sentence < 50 else 2]
        words = [["Ann", "saw", "Bob", "there"][at] for at in random.integers(0, 4, 5)]
        if part == "test" and test_value:
            words[0] = "Novel"
        labels = ["B-per" if word in ("Ann", "Bob") else "O" for word in words]
        lines.append(json.dumps({"part": part, "tokens": words, "labels": labels}))
    path = folder / "names.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "tag", "split_column": "part"}


def _sample_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(4)
    lines = []
    for recording in range(15):
        part = ("train", "valid", "test")[0 if recording < 9 else 1 if recording < 12 else 2]
        place = np.zeros(2)
        for step in range(20):
            jump = step % 5 == 4
            place = place + random.standard_normal(2) * (9 if jump else 0.1) + test_value * (part == "test") * step
            lines.append(f"{part},r{recording},{step / 50},{place[0]},{place[1]},{'jump' if jump else 'rest'}")
    path = folder / "gaze.csv"
    path.write_text("part,recording,time,x,y,event\n" + "\n".join(lines) + "\n")
    return path, {"task": "tag", "split_column": "part", "window": 8, "margin": 3}


def _long_text(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(3)
    letters = ["abc "[at] for at in random.integers(0, 4, 900)]
    letters[700:] = ["z" if test_value else letter for letter in letters[700:]]
    path = folder / "long.txt"
    path.write_text("".join(letters))
    return path, {"task": "generate", "context": 20}


def _parts(count: int) -> list[str]:
    """Which part each of so many rows is in: six tenths train, two each the others."""
    return [
        ("train", "valid", "test")[0 if row < 0.6 * count else 1 if row < 0.8 * count else 2] for row in range(count)
    ]


def _sum_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    random = np.random.default_rng(5)
    lines = ["part,id,x,sum"]
    for place, part in enumerate(_parts(30)):
        steps = random.standard_normal(2 + place % 3) + test_value * (part == "test")
        lines += [f"{part},s{place},{step},{steps.sum()}" for step in steps]
    path = folder / "sums.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "regress", "sequence": "id", "input": "x", "label": "sum", "split_column": "part"}


def _pair_file(folder: Path, test_value: float, name: str = "translate") -> tuple[Path, dict]:
    random = np.random.default_rng(6)
    lines = ["part,source,answer"]
    for part in _parts(50):
        words = [["eins", "zwei", "drei"][at] for at in random.integers(0, 3, 4)]
        novel = "neun " * int(part == "test" and test_value != 0)
        lines.append(f"{part},{novel}{' '.join(words)},{novel}{' '.join(words[::-1])}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": name, "input": "source", "answer": "answer", "split_column": "part"}


def _abstract_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    return _pair_file(folder, test_value, "summarise")


def _sound_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    lines = ["part,sound,text"]
    for place, part in enumerate(_parts(20)):
        tone = np.sin(np.arange(2400) * (0.2 + 0.1 * (place % 3))) * (0.1 if part == "test" and test_value else 0.5)
        soundfile.write(folder / f"{place}.wav", tone, 8000)
        lines.append(f"{part},{place}.wav,{('ab', 'ba', 'b')[place % 3]}")
    path = folder / "sounds.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "transcribe", "input": "sound", "answer": "text", "split_column": "part"}


def _film_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    lines = ["part,film,caption"]
    for place, part in enumerate(_parts(20)):
        shade = 40 + 60 * (place % 3) + (30 if part == "test" and test_value else 0)
        write_clip(folder / f"{place}.mp4", np.full((2 + place % 3, 16, 16), shade, np.uint8), 10)
        lines.append(f"{part},{place}.mp4,it is {('dark', 'grey', 'bright')[place % 3]}")
    path = folder / "films.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "caption", "split_column": "part", "frame_rate": 10.0, "frame_size": (8, 8)}


def _stretch_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    lines = ["part,sound,start,end,label"]
    for place, part in enumerate(_parts(20)):
        pitch = np.repeat([0.2, 0.7][:: 1 if place % 2 else -1], 1200)
        tone = np.sin(np.arange(2400) * pitch) * (0.1 if part == "test" and test_value else 0.5)
        soundfile.write(folder / f"{place}.wav", tone, 8000)
        first, second = ("high", "low") if place % 2 == 0 else ("low", "high")
        lines += [f"{part},{place}.wav,0,0.15,{first}", f"{part},{place}.wav,0.15,0.3,{second}"]
    path = folder / "stretches.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "tag", "split_column": "part"}


def _scene_file(folder: Path, test_value: float) -> tuple[Path, dict]:
    lines = ["part,film,begin,end,event"]
    for place, part in enumerate(_parts(20)):
        shade = 30 if part == "test" and test_value else 0
        frames = np.full((6, 16, 16), 40 + shade, np.uint8)
        frames[2 + place % 3 :] += 120
        write_clip(folder / f"{place}.mp4", frames, 10)
        lines.append(f"{part},{place}.mp4,{(2 + place % 3) / 10},0.6,light")
    path = folder / "scenes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path, {"task": "tag", "split_column": "part", "frame_rate": 10.0, "frame_size": (8, 8)}


FILES = {
    "forecast": _forecast_file, "texts": _text_file, "numbers": _number_file, "tokens": _token_file,
    "samples": _sample_file, "long text": _long_text, "sums": _sum_file, "pairs": _pair_file,
    "abstracts": _abstract_file, "sounds": _sound_file, "films": _film_file,
    "stretches": _stretch_file, "scenes": _scene_file,
}  # fmt: skip
every_file = pytest.mark.parametrize("write", FILES.values(), ids=FILES.keys())


def _prepared(write, folder: Path, test_value: float = 0.0) -> tuple[Prepared, dict]:
    folder.mkdir()
    path, options = write(folder, test_value)
    return task(options["task"]).prepare(path, settings_from(options).data), options


def test_every_task_has_a_file_here(tmp_path: Path) -> None:
    assert {write(tmp_path, 0.0)[1]["task"] for write in FILES.values()} == set(TASKS)


@every_file
def test_the_test_part_changes_nothing_that_was_fitted(write, tmp_path: Path) -> None:
    plain, options = _prepared(write, tmp_path / "plain")
    changed, _ = _prepared(write, tmp_path / "changed", test_value=7.0)
    assert plain.encoders.model_dump_json().encode() == changed.encoders.model_dump_json().encode()
    found = task(options["task"])
    trained = [found.defaults(data, settings_from({"hidden": 3})) for data in (plain, changed)]
    assert trained[0] == trained[1]
    weights = []
    for data in (plain, changed):
        torch.manual_seed(0)
        model = found.model(data.encoders, trained[0])
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        batch = data.train.batch(np.arange(8))
        found.loss(model(batch)[0], batch, trained[0]).backward()
        optimiser.step()
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert torch.equal(*weights)
    # The change must be one that reaches the test part, or this test would be empty.
    first, second = (data.test.batch(np.arange(3)).inputs for data in (plain, changed))
    assert first.data.shape != second.data.shape or not torch.equal(first.data, second.data)


@every_file
def test_baselines_and_rows_of_a_file(write, tmp_path: Path) -> None:
    data, options = _prepared(write, tmp_path / "file")
    found = task(options["task"])
    settings = found.defaults(data, settings_from({"quantiles": "0.1,0.9"}))
    batch = data.test.batch(np.arange(min(4, len(data.test))))
    for baseline in found.baselines(data, settings):
        baseline.fit(data.train, data.valid)
        rows = list(found.rows(baseline.predict(batch), batch, data.test, data.encoders, settings))
        answers = len(batch.index) if batch.scored is None else int(batch.scored.sum())
        assert len(rows) == answers * (3 if options["task"] == "forecast" else 1)
        json.dumps(rows, allow_nan=False)


def test_forecast_rows_are_in_the_users_units_and_times(tmp_path: Path) -> None:
    data, _ = _prepared(_forecast_file, tmp_path / "file")
    found, settings = task("forecast"), settings_from({})
    batch = data.test.batch(np.arange(1))
    assert batch.target is not None
    rows = list(found.rows(batch.target, batch, data.test, data.encoders, settings))
    lines = (tmp_path / "file" / "load.csv").read_text().splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith(rows[0]["time"][:13].replace("T", " ")))
    for step, row in enumerate(rows):
        assert row["load"] == pytest.approx(float(lines[at + step].split(",")[1]), abs=1e-5)
