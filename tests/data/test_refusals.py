"""Every malformed input is refused in one line that names the file, the line or the column, and a remedy."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from remanence.data.labelled import prepare_classify
from remanence.data.windows import prepare_forecast
from remanence.errors import DataError, RemanenceError
from remanence.settings import DataSettings

Content = str | bytes | Callable[[Path], None] | None


def daily(rows: int = 40, changes: dict[int, str] | None = None) -> str:
    """A daily series `date,load`, one line replaced where asked (line 1 is the header)."""
    days = [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in range(rows)]
    import datetime

    first = datetime.date(2024, 1, 1)
    days = [str(first + datetime.timedelta(days=day)) for day in range(rows)]
    lines = ["date,load", *(f"{day},{(place * 7) % 13}.5" for place, day in enumerate(days))]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def reviews(rows: int = 30, changes: dict[int, str] | None = None) -> str:
    """Texts with two labels."""
    lines = ["text,label", *(f"a {'good' if row % 2 else 'bad'} film number {row},{row % 2}" for row in range(rows))]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def steps(changes: dict[int, str] | None = None) -> str:
    """Sequences of three steps, two numbers a step."""
    lines = ["sequence,t,x,y,label"]
    lines += [f"s{seq},{t},{seq + t}.5,{seq * t},{'ab'[seq % 2]}" for seq in range(20) for t in range(3)]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def archive(*cases: str, header: str = "@problemName p\n@timeStamps false\n@classLabel true a b\n@data\n") -> str:
    """An archive file; its data start on line 5."""
    return header + "\n".join(cases) + "\n"


GOOD_CASES = [f"{n}.0,2,3:4,{n},6:{'ab'[n % 2]}" for n in range(20)]


def truncated(opener: Any) -> Callable[[Path], None]:
    """Write a compressed file and cut its end off."""

    def write(path: Path) -> None:
        with opener(path, "wb") as file:
            file.write(os.urandom(0) + daily(4000).encode())
        path.write_bytes(path.read_bytes()[:-40])

    return write


def cut_parquet(path: Path) -> None:
    papq.write_table(pa.table({"date": ["2024-01-01"], "load": [1.0]}), path)
    path.write_bytes(path.read_bytes()[:-20])


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Args:
        content: of the file; a function writes it itself; None leaves it out.
        says: what the message holds.
        remedy: what the remedy holds.
        line, column: where.
        options: of DataSettings.
    """

    content: Content
    says: str
    remedy: str
    line: int = 0
    column: str = ""
    name: str = "data.csv"
    options: dict[str, Any] = field(default_factory=dict)


LOAD: dict[str, Any] = {"time": "date", "target": ("load",), "horizon": 2, "context": 4}
TEXT: dict[str, Any] = {"input": ("text",), "label": "label"}
LONG: dict[str, Any] = {"input": ("x", "y"), "label": "label", "sequence": ("sequence",), "time": "t"}

