"""Sources compiled at once, in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from remanence.compiler import aside, cache

# Says which process compiled it.
SOURCE = """
import os
from pathlib import Path

from remanence.compiler.compiling import compiled
from remanence.compiler.values import INT, Pointer

Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))


@compiled(Pointer.of(INT))
def {name}(numbers):
    numbers[0] = {value}
"""
NAMES = ("one", "two", "three")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("REMANENCE_CACHE", str(tmp_path))
    return [
        cache.written(SOURCE.format(name=name, value=place), f"{place:064}", name) for place, name in enumerate(NAMES)
    ]


def _process(path: Path) -> int:
    return int(path.with_suffix(".pid").read_text())


@pytest.mark.parametrize("others", [1, 2, 5])
def test_each_source_is_compiled_once_by_as_many_processes_as_may(
    others: int, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "_others", lambda: others)
    aside.compile_all(paths)
    assert all(cache.has(path) for path in paths)
    processes = [_process(path) for path in paths]
    assert processes[0] == os.getpid() and len(set(processes)) == 1 + min(others, 2)
    for path in paths:
        path.with_suffix(".pid").unlink()
    aside.compile_all(paths)
    assert not any(path.with_suffix(".pid").exists() for path in paths), "what is there is not compiled again"


def test_what_another_process_fails_at_is_said_where_it_is_asked_for(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "_others", lambda: 1)
    broken = cache.written("raise RuntimeError('no such vector')", "f" * 64, "broken")
    aside.compile_all([paths[0], broken, paths[1]])
    assert cache.has(paths[0]) and not cache.has(broken)
    aside.code_of(paths[1])
    with pytest.raises(RuntimeError, match="no such vector"):
        aside.code_of(broken)


def test_a_program_that_holds_python_does_not_start_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert aside._others() >= 0
    monkeypatch.setattr(sys, "executable", "app")
    assert aside._others() == 0
    monkeypatch.setattr(sys, "executable", "python3")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert aside._others() == 0


def test_modules_are_not_taken_from_the_folder_one_works_in(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llvmlite.py").write_text("raise SystemExit('not this one')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(aside, "_others", lambda: 1)
    aside.compile_all(paths)
    assert cache.has(paths[1]) and _process(paths[1]) != os.getpid()


def test_where_no_process_can_be_started_this_one_compiles(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(aside, "_others", lambda: 1)
    monkeypatch.setattr(aside.subprocess, "Popen", refuse)
    aside.compile_all(paths)
    assert cache.has(paths[0]) and not cache.has(paths[1])
