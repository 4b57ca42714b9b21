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
from remanence.nn.convolution import Branch
from remanence.nn.encoders import NumberEncoder, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.heads import ClassifyHead
from remanence.nn.model import SequenceModel
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_classify import classify_baselines
from remanence.tasks.choices import Choices
from remanence.tasks.defaults import classify_choices
from remanence.tasks.metrics import ClassifyMeter
from remanence.tasks.stack import frame_encoder, recurrent_stack, token_encoder
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Classify"]


@final
class Classify(Task):
    """One label a sequence; texts by tokens, numbers by step, videos by frame, of any length."""

    name: ClassVar[str] = "classify"
    encoders_type: ClassVar[type[BaseModel]] = ClassifyEncoders
    scored_early: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_classify(path, data)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, ClassifyEncoders)
        return reopen_classify(path, data, encoders, answers=answers)

    def choices(self, prepared: Prepared) -> Choices:
        return classify_choices(prepared)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, ClassifyEncoders)
        chosen = settings.model
        bidirectional, dropout = bool(chosen.bidirectional), chosen.dropout or 0.0
        encoder = _encoder(encoders, settings)
        recurrent = recurrent_stack(encoder.output_size, settings)
        head = ClassifyHead(
            recurrent.output_size,
            len(encoders.labels),
            pool=chosen.pool or "last",
            dropout=dropout,
            backward=recurrent.output_size // 2 if bidirectional else 0,
            beside=chosen.branch or 0 if isinstance(encoder, NumberEncoder) else 0,
            read=encoder.output_size if chosen.skip else 0,
        )
        branch = None
        if chosen.branch and isinstance(encoder, NumberEncoder):
            branch = Branch(len(encoders.features), chosen.branch, causal=not bidirectional)
        return SequenceModel(encoder, recurrent, head, branch=branch)

    def vary(self, batch: Batch, settings: Settings) -> Batch:
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


def _encoder(encoders: ClassifyEncoders, settings: Settings) -> NumberEncoder | TokenEncoder | FrameEncoder:
    chosen = settings.model
    if encoders.clip is not None:
        return frame_encoder(encoders.clip, settings)
    if encoders.vocabulary is not None:
        return token_encoder(encoders.vocabulary.size, settings, encoders.runs)
    return NumberEncoder(
        len(encoders.features),
        convolution=chosen.convolution or 0,
        causal=not chosen.bidirectional,
        differences=bool(chosen.differences),
        noise=settings.train.noise or 0.0,
        dropout=(chosen.dropout or 0.0) / 2 if chosen.convolution else 0.0,
    )
