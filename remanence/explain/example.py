"""One example to look into: a batch of one, with a label for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from remanence.data.examples import Batch, Part
from remanence.errors import DataError, SettingError
from remanence.tasks.alignment import step_names

__all__ = ["Example", "example_of", "model_of", "step_labels", "typical"]

GOOD_LENGTH = 24
"""Steps of an example that shows well: long enough to forget something, short enough to read."""


@dataclass(frozen=True)
class Example:
    """What a model reads, with what a person calls each step.

    Args:
        batch: a batch of one.
        labels: a token or a time for each step, `[time]`.
        title: where the example stands, or the text itself.
        unknown: tokens that training did not see, each once; to the model they are all alike.
        tokens: whether the labels are tokens of a text.
        apart: seconds between two steps, whose labels are then seconds; 0 where steps are not of time.
    """

    batch: Batch
    labels: tuple[str, ...]
    title: str
    unknown: tuple[str, ...] = ()
    tokens: bool = False
    apart: float = 0.0

    def __post_init__(self) -> None:
        if self.batch.inputs.batch != 1:
            raise SettingError(f"expected one example, came {self.batch.inputs.batch}", name="example")
        if not self.labels:
            raise DataError("the example has no step", remedy="choose another --row")

    def seconds_apart(self, steps: int) -> float:
        """Seconds between two of so many steps of the recurrent layers, where each holds several of the example's."""
        return self.apart * _held(self.labels, steps)


def step_labels(labels: tuple[str, ...], steps: int) -> tuple[str, ...]:
    """What so many steps of the recurrent layers are called, where each holds several of the example's: by its first.

    Example:
        >>> step_labels(("1", "2", "3", "4", "5"), 3)
        ('1', '3', '5')
    """
    return labels[:: _held(labels, steps)]


def _held(labels: tuple[str, ...], steps: int) -> int:
    return -(-len(labels) // max(1, steps))


def example_of(part: Part, index: int) -> Example:
    """Take one example out of a part.

    The steps of a text are named by its tokens; those of a sound or a video by their seconds; those of a forecast by
    how many steps they lie before its origin (`−1` is the last one seen); others are counted from 1, by their place in
    the recording where an example is a window of one.

    Raises:
        SettingError: there is no such example.
        DataError: the example has no steps.
    """
    if not 0 <= index < len(part):
        raise SettingError(f"expected 0 … {len(part) - 1}, came {index}", name="row")
    batch = part.batch(np.array([index]))
    length = int(batch.inputs.lengths[0])
    if hasattr(part, "past"):
        return Example(batch, tuple(f"−{length - step}" for step in range(length)), part.name(index))
    labels, clock = step_names(part, index, length), part.clock(index)
    new = dict.fromkeys(label for label, unknown in zip(labels, part.unknown(index), strict=False) if unknown)
    apart = 0.0 if clock is None else clock.apart
    return Example(batch, labels, part.name(index), tuple(new), bool(part.tokens(index)), apart)


def typical(part: Part) -> int:
    """Choose an example that shows well: the first whose length is nearest to the median, 24 at most.

    Raises:
        DataError: the part is empty.
    """
    if not len(part):
        raise DataError("the part is empty, so there is no example to look into")
    lengths = np.asarray(part.lengths)
    return int(np.argmin(np.abs(lengths - min(GOOD_LENGTH, float(np.median(lengths))))))


def model_of(run: Any) -> Any:
    """The model of a run, or the model itself."""
    return run if hasattr(run, "recurrent") else run.model
