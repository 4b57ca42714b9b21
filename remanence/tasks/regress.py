"""Answer a sequence with a number: a text, or numbers step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import BaseModel
from torch import Tensor

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch, Part
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.nn.model import SequenceModel
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_regress import regress_baselines
from remanence.tasks.choices import Choices
from remanence.tasks.defaults import classify_choices
from remanence.tasks.losses import point_loss
from remanence.tasks.metrics_regress import RegressMeter
from remanence.tasks.pooled import pooled_model
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Regress"]


@final
class Regress(Task):
    """One number a sequence; what is read, and how, is as in `Classify`. Models answer in scaled units `[batch, 1]`."""

    name: ClassVar[str] = "regress"
    encoders_type: ClassVar[type[BaseModel]] = ClassifyEncoders
    scored_early: ClassVar[bool] = True
    answers_by_mean: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_classify(path, data.model_copy(update={"task": self.name}))

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, ClassifyEncoders)
        return reopen_classify(path, data, encoders, answers=answers)

    def choices(self, prepared: Prepared) -> Choices:
        """Those of a classifier, but for what speaks of classes."""
        chosen = classify_choices(prepared)
        train = {name: value for name, value in chosen.train.items() if name != "smoothing"}
        return Choices(chosen.model, train | {"loss": "mse"}, chosen.budget)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, ClassifyEncoders)
        return pooled_model(encoders, settings, 1)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean loss of the scaled errors."""
        assert batch.target is not None
        return point_loss(settings.train.loss or "mse", output[:, 0] - batch.target).mean()

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, ClassifyEncoders)
        return RegressMeter(encoders)

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a sequence: where it stands, and the number in the user's units."""
        assert isinstance(encoders, ClassifyEncoders) and encoders.answer is not None
        values = encoders.answer.unscale(output.detach().cpu().double().numpy(), (encoders.label,))[:, 0]
        for index, value in zip(batch.index.tolist(), np.asarray(values).tolist(), strict=True):
            yield {"example": part.name(index), encoders.label: value}

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, ClassifyEncoders)
        return regress_baselines(prepared.encoders)
