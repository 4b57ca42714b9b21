"""Name the class of a sequence: a text, or numbers step by step."""

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
from remanence.nn.convolution import Branch
from remanence.nn.encoders import NumberEncoder, TokenEncoder
from remanence.nn.heads import ClassifyHead
from remanence.nn.model import SequenceModel
from remanence.nn.recurrent import Recurrent
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_classify import classify_baselines
from remanence.tasks.defaults import classify_defaults
from remanence.tasks.metrics import ClassifyMeter
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Classify"]


@final
class Classify(Task):
    """One label a sequence; texts by tokens, numbers by step, of any length."""

    name: ClassVar[str] = "classify"
    encoders_type: ClassVar[type[BaseModel]] = ClassifyEncoders
    scored_early: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        parts = prepare_classify(path, data)
        return Prepared(
            parts.settings, parts.encoders, parts.train, parts.valid, parts.test, parts.notes, parts.fingerprint
        )

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, ClassifyEncoders)
        return reopen_classify(path, data, encoders, answers=answers)

    def defaults(self, prepared: Prepared, settings: Settings) -> Settings:
        return classify_defaults(prepared, settings)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, ClassifyEncoders)
        chosen = settings.model
        bidirectional, dropout = bool(chosen.bidirectional), chosen.dropout or 0.0
        encoder = _encoder(encoders, settings)
        recurrent = Recurrent(
            chosen.cell or "lstm",
            encoder.output_size,
            chosen.hidden or 64,
            layers=chosen.layers or 1,
            bidirectional=bidirectional,
            dropout=dropout,
        )
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


def _encoder(encoders: ClassifyEncoders, settings: Settings) -> NumberEncoder | TokenEncoder:
    chosen = settings.model
    if encoders.vocabulary is not None:
        return TokenEncoder(
            encoders.vocabulary.size,
            chosen.embedding or 64,
            token_dropout=chosen.embedding_dropout or 0.0,
            runs=encoders.runs,
            dropout=chosen.dropout or 0.0,
        )
    return NumberEncoder(
        len(encoders.features),
        convolution=chosen.convolution or 0,
        causal=not chosen.bidirectional,
        differences=bool(chosen.differences),
        noise=settings.train.noise or 0.0,
        dropout=(chosen.dropout or 0.0) / 2 if chosen.convolution else 0.0,
    )
