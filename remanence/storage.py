"""Files and folders written whole: a reader sees the old one or the new one, never half of one.

write_file      temporary file → fsync → rename
publish         finished folder → fsync of everything → one rename (an exchange where a folder is replaced)
write_sealed    JSON that carries its own digest; read_sealed refuses any other byte
write_tensors   named tensors as safetensors; read_tensors reads them, and executes nothing
sha256          digest of a file, read in pieces
no_write_errors a full disk or a missing permission becomes a `MachineError`
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from remanence.errors import MachineError, RunError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "no_write_errors", "publish", "read_sealed", "read_tensors", "sha256", "sync_folder", "write_file", "write_sealed",
    "write_tensors",
]  # fmt: skip

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_KINDS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""Types of numbers: torch's name → the format's."""
_LARGEST = 1 << 29
"""Bytes of a sealed file: a manifest with a million names stays far below."""


@contextmanager
def no_write_errors(path: str | Path) -> Iterator[None]:
    """Tell a full disk, a missing permission or a read-only file system in one line.

    Raises:
        MachineError: with the path and what to try.
    """
    remedies = {
        errno.ENOSPC: "free some space, or choose another place with --out",
        errno.EDQUOT: "free some of your quota, or choose another place with --out",
        errno.EFBIG: "raise the limit on the size of a file (ulimit -f), or choose another place with --out",
        errno.EACCES: "choose a folder you may write to with --out",
        errno.EPERM: "choose a folder you may write to with --out",
        errno.EROFS: "choose a folder you may write to with --out",
        errno.ENOTDIR: "a part of the path is a file; choose another place with --out",
        errno.ENOENT: "no folder can be made there; choose another place with --out",
        errno.EIO: "the disk is failing; choose another place with --out",
        errno.EEXIST: "a part of the path is a file; choose another place with --out",
        errno.EISDIR: "this is a folder; give the name of a file",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in remedies:
            raise
        where = error.filename or path
        raise MachineError(
            f"{where}: cannot write: {os.strerror(error.errno).lower()}", remedy=remedies[error.errno]
        ) from error


def write_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file whole, flushed to the disk before it gets its name.

    Args:
        path: the file; its folder must exist.
        content: the bytes, or a function that writes them to an open binary file.

    Raises:
        MachineError: the disk is full, or the folder may not be written; nothing is left behind.
    """
    if not path.parent.is_dir():
        raise MachineError(f"{path}: cannot write: no folder {path.parent}", remedy="make it, or choose another place")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with no_write_errors(path):
        try:
            with open(temporary, "wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's own entries, so that a rename in it outlives a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # platforms on which a folder cannot be opened
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "empty"
        ...     _ = file.write_bytes(b"")
        ...     sha256(file)[:8]
        'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write JSON whose last key, `seal`, is the SHA-256 of everything before it."""
    write_file(path, _sealed(content))


def read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """Read what `write_sealed` wrote, and nothing else: a single changed byte, even of white space, is found.

    Raises:
        RunError: the file is missing, no JSON, or was changed since it was written.
    """
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise RunError(f"{path}: {size / 1e9:.1f} GB, expected at most {_LARGEST / 1e9:.1f} GB", remedy=remedy)
        raw = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path}: no such file", remedy=remedy) from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error
    try:
        content = json.loads(raw)
        if not isinstance(content, dict) or "seal" not in content:
            raise ValueError
        body = {key: value for key, value in content.items() if key != "seal"}
        intact = _sealed(body) == raw
    except (ValueError, RecursionError):
        raise RunError(f"{path}: not a file that remanence wrote", remedy=remedy) from None
    if not intact:
        raise RunError(f"{path}: changed or damaged since it was written", remedy=remedy)
    return body


def _sealed(content: dict[str, Any]) -> bytes:
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    seal = hashlib.sha256(body.encode()).hexdigest()
    return (json.dumps({**content, "seal": seal}, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors: the same tensors give the same bytes.

    They are written one by one, since the library's own writer holds two more copies of all of them in memory.

    References:
        Format: https://huggingface.co/docs/safetensors
    """
    # Wide numbers first, so that each starts at a multiple of its size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].numel() * tensors[name].element_size()
        kind = _KINDS[str(tensors[name].dtype).removeprefix("torch.")]
        header[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)

    def write(file: BinaryIO) -> None:
        import torch

        file.write(len(head).to_bytes(8, "little") + head)
        for name in names:
            flat = tensors[name].detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)

    write_file(path, write)


def read_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """Read what `write_tensors` wrote.

    Raises:
        RunError: not a safetensors file.
    """
    import safetensors
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise RunError(f"{path}: not a safetensors file ({error})", remedy=remedy) from error


def publish(finished: Path, target: Path) -> None:
    """Give a finished folder its name, in one step; a folder already there is replaced.

    Where the system can exchange two names (Linux), a reader sees the old folder or the new one at any moment.
    Elsewhere a replaced folder is absent for the instant between two renames.
    """
    with no_write_errors(target):
        for file in finished.rglob("*"):
            if file.is_file():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
            else:
                sync_folder(file)
        sync_folder(finished)
        if not target.exists():
            os.rename(finished, target)
        else:
            old = finished if _exchange(finished, target) else _step_aside(finished, target)
            shutil.rmtree(old, ignore_errors=True)
        sync_folder(target.parent)


def _exchange(left: Path, right: Path) -> bool:
    """Swap two names at once; False where the system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return rename(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _RENAME_EXCHANGE) == 0


def _step_aside(finished: Path, target: Path) -> Path:
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    os.rename(target, old)
    os.rename(finished, target)
    return old
