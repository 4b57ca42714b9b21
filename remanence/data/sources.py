"""Files as streams of bytes: found or refused, decompressed, watched for NUL bytes, fingerprinted."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from remanence.data.media.listing import SOUNDS, VECTORS, VIDEOS
from remanence.data.spills import full_disk
from remanence.errors import DataError

__all__ = [
    "COMPRESSED",
    "FORMATS",
    "TABLES",
    "file_format",
    "find",
    "fingerprint",
    "format_of_name",
    "open_binary",
    "open_bytes",
    "open_native",
    "open_text",
    "reading",
]

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ts": "ts",
    ".arff": "arff",
    ".txt": "text",
    ".conllu": "conllu",
    ".conll": "conll",
    ".bio": "conll",
    ".bmes": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".mat": "mat",
    ".npz": "npz",
    **dict.fromkeys((".wav", ".flac", ".ogg", ".oga", ".mfc", ".npy"), "sound"),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif"), "video"),
}
TABLES = ("csv", "tsv", "parquet", "jsonl")
COMPRESSED = (".xz", ".gz")
_IDX = re.compile(r"[-.]idx\d(-ubyte)?(\.xz|\.gz)?$", re.IGNORECASE)
"""How the names of idx files end, which have no suffix."""


def find(path: str | Path) -> Path:
    """Check that a file is there and can be read.

    Raises:
        DataError: no such file (the nearest name beside it is suggested), a directory, no permission, an empty file.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(entry.name for entry in path.iterdir() if entry.is_file())[:3]
        remedy = f"name a file in it, such as {path / inside[0]}" if inside else "name a file"
        raise DataError("this is a directory, expected a file", path=path, remedy=remedy)
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = get_close_matches(path.name, beside, n=1)
        remedy = f"did you mean {path.parent / close[0]}?" if close else "check the path"
        raise DataError("no such file", path=path, remedy=remedy)
    if not os.access(path, os.R_OK):
        raise DataError("no permission to read this file", path=path, remedy=f"chmod u+r {path.name}")
    if path.stat().st_size == 0:
        media = path.suffix.lower() in (*SOUNDS, *VECTORS, *VIDEOS)
        remedy = "copy the file again" if media else "expected a header line and rows below it"
        raise DataError("the file is empty", path=path, remedy=remedy)
    return path


def format_of_name(path: Path) -> str | None:
    """The format that a file's name, without `.xz` or `.gz`, tells; None where it tells none.

    Example:
        >>> format_of_name(Path("a.TXT.gz")), format_of_name(Path("a.xz")), format_of_name(Path("notes"))
        ('text', None, None)
    """
    if _IDX.search(path.name):
        return "idx"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def file_format(path: Path, given: str | None) -> str:
    """Name the format of a file: as given, or by its name."""
    if found := given or format_of_name(path):
        return found
    raise DataError(
        f"the format cannot be told from the name (known endings: {' '.join(FORMATS)})",
        path=path,
        remedy="name it, such as --format csv",
    )


def fingerprint(*paths: Path) -> str:
    """SHA-256 over the bytes of these files, in this order."""
    digest = hashlib.sha256()
    for path in paths:
        with reading(path), path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed: bytes of any kind."""
    ending = path.suffix.lower()
    if ending == ".xz":
        return lzma.LZMAFile(path)
    if ending == ".gz":
        return cast(IO[bytes], gzip.GzipFile(path))
    return path.open("rb", buffering=0)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed; a NUL byte in it is an error."""
    with reading(path):
        inner = open_binary(path)
    return io.BufferedReader(_Watched(inner, path), buffer_size=1 << 20)


@contextmanager
def open_native(path: Path) -> Iterator[pa.NativeFile]:
    """Open a file for the threads of Arrow, decompressed.

    They let go of what they read at a time of their own. Were it Python's memory, a thread that still holds some
    of it while the interpreter ends would abort the whole process. So none is: what Arrow cannot decompress by
    itself (`.xz`) goes through a temporary file.
    """
    ending = path.suffix.lower()
    if ending == ".gz":
        with pa.OSFile(str(path)) as packed, pa.CompressedInputStream(packed, "gzip") as file:
            yield file
    elif ending == ".xz":
        with tempfile.TemporaryDirectory(prefix="remanence-") as folder:
            plain = Path(folder) / "plain"
            with open_bytes(path) as packed, full_disk(), plain.open("wb") as copy:
                shutil.copyfileobj(packed, copy, 1 << 20)
            with pa.OSFile(str(plain)) as file:
                yield file
    else:
        with pa.OSFile(str(path)) as file:
            yield file


def open_text(path: Path, newline: str | None = "") -> io.TextIOWrapper:
    """Open a file as UTF-8 lines; bytes that are not UTF-8 come as surrogates, for a caller to find.

    Args:
        path: the file.
        newline: line ends are kept as they are; None makes each a `\\n`.
    """
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="surrogateescape", newline=newline)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading into a `DataError`."""
    try:
        yield
    except PermissionError:
        raise DataError("no permission to read this file", path=path, remedy=f"chmod u+r {path.name}") from None
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the compressed file is damaged or cut short ({error})",
            path=path,
            remedy="copy or download it again",
        ) from None


class _Watched(io.RawIOBase):
    """A stream that refuses NUL bytes, which no text file holds."""

    def __init__(self, inner: IO[bytes], path: Path) -> None:
        self._inner, self._path, self._seen, self._lines = inner, path, 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        with reading(self._path):
            block = self._inner.read(len(buffer))
        if not self._seen:
            _refuse_foreign(block, self._path)
        if b"\0" in block:
            before = block[: block.index(b"\0")]
            offset = self._seen + len(before)
            # Lines before this block are counted only now, by a second look at the file.
            line = 1 + _newlines(self._path, self._seen) + before.count(b"\n")
            raise DataError(
                f"a NUL byte at offset {offset}",
                path=self._path,
                line=line,
                remedy="the file is damaged or binary; save it as UTF-8 text",
            )
        self._seen += len(block)
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._inner.close()
        super().close()


_FOREIGN = {
    b"\xff\xfe": ("UTF-16 text", "save it as 'CSV UTF-8', or iconv -f UTF-16 -t UTF-8 {name} > utf8-{name}"),
    b"\xfe\xff": ("UTF-16 text", "save it as 'CSV UTF-8', or iconv -f UTF-16 -t UTF-8 {name} > utf8-{name}"),
    b"PK\x03\x04": ("an Excel workbook or another zip archive", "save it as CSV, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as CSV"),
    b"\x1f\x8b": ("compressed by gzip", "name it {name}.gz"),
    b"\xfd7zXZ\x00": ("compressed by xz", "name it {name}.xz"),
    b"PAR1": ("a Parquet file", "use --format parquet"),
}


def _refuse_foreign(start: bytes, path: Path) -> None:
    for sign, (what, remedy) in _FOREIGN.items():
        if start.startswith(sign):
            raise DataError(f"{what}, expected UTF-8 text", path=path, remedy=remedy.format(name=path.name))


def _newlines(path: Path, stop: int) -> int:
    opener = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix.lower(), open)
    lines = 0
    with opener(path, "rb") as file:
        while stop > 0 and (block := file.read(min(stop, 1 << 20))):
            lines += block.count(b"\n")
            stop -= len(block)
    return lines
