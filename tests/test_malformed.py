"""One table of malformed inputs through the real command line: each ends in one line that can be acted upon.

A case is files in an empty folder and the words of a command. Exit status 2, nothing on standard output, one line on
standard error that names where and holds a remedy, and the folder as it was.
"""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers import command
from spoiled import (
    CSV,
    FIT,
    READ,
    TINY,
    Content,
    check_line,
    contents,
    cut_parquet,
    daily,
    damaged,
    flip,
    json_lines,
    link,
    listing,
    make_sparse,
    resealed,
    reviews,
    run_folder,
    train_runs,
    ts,
    write,
)


@dataclass(frozen=True)
class Case:
    """Files by name, a command, and what its error must say."""

    files: dict[str, Content]
    words: list[str]
    says: tuple[str, ...]
    more: list[str] = field(default_factory=list)


WIDE = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}
PREDICT = ["predict", "old", "d.csv", "--out", "answers.csv"]


def series(says: tuple[str, ...], changes: Mapping[int, str], *more: str) -> Case:
    return Case({CSV: daily(changes=changes)}, FIT, says, list(more))


def option(says: tuple[str, ...], *more: str) -> Case:
    return Case({CSV: daily()}, FIT, says, list(more))


FILES = {
    "empty file": Case({CSV: b""}, FIT, ("d.csv: the file is empty", "header")),
    "only white space": Case({CSV: "\n\n\n"}, FIT, ("d.csv", "header")),
    "header only": Case({CSV: "date,load\n"}, FIT, ("d.csv:1: a header and no rows", "expected rows")),
    "no header": Case({CSV: daily(header="2023-12-31,5.5")}, FIT, ("d.csv:1", "2023-12-31", "line of names")),
    "one row": Case({CSV: daily(1)}, FIT, ("d.csv", "context 4 + horizon 2", "smaller")),
    "wrong delimiter": Case({CSV: daily().replace(",", ";")}, FIT, ("d.csv:1", "delimiter", "--delimiter ';'")),
    "bad utf-8": Case({CSV: daily().encode().replace(b"01-03,", b"01-\xff3,")}, FIT, ("d.csv:4", "date", "UTF-8")),
    "gbk": Case({CSV: daily(header="日期,负荷").encode("gbk")}, FIT, ("d.csv:1", "GB18030", "日期", "iconv")),
    "gbk in a late text": Case(
        {CSV: reviews(3000).encode().replace(b"film 2500", "电影".encode("gbk"))},
        READ, ("d.csv:2502", "column 'text'", "GB18030", "电影", "iconv"),
    ),
    "latin-1": Case({CSV: reviews(changes={4: "café,p"}).encode("latin-1")}, READ, ("d.csv:4", "not UTF-8", "save")),
    "utf-16 of Excel": Case({CSV: daily().encode("utf-16")}, FIT, ("d.csv", "UTF-16", "CSV UTF-8")),
    "an Excel workbook": Case({CSV: b"PK\x03\x04" + bytes(200)}, FIT, ("d.csv", "Excel", "save it as CSV")),
    "gzip without its ending": Case({CSV: gzip.compress(daily().encode())}, FIT, ("d.csv", "gzip", "d.csv.gz")),
    "nul": Case({CSV: daily().replace("01-03,", "01-03\0,")}, FIT, ("d.csv:4", "NUL", "UTF-8")),
    "ragged row": series(("d.csv:5", "expected 2 cells, came 3", "quote"), {5: "2024-01-04,1,2"}),
    "an open quote": series(("d.csv:5", "quotation mark left open"), {5: '2024-01-04,"1'}),
    "text among numbers": series(("d.csv:6", "'load'", "came 'cloudy'", "mend"), {6: "2024-01-05,cloudy"}),
    "decimal comma": series(("d.csv:6", "'load'", "came '1,5'", "1.5"), {6: '2024-01-05,"1,5"'}),
    "hexadecimal": series(("d.csv:6", "'load'", "came '0x10'"), {6: "2024-01-05,0x10"}),
    "underscore in a number": series(("d.csv:6", "'load'", "came '1_000'"), {6: "2024-01-05,1_000"}),
    "full-width digits": series(("d.csv:6", "'load'", "came '１２'", "half-width"), {6: "2024-01-05,１２"}),
    "a column of full-width digits": Case(
        {CSV: "日期,销量\n" + "".join(f"2024-01-{day},{str(day).translate(WIDE)}\n" for day in range(10, 29))},
        ["describe", "d.csv"], ("d.csv:2", "'销量'", "half-width digits: 10"),
    ),
    "too large a number": series(("d.csv:6", "'load'", "finite", "1e400"), {6: "2024-01-05,1e400"}),
    "nan": series(("d.csv:6", "'load'", "NaN", "--missing"), {6: "2024-01-05,NaN"}),
    "infinity": series(("d.csv:6", "'load'", "inf", "mend"), {6: "2024-01-05,inf"}),
    "duplicate times": series(("d.csv:6", "'date'", "--duplicates"), {6: "2024-01-04,1"}),
    "unsorted times": series(("d.csv:6", "'date'", "--sort"), {6: "2023-01-04,1"}),
    "a gap": series(("d.csv:7", "'date'", "gap", "--gaps fill"), {6: ""}),
    "time zones mixed": series(("d.csv:6", "'date'", "alike"), {6: "2024-01-05T00:00:00+08:00,1"}),
    "not a date": series(("d.csv:6", "'date'", "2024-02-30"), {6: "2024-02-30,1"}),
    "constant target": Case(
        {CSV: "".join(f"{line.split(',')[0]},1\n" for line in daily().splitlines()).replace("date,1", "date,load")},
        FIT, ("d.csv", "'load'", "constant", "--target"),
    ),
    "fewer rows than a window": Case({CSV: daily(6)}, FIT, ("d.csv", "horizon", "smaller")),
    "one class": Case({CSV: reviews().replace(",p\n", ",n\n")}, READ, ("d.csv", "one class only ('n')", "--label")),
    "empty text": Case({CSV: reviews(changes={5: ",p"})}, READ, ("d.csv:5", "'text'", "empty text", "remove")),
    "empty label": Case({CSV: reviews(changes={5: "a,"})}, READ, ("d.csv:5", "'label'", "missing", "label")),
    "unknown column": option(("d.csv:1", "'laod'", "did you mean 'load'"), "--target", "laod"),
    "duplicate names": Case({CSV: daily(header="load,load")}, FIT, ("d.csv:1", "'load'", "rename")),
    "directory": Case({"d.csv/x.csv": daily()}, FIT, ("d.csv: this is a directory", "d.csv/x.csv")),
    "no such file": Case({"dd.csv": daily()}, FIT, ("d.csv: no such file", "did you mean")),
    "broken json": Case(
        {"d.jsonl": json_lines(changes={7: '{"text": "a", "label'})},
        ["fit", "d.jsonl", *TINY, "--out", "run"], ("d.jsonl:7", "not JSON", "one object"),
    ),
    "json nested too deeply": Case(
        {"d.jsonl": json_lines(changes={7: '{"text": ' + "[" * 100_000})},
        ["fit", "d.jsonl", *TINY, "--out", "run"], ("d.jsonl:7", "one object"),
    ),
    "json number without end": Case(
        {"d.jsonl": json_lines(changes={7: '{"text": "a", "label": ' + "1" * 5000 + "}"})},
        ["fit", "d.jsonl", *TINY, "--out", "run"], ("d.jsonl:7", "4300 digits"),
    ),
    "json with a key twice": Case(
        {"d.jsonl": json_lines(changes={7: '{"text": "a", "label": "n", "label": "p"}'})},
        ["fit", "d.jsonl", *TINY, "--out", "run"], ("d.jsonl:7", "'label' stands there twice", "one object"),
    ),
    "json with NaN": Case(
        {"d.jsonl": json_lines(changes={7: '{"text": "a", "label": NaN}'})},
        ["fit", "d.jsonl", *TINY, "--out", "run"], ("d.jsonl:7", "NaN", "write null"),
    ),
    "class of many lines": Case(
        {CSV: reviews(changes={4: 'a,"' + "x\n" * 500 + '"'})}, READ, ("d.csv", "class 'x x", "add examples")
    ),
    "truncated parquet": Case(
        {"d.parquet": cut_parquet}, ["fit", "d.parquet", *FIT[2:]], ("d.parquet", "Parquet", "again")
    ),
    "truncated xz": Case(
        {"d.csv.xz": lzma.compress(daily(9000).encode())[:-60]}, ["fit", "d.csv.xz", *FIT[2:]],
        ("d.csv.xz", "cut short", "again"),
    ),
    "truncated gz": Case(
        {"d.csv.gz": gzip.compress(daily(9000).encode())[:-60]}, ["fit", "d.csv.gz", *FIT[2:]],
        ("d.csv.gz", "cut short", "again"),
    ),
    "malformed ts": Case({"d.ts": ts("1,x,3:4,5,6:a")}, ["fit", "d.ts", *TINY], ("d.ts:25", "'dim0'", "came 'x'")),
    "ts of unequal dimensions": Case(
        {"d.ts": ts("1,2,3:4,5:a")}, ["fit", "d.ts", *TINY], ("d.ts:25", "unequal", "same number")
    ),
    "test file without label": Case(
        {CSV: reviews(), "t.csv": "text\na film\n"}, READ, ("t.csv:1", "'label'", "no such column"),
        ["--test-file", "t.csv"],
    ),
    "valid file without label": Case(
        {CSV: reviews(), "t.csv": "text\na film\n"}, READ, ("t.csv:1", "'label'", "no such column"),
        ["--valid-file", "t.csv"],
    ),
    "label unseen in training": Case(
        {CSV: reviews(), "t.csv": reviews(changes={3: "a,z"})}, READ, ("t.csv:3", "class 'z'", "n, p", "remove"),
        ["--test-file", "t.csv"],
    ),
}  # fmt: skip

