"""What a study is: a published protocol, how its data become a file of ours, and what is to be reached."""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Study", "decompressed", "extract"]


@dataclass(frozen=True)
class Study:
    """One row of the table: what is run, what others reached, what is asked.

    Args:
        source: file below ../shared/data; empty where the data are made.
        unpack: (source, empty folder) → options of `remanence.fit`, `path` among them.
        metrics: name → (what to reach, "at most" or "at least"; empty where nothing is asked).
        seeds: how many are trained.
        together: also measure all seeds answering together.
        folds: parts of a cross-validation, whose test parts are scored together; fold `k` is `split_column="fold<k>"`.
        simple: measure the simple models that learn, too, not only those that know no pattern.
        beside: title → options: also trained with these, one seed, to show beside.
        sentences: texts whose answers are shown with their alignment.
        dynamic: also measure the best seed while it goes on learning, with this step size.
        remark: what a reader of its result should know, in whole sentences; below the table.
    """

    title: str
    protocol: str
    source: str
    unpack: Callable[[Path, Path], dict[str, Any]]
    published: str
    metrics: dict[str, tuple[float, str]]
    seeds: int = 3
    together: bool = False
    folds: int = 0
    simple: bool = False
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    dynamic: float | None = None
    remark: str = ""


def decompressed(source: Path, target: Path) -> Path:
    """Unpack one `.xz` file."""
    target.write_bytes(lzma.decompress(source.read_bytes()))
    return target


def extract(source: Path, folder: Path) -> None:
    """Unpack an archive into a folder."""
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