FORECAST = {
    "empty file": Case("", "the file is empty", "header"),
    "header only": Case("date,load\n", "no rows", "below the header", line=1),
    "one row": Case("date,load\n2024-01-01,1\n", "too few rows: context 4 + horizon 2 = 6", "give more rows"),
    "semicolons": Case(daily().replace(",", ";"), "';' the delimiter", "--delimiter ';'", line=1),
    "tabs": Case(daily().replace(",", "\t"), "'\\t' the delimiter", "--delimiter", line=1),
    "bad utf-8": Case(
        daily().encode().replace(b"2024-01-03,", b"2024-01-\xff3,"), "not UTF-8: byte 0xff", "UTF-8", 4, "date"
    ),
    "nul byte": Case(daily().encode().replace(b"2024-01-03,", b"2024-01-03\0,"), "NUL byte at offset", "UTF-8", 4),
    "ragged row": Case(daily(changes={5: "2024-01-04,1,2"}), "expected 2 cells, came 3", "quote", 5),
    "short row": Case(daily(changes={7: "2024-01-06"}), "expected 2 cells, came 1", "quote", 7),
    "late ragged row": Case(daily(3000, {2900: "2031-12-08,1,2"}), "expected 2 cells, came 3", "quote", 2900),
    "text in numbers": Case(daily(changes={6: "2024-01-05,cloudy"}), "came 'cloudy'", "mend", 6, "load"),
    "thousands in numbers": Case(
        daily(changes={6: '2024-01-05,"1,047.5"'}),
        "numbers written as '1,047.5'",
        "commas, which separate thousands: 1047.5",
        6,
        "load",
    ),
    "thousands": Case(
        "date,load,sky\n" + "\n".join(f'2024-01-{day:02d},{day},"1,0{day}.5"' for day in range(10, 29)) + "\n",
        "--target needs numbers, this column holds numbers with thousands separators such as '1,010.5'",
        "commas, which separate thousands: 1010.5",
        2,
        "sky",
        options={**LOAD, "target": ("sky",)},
    ),
    "late text in numbers": Case(daily(3000, {2900: "2031-12-08,cloudy"}), "came 'cloudy'", "mend", 2900, "load"),
    "column of words": Case(
        "date,load,sky\n" + "\n".join(f"2024-01-{day:02d},{day % 5},sun" for day in range(1, 29)) + "\n",
        "words such as 'sun'",
        "0 and 1",
        2,
        "sky",
        options={"observed": ("sky",)},
    ),
    "nan": Case(daily(changes={9: "2024-01-08,NaN"}), "came 'NaN'", "--missing mask", 9, "load"),
    "infinity": Case(daily(changes={9: "2024-01-08,inf"}), "came 'inf'", "mend", 9, "load"),
    "empty cell": Case(daily(changes={9: "2024-01-08,"}), "came an empty cell", "--missing mask", 9, "load"),
    "duplicate time": Case(daily(changes={9: "2024-01-07,1"}), "two rows at 2024-01-07", "--duplicates", 9, "date"),
    "unsorted": Case(daily(changes={9: "2023-01-07,1"}), "2023-01-07 comes after 2024-01-07", "--sort", 9, "date"),
    "unsorted in a series": Case(
        "date,place,load\n2024-01-01,A,1\n2024-01-02,A,2\n2024-01-02,B,3\n2024-01-01,B,4\n",
        "times of series B are not in order",
        "--sort",
        5,
        "date",
        options={"series": ("place",)},
    ),
    "gap": Case(
        daily(changes={9: ""}), "a gap: 1 daily steps are missing between 2024-01-07", "--gaps fill", 10, "date"
    ),
    "mixed frequency": Case(
        "date,load\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n2024-01-01 02:00,3\n2024-01-01 02:17,4\n",
        "mixed frequency: most steps are hourly",
        "resample",
        5,
    ),
    "constant target": Case(
        "date,load\n" + "\n".join(f"2024-01-{day:02d},3" for day in range(1, 29)) + "\n",
        "the target is constant",
        "--target",
        column="load",
    ),
    "too few rows": Case(daily(9), "context 4 + horizon 2 = 6", "smaller --context"),
    "test part too short": Case(
        daily(20), "the test part has fewer rows", "--horizon", options={"split": (17.0, 2.0, 1.0)}
    ),
    "column in other letters": Case(
        "date,LOAD,loads\n2024-01-01,1,2\n2024-01-02,2,3\n",
        "no such column",
        "did you mean 'LOAD'?",
        1,
        "load",
        options={"target": ("load",)},
    ),
    "unknown column": Case(daily(), "no such column", "did you mean 'load'?", 1, "laod", options={"target": ("laod",)}),
    "duplicate names": Case("date,load,load\n2024-01-01,1,2\n", "two columns", "rename", 1, "load"),
    "not a time": Case(daily(changes={6: "yesterday,1"}), "not a time: 'yesterday'", "2024-01-31", 6, "date"),
    "late bad time": Case(daily(3000, {2900: "soon,1"}), "not a time: 'soon'", "2024-01-31", 2900, "date"),
    "mixed time formats": Case(
        daily(changes={6: "2024/01/05,1"}),
        "not a time: '2024/01/05' (the rows above are written as iso)",
        "alike",
        6,
        "date",
    ),
    "no such file": Case(None, "no such file", "check the path"),
    "truncated xz": Case(truncated(lzma.open), "damaged or cut short", "again", name="data.csv.xz"),
    "truncated gz": Case(truncated(gzip.open), "damaged or cut short", "again", name="data.csv.gz"),
    "truncated parquet": Case(cut_parquet, "not a whole Parquet file", "again", name="data.parquet"),
    "broken json": Case(
        '{"date": "2024-01-01", "load": 1}\n{"date": "2024-01-02", "load": \n',
        "not JSON",
        "one object",
        2,
        name="d.jsonl",
    ),
    "json without a key": Case(
        '{"date": "2024-01-01", "load": 1}\n{"date": "2024-01-02"}\n', "no such key", "same keys", 2, "load", "d.jsonl"
    ),
    "json array": Case("[1, 2]\n", "expected an object", "a line", 1, name="d.jsonl"),
    "unknown ending": Case(daily(), "format cannot be told", "--format csv", name="data.xls"),
    "parts out of order": Case(
        "date,load,part\n2024-01-01,1,test\n2024-01-02,2,train\n2024-01-03,1,train\n",
        "train comes after test at 2024-01-02",
        "oldest rows train",
        column="part",
        options={"split_column": "part"},
    ),
    "unknown part": Case(
        "date,load,part\n2024-01-01,1,train\n2024-01-02,2,later\n",
        "came 'later'",
        "--split-column",
        column="part",
        options={"split_column": "part"},
    ),
}

