"""Sources that are not compiled yet, compiled at once: one here, the others in processes of their own.

A new cell's loops and the tiles that they share do not depend on each other, so on two cores its first use takes little
more than half the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from remanence.compiler import cache
from remanence.cores import usable_cores

__all__ = ["code_of", "compile_all"]


def code_of(path: Path) -> bytes:
    """The object file of a written source; compiled, or read from the cache."""

    def make() -> bytes:
        from remanence.compiler.compiling import object_file

        return object_file(cache.loaded(path), path.stem)

    return cache.product(path, make)


def compile_all(paths: Sequence[Path]) -> None:
    """Compile those of the written sources that the cache does not have, the longest first, where it pays.

    What is left, for want of cores or because another process failed at it, `code_of` compiles, and says why it cannot.
    """
    missing, others = [path for path in paths if not cache.has(path)], _others()
    if len(missing) < 2:
        return
    began: list[subprocess.Popen[bytes]] = []
    try:
        # Where there is no room for another process, this one compiles all.
        with suppress(OSError):
            for start in range(min(others, len(missing) - 1)):
                began.append(_begun(missing[1 + start :: others]))
        code_of(missing[0])
        for process in began:
            process.wait()
    finally:
        for process in began:
            process.kill()
            process.wait()


def _others() -> int:
    """How many processes may compile beside this one."""
    # A program that Python is built into would start itself again.
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").name.startswith("python"):
        return 0
    return usable_cores() - 1


def _begun(paths: Sequence[Path]) -> subprocess.Popen[bytes]:
    # Modules come from where this process has them, never from the folder that it happens to work in.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", "remanence.compiler.aside", *map(str, paths)]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdin=silent, stdout=silent, stderr=silent)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        code_of(Path(each))
