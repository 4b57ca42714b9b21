"""Programs around kernels, against numpy."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from remanence.compiler import arena, threads
from remanence.compiler.kernel import tiles
from remanence.compiler.program import FIRST, NOWHERE, Program
from remanence.compiler.tables import table_of


def _at(array: np.ndarray) -> int:
    return array.ctypes.data


def test_lines_are_run_in_order() -> None:
    there, here = np.full((4, 6), 7, np.float32), np.arange(15, dtype=np.float32).reshape(3, 5)
    numbers, kept = np.zeros(4, np.int64), np.array([5, 6, 7], np.int64)
    program = Program(FIRST, 0)
    program.zero((FIRST, 4), 8)
    program.copy((FIRST, 24), (FIRST + 1, 4), 12, rows=2, strides=(48, 20))
    program.copy((FIRST + 2, 8), program.held(kept), 16)
    program.put((FIRST + 2, 0), (FIRST + 3, 2))
    program.put((FIRST + 2, 24), (NOWHERE, -3))
    program.ready().run([_at(there), _at(here), _at(numbers), 40])
    expected = np.full((4, 6), 7, np.float32)
    expected[0, 1:3] = 0
    expected[1, :3], expected[3, :3] = here[0, 1:4], here[1, 1:4]
    assert (there == expected).all()
    assert numbers.tolist() == [42, 5, 6, -3]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_kernels_run_in_all_their_parts(parts: int) -> None:
    if parts > 1 and threads._pool() is None:
        pytest.skip("this process has no pool of threads to share")
    found, to = np.arange(2 * 40 * 48, dtype=np.float32).reshape(2, 40, 48), np.zeros((45, 40), np.float32)
    room = np.zeros(16, np.int64)
    table = table_of([(FIRST + 1, 0, FIRST + 2, 0, 40 * 48, 2, 48, 40, 45, 40, 0)], 2**20, parts)
    program = Program(FIRST, 0)
    program.launch(tiles("float32").collect, int(table[1]), program.held(table))
    assert program.room <= room.nbytes
    for _ in range(2):
        to[:] = -1
        program.ready().run([_at(room), _at(found), _at(to)])
        assert (to == found.sum(0)[:, :45].T).all()


def test_space_grows_in_lines_of_the_cache() -> None:
    program = Program(FIRST, 128)
    assert [program.space(1), program.space(9), program.space(8)] == [(FIRST, 128), (FIRST, 192), (FIRST, 320)]
    assert program.room == 384


def test_few_elements_are_moved_by_one_thread() -> None:
    assert table_of([], 2**20, 4).tolist() == [0, 4]
    assert table_of([], 2**10, 4).tolist() == [0, 1]


def test_scratch_is_a_threads_own(monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = arena.scratch(1000)
    assert place % 64 == 0
    assert arena.scratch(500)[0] == place
    larger, held = arena.scratch(100_000)
    assert arena.scratch(1000)[0] == larger and held.nbytes >= 100_000
    others: list[int] = []
    thread = threading.Thread(target=lambda: others.append(arena.scratch(1000)[0]))
    thread.start()
    thread.join()
    assert others != [larger]
    # What is large is borrowed, and comes back.
    monkeypatch.setattr(arena, "_MOST_SCRATCH", 100_000)
    arena.release()
    lent, holder = arena.scratch(100_001)
    assert lent != larger and arena.kept_bytes() == 0
    del holder
    assert arena.kept_bytes() > 100_000
    assert arena.scratch(1000)[0] == larger
    arena.release()
