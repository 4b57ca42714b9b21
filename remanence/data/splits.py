"""Who learns, who chooses, who judges: splits by time, by label, by group, fixed before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from remanence.errors import DataError, SettingError

__all__ = ["PARTS", "cut_in_time", "split_examples", "split_groups", "split_marks"]

PARTS = ("train", "valid", "test")
_MARKS = {"train": 0, "training": 0, "valid": 1, "validation": 1, "val": 1, "dev": 1, "test": 2, "testing": 2}
_SEED = 20000228
"""Splits never depend on a training seed."""


def cut_in_time(rows: int, split: Sequence[float]) -> tuple[int, int, int]:
    """Where train, valid and test end among the rows of a series.

    Example:
        >>> cut_in_time(100, (0.6, 0.2, 0.2)), cut_in_time(17420, (8640, 2880, 2880))
        ((60, 80, 100), (8640, 11520, 14400))
    """
    if _counts(split):
        ends = np.cumsum([int(part) for part in split]).tolist()
        return min(ends[0], rows), min(ends[1], rows), min(ends[2], rows)
    ends = np.floor(np.cumsum(split) * rows + 1e-9).astype(int).tolist()
    return ends[0], ends[1], ends[2]


def split_examples(
    labels: np.ndarray, split: Sequence[float], names: Sequence[str], path: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide examples so that every class keeps its share in every part.

    Args:
        labels: class of each example, int `[example]`.
        split: fractions, or counts of examples.
        names: of the classes, for errors.

    Returns:
        Positions of the three parts, each in rising order.

    Raises:
        DataError: a class has fewer examples than there are parts to fill.
    """
    total = len(labels)
    if _counts(split) and sum(split) > total:
        raise SettingError(f"the parts ask for {sum(split):g} sequences, the file has {total}", name="split")
    shares = np.asarray(split, np.float64) / (total if _counts(split) else 1.0)
    parts = int((shares > 0).sum())
    random = np.random.default_rng(_SEED)
    taken: list[list[np.ndarray]] = [[], [], []]
    for code, name in enumerate(names):
        members = np.flatnonzero(labels == code)
        if not len(members):
            continue
        if len(members) < parts:
            raise DataError(
                f"class '{name[:60]}' has {len(members)} example(s), too few for {parts} parts",
                path=path,
                remedy="add examples, merge classes, or give --valid-file and --test-file",
            )
        random.shuffle(members)
        sizes = _sizes(len(members), shares)
        for part, piece in enumerate(np.split(members, np.cumsum(sizes))[:3]):
            taken[part].append(piece)
    places = [np.sort(np.concatenate(part)) if part else np.zeros(0, np.int64) for part in taken]
    return places[0], places[1], places[2]


def split_groups(groups: np.ndarray, split: Sequence[float], path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide examples so that each group lies in one part only, the parts near their shares."""
    counts = np.bincount(groups)
    wanted = np.asarray(split, np.float64)
    shares = wanted / wanted.sum() * len(groups) if not _counts(split) else wanted
    parts = int((shares > 0).sum())
    if len(counts) < parts:
        raise DataError(f"{len(counts)} group(s) cannot fill {parts} parts", path=path, remedy="see --split, --group")
    random = np.random.default_rng(_SEED)
    filled, owner = np.zeros(3), np.zeros(len(counts), np.int64)
    # Large groups first, each to the part that lacks most; equal ones in a fixed random order.
    for group in sorted(random.permutation(len(counts)), key=lambda code: -counts[code]):
        lack = np.where(shares > 0, (shares - filled) / np.maximum(shares, 1e-12), -np.inf)
        owner[group] = int(np.argmax(lack))
        filled[owner[group]] += counts[group]
    of = owner[groups]
    return np.flatnonzero(of == 0), np.flatnonzero(of == 1), np.flatnonzero(of == 2)


def split_marks(marks: np.ndarray, names: Sequence[str], column: str, path: Path) -> np.ndarray:
    """Part of each row (0, 1, 2) from a column that says train, valid or test."""
    parts = []
    for name in names:
        if name.strip().lower() not in _MARKS:
            raise DataError(
                f"expected train, valid or test, came '{name}'", path=path, column=column, remedy="see --split-column"
            )
        parts.append(_MARKS[name.strip().lower()])
    if 0 not in parts:
        raise DataError("no row is marked train", path=path, column=column, remedy="see --split-column")
    return np.array(parts, np.int8)[marks]


def _counts(split: Sequence[float]) -> bool:
    return sum(split) > 1.0 + 1e-9


def _sizes(members: int, shares: np.ndarray) -> list[int]:
    """Whole numbers near the shares; every part that has a share gets at least one."""
    exact = shares * members
    sizes = np.floor(exact + 1e-9).astype(int)
    left = round(exact.sum()) - int(sizes.sum())
    for part in np.argsort(-(exact - sizes), kind="stable")[: max(left, 0)]:
        sizes[part] += 1
    for part in np.flatnonzero((shares > 0) & (sizes == 0)):
        sizes[int(np.argmax(sizes))] -= 1 if sizes.sum() >= members else 0
        sizes[part] = 1
    return sizes.tolist()
