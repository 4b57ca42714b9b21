"""A file as large as the memory: `fit` and `predict` on 1 GB of CSV, under 1 GB of memory.

    python -m bench.big                     both files, 1000 MB each
    python -m bench.big series --size 200   one of them, smaller

Each command runs as a process of its own; its peak is what the kernel counts as resident (`ru_maxrss`): heap, libraries
and mapped pages of files alike. A peak over the limit ends with exit status 1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]

LIMIT_MB = 1000
# Nothing heavy is imported here: a child begins with the resident pages of its parent.
PROGRAM = [sys.executable, "-m", "remanence"]
FIT = ["--steps", "100", "--hidden", "16", "--threads", "1", "--beside", "none", "--quiet"]
STRIDE = "500"


def write_series(path: Path, size: int) -> None:
    """A row a minute: the time, a load with a daily wave, and six more columns of numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pacsv

    random, first, rows = np.random.default_rng(0), np.datetime64("1970-01-01T00:00:00", "s"), 1 << 18
    names = ["time", "load", *(f"sensor{place}" for place in range(1, 7))]
    level = np.zeros(7)
    with path.open("wb") as file:
        begun = 0
        while file.tell() < size:
            minutes = np.arange(begun, begun + rows)
            noise = random.standard_normal((rows, 7)) * 0.1
            noise[:, 1:] = np.cumsum(noise[:, 1:], 0) * 0.1 + level[1:]
            level = noise[-1]
            wave = 10 + 3 * np.sin(2 * np.pi * minutes / 1440) + noise[:, 0] + 0.2 * noise[:, 1]
            times = pa.array(first + minutes.astype("m8[m]")).cast(pa.string())
            numbers = np.round(np.column_stack([wave, noise[:, 1:]]), 4)
            table = pa.table([times, *(numbers[:, place] for place in range(7))], names)
            options = pacsv.WriteOptions(include_header=begun == 0, quoting_style="none")
            pacsv.write_csv(table, file, options)
            begun += rows


def write_texts(path: Path, size: int) -> None:
    """A text and its class a row, English and Chinese by turns; three words in a hundred tell the class."""
    import numpy as np

    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    english = ["".join(random.choice(letters, random.integers(2, 10))) for _ in range(40_000)]
    chinese = ["".join(map(chr, 0x4E00 + random.integers(0, 3000, random.integers(1, 4)))) for _ in range(20_000)]
    told = {"good": ["wonderful", "精彩"], "bad": ["dreadful", "糟糕"]}
    # Words by Zipf's law; phrases are drawn once and put together anew in each text.
    phrases = []
    for words, between in ((english, " "), (chinese, "")):
        places = np.minimum(random.zipf(1.2, (20_000, 12)), len(words)) - 1
        phrases.append([between.join(words[place] for place in row) for row in places])
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        row = 0
        while file.tell() < size:
            for _ in range(10_000):
                label, language = ("good", "bad")[row % 2], row // 2 % 2
                drawn = random.integers(0, 20_000, random.integers(1, 8)).tolist()
                body = ("，" if language else " , ").join(phrases[language][place] for place in drawn)
                mark = told[label][language]
                file.write(f'"{body}，{mark}",{label}\n' if language else f'"{body} {mark}",{label}\n')
                row += 1


def run(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run the program to its end: its peak in MB (10⁶ bytes), and seconds."""
    environment = os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with subprocess.Popen([*PROGRAM, *arguments], env=environment, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if child.returncode:
        raise SystemExit(f"remanence {' '.join(arguments)}: exit status {child.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6, seconds


def series(folder: Path) -> dict[str, list[str]]:
    """The commands for a series."""
    data, fitted = str(folder / "series.csv"), str(folder / "series-run")
    return {
        "fit": ["fit", data, "--target", "load", "--stride", STRIDE, "--out", fitted, *FIT],
        "fit, every window": ["fit", data, "--target", "load", "--out", f"{fitted}-every", *FIT],
        "predict": ["predict", fitted, data, "--out", str(folder / "series.answers.csv")],
        "evaluate": ["evaluate", fitted, "--json"],
    }


def texts(folder: Path) -> dict[str, list[str]]:
    """The commands for texts."""
    data, fitted = str(folder / "texts.csv"), str(folder / "texts-run")
    return {
        "fit": ["fit", data, "--input", "text", "--label", "label", "--out", fitted, *FIT],
        "predict to CSV": ["predict", fitted, data, "--out", str(folder / "texts.answers.csv")],
        "predict to Parquet": ["predict", fitted, data, "--out", str(folder / "texts.answers.parquet")],
        "evaluate": ["evaluate", fitted, "--json"],
    }


KINDS: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], dict[str, list[str]]]]] = {
    "series": (write_series, series),
    "texts": (write_texts, texts),
}


def measure(kind: str, size_mb: int, only: list[str]) -> list[dict[str, Any]]:
    """Make one file, run its commands one after the other, and leave nothing behind."""
    write, commands = KINDS[kind]
    with tempfile.TemporaryDirectory(prefix="remanence-big-") as scratch:
        folder = Path(scratch)
        if shutil.disk_usage(folder).free < 6e6 * size_mb:
            raise SystemExit(f"{folder}: {6 * size_mb} MB are needed; set TMPDIR to a larger disk")
        data = folder / f"{kind}.csv"
        maker = multiprocessing.get_context("spawn").Process(target=write, args=(data, int(size_mb * 1e6)))
        maker.start()
        maker.join()
        rows = []
        for name, arguments in commands(folder).items():
            if only and name not in only:
                continue
            peak, seconds = run(arguments, folder)
            row = {"file": kind, "megabytes": data.stat().st_size / 1e6, "command": name}
            rows.append(row | {"peak_megabytes": peak, "seconds": seconds})
            print(f"{kind} {row['megabytes']:.0f} MB · {name}: {peak:.0f} MB, {seconds:.0f} s", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and keep the result of a full-size run; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.big", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--size", type=int, default=1000, help="megabytes of each file (default 1000)")
    parser.add_argument("--only", action="append", default=[], metavar="COMMAND", help="such as fit or predict")
    asked = parser.parse_args(arguments)
    rows = [row for kind in asked.kinds or KINDS for row in measure(kind, asked.size, asked.only)]
    over = [row for row in rows if row["peak_megabytes"] >= LIMIT_MB]
    for row in over:
        print(f"{row['file']}, {row['command']}: {row['peak_megabytes']:.0f} MB is over {LIMIT_MB}", file=sys.stderr)
    if asked.size >= 1000 and not asked.only and not asked.kinds:
        kept = Path(__file__).parent / "results" / "big.json"
        kept.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
