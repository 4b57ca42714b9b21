"""The classes of sequences: those of the training part, and the refusal of others."""

from __future__ import annotations

import numpy as np

from remanence.data.records import Records
from remanence.data.shares import Share
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["class_names", "refuse_unknown"]


def class_names(train: Share[Records]) -> tuple[str, ...]:
    """Names of the classes of the training part, in order (of numbers, where all are numbers)."""
    names = [train.records.label_names[code] for code in np.unique(train.records.labels[train.places])]
    if len(names) < 2:
        raise DataError(
            f"one class only ('{names[0]}') in the training part: there is nothing to tell apart",
            path=train.records.path,
            remedy="check --label, or the --split",
        )
    numeric = all(name.lstrip("-").isdecimal() for name in names)
    return tuple(sorted(names, key=int) if numeric else sorted(names))


def refuse_unknown(share: Share[Records], labels: tuple[str, ...], settings: DataSettings) -> None:
    """Refuse a class that the training part does not have.

    Raises:
        DataError: with its line.
    """
    known = np.isin(np.array(share.records.label_names, object), np.array(labels, object))
    codes = share.records.labels[share.places]
    if len(codes) and not (fits := known[codes]).all():
        place = int(share.places[int(np.argmin(fits))])
        raise DataError(
            f"class '{share.records.label_names[share.records.labels[place]][:60]}' is not in the training part "
            f"({', '.join(labels[:8])}{', …' if len(labels) > 8 else ''})",
            path=share.records.path,
            line=share.records.line(place),
            column=settings.label or "",
            remedy="add examples of it to the training part, or remove it here",
        )
