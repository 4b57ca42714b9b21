"""What a task is: data in, model, loss, answers, scores. One file per task; none has a training loop.

prepare   file → split → encoders fitted on the training part → three Parts
choices   what the user left open, for these data
model     encoders, settings → SequenceModel
loss      model output, batch → number
answers   model output, batch → answers in the user's units
meter     answers → metrics, and the error of every unit (for intervals)
baselines simple models under the same splits
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from pydantic import BaseModel
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.data.parts import DataParts
from remanence.settings import DataSettings, Settings
from remanence.tasks.choices import Choices

__all__ = ["Baseline", "Meter", "Prepared", "Scores", "Task"]


Prepared: TypeAlias = DataParts[BaseModel, Part]
"""Data ready for training, whatever the task: see `DataParts`."""


@dataclass(frozen=True)
class Scores:
    """Metrics of one model on one part.

    Args:
        metrics: name → value, plain numbers; the first is the one that a verdict uses (an error: lower is better).
        errors: error of each unit, float `[units]` (forecast: mean error of a window, in time order; classify: 0 or 1);
            their mean is the verdict's metric.
        block: how many neighbouring units a bootstrap must draw together (forecast: horizon; classify: 1).
        confusion: counts `[class, class]`, rows the truth, or None.
    """

    metrics: Mapping[str, float]
    errors: np.ndarray
    block: int
    confusion: np.ndarray | None = None


class Meter(ABC):
    """Gathers answers batch by batch in bounded memory."""

    @abstractmethod
    def update(self, output: Tensor, batch: Batch) -> None: ...

    @abstractmethod
    def scores(self) -> Scores: ...


class Baseline(ABC):
    """A simple model: the same parts in, the same output tensor as the task's own model."""

    name: ClassVar[str]
    trivial: ClassVar[bool] = False
    """Knows nothing of the inputs' pattern (last value, mean, majority class): what any model must beat."""

    @abstractmethod
    def fit(self, train: Part, valid: Part) -> None:
        """Learn from the training part; choose between settings on the validation part.

        Raises:
            SettingError: the data do not suit it (too long for DTW); its row is left empty but for the message.
        """

    @abstractmethod
    def predict(self, batch: Batch) -> Tensor: ...

    @property
    def parameters(self) -> int:
        """Fitted numbers; what a model keeps of the examples to compare with is not among them."""
        return 0


class Task(ABC):
    """What people do with a sequence. Final classes: `Forecast`, `Classify`."""

    name: ClassVar[str]
    encoders_type: ClassVar[type[BaseModel]]
    """Class of `Prepared.encoders`: a run's manifest is read back with it."""
    scored_early: ClassVar[bool] = True
    """Whether an answer after a part of the input is worth a loss (truncated backpropagation); a forecast's is not."""

    answers_by_mean: ClassVar[bool] = False
    """Whether the mean of what several models say is an answer, too: scores and numbers, but no text."""

    @abstractmethod
    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        """Read a file, split it, fit the encoders on the training part."""

    @abstractmethod
    def choices(self, prepared: Prepared) -> Choices:
        """What is chosen for these data where the user chose nothing."""

    def defaults(self, prepared: Prepared, settings: Settings) -> Settings:
        """The settings with every `None` of model and training filled in for these data."""
        complete = self.choices(prepared).under(settings)
        if "chrono" not in complete.model.initialise or complete.model.reach is not None:
            return complete
        longest = max(int(prepared.train.lengths.max(initial=0)), 2)
        return complete.model_copy(update={"model": complete.model.model_copy(update={"reach": longest})})

    def remarks(self, settings: Settings) -> tuple[str, ...]:
        """What a person should know of answers under these complete settings; by default nothing."""
        return ()

    @abstractmethod
    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        """A new file through encoders fitted before: every example of it, as one part.

        Args:
            answers: the file must hold the answers (evaluate); otherwise they may be absent (predict). A forecast
                without answers has one example a series: the `horizon` steps after the last row.
        """

    @abstractmethod
    def model(self, encoders: BaseModel, settings: Settings) -> Any:
        """A `remanence.nn.model.SequenceModel` with fresh weights from torch's global generator."""

    def settle(self, model: Any, prepared: Prepared, settings: Settings) -> bool:
        """Choose, once the weights are trained, what they do not decide; by default there is nothing.

        Returns:
            Whether the validation part is answered otherwise than while the model was trained.
        """
        return False

    def vary(self, batch: Batch, settings: Settings) -> Batch:
        """A batch to learn from, changed at random where the settings ask for it; by default as it is."""
        return batch

    @abstractmethod
    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean loss over the batch, a scalar."""

    @abstractmethod
    def meter(self, encoders: BaseModel, settings: Settings) -> Meter: ...

    @abstractmethod
    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """Answers as rows of a table, for `predict`: column → value, in the user's units."""

    @abstractmethod
    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]: ...
