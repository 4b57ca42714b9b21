"""What test_malformed.py and test_no_room.py share: good files to spoil, runs to damage, a look at a folder."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as papq
from helpers import command

from remanence.storage import read_sealed, write_sealed

Content = str | bytes | Callable[[Path], object]
TINY = ["--steps", "3", "--hidden", "4", "--threads", "1", "--beside", "none"]
FIT = ["fit", "d.csv", "--target", "load", "--horizon", "2", "--context", "4", *TINY, "--out", "run"]
READ = ["fit", "d.csv", "--task", "classify", "--input", "text", "--label", "label", *TINY, "--out", "run"]
RUNS: dict[str, Path] = {}
CSV = "d.csv"


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


def make_sparse(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


def train_runs(folder: Path) -> None:
    """Train the runs that cases copy, once a process."""
    if RUNS:
        return
    for name, text, words in (("forecast", daily(), FIT), ("classify", reviews(), READ)):
        (folder / f"{name}.csv").write_text(text)
        done = command(words[0], folder / f"{name}.csv", *words[2:-1], folder / name)
        assert done.status == 0, done.err
        RUNS[name] = folder / name


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
