"""Descriptions: what is found, what is guessed, and that a flaw is shown instead of refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from remanence.data.describe import describe
from remanence.data.schema import guess
from remanence.errors import DataError
from remanence.settings import DataSettings, settings_from


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date,load\n2024-01-01,1\n2024-01-02,2\n", {"task": "forecast", "time": "date", "target": ("load",)}),
        ("日期,销量\n2024-01-01,1\n2024-01-02,2\n", {"task": "forecast", "time": "日期", "target": ("销量",)}),
        ("a,b\n1,2\n3,4\n", {"task": "forecast", "time": None, "target": ("b",)}),
        (
            "name,date,price\nA,Jan 1 2000,1\nA,Feb 1 2000,2\nB,Jan 1 2000,3\nB,Feb 1 2000,4\n",
            {"task": "forecast", "time": "date", "series": ("name",), "target": ("price",)},
        ),
        (
            "review,sentiment\ngood film,1\nbad film,0\n",
            {"task": "classify", "input": ("review",), "label": "sentiment"},
        ),
        ("文本,标签\n很好,正\n很差,负\n", {"task": "classify", "input": ("文本",), "label": "标签"}),
        (
            "seq,t,x,y,label\n1,0,2,3,a\n1,1,2,3,a\n2,0,2,3,b\n2,1,4,5,b\n",
            {"task": "classify", "sequence": ("seq",), "time": "t", "input": ("x", "y"), "label": "label"},
        ),
    ],
)
def test_columns_are_guessed_and_each_guess_is_noted(text: str, expected: dict[str, object], tmp_path: Path) -> None:
    found = guess(write(tmp_path, text), DataSettings())
    assert {name: getattr(found.settings, name) for name in expected} == expected
    for name in expected:
        if name != "task" and expected[name]:
            assert any(f"--{name}" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "line", "cell"),
    [
        ("time,load\n{}~03~2024 00h,1\n", 2, "11~03~2024 00h"),
        ("when,load\nFriday {} March 2024 at 7,1\n", 2, "Friday 11 March 2024 at 7"),
        ("no,when,load\n{0},2024-03-{0},1\n{0},{0}.03.2024,2\n", 3, "11.03.2024"),
    ],
)
def test_times_that_cannot_be_read_are_refused_with_their_cell(text: str, line: int, cell: str, tmp_path: Path) -> None:
    head, *rows = text.splitlines()
    lines = [head, *(row.format(day) for day in range(11, 20) for row in rows)]
    path = write(tmp_path, "\n".join(lines) + "\n")
    for options in ({}, {"target": "load"}):
        column = head.split(",")[-2]
        with pytest.raises(DataError, match=f":{line}, column '{column}': not a time: '{cell}'") as error:
            describe(path, settings_from(options).data)
        assert "2024-01-31 13:00:00" in error.value.remedy


@pytest.mark.parametrize(
    ("name", "cells"), [("day", "Monday Tuesday"), ("host", "10.0.0.1 10.0.0.2"), ("film", "Clue1985 Diva1981")]
)
def test_words_and_addresses_do_not_look_like_times(name: str, cells: str, tmp_path: Path) -> None:
    rows = "".join(f"{cell},{place}\n" for place, cell in enumerate(cells.split() * 4))
    found = guess(write(tmp_path, f"{name},load\n" + rows), settings_from({"task": "forecast"}).data)
    assert found.settings.time is None


STEPS = "".join(f"r{seq},{t},{seq + t},{t * 2},{'AB'[t % 2]},{'ab'[seq % 2]}\n" for seq in range(8) for t in range(6))


@pytest.mark.parametrize("column", ["trial", "person"])
def test_groups_that_alone_tell_sequences_apart_do_so(column: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"{column},t,x,y,device,label\n" + STEPS)
    options = {"task": "classify", "label": "label", "group": column}
    # A column of that name is one without --group, too; of another name it takes inputs that are told.
    options |= {} if column == "trial" else {"input": "x,y"}
    found = guess(path, settings_from(options).data)
    assert (found.settings.sequence, found.settings.input) == ((column,), ("x", "y"))
    assert f"sequence: '{column}' (--sequence)" in found.notes


def test_a_text_with_groups_is_still_read(tmp_path: Path) -> None:
    rows = "".join(f"film number {row},{row % 3},{row},{row % 2}\n" for row in range(20))
    path = write(tmp_path, "text,id,length,label\n" + rows)
    found = guess(path, settings_from({"task": "classify", "label": "label", "group": "id"}).data)
    assert found.settings.input == ("text",)


@pytest.mark.parametrize("options", [{}, {"task": "classify", "label": "activity"}])
def test_a_label_that_changes_within_a_sequence_suggests_to_tag(options: dict[str, str], tmp_path: Path) -> None:
    rows = "".join(f"r{seq},{t},{seq + t},{t * 2},{'ab'[t // 3]}\n" for seq in range(8) for t in range(6))
    path = write(tmp_path, "trial,t,x,y,activity\n" + rows)
    with pytest.raises(DataError, match=":5, column 'activity': 'activity' changes within sequence r0") as error:
        describe(path, settings_from(options).data)
    assert "--task tag" in error.value.remedy


def test_what_is_given_is_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, "date,load,wind\n2024-01-01,1,2\n2024-01-02,2,3\n")
    found = guess(path, DataSettings(target=("wind",), time="date"))
    assert found.settings.target == ("wind",)
    assert not any("--target" in note for note in found.notes)


def test_flaws_are_shown_with_their_line(tmp_path: Path) -> None:
    text = "date,load\n2024-01-01,1\n2024-01-02,\n2024-01-04,5\n2024-01-05,4\n2024-01-06,4\n"
    found = describe(write(tmp_path, text))
    assert any(":3, column 'load'" in line for line in found.suspicious)
    assert any("a gap" in line for line in found.suspicious)
    assert found.facts["rows"] == 6
    assert found.facts["frequency"] == "daily"


@pytest.mark.parametrize("given", ["first", "last", "mean"])
@pytest.mark.parametrize("gaps", [{}, {"gaps": "fill", "missing": "fill"}])
def test_what_is_mended_is_told_as_it_was_asked_for(given: str, gaps: dict[str, str], tmp_path: Path) -> None:
    days = (1, 2, 2, 2, 3, 7, 8)
    path = write(tmp_path, "date,load\n" + "".join(f"2024-01-{day:02d},{row}\n" for row, day in enumerate(days)))
    found = describe(path, settings_from({"duplicates": given, **gaps}).data)
    assert f"2 rows at a time already seen: kept the {given}" in found.suspicious
    how = "filled with the value before; never scored" if gaps else "masked"
    assert f"3 missing steps inserted in 1 gaps, {how}" in found.suspicious
    assert not any("two rows" in line for line in found.suspicious)
    # Days 1, 2, 3, 7, 8 and the three that are inserted.
    assert found.facts["rows"] == 8


def test_series_are_described(tmp_path: Path) -> None:
    text = "name,date,price\nA,2000-01-01,1\nA,2000-02-01,2\nB,2000-01-01,3\nB,2000-02-01,4\n"
    found = describe(write(tmp_path, text))
    assert found.facts["a row is"] == "one step of one of 2 series, monthly"
    assert found.facts["series"] == {"A": 2, "B": 2}
    assert json.loads(json.dumps(found.as_json()))["task"] == "forecast"
    assert "monthly" in found.text()


def test_texts_are_described(tmp_path: Path) -> None:
    found = describe(write(tmp_path, "text,label\n" + "很好,1\n" * 9 + "差,0\n"))
    assert found.facts["a step is"] == "one of the characters of 'text'"
    assert found.facts["classes"] == {"1": 9, "0": 1}
    assert any("8 texts stand in the file more than once" in line for line in found.suspicious)
    assert any("macro-F1" in line for line in found.suspicious)


def test_every_column_has_a_line_used_or_not(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},{day}.5,{'' if day == 3 else day},{'ab'[day % 2]},\n" for day in range(1, 21))
    found = describe(write(tmp_path, "date,load,wind,sky,note\n" + rows), DataSettings(target=("load",)))
    assert found.columns == {
        "date": {"kind": "time", "missing": 0, "least": "2024-01-01", "most": "2024-01-20"},
        "load": {"kind": "number", "missing": 0, "least": 1.5, "mean": 11.0, "most": 20.5},
        "wind": {"kind": "number", "missing": 1, "least": 1.0, "mean": (210 - 3) / 19, "most": 20.0},
        "sky": {"kind": "text", "missing": 0, "distinct": 2},
        "note": {"kind": "empty", "missing": 20},
    }
    lines = found.text().splitlines()
    assert all(any(line.split()[:1] == [name] for line in lines) for name in found.columns)


@pytest.mark.parametrize("other", [False, True])
def test_thousands_separators_are_told(other: bool, tmp_path: Path) -> None:
    rows = "".join(f'2024-01-{day:02d},"{980 + day:,}.5"{",7.5" * other}\n' for day in range(10, 29))
    path = write(tmp_path, "date,load" + ",temp" * other + "\n" + rows)
    if not other:
        with pytest.raises(
            DataError, match=r"a.csv:12, column 'load': numbers written as '1,000\.5' — remove the commas"
        ):
            describe(path)
        return
    told = "column 'load': numbers with thousands separators, such as '1,000.5', are read as words: remove the commas"
    assert told in describe(path).notes


def test_words_in_an_unused_number_column_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},{day},{'cloudy' if day == 7 else day}\n" for day in range(1, 21))
    found = describe(write(tmp_path, "date,load,wind\n" + rows), DataSettings(target=("load",)))
    assert found.columns["wind"]["not numbers"] == 1
    assert "column 'wind': 1 cells are neither numbers nor empty" in found.suspicious


@pytest.mark.parametrize("name", ["d.jsonl", "d.parquet"])
def test_columns_of_typed_files_are_described(name: str, tmp_path: Path) -> None:
    rows = [{"text": f"film {row % 7}", "label": "ab"[row % 2], "n": row, "o": {"deep": [row]}} for row in range(40)]
    if name == "d.jsonl":
        path = write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), name)
    else:
        path = tmp_path / name
        papq.write_table(pa.Table.from_pylist(rows), path)
    found = describe(path)
    assert found.columns["text"] == {"kind": "text", "missing": 0, "distinct": 7}
    assert found.columns["n"] == {"kind": "number", "missing": 0, "least": 0.0, "mean": 19.5, "most": 39.0}
    assert found.columns["o"] == {"kind": "nested"}


def test_column_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    text = describe(write(tmp_path, 'date,"lo\x1b[31mad\u202e"\n' + "2024-01-01,1\n2024-01-02,2\n")).text()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_unit_behind_a_name_does_not_hide_it(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},{day},{day % 5}\n" for day in range(1, 21))
    found = guess(write(tmp_path, "日期,销量（件）,气温\n" + rows), DataSettings())
    assert found.settings.target == ("销量（件）",)


def test_lines_are_counted_whatever_ends_them(tmp_path: Path) -> None:
    settings = settings_from({"task": "generate"}).data
    for end in ("\n", "\r\n", "\r"):
        facts = describe(write(tmp_path, f"春眠不觉晓{end}" * 100, "text.txt"), settings).facts
        assert (facts["lines"], facts["characters"], facts["different"]) == (100, 600, 6)


def test_a_tab_may_be_written_as_shells_hand_it_on(tmp_path: Path) -> None:
    path = write(tmp_path, "date\tload\n2024-01-01\t1\n2024-01-02\t2\n")
    assert guess(path, settings_from({"task": "forecast", "delimiter": "\\t"}).data).settings.target == ("load",)