OPTIONS = {
    "huge horizon": option(("d.csv", "horizon", "smaller"), "--horizon", "1000000"),
    "season longer than the file": option(("--season", "36 training rows", "shorter"), "--season", "1000000000"),
    "too many threads": option(("--threads", "1024"), "--threads", "100000"),
    "horizon out of range": option(("--horizon", "1000000000"), "--horizon", "100000000000"),
    "out in a place without folders": option(("cannot write", "--out"), "--out", "/proc/run"),
    "split of two": option(("--split", "0.6,0.2,0.2"), "--split", "0.5,0.5"),
    "split beyond one": option(("--split", "at most 1"), "--split", "0.9,0.2,0.2"),
    "split of words": option(("--split", "number", "'a'"), "--split", "a,b,c"),
    "split not finite": option(("--split", "nan"), "--split", "nan,0.2,0.2"),
    "unknown cell": option(("--cell", "lstn", "lstm"), "--cell", "lstn"),
    "unknown value": option(("--missing", "maybe", "mask"), "--missing", "maybe"),
    "negative size": option(("--hidden", "-3", "1"), "--hidden=-3"),
    "two budgets": option(("one of epochs, steps and minutes",), "--epochs", "2"),
    "unknown option": option(("--hiddn", "--hidden"), "--hiddn", "3"),
    "long delimiter": option(("delimiter is one character", "--delimiter"), "--delimiter", "ab"),
    "no device": option(("--device", "warp"), "--device", "warp"),
    "out is a file": Case({CSV: daily(), "run": "precious"}, FIT, ("--out", "run is not a run", "another")),
    "out below a file": Case({CSV: daily(), "run": "precious"}, FIT, ("run", "file", "--out"), ["--out", "run/a"]),
    "out exists": Case({CSV: daily(), "run": run_folder("forecast")}, FIT, ("--out", "exists", "--overwrite")),
    "out holds other files": Case({CSV: daily(), "run/x": "precious"}, FIT, ("--out", "not a run", "another")),
    "out of no format": Case(
        {CSV: daily(), "old": run_folder("forecast")}, PREDICT, ("--out", "'answers.doc'", ".parquet"),
        ["--out", "answers.doc"],
    ),
    "answers exist": Case(
        {CSV: daily(), "old": run_folder("forecast"), "answers.csv": "precious"}, PREDICT,
        ("answers.csv exists", "--overwrite"),
    ),
}  # fmt: skip

