"""The folder of kernels: two processes at once, no folder to write, the cap, and what a cached kernel computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remanence.compiler import cache, kernel, program
from remanence.nn import fused, quick

# Trains a small cell for three steps; `bits` is every bit of its weights.
SCRIPT = """
import torch
from remanence.cells import Cell
from remanence.nn import Recurrent
torch.manual_seed(1)
layer = Recurrent(Cell("leaky", ("h",), "h", "h = tanh(W @ x + U @ h)", "an example"), 3, 5)
assert layer.path == "cpu-fused", layer.path_reason
steps = torch.optim.SGD(layer.parameters(), 0.1)
for _ in range(3):
    steps.zero_grad()
    layer(torch.randn(2, 9, 3)).output.square().sum().backward()
    steps.step()
bits = [weight.detach().numpy().tobytes().hex() for weight in layer.parameters()]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REMANENCE_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def _bits() -> str:
    """Run the script in this process, as if no kernel had been asked for before."""
    found = (
        kernel.tiles,
        kernel.shared_by_all,
        program._perform,
        fused._failure,
        fused._built,
        quick._loops,
        quick._cell_loops,
    )
    forget = (kernel._BUILT.clear, *(known.cache_clear for known in found))
    for each in forget:
        each()
    names: dict[str, list[str]] = {}
    exec(SCRIPT, names)
    for each in forget:
        each()
    return f"{names['bits']}\n"


def test_two_processes_at_once_and_one_from_their_cache_agree_to_the_bit(folder: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT + "print(bits)"]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    compiled = _bits()
    printed, errors = other.communicate(timeout=120)
    assert other.returncode == 0, errors[-2000:]
    kept = sorted(path.name for path in folder.glob("*.py"))
    assert compiled == printed == _bits()
    assert [name.partition("_")[0] for name in kept] == ["backward", "calls", "forward", "tiles"]
    assert sorted(path.name for path in folder.glob("*.py")) == kept
    assert not list(folder.glob("*.part"))


def test_a_cached_kernel_needs_no_compiler_and_a_damaged_one_is_made_anew(folder: Path) -> None:
    compiled = _bits()
    alone = "import sys; sys.modules['remanence.compiler.compiling'] = None\n" + SCRIPT + "print(bits)"
    run = subprocess.run([sys.executable, "-W", "error", "-c", alone], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, compiled), run.stderr[-2000:]
    path, made = next(folder.glob("tiles_*.py")), list[int]()
    whole = path.with_suffix(".o").read_bytes()

    def compile() -> bytes:
        made.append(1)
        return b"code"

    assert cache.product(path, compile) == whole[32:] and not made
    for damaged in (whole[:-1], whole[:40] + b"?" + whole[41:], b""):
        path.with_suffix(".o").write_bytes(damaged)
        assert cache.product(path, compile) == b"code"
        assert cache.product(path, compile) == b"code"
    assert len(made) == 3


def test_a_file_is_written_once(folder: Path) -> None:
    path = cache.written("value = 1\n", "a" * 64, "forward")
    before = path.stat().st_mtime_ns
    assert cache.written("value = 1\n", "a" * 64, "forward") == path
    assert path.stat().st_mtime_ns == before
    assert path.parent == folder and cache.loaded(path).value == 1
    # What was cut short or changed by hand is written anew.
    path.write_text("value = 2\n", encoding="utf-8")
    assert cache.loaded(cache.written("value = 1\n", "a" * 64, "forward")).value == 1


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cache.written("value = 1\n", "b" * 64, "forward")
    cache._working.cache_clear()

    def refuse(*_: object, dir: Path) -> None:
        raise PermissionError(f"read-only: {dir}")

    monkeypatch.setattr(cache.tempfile, "TemporaryFile", refuse)
    own = cache.written("value = 1\n", "b" * 64, "forward")
    assert own.parent != folder and own.stat().st_mtime_ns == kept.stat().st_mtime_ns
    assert cache.written("value = 2\n", "c" * 64, "forward").parent == own.parent
    assert sorted(folder.glob("*.py")) == [kept]
    monkeypatch.setenv("REMANENCE_CACHE", str(kept / "below a file"))
    assert cache.loaded(cache.written("value = 3\n", "d" * 64, "forward")).value == 3
    cache._working.cache_clear()


def test_the_kernels_unused_for_longest_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 2500)
    for number, key in enumerate("abc"):
        path = cache.written("#" * 1000, key * 64, "forward")
        os.utime(path, (number, number))
    cache.written("#" * 1000, "d" * 64, "forward")
    assert sorted(path.name[8] for path in folder.glob("*.py")) == ["b", "c", "d"]


def test_clear_leaves_nothing_and_says_what_was_there(folder: Path) -> None:
    assert cache.contents().kernels == 0
    cache.written("value = 1\n", "e" * 64, "tiles")
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__" / f"tiles_{'e' * 32}.f.1.nbc").write_bytes(b"1234")
    assert cache.product(folder / f"tiles_{'e' * 32}.py", lambda: b"code") == b"code"
    assert cache.clear() == cache.Contents(folder, 1, 14 + 32 + 4)
    assert cache.contents() == cache.Contents(folder, 0, 0)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_every_file_of_the_compiler_shapes_a_kernel() -> None:
    """Kernels are written by many of them, and an old one must never meet a new one's memory."""
    known = kernel._surroundings()
    for path in Path(kernel.__file__).parent.glob("*.py"):
        assert path.read_bytes() in known, path.name
