"""Splits: every example in one part, shares kept, nothing left to chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from remanence.data.splits import cut_in_time, split_examples, split_groups
from remanence.errors import DataError, SettingError

HERE = Path("data.csv")


@pytest.mark.parametrize(
    ("rows", "split", "ends"),
    [
        (100, (0.6, 0.2, 0.2), (60, 80, 100)),
        (17420, (8640, 2880, 2880), (8640, 11520, 14400)),
        (7, (0.6, 0.2, 0.2), (4, 5, 7)),
        (10, (0.7, 0.2, 0.1), (7, 9, 10)),
        (5, (8.0, 2.0, 2.0), (5, 5, 5)),
    ],
)
def test_time_is_cut_where_asked(rows: int, split: tuple[float, ...], ends: tuple[int, ...]) -> None:
    assert cut_in_time(rows, split) == ends


@pytest.mark.parametrize("counts", [(3, 3), (5, 50), (63, 12, 7)])
@pytest.mark.parametrize("split", [(0.6, 0.2, 0.2), (0.8, 0.2, 0.0), (0.9, 0.05, 0.05)])
def test_every_class_is_in_every_part(counts: tuple[int, ...], split: tuple[float, float, float]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = split_examples(labels, split, [str(code) for code in range(len(counts))], HERE)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for share, part in zip(split, parts, strict=True):
        assert set(labels[part]) == (set(range(len(counts))) if share else set())


def test_small_class_is_named() -> None:
    with pytest.raises(DataError, match=r"class 'rare' has 2 example\(s\), too few for 3 parts"):
        split_examples(np.array([0] * 9 + [1] * 2), (0.6, 0.2, 0.2), ["common", "rare"], HERE)


def test_more_than_there_is_cannot_be_asked_for() -> None:
    with pytest.raises(SettingError, match="the parts ask for 12 sequences, the file has 9"):
        split_examples(np.zeros(9, int), (8, 2, 2), ["a"], HERE)


def test_groups_are_never_divided() -> None:
    groups = np.random.default_rng(0).integers(0, 30, 500)
    parts = split_groups(groups, (0.6, 0.2, 0.2), HERE)
    owners = [set(groups[part].tolist()) for part in parts]
    assert sum(len(owner) for owner in owners) == len(set(groups.tolist()))
    assert [round(len(part) / 500, 1) for part in parts] == [0.6, 0.2, 0.2]