USES = {
    "no such run": Case({CSV: daily()}, PREDICT, ("old: no such run", "remanence fit")),
    "empty run": Case({CSV: daily(), "old/x": ""}, PREDICT, ("old/manifest.json: no such file", "again")),
    "manifest cut short": Case(
        {CSV: daily(), "old": damaged("forecast", lambda run: os.truncate(run / "manifest.json", 300))},
        PREDICT, ("old/manifest.json", "again"),
    ),
    "bit in the manifest": Case(
        {CSV: daily(), "old": damaged("forecast", flip("manifest.json"))}, PREDICT, ("old/manifest.json", "again")
    ),
    "bit in the weights": Case(
        {CSV: daily(), "old": damaged("forecast", flip("model.safetensors"))},
        PREDICT, ("old/model.safetensors", "damaged", "again"),
    ),
    "weights cut short": Case(
        {CSV: daily(), "old": damaged("forecast", lambda run: os.truncate(run / "model.safetensors", 9))},
        PREDICT, ("old/model.safetensors", "9 bytes", "again"),
    ),
    "weights missing": Case(
        {CSV: daily(), "old": damaged("forecast", lambda run: (run / "model.safetensors").unlink())},
        PREDICT, ("old/model.safetensors", "missing", "again"),
    ),
    "weights are a link": Case({CSV: daily(), "old": damaged("forecast", link)}, PREDICT, ("metrics.jsonl", "link")),
    "another schema": Case(
        {CSV: daily(), "old": damaged("forecast", resealed(schema=99))}, PREDICT, ("version 99", "anew")
    ),
    "a path out of the run": Case(
        {CSV: daily(), "old": damaged("forecast", listing("../d.csv"))}, PREDICT, ("outside", "do not use")
    ),
    "an absolute path": Case(
        {CSV: daily(), "old": damaged("forecast", listing("/etc/passwd"))}, PREDICT, ("outside", "do not use")
    ),
    "keys of another kind": Case(
        {CSV: daily(), "old": damaged("forecast", resealed(files=[1], seeds={"a": 2}))},
        PREDICT, ("old/manifest.json", "anew"),
    ),
    "settings of another kind": Case(
        {CSV: daily(), "old": damaged("forecast", resealed(settings={"model": {"hidden": 10**30}}))},
        PREDICT, ("old", "anew"),
    ),
    "a manifest too large": Case(
        {CSV: daily(), "old/manifest.json": lambda path: make_sparse(path, 1 << 33)},
        PREDICT, ("old/manifest.json", "GB", "again"),
    ),
    "new file lacks a column": Case(
        {CSV: daily(header="date,power"), "old": run_folder("forecast")}, PREDICT,
        ("d.csv:1", "'load'", "no such column"),
    ),
    "new file has no rows": Case({CSV: "date,load\n", "old": run_folder("forecast")}, PREDICT, ("d.csv:1", "no rows")),
    "new text is empty": Case(
        {CSV: reviews(changes={4: ",p"}), "old": run_folder("classify")}, PREDICT, ("d.csv:4", "'text'", "remove")
    ),
    "no labels to score": Case(
        {CSV: "text\na film\n", "old": run_folder("classify")}, ["evaluate", "old", "d.csv"],
        ("d.csv:1", "'label'", "no such column"),
    ),
    "unseen label to score": Case(
        {CSV: reviews(changes={4: "a,z"}), "old": run_folder("classify")}, ["evaluate", "old", "d.csv"],
        ("d.csv:4", "class 'z'", "remove"),
    ),
    "unknown part": Case(
        {"old": run_folder("forecast")}, ["evaluate", "old", "--part", "exam"], ("--part", "exam", "valid")
    ),
    "row that is not there": Case(
        {"old": run_folder("classify"), CSV: reviews()}, ["explain", "old", "--file", "d.csv", "--row", "99999"],
        ("99999",),
    ),
    "describe an absent file": Case({}, ["describe", "d.csv"], ("d.csv: no such file", "check the path")),
    "describe binary": Case({CSV: bytes(range(256)) * 9}, ["describe", "d.csv"], ("d.csv", "UTF-8")),
    "compare an unknown cell": Case(
        {CSV: daily()}, ["compare", "d.csv", "--cells", "lstm,gruu", "--out", "c"], ("gruu", "gru")
    ),
}  # fmt: skip


