"""One table of malformed inputs through the real command line: each ends in one line that can be acted upon.

A case is files in an empty folder and the words of a command. Exit status 2, nothing on standard output, one line on
standard error that names where and holds a remedy, and the folder as it was.
"""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json
import lzma
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as papq
import pytest
from helpers import Outcome, command

from remanence.storage import read_sealed, write_sealed

Content = str | bytes | Callable[[Path], object]
TINY = ["--steps", "3", "--hidden", "4", "--threads", "1", "--beside", "none"]
FIT = ["fit", "d.csv", "--target", "load", "--horizon", "2", "--context", "4", *TINY, "--out", "run"]
READ = ["fit", "d.csv", "--task", "classify", "--input", "text", "--label", "label", *TINY, "--out", "run"]


def daily(rows: int = 60, changes: Mapping[int, str] | None = None, header: str = "date,load") -> str:
    """A daily series; lines are replaced where asked (the header is line 1)."""
    first = datetime.date(2024, 1, 1)
    lines = [header, *(f"{first + datetime.timedelta(days=day)},{(day * 7) % 13}.5" for day in range(rows))]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def reviews(rows: int = 40, changes: Mapping[int, str] | None = None) -> str:
    """Texts of two classes."""
    lines = ["text,label", *(f"a {'good' if row % 2 else 'bad'} film {row},{'np'[row % 2]}" for row in range(rows))]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def json_lines(rows: int = 40, changes: Mapping[int, str] | None = None) -> str:
    lines = [json.dumps({"text": f"film {row}", "label": "np"[row % 2]}) for row in range(rows)]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def ts(*cases: str, header: str = "@problemName p\n@timeStamps false\n@classLabel true a b\n@data\n") -> str:
    return header + "".join(f"1,{row},3:{row},5,6:{'ab'[row % 2]}\n" for row in range(20)) + "\n".join(cases) + "\n"


def cut_parquet(path: Path) -> None:
    papq.write_table(pa.table({"date": list(range(60)), "load": [float(n % 7) for n in range(60)]}), path)
    path.write_bytes(path.read_bytes()[:-20])


def run_folder(which: str) -> Callable[[Path], object]:
    """A copy of a run that the module's fixture has trained."""
    return lambda path: shutil.copytree(RUNS[which], path)


def damaged(which: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        shutil.copytree(RUNS[which], path)
        change(path)

    return make


def flip(file: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        content = bytearray((run / file).read_bytes())
        content[len(content) // 2] ^= 4
        (run / file).write_bytes(content)

    return change


def resealed(**changes: object) -> Callable[[Path], object]:
    """A manifest whose seal is right, and whose content is not."""

    def change(run: Path) -> None:
        write_sealed(run / "manifest.json", read_sealed(run / "manifest.json", "") | changes)

    return change


def listing(name: str) -> Callable[[Path], object]:
    """A manifest that lists one more file."""

    def change(run: Path) -> None:
        content = read_sealed(run / "manifest.json", "")
        content["files"][name] = {"size": 1, "sha256": "0" * 64}
        write_sealed(run / "manifest.json", content)

    return change


def link(run: Path) -> None:
    (run / "metrics.jsonl").rename(run.parent / "elsewhere")
    (run / "metrics.jsonl").symlink_to(run.parent / "elsewhere")


@dataclass(frozen=True)
class Case:
    """Files by name, a command, and what its error must say."""

    files: dict[str, Content]
    words: list[str]
    says: tuple[str, ...]
    more: list[str] = field(default_factory=list)


RUNS: dict[str, Path] = {}
CSV = "d.csv"
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
    "no such file": Case({"dd.csv": daily()}, FIT, ("d.csv: no such file", "check the name")),
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
TABLE = {**FILES, **OPTIONS, **USES}


def make_sparse(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("runs")
    for name, text, words in (("forecast", daily(), FIT), ("classify", reviews(), READ)):
        (folder / f"{name}.csv").write_text(text)
        RUNS[name] = folder / name
        done = command(words[0], folder / f"{name}.csv", *words[2:-1], RUNS[name])
        assert done.status == 0, done.err


def write(folder: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, and its digest (its size where it is large)."""
    found = {}
    for path in sorted(folder.rglob("*")):
        small = path.is_file() and path.stat().st_size < 1 << 24
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest() if small else "large"
    return found


def check_line(err: str, says: tuple[str, ...]) -> None:
    last = err.rstrip("\n").split("\n")[-1]
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [last], err
    assert len(last) < 500, last
    for word in says:
        assert word in last, f"{word!r} is not in: {last}"


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


def child(folder: Path, limit: int, *words: str) -> Outcome:
    """Run a command in a fork that can write only so many bytes to a file, or (0) as a user without rights."""
    with (folder.parent / "out").open("w+") as out, (folder.parent / "err").open("w+") as err:
        number = os.fork()
        if not number:
            status = 99
            try:
                status = restricted(folder, limit, words, out, err)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        out.seek(0)
        err.seek(0)
        return Outcome(status, out.read(), err.read())


def restricted(folder: Path, limit: int, words: Sequence[str], out: IO[str], err: IO[str]) -> int:
    os.chdir(folder)
    done = Outcome(99, "", "")
    try:
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            done = command(*words)
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        else:
            os.setgid(65534)
            os.setuid(65534)
            done = command(*words)
    except BaseException:
        resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
        done = Outcome(98, "", traceback.format_exc())
    out.write(done.out)
    err.write(done.err)
    out.flush()
    err.flush()
    return done.status


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of a process")
@pytest.mark.parametrize("limit", [1, 3000])
def test_full_disk_leaves_nothing(limit: int, tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "old": run_folder("forecast")})
    before = contents(tmp_path)
    done = child(tmp_path, limit, *FIT, "--overwrite", "--out", "old")
    assert (done.status, done.out) == (2, ""), done.err
    check_line(done.err, ("--out",))
    after = contents(tmp_path)
    assert {name: digest for name, digest in after.items() if not name.startswith(".old.partial")} == before


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a superuser to become another")
def test_no_permission_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "secret.csv": daily()})
    (tmp_path / "secret.csv").chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    before = contents(tmp_path)
    for words, says in (
        (["describe", "secret.csv"], ("secret.csv", "permission", "chmod")),
        (FIT, ("cannot write", "permission", "--out")),
    ):
        done = child(tmp_path, 0, *words)
        assert (done.status, done.out) == (2, ""), done.err
        check_line(done.err, says)
        assert contents(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "old": run_folder("forecast")})
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "remanence", "predict", str(tmp_path / "old"), str(tmp_path / CSV)],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    check_line(done.stderr, ("standard output",))
