"""Register tiles against numpy: every remainder of rows and columns, both dtypes, every vector width."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Whole numbers, whose sums are exact in float32 too, so that nothing but equality is right.
SCRIPT = """
import ctypes
import sys
import numpy as np
from remanence.compiler import panels, tile
from remanence.compiler.kernel import tiles
from remanence.compiler.machine import MACHINE

assert MACHINE.name == sys.argv[1], MACHINE
draw = np.random.default_rng(0)
LONG, PLACE = ctypes.c_int64, ctypes.c_void_p
at = lambda array: array.ctypes.data
for dtype in (np.float32, np.float64):
    whole = lambda *shape: draw.integers(-9, 10, shape).astype(dtype)
    size = np.dtype(dtype).itemsize
    one = MACHINE.width(size)
    known = tiles(np.dtype(dtype).name)
    spread = ctypes.CFUNCTYPE(None, PLACE, PLACE, LONG, PLACE, PLACE, LONG, PLACE, PLACE, *[LONG] * 4)(known.spread)
    gather = ctypes.CFUNCTYPE(None, PLACE, LONG, PLACE, PLACE, LONG, PLACE, PLACE, LONG, *[LONG] * 3)(known.gather)
    sums = ctypes.CFUNCTYPE(None, PLACE, PLACE, PLACE, LONG, LONG, LONG)(known.sums)
    pack, collect = (ctypes.CFUNCTYPE(None, LONG, PLACE, PLACE)(address) for address in (known.pack, known.collect))
    def share(function, line, parts, *bases):
        table, bases = np.array([1, parts, *line]), np.array([at(base) for base in bases])
        for part in range(parts):
            function(part, at(table), at(bases))
    widths = [1, one, one * MACHINE.vectors - 1, *(one * n + 3 for n in range(2 * MACHINE.vectors + 1))]
    for rows in range(1, 2 * MACHINE.rows + 2):
        left, right = draw.permutation(rows + 3)[:rows], draw.permutation(rows + 3)[:rows]
        for columns in widths:
            for depth in (1, 2, 5, 33):
                wide = panels.padded(columns, size)
                a, d, b, start = whole(rows + 3, depth), whole(rows + 3, wide), whole(columns, depth), whole(wide)
                packed = np.zeros(3 + wide * depth, dtype)
                for transposed, matrix in ((True, b), (False, np.ascontiguousarray(b.T))):
                    packed[:] = 0
                    line = 1, 0, 0, 3, depth, columns, depth, wide, 0, 0, transposed
                    share(pack, line, 1 + rows % 3, packed, matrix)
                    for mode, begun in ((tile.ADD, 7), (tile.FRESH, 0), (tile.START, start)):
                        c = np.full((rows + 3, wide + 2), 7, dtype)
                        behind = at(packed) + 3 * size
                        spread(at(c), at(right), wide + 2, at(a), at(left), depth, behind, at(start), rows, depth,
                               wide, mode)
                        expected = a[left] @ b.T + np.broadcast_to(begun, wide)[:columns]
                        assert (c[right, :columns] == expected).all(), (dtype, rows, columns, depth, transposed, mode)
                        assert (np.delete(c, right, 0) == 7).all() and (c[:, wide:] == 7).all()
                c = np.full((depth, wide), 7, dtype)
                gather(at(c), wide, at(a), at(left), depth, at(d), at(right), wide, rows, depth, wide)
                assert (c == a[left].T @ d[right] + 7).all(), (dtype, rows, columns, depth)
                found, to = whole(2, 5 + depth * wide), np.full((columns, depth), 7, dtype)
                for adding in (1, 0):
                    line = 0, 5, 1, 0, found.shape[1], 2, wide, depth, columns, depth, adding
                    share(collect, line, 1 + rows % 3, found, to)
                    expected = found[:, 5:].sum(0).reshape(depth, wide)[:, :columns].T + 7 * adding
                    assert (to == expected).all(), (columns, depth, adding)
            total = np.full(wide, 7, dtype)
            sums(at(total), at(d), at(right), wide, rows, wide)
            assert (total == d[right].sum(0) + 7).all()
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
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_unknown_vector_unit_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import remanence.compiler.vector"],
        env={**os.environ, "REMANENCE_VECTOR": "sse9"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "REMANENCE_VECTOR is 'sse9'; expected one of avx512, avx2, neon" in done.stderr