CLASSIFY = {
    "one class": Case(reviews().replace(",1\n", ",0\n"), "one class only ('0')", "--label"),
    "empty text": Case(reviews(changes={5: ",1"}), "an empty text", "remove the row", 5, "text"),
    "text of spaces": Case(reviews(changes={5: '"  ",1'}), "an empty text", "remove the row", 5, "text"),
    "label missing": Case(reviews(changes={6: "a film,"}), "the label is missing", "give every sequence", 6, "label"),
    "rare class": Case(reviews(changes={6: "a film,2"}), "class '2' has 1 example", "add examples"),
    "unknown label column": Case(
        reviews(), "no such column", "did you mean 'label'?", 1, "lable", options={"label": "lable"}
    ),
    "bad utf-8 in a late text": Case(
        reviews(3000).encode().replace(b"film number 2500", b"film \xb5\xc4 2500"),
        "looks like GB18030 (GBK)",
        "iconv -f GB18030",
        2502,
        "text",
    ),
    "no label to guess": Case(
        "text,date\n" + "\n".join(f"film {n},2024-01-{n:02d}" for n in range(1, 20)),
        "no column of labels",
        "--label",
        1,
        options={"label": None},
    ),
    "label changes": Case(
        steps({3: "s0,1,2.5,0,b"}), "changes within sequence s0", "--sequence", 3, "label", options=LONG
    ),
    "steps not in order": Case(
        steps({3: "s0,9,2.5,0,a"}), "times of sequence s0 are not in order", "--sort", 4, "t", options=LONG
    ),
    "steps repeated": Case(steps({3: "s0,0,2.5,0,a"}), "sequence s0 are repeated", "number", 3, "t", options=LONG),
    "step empty": Case(steps({4: "s0,2,,0,a"}), "came an empty cell", "--missing mask", 4, "x", options=LONG),
    "json types mixed": Case(
        '{"text": "good", "label": 1}\n{"text": "bad", "label": "x"}\n',
        "mixed types: 'x'",
        "one type",
        2,
        "label",
        "d.jsonl",
    ),
    "ts without data": Case("@problemName p\n@classLabel true a b\n", "no @data", "@data", 2, name="d.ts"),
    "ts not a number": Case(archive("1,x,3:4,5,6:a"), "came 'x'", "?", 5, "dim0", "d.ts"),
    "ts unequal dimensions": Case(archive("1,2,3:4,5:a"), "unequal length: 3, 2", "same number", 5, name="d.ts"),
    "ts other dimensions": Case(archive("1,2:3,4:a", "1,2:a"), "expected 2 dimensions, came 1", "mend", 6, name="d.ts"),
    "ts unknown class": Case(archive("1,2,3:c"), "one of the classes a b, came 'c'", "colons", 5, name="d.ts"),
    "ts junk header": Case("hello\n@data\n", "starts with @", "@data", 1, name="d.ts"),
    "ts missing value": Case(
        archive(*GOOD_CASES, "1,?,3:4,5,6:a"), "missing value at step 2", "--missing mask", 25, "dim0", "d.ts"
    ),
    "arff ragged": Case(
        "@relation r\n@attribute a numeric\n@attribute b numeric\n@attribute c {x,y}\n@data\n1,2,x\n1,2,3,y\n",
        "expected 2 values, came 3",
        "@attribute",
        7,
        name="d.arff",
    ),
    "text file ragged": Case(
        "good\tfine film\nbad\tpoor\tfilm\n", "expected 2 cells, came 3", "delimiter", 2, name="d.txt"
    ),
}


