"""Tables of samples: recordings, times, motion, windows; and what is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from remanence.data.motion import compressed, motion, motion_names
from remanence.data.samples import read_samples
from remanence.data.schema import guess
from remanence.data.tag_part import cut
from remanence.data.tagged import prepare_tag, reopen_tag
from remanence.errors import DataError, SettingError
from remanence.report.notes import note_words
from remanence.settings import DataSettings, settings_from

HEADER = "recording,time,x,y,event\n"


def _file(folder: Path, text: str, name: str = "gaze.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _settings(path: Path, **options) -> DataSettings:
    return guess(path, settings_from({"task": "tag", **options}).data).settings


def _read(path: Path, **options):
    return read_samples(path, _settings(path, **options))


def _recordings(count: int, samples: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    rows = []
    for recording in range(count):
        place = np.zeros(2)
        for step in range(samples):
            jump = step % 7 == 6
            place = place + random.standard_normal(2) * (5 if jump else 0.05)
            rows.append(f"r{recording},{step / 100},{place[0]:.4f},{place[1]:.4f},{'S' if jump else 'F'}")
    return rows


def test_mixed_rows_are_gathered_and_lines_are_kept(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER + "b,0,1,1,F\na,0,2,2,S\nb,1,3,3,F\na,1,4,4,F\n")
    records = _read(path)
    assert records.names == ("b", "a") and records.offsets.tolist() == [0, 2, 4]
    assert records.values is not None and records.values[:, 0].tolist() == [1, 3, 2, 4]
    assert [records.step_names[code] for code in records.steps] == ["F", "F", "S", "F"]
    assert [records.line_of_step(step) for step in range(4)] == [2, 4, 3, 5]


def test_every_format_says_the_same(tmp_path: Path) -> None:
    rows = [row.split(",") for row in _recordings(2, 5)]
    plain = _read(_file(tmp_path, HEADER + "\n".join(map(",".join, rows))))
    tabs = _file(tmp_path, "\n".join("\t".join(row) for row in [HEADER.strip().split(","), *rows]), "a.tsv")
    columns = dict(zip(HEADER.strip().split(","), zip(*rows, strict=True), strict=True))
    table = {
        name: list(map(float, cells)) if name in ("time", "x", "y") else list(cells) for name, cells in columns.items()
    }
    papq.write_table(pa.table(table), tmp_path / "a.parquet")
    objects = "\n".join(
        f'{{"recording": "{r}", "time": {t}, "x": {x}, "y": {y}, "event": "{e}"}}' for r, t, x, y, e in rows
    )
    kinds = ["recording string", "time numeric", "'x' numeric", "y NUMERIC", "event {F,S}"]
    arff = "@RELATION gaze\n% made\n" + "".join(f"@ATTRIBUTE {kind}\n" for kind in kinds) + "@DATA\n% so\n"
    files = [
        tabs, tmp_path / "a.parquet", _file(tmp_path, objects, "a.jsonl"),
        _file(tmp_path, arff + "\n".join(map(",".join, rows)), "a.arff"),
    ]  # fmt: skip
    for path in files:
        found = _read(path)
        assert found.names == plain.names and found.step_names == plain.step_names, path
        np.testing.assert_array_equal(found.steps, plain.steps)
        np.testing.assert_allclose(found.values, plain.values)
        np.testing.assert_allclose(found.times, plain.times)


BAD = {
    "a word": (HEADER + "a,0,1,1,F\na,1,x,1,F\n", r":3, column 'x': expected a number, came 'x'"),
    "an empty cell": (HEADER + "a,0,1,1,F\na,1,1,,F\n", r":3, column 'y': .*missing"),
    "no label": (HEADER + "a,0,1,1,F\na,1,1,1,\n", r":3, column 'event': the label is missing"),
    "time falls": (HEADER + "a,0,1,1,F\na,2,1,1,S\na,1,1,1,F\n", r":4, column 'time': .* falls \(1 after 2\)"),
    "time repeats": (HEADER + "a,0,1,1,F\na,0,1,1,S\n", r":3, column 'time': the time of a sample repeats"),
    "no time": (HEADER + "a,0,1,1,F\na,,1,1,S\n", r":3, column 'time'"),
    "infinite": (HEADER + "a,0,1,1,F\na,1,inf,1,S\n", r":3, column 'x': .*inf"),
    "ragged": (HEADER + "a,0,1,1,F\na,1,1,1\n", r":3: expected 5 cells, came 4"),
    "header alone": (HEADER, r"a header and no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_malformed_files_are_refused_with_their_line(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    path = _file(tmp_path, text)
    with pytest.raises(DataError, match=message):
        read_samples(
            path, settings_from({"sequence": "recording", "time": "time", "position": "x,y", "label": "event"}).data
        )


def test_lines_of_an_arff_are_its_own(tmp_path: Path) -> None:
    head = "@relation g\n@attribute time numeric\n@attribute x numeric\n@attribute event {F,S}\n\n"
    path = _file(tmp_path, head + "@data\n0,1,F\n% no\n1,oh,S\n", "g.arff")
    with pytest.raises(DataError, match=r"g\.arff:9, column 'x': expected a number, came 'oh'"):
        read_samples(path, settings_from({"input": "x", "time": "time", "label": "event"}).data)


def test_falling_times_are_sorted_where_asked(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER + "a,2,3,3,F\na,0,1,1,F\na,1,2,2,S\n")
    records = _read(path, sort=True)
    assert records.values is not None and records.values[:, 0].tolist() == [1, 2, 3]
    assert [records.line_of_step(step) for step in range(3)] == [3, 4, 2]


def test_motion_by_hand() -> None:
    position = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0], [3.0, 0.0]])
    times = np.array([0.0, 0.5, 1.0, 2.0])
    names = motion_names(("speed", "direction", "acceleration"), (1, 2))
    found = dict(
        zip(names, motion(position, times, 1.0, ("speed", "direction", "acceleration"), (1, 2)).T, strict=True)
    )
    assert found["speed_1"].tolist() == [0, 10, 0, 4]
    assert found["speed_2"].tolist() == [0, 10, 5, 4 / 1.5]
    assert found["cos_1"].tolist() == [0, 0.6, 0, 0] and found["sin_1"].tolist() == [0, 0.8, 0, -1]
    assert found["acceleration_1"].tolist() == [0, 20, -20, 4]
    still = motion(np.zeros((1, 2)), None, 1.0, ("speed", "direction"), (3,))
    assert still.tolist() == [[0, 0, 0]]
    np.testing.assert_allclose(compressed(np.array([[-2.0, 5.0]]), np.array([2.0, 0.0])), [[-np.log(2), 5.0]])


@pytest.mark.parametrize(("window", "margin"), [(0, 0), (5, 0), (5, 3), (1, 1), (63, 2), (1000, 9)])
def test_every_step_is_scored_once(window: int, margin: int) -> None:
    lengths = np.array([1, 63, 5, 6, 2])
    found = cut(lengths, np.array([0, 1, 3, 4]), window, margin)
    scored = [np.zeros(length, int) for length in lengths]
    for at in range(len(found.sequence)):
        sequence, start, stop = int(found.sequence[at]), int(found.start[at]), int(found.stop[at])
        scored[sequence][start:stop] += 1
        assert found.low[at] == max(0, start - margin) and found.high[at] == min(lengths[sequence], stop + margin)
        assert not window or stop - start <= window
    assert [set(each.tolist()) for each in scored] == [{1}, {1}, {0}, {1}, {1}]


def test_windows_hold_what_the_file_holds(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER + "\n".join(_recordings(6, 40)))
    data = prepare_tag(
        path, settings_from({"task": "tag", "window": 16, "margin": 5, "input": "x", "position": "x,y"}).data
    )
    whole = reopen_tag(path, data.data, data.encoders.model_copy(update={"window": 0, "margin": 0}))
    again = reopen_tag(path, data.data, data.encoders)
    batch, parts = whole.batch(np.arange(6)), again.batch(np.arange(len(again)))
    assert batch.target is not None and parts.target is not None and parts.scored is not None
    assert len(again) == 18 and batch.inputs.data.shape == (6, 40, 1 + 5 * 3)
    joined = parts.inputs.data[parts.scored].reshape(6, 40, -1)
    np.testing.assert_array_equal(joined, batch.inputs.data)
    np.testing.assert_array_equal(parts.target[parts.scored].reshape(6, 40), batch.target)
    rows = [head for at in range(len(again)) for head in again.heads(at)]
    assert [(row["recording"], row["time"]) for row in rows] == [
        (f"r{r}", s / 100) for r in range(6) for s in range(40)
    ]
    assert again.name(1) == "gaze.csv, sequence r0, steps 14–26"


def test_missing_samples_are_filled_or_masked(tmp_path: Path) -> None:
    rows = _recordings(6, 20)
    rows[3] = ",".join([*rows[3].split(",")[:2], "", *rows[3].split(",")[3:]])
    path = _file(tmp_path, HEADER + "\n".join(rows))
    for missing in ("fill", "mask"):
        data = prepare_tag(
            path, settings_from({"task": "tag", "missing": missing, "input": "x", "position": "x,y"}).data
        )
        whole = reopen_tag(path, data.data, data.encoders).batch(np.arange(6)).inputs.data
        assert np.isfinite(whole.numpy()).all()
        assert whole[0, 3, 0] == (whole[0, 2, 0] if missing == "fill" else 0)
        assert missing == "fill" or whole[..., -1].sum() == whole[0, 3, -1] == 1


@pytest.mark.parametrize(
    "names",
    [
        "x,y",
        "X,Y",
        "gaze_x,gaze_y",
        "x坐标,y坐标",
        "X 坐标,Y 坐标",
        "坐标x,坐标y",
        "横坐标,纵坐标",
        "x坐标（像素）,y坐标（像素）",
    ],
)
def test_a_position_is_known_by_its_names(names: str, tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER.replace("x,y", names) + "\n".join(_recordings(2, 9)))
    assert _settings(path).position == tuple(names.split(","))


def test_groups_that_alone_tell_recordings_apart_do_so(tmp_path: Path) -> None:
    rows = "\n".join(_recordings(6, 20))
    for name, column in (("own.csv", "recording"), ("person.csv", "person")):
        path = _file(tmp_path, HEADER.replace("recording", column) + rows, name)
        data = prepare_tag(path, settings_from({"task": "tag", "group": column}).data)
        assert data.data.sequence == (column,)
        assert f"recording: '{column}' (--sequence)" in data.notes
        assert [len(part) for part in (data.train, data.valid, data.test)] == [3, 2, 1]


def test_a_recording_of_two_groups_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, "person," + HEADER + "P,a,0,1,1,F\nP,a,1,1,1,S\nP,b,0,1,1,F\nQ,b,1,1,1,S\n")
    with pytest.raises(DataError, match=":5, column 'person': 'person' changes within recording b"):
        _read(path, group="person")


def _dated(rows: list[str]) -> list[str]:
    """The same rows with dates in place of seconds."""
    cells = [row.split(",") for row in rows]
    moments = [np.datetime64("2024-03-01T10:00:00.000") + round(float(time) * 1000) for _, time, *_ in cells]
    return [",".join([one[0], str(moment), *one[2:]]) for one, moment in zip(cells, moments, strict=True)]


@pytest.mark.parametrize("dated", [False, True])
def test_times_of_another_kind_than_those_of_training_are_refused(dated: bool, tmp_path: Path) -> None:
    rows = _recordings(6, 20)
    numbers = _file(tmp_path, HEADER + "\n".join(rows), "numbers.csv")
    dates = _file(tmp_path, HEADER + "\n".join(_dated(rows)), "dates.csv")
    train, other, came = (dates, numbers, "numbers") if dated else (numbers, dates, "dates")
    settings = settings_from({"task": "tag", "position": "x,y"}).data
    data = prepare_tag(train, settings)
    assert not reopen_tag(train, data.data, data.encoders, answers=False).notes
    with pytest.raises(DataError, match=rf"{other.name}, column 'time': {came}, where the training file has") as error:
        reopen_tag(other, data.data, data.encoders, answers=False)
    assert error.value.remedy
    with pytest.raises(DataError, match=rf"{other.name}, column 'time': {came}"):
        prepare_tag(train, settings.model_copy(update={"test_file": str(other)}))


@pytest.mark.parametrize(
    ("zones", "shown"),
    [([""], ["2024-03-08 10:00", "2024-03-09 00:00"]),
     (["+08:00"], ["2024-03-08 10:00+08:00", "2024-03-09 00:00+08:00"]),
     (["+08:00", "+09:00"], ["2024-03-08 02:00+00:00", "2024-03-08 15:00+00:00"])],
    ids=["no zone", "one zone", "two zones"],
)  # fmt: skip
def test_dates_of_samples_are_answered_as_dates(zones: list[str], shown: list[str], tmp_path: Path) -> None:
    rows = [
        f"r{r},{time}{zones[at % len(zones)]},{at},{r},{'F' if at else 'S'}"
        for r in range(6)
        for at, time in enumerate(("2024-03-08 10:00", "2024-03-09 00:00"))
    ]
    path = _file(tmp_path, HEADER + "\n".join(rows))
    data = prepare_tag(path, settings_from({"task": "tag", "position": "x,y"}).data)
    part = reopen_tag(path, data.data, data.encoders, answers=False)
    assert [row["time"] for row in part.heads(0)] == shown


def test_dates_that_repeat_are_named_as_dates(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER + "a,2024-03-08 10:00,0,0,F\na,2024-03-08 10:00,1,1,S\na,2024-03-08 11:00,1,1,S\n")
    with pytest.raises(DataError, match=r":3.*repeats \(2024-03-08 10:00 after 2024-03-08 10:00\)"):
        _read(path)


@pytest.mark.parametrize("scale", [1, 2, 1000, 0.001])
def test_steps_of_another_unit_are_noted(scale: float, tmp_path: Path) -> None:
    rows = _recordings(6, 20)
    cells = [row.split(",") for row in rows]
    scaled = [",".join([one[0], f"{float(one[1]) * scale:.6f}", *one[2:]]) for one in cells]
    data = prepare_tag(
        _file(tmp_path, HEADER + "\n".join(rows)), settings_from({"task": "tag", "position": "x,y"}).data
    )
    found = reopen_tag(_file(tmp_path, HEADER + "\n".join(scaled), "new.csv"), data.data, data.encoders, answers=False)
    if scale in (1, 2):
        assert not found.notes
        return
    (note,) = found.notes
    assert f"a step of 'time' is usually {0.01 * scale:g} in new.csv, 0.01 in training" in note
    assert "1000 times as" in note and "milliseconds" in note
    assert "单位相同吗" in note_words(note).zh and "毫秒" in note_words(note).zh


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER + "\n".join(_recordings(6, 20)))
    for options, message in (
        ({"position": "x"}, "expected two columns, x,y, came 1"),
        ({"motion": "jerk"}, "no such motion 'jerk'"),
        ({"longest": 5}, "--longest: would leave steps without a label"),
    ):
        with pytest.raises(SettingError, match=message):
            prepare_tag(path, settings_from({"task": "tag", **options}).data)
    with pytest.raises(DataError, match="one label only"):
        prepare_tag(
            _file(tmp_path, HEADER + "\n".join(row[:-1] + "F" for row in _recordings(6, 20))),
            settings_from({"task": "tag"}).data,
        )
