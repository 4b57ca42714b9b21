"""Files larger than memory: what is held in memory grows by far less than the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Prints the peak of resident memory, mapped pages of files included, in bytes. The parent is small when it starts this.
READ = """
import resource, sys
import numpy as np
from remanence.data import spills
spills.THRESHOLD = 1 << 20
from remanence.data.labelled import prepare_classify
from remanence.data.windows import prepare_forecast
from remanence.settings import DataSettings
path, kind = sys.argv[1:]
if kind == "series":
    settings = DataSettings(target=("load",), observed=("a", "b", "c"), context=48, horizon=12)
    parts = prepare_forecast(path, settings)
else:
    parts = prepare_classify(path, DataSettings(input=("text",), label="label", tokens="characters"))
for part in (parts.train, parts.valid, parts.test):
    for start in range(0, len(part), 4096):
        part.batch(np.arange(start, min(start + 64, len(part))))
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024)
"""


def _series(path: Path, rows: int) -> None:
    lines = [f"{row % 97 / 7:.5f},{row % 89 / 3:.5f},{row % 83 / 11:.5f},{row % 79 / 13:.5f}\n" for row in range(5000)]
    with path.open("w") as file:
        file.write("step,load,a,b,c\n")
        for row in range(rows):
            file.write(f"{row},{lines[row % 5000]}")


def _texts(path: Path, rows: int) -> None:
    lines = []
    for row in range(5000):
        words = " ".join(f"word{row * step % 499}" for step in range(1, 25))
        lines.append(f"{words} 内容很好,{'good' if row % 2 else 'bad'}\n")
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        file.writelines(lines[row % 5000] for row in range(rows))


def _peak(path: Path, kind: str) -> int:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), kind], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize(("kind", "write", "rows"), [("series", _series, 700_000), ("texts", _texts, 240_000)])
def test_memory_grows_by_far_less_than_the_file(kind: str, write, rows: int, tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    write(small, rows)
    write(large, rows * 3)
    more = large.stat().st_size - small.stat().st_size
    # Buffers of a fixed size are full before the small file ends.
    assert more > 50e6
    assert _peak(large, kind) - _peak(small, kind) < 0.5 * more
