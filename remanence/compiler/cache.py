"""The folder of compiled kernels: files named by what shaped them, written whole, never rewritten, capped.

    written(source, key, kind) → a file `kind_key.py`; `product` keeps what is made of it beside it, its hash before it

What else takes seconds to make, and is the same for every process, lies here too: the script that draws figures.

Where the folder cannot be written, this process works in a folder of its own, begun as a copy of what could be read.
Machine code is loaded from here: the folder must belong to the user alone, and is made so.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

__all__ = ["MOST_BYTES", "Contents", "cache_folder", "clear", "contents", "loaded", "product", "written"]

MOST_BYTES = 256 * 2**20
"""Beyond this, the files unused for longest go when a kernel is added."""
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Contents:
    """What the cache folder holds: its place, how many kernels, how many bytes with their machine code."""

    folder: Path
    kernels: int
    bytes: int


def cache_folder() -> Path:
    """Where kernels are kept: `kernels` in REMANENCE_CACHE, else in the user's cache folder."""
    root = os.environ.get("REMANENCE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "remanence"
    )
    return Path(root) / "kernels"


def contents() -> Contents:
    """Count what the cache folder holds."""
    groups = _groups(cache_folder())
    total = sum(file.stat().st_size for files in groups.values() for file in files if file.is_file())
    return Contents(cache_folder(), len(groups), total)


def clear() -> Contents:
    """Remove every kernel from the cache folder; returns what it held."""
    held = contents()
    for files in _groups(held.folder).values():
        _remove(files)
    return held


def written(source: str, key: str, kind: str) -> Path:
    """The file of a source, written if it is not there."""
    folder = _working(cache_folder())
    path = folder / f"{kind}_{key[:32]}.py"
    if path.is_file() and path.read_text(encoding="utf-8") == source:
        return path
    _prune(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _put(path, source.encode())
    return path


def product(path: Path, make: Callable[[], bytes]) -> bytes:
    """The object file of a written source: read, or made and kept. One that was cut short or changed is made anew.

    Args:
        path: of the source.
        make: compiles the source.
    """
    beside = path.with_suffix(".o")
    held = _held(beside)
    if held is not None:
        with suppress(OSError):
            # Last used now, for `_prune`.
            os.utime(beside)
        return held
    code = make()
    _put(beside, hashlib.sha256(code).digest() + code)
    return code


def _held(path: Path) -> bytes | None:
    """An object file; None where there is none, or not as it was written."""
    with suppress(OSError):
        held = path.read_bytes()
        if hashlib.sha256(held[_DIGEST:]).digest() == held[:_DIGEST]:
            return held[_DIGEST:]
    return None


def _put(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it."""
    handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise


def loaded(path: Path) -> ModuleType:
    """Import a written file."""
    specification = importlib.util.spec_from_file_location(f"remanence_{path.stem}", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@lru_cache(maxsize=8)
def _working(folder: Path) -> Path:
    """The folder itself where it can be written, else a copy for this process."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in (folder, folder / "__pycache__"):
            place.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError:
        own = Path(tempfile.mkdtemp(prefix="remanence-kernels-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        with suppress(OSError):
            shutil.copytree(folder, own, dirs_exist_ok=True)
        return own
    return folder


def _groups(folder: Path) -> dict[str, list[Path]]:
    """Stem of each kernel → its files, the machine code's first."""
    sources = {path.stem: path for path in folder.glob("*_*.py")}
    return {
        stem: [*(folder / "__pycache__").glob(f"{stem}.*"), *folder.glob(f"{stem}.o"), path]
        for stem, path in sources.items()
    }


def _remove(files: list[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink()


def _prune(folder: Path) -> None:
    """Remove the kernels unused for longest until the rest fit; another process may be doing the same."""
    known = []
    for files in _groups(folder).values():
        with suppress(OSError):
            facts = [file.stat() for file in files]
            known.append((max(fact.st_mtime for fact in facts), sum(fact.st_size for fact in facts), files))
    total = sum(size for _, size, _ in known)
    for _, size, files in sorted(known, key=lambda item: item[0]):
        if total <= MOST_BYTES:
            return
        _remove(files)
        total -= size
