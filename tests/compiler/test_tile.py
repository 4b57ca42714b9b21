"""Register tiles against numpy: every remainder of rows and columns, both dtypes, every vector width."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Whole numbers, whose sums are exact in float32 too, so that nothing but equality is right.
SCRIPT = """
import sys
import numpy as np
from remanence.compiler import tile
from remanence.compiler.vector import MACHINE

assert MACHINE.name == sys.argv[1], MACHINE
draw = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    size = np.dtype(dtype).itemsize
    one = MACHINE.width(size)
    widths = [1, one, one * MACHINE.vectors - 1, *(one * n + 3 for n in range(2 * MACHINE.vectors + 1))]
    for rows in range(1, 2 * MACHINE.rows + 2):
        for columns in widths:
            for depth in (1, 2, 5, 33):
                a = draw.integers(-9, 10, (rows, depth)).astype(dtype)
                b = draw.integers(-9, 10, (columns, depth)).astype(dtype)
                wide = tile.padded(columns, size)
                packed = np.zeros(3 + tile.packed_size(columns, depth, size), dtype)
                for transposed, matrix in ((True, b), (False, np.ascontiguousarray(b.T))):
                    tile.pack(matrix, packed, 3, depth, wide, 0, 0, transposed)
                    for fresh in (True, False):
                        c = np.full((rows, wide), 7, dtype)
                        left, sum_ = a.reshape(-1), c.reshape(-1)
                        tile.accumulate(sum_, 0, wide, left, 0, depth, rows, packed, 3, depth, wide, fresh)
                        expected = a @ b.T + (0 if fresh else 7)
                        assert (c[:, :columns] == expected).all(), (dtype, rows, columns, depth, transposed, fresh)
assembly = "".join(tile.accumulate.inspect_asm().values())
print("zmm" in assembly, "ymm" in assembly)
"""


def _supported(name: str) -> bool:
    import llvmlite.binding

    features = llvmlite.binding.get_host_cpu_features()
    needed = {"avx512": "avx512f", "avx2": "avx2"}.get(name)
    return needed is None or bool(features.get(needed))


@pytest.mark.parametrize("name", ["avx512", "avx2", "neon"])
def test_tile_equals_numpy_for_every_remainder(name: str) -> None:
    if not _supported(name):
        pytest.skip(f"this machine has no {name}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        env={**os.environ, "REMANENCE_VECTOR": name},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if platform.machine() == "x86_64" and name != "neon":
        # The width that was asked for is the one that runs, not code kept from another.
        assert done.stdout.split()[0] == str(name == "avx512")


def test_unknown_vector_unit_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import remanence.compiler.vector"],
        env={**os.environ, "REMANENCE_VECTOR": "sse9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "REMANENCE_VECTOR is 'sse9'; expected one of avx512, avx2, neon" in done.stderr