def write(folder: Path, case: Case) -> Path:
    path = folder / case.name
    if isinstance(case.content, str):
        path.write_text(case.content, encoding="utf-8")
    elif isinstance(case.content, bytes):
        path.write_bytes(case.content)
    elif case.content is not None:
        case.content(path)
    return path


def check(case: Case, path: Path, error: DataError) -> None:
    assert case.says in error.message
    assert case.remedy in error.remedy
    assert (error.path, error.line, error.column) == (str(path), case.line, case.column)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", FORECAST)
def test_malformed_series_is_refused(name: str, tmp_path: Path) -> None:
    case = FORECAST[name]
    path = write(tmp_path, case)
    with pytest.raises(DataError) as caught:
        prepare_forecast(path, DataSettings(**{**LOAD, **case.options}))
    check(case, path, caught.value)


@pytest.mark.parametrize("name", CLASSIFY)
def test_malformed_sequences_are_refused(name: str, tmp_path: Path) -> None:
    case = CLASSIFY[name]
    path = write(tmp_path, case)
    archive_file = path.suffix in (".ts", ".arff", ".txt")
    with pytest.raises(DataError) as caught:
        prepare_classify(path, DataSettings(**({} if archive_file else {**TEXT, **case.options})))
    check(case, path, caught.value)


def test_directory_is_refused_with_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(daily())
    with pytest.raises(DataError, match=r"directory, expected a file — name a file in it, such as .*load\.csv"):
        prepare_forecast(tmp_path, DataSettings())


def test_near_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(daily())
    with pytest.raises(DataError, match=r"no such file — did you mean .*load\.csv\?"):
        prepare_forecast(tmp_path / "laod.csv", DataSettings())


@pytest.mark.parametrize("how", ["access", "open"])
def test_no_permission_is_refused(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "load.csv"
    path.write_text(daily())

    def denied(*_: object, **__: object) -> None:
        raise PermissionError

    # Mode bits do not stop a superuser, so the refusal of the system is played.
    if how == "access":
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(DataError, match="no permission to read this file — chmod"):
        prepare_forecast(path, DataSettings())


def test_label_unseen_in_training_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(reviews())
    (tmp_path / "test.csv").write_text(reviews(changes={4: "a film,7"}))
    with pytest.raises(DataError, match=r"class '7' is not in the training part \(0, 1\)") as caught:
        prepare_classify(tmp_path / "train.csv", DataSettings(**TEXT, test_file=str(tmp_path / "test.csv")))
    assert (caught.value.line, caught.value.column) == (4, "label")


@pytest.mark.parametrize(
    ("prepare", "text", "options"), [(prepare_forecast, daily(), LOAD), (prepare_classify, reviews(), TEXT)]
)
def test_well_formed_input_is_not_refused(prepare: Any, text: str, options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(text)
    assert len(prepare(tmp_path / "data.csv", DataSettings(**options)).train) > 0


@pytest.mark.parametrize(
    ("changes", "options", "seen"),
    [
        ({9: "2024-01-08,"}, {"missing": "mask"}, "mask"),
        ({9: "2024-01-08,"}, {"missing": "fill"}, "fill"),
        ({9: ""}, {"gaps": "fill", "missing": "mask"}, "missing steps inserted"),
        ({9: "2024-01-07,1"}, {"duplicates": "last", "gaps": "fill"}, "kept the last"),
        ({9: "2024-01-07,1"}, {"duplicates": "mean", "gaps": "fill"}, "kept the mean"),
        ({9: "2024-01-02,1", 3: "2024-01-08,2"}, {"sort": True}, "sorted by date"),
    ],
)
def test_asked_for_mends_are_made_and_noted(
    changes: dict[int, str], options: dict[str, Any], seen: str, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text(daily(changes=changes))
    parts = prepare_forecast(tmp_path / "data.csv", DataSettings(**{**LOAD, **options}))
    assert seen in "\n".join(parts.notes) or parts.encoders.missing == seen


def test_every_refusal_is_a_remanence_error() -> None:
    assert issubclass(DataError, RemanenceError)
    assert DataError("x").exit_status == 2
