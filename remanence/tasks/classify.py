"""Name the class of a sequence: a text, numbers step by step, or a video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch, Part
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.nn.augment import varied
from remanence.nn.model import SequenceModel
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_classify import classify_baselines
from remanence.tasks.choices import Choices
from remanence.tasks.defaults import classify_choices
from remanence.tasks.metrics import ClassifyMeter
from remanence.tasks.pooled import pooled_model
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Classify"]


@final
class Classify(Task):
    """One label a sequence; texts by tokens, numbers by step, videos by frame, of any length."""

    name: ClassVar[str] = "classify"
    encoders_type: ClassVar[type[BaseModel]] = ClassifyEncoders
    scored_early: ClassVar[bool] = True
    answers_by_mean: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_classify(path, data)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, ClassifyEncoders)
        return reopen_classify(path, data, encoders, answers=answers)

    def choices(self, prepared: Prepared) -> Choices:
        return classify_choices(prepared)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, ClassifyEncoders)
        return pooled_model(encoders, settings, len(encoders.labels))

    def vary(self, batch: Batch, settings: Settings) -> Batch:
        # Tokens and pixels are left alone.
        if not batch.inputs.data.is_floating_point():
            return batch
        return varied(batch, settings.train.stretch or 0.0, settings.train.input_dropout or 0.0)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Cross entropy, with label smoothing if set."""
        assert batch.target is not None
        return torch.nn.functional.cross_entropy(output, batch.target, label_smoothing=settings.train.smoothing or 0.0)

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, ClassifyEncoders)
        return ClassifyMeter(len(encoders.labels))

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a sequence: where it stands, the label, and the probability of each label (`p_<label>`)."""
        assert isinstance(encoders, ClassifyEncoders)
        for index, probabilities in zip(
            batch.index.tolist(), output.detach().double().softmax(1).tolist(), strict=True
        ):
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            yield {"example": part.name(index), encoders.label: encoders.labels[best]} | {
                f"p_{label}": value for label, value in zip(encoders.labels, probabilities, strict=True)
            }

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, ClassifyEncoders)
        return classify_baselines(prepared.encoders, settings)