def lines(count: int, changes: Mapping[int, str] | None = None) -> str:
    return "".join(f"{(changes or {}).get(line, f'wort {line % 5}')}\n" for line in range(1, count + 1))


TRANSLATE = ["fit", "t.de", "--task", "translate", *TINY, "--out", "run"]
PAIRS = ["fit", CSV, "--task", "translate", "--input", "source", *TINY, "--out", "run"]
ROWS = "source,answer\n" + "".join(f"wort {row % 5},word {row % 5}\n" for row in range(30))
TRANSLATIONS = {
    "fewer answers than sources": Case(
        {"t.de": lines(30), "t.en": lines(28)}, TRANSLATE, ("t.en:29: 28 lines, but 30 in t.de", "belong together"),
        ["--answer", "en"],
    ),
    "fewer sources in a test file": Case(
        {"t.de": lines(30), "t.en": lines(30), "u.de": lines(5), "u.en": lines(6)}, TRANSLATE,
        ("u.de:6: 5 lines, but 6 in u.en", "belong together"), ["--answer", "en", "--test-file", "u.de"],
    ),
    "an empty line": Case(
        {"t.de": lines(30), "t.en": lines(30, {7: ""})}, TRANSLATE, ("t.en:7: an empty line", "remove it here and"),
        ["--answer", "en"],
    ),
    "a line that is not UTF-8": Case(
        {"t.de": lines(30).encode().replace(b"wort 4\n", b"w\xf6rt\n", 1), "t.en": lines(30)}, TRANSLATE,
        ("t.de:4: not UTF-8", "save"), ["--answer", "en"],
    ),
    "no file of answers": Case(
        {"t.de": lines(30)}, TRANSLATE, ("t.en: no such file", "did you mean t.de"), ["--answer", "en"]
    ),
    "answers not named": Case({"t.de": lines(30)}, TRANSLATE, ("t.de: the file of the answers", "--answer en")),
    "an empty answer": Case(
        {CSV: ROWS.replace("word 2", "", 1)}, PAIRS, ("d.csv:4, column 'answer'", "an empty text", "remove the row"),
        ["--answer", "answer"],
    ),
    "no such answer": Case({CSV: ROWS}, PAIRS, ("'anwser'", "did you mean 'answer'"), ["--answer", "anwser"]),
    "one column of texts": Case(
        {CSV: "source,number\n" + "wort,1\n" * 30}, PAIRS, ("two columns of texts", "--answer", "--columns")
    ),
    "a line with a cell less": Case(
        {"t.txt": "a\tb\n" * 9 + "a b\n"}, ["fit", "t.txt", "--task", "translate", "--out", "run"],
        ("t.txt:10: expected 2 cells, came 1", "delimiter"), ["--columns", "source,answer"],
    ),
    "two inputs": Case({CSV: ROWS}, PAIRS, ("one column is read", "--input"), ["--input", "source,answer"]),
    "copying without attention": Case(
        {CSV: ROWS}, PAIRS, ("--copy-source: does nothing", "--attention"), ["--copy-source", "--attention", "none"]
    ),
    "an answer before the end": Case(
        {CSV: ROWS}, PAIRS, ("--truncate: an answer needs the whole source", "leave it out"), ["--truncate", "5"]
    ),
    "alignment of a forecast": Case(
        {"old": run_folder("classify")}, ["predict", "old", "--text", "a film", "--alignment"],
        ("--alignment: this run writes no texts", "leave it out"),
    ),
    "a file and a text": Case(
        {CSV: reviews(), "old": run_folder("classify")}, ["predict", "old", CSV, "--text", "a film"],
        ("--text: give either a file or a text", "leave one of them out"),
    ),
    "a text for numbers": Case(
        {"old": run_folder("forecast")}, ["predict", "old", "--text", "a film"], ("reads numbers, not texts", "--row")
    ),
}  # fmt: skip
TABLE = {**FILES, **OPTIONS, **USES, **TRANSLATIONS}


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    train_runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", TABLE)
def test_mistake_is_one_line_and_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = TABLE[name]
    write(tmp_path, case.files)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    done = command(*case.words, *case.more)
    assert done.status == 2, (done.out, done.err)
    assert done.out == ""
    check_line(done.err, case.says)
    assert contents(tmp_path) == before
