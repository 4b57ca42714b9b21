"""Which sequences of which file are for training, validation and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from remanence.data.archive import sibling
from remanence.data.pairs import Pairs
from remanence.data.records import Records
from remanence.data.sources import file_format
from remanence.data.splits import split_examples, split_groups, split_marks
from remanence.data.step_records import StepRecords
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["Share", "share_out", "split_left", "with_sibling"]

R = TypeVar("R", Records, StepRecords, Pairs)
_DEFAULT_SPLIT = DataSettings.model_fields["split"].default
_CARVE = 0.2


@dataclass(frozen=True)
class Share(Generic[R]):
    """The sequences of one file that belong to one part.

    Args:
        records: the file.
        places: which of its sequences, int64 `[sequence]`.
    """

    records: R
    places: np.ndarray


def with_sibling(path: Path, settings: DataSettings, notes: list[str]) -> DataSettings:
    """Take the test file of an archive that lies beside its training file, unless told otherwise."""
    other = sibling(path) if file_format(path, settings.format) in ("ts", "arff", "idx") else None
    if other is None or settings.test_file or settings.split_column:
        return settings
    notes.append(f"test file: {other.name}, found beside {path.name} (--test-file)")
    return settings.model_copy(update={"test_file": str(other)})


def share_out(
    main: R, settings: DataSettings, notes: list[str], read: Callable[[str, DataSettings], R]
) -> tuple[Share[R], Share[R], Share[R]]:
    """Divide the sequences between training, validation and test.

    Args:
        main: the file that holds the training part.
        read: how a file of its own for validation or test is read.

    Raises:
        DataError: files of unlike columns, a class too small to split, no training sequence.
    """
    given = [None if name is None else read(name, settings) for name in (settings.valid_file, settings.test_file)]
    for records in given:
        if records is not None and len(records.columns) != len(main.columns):
            raise DataError(
                f"{len(records.columns)} dimensions, but {len(main.columns)} in {main.path.name}",
                path=records.path,
                remedy="give files with the same columns",
            )
    valid, test = given
    split = split_left(settings, valid, test, notes, by_class=len(main.label_names) > 1)
    if settings.split_column and main.marks is not None:
        marks = split_marks(main.marks, main.mark_names, settings.split_column, main.path)
        places = tuple(np.flatnonzero(marks == part) for part in range(3))
    elif main.groups is not None and (split[1] or split[2]):
        places = split_groups(main.groups, split, main.path)
    elif split[1] or split[2] or split[0] != 1.0:
        places = split_examples(main.labels, split, main.label_names, main.path)
    else:
        places = (np.arange(len(main)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    shares = [Share(main, part) for part in places]
    for part, records in ((1, valid), (2, test)):
        if records is not None:
            shares[part] = Share(records, np.arange(len(records)))
    if not len(shares[0].places):
        raise DataError("no training sequence", path=main.path, remedy="see --split")
    return shares[0], shares[1], shares[2]


def split_left(
    settings: DataSettings, valid: object, test: object, notes: list[str], *, by_class: bool = False
) -> tuple[float, float, float]:
    """Fractions (or counts) for what has no file of its own.

    Args:
        valid, test: the files of their own, or None.
        notes: takes a line where a part is cut off the training file.
        by_class: each class is divided alike, says that line.
    """
    chosen = settings.split != _DEFAULT_SPLIT
    first, second, third = settings.split
    if settings.split_column and (valid or test):
        raise SettingError("give a split column or files, not both", name="split_column")
    if valid and test:
        return 1.0, 0.0, 0.0
    if valid is None and test is None:
        return first, second, third
    if chosen and first + second + third > 1.0 + 1e-9:
        return (first, 0.0, third) if valid else (first, second, 0.0)
    share = _CARVE if not chosen else (third / (first + third) if valid else second / (first + second))
    what = "test" if valid else "validation"
    flag = f"--{'test' if valid else 'valid'}-file"
    if by_class:
        notes.append(f"{what}: {share:.0%} of the training file, by class (--split, {flag})")
    else:
        notes.append(f"{what}: {share:.0%} of the training file (--split, {flag})")
    return (1.0 - share, 0.0, share) if valid else (1.0 - share, share, 0.0)
