"""Name every step of a sequence: words of a sentence, samples of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch, Part
from remanence.data.schemes import allowed
from remanence.data.tag_part import TagPart
from remanence.data.tagged import prepare_tag, reopen_tag
from remanence.data.usage import USES_OF_WORDS
from remanence.errors import SettingError
from remanence.nn.affixes import AffixEncoder, kinds_of
from remanence.nn.crf import Chain, Lattice, log_partition, path_score
from remanence.nn.encoders import NumberEncoder, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.heads import TagHead
from remanence.nn.model import SequenceModel
from remanence.nn.words import CharacterEncoder, WordEncoder
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_tag import tag_baselines
from remanence.tasks.calibration import chosen_offsets
from remanence.tasks.choices import Choices
from remanence.tasks.defaults import film_choices
from remanence.tasks.metrics_tag import TagMeter, decoded
from remanence.tasks.sample import thinned
from remanence.tasks.stack import frame_encoder, number_encoder, recurrent_stack, token_encoder
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Tag"]

_CALIBRATED_ON = 4000
"""Validation sequences that offsets of labels are chosen on: each choice decodes them anew."""


@final
class Tag(Task):
    """A label a step: tokens with their characters, or numbers; spans by a conditional random field."""

    name: ClassVar[str] = "tag"
    encoders_type: ClassVar[type[BaseModel]] = TagEncoders
    scored_early: ClassVar[bool] = True
    answers_by_mean: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_tag(path, data)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, TagEncoders)
        return reopen_tag(path, data, encoders, answers=answers)

    def choices(self, prepared: Prepared) -> Choices:
        encoders = prepared.encoders
        assert isinstance(encoders, TagEncoders)
        if encoders.clip is not None:
            return _film_choices(prepared)
        return _sample_choices(prepared) if encoders.vocabulary is None else _token_choices(prepared, encoders)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, TagEncoders)
        chosen, dropout = settings.model, settings.model.dropout or 0.0
        chain = None
        if chosen.crf:
            if settings.train.truncate is not None:
                raise SettingError("scores whole sequences, which do not come in chunks", name="crf", remedy="--no-crf")
            chain = Chain(*allowed(encoders.labels, encoders.scheme))
        encoder = _encoder(encoders, settings)
        recurrent = recurrent_stack(encoder.output_size, settings)
        head = TagHead(
            recurrent.output_size,
            len(encoders.labels),
            chain=chain,
            dropout=dropout,
            calibrated=settings.train.calibrate,
        )
        return SequenceModel(encoder, recurrent, head)

    def settle(self, model: Any, prepared: Prepared, settings: Settings) -> bool:
        """Choose on the validation part how readily each kind of label is given, where that is asked for."""
        assert isinstance(prepared.encoders, TagEncoders)
        if not settings.train.calibrate or not len(prepared.valid):
            return False
        model.eval()
        offsets = model.head.offsets
        offsets.zero_()
        with torch.no_grad():
            answers = [
                (model(batch.to(offsets.device))[0].cpu(), batch) for batch in thinned(prepared.valid, _CALIBRATED_ON)
            ]
        offsets.copy_(chosen_offsets(answers, prepared.encoders, chain=bool(settings.model.crf)))
        return True

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean over the steps that count: minus the log-probability of the whole sequence, or of each label alone."""
        assert batch.target is not None and batch.scored is not None
        lattice = Lattice.read(output, batch.inputs.time)
        counts = batch.scored & (batch.target >= 0) & (batch.target < output.shape[2])
        if settings.model.crf:
            return _chain_loss(lattice, batch.target, counts, settings)
        if not counts.any():
            return output.sum() * 0.0
        smoothing = settings.train.smoothing or 0.0
        return torch.nn.functional.cross_entropy(
            lattice.emissions[counts], batch.target[counts], label_smoothing=smoothing
        )

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, TagEncoders)
        return TagMeter(encoders, chain=bool(settings.model.crf))

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a step: where it stands (sequence and token, or recording and time), and its label."""
        assert isinstance(encoders, TagEncoders) and isinstance(part, TagPart) and batch.scored is not None
        found = decoded(output, batch, chain=bool(settings.model.crf))
        column = "label" if encoders.layout == "conll" else encoders.label
        for row, index in enumerate(batch.index.tolist()):
            labels = found[row][batch.scored[row].numpy()].tolist()
            for head, label in zip(part.heads(index), labels, strict=True):
                yield head | {column: encoders.labels[label]}

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, TagEncoders)
        return tag_baselines(prepared.encoders)


def _chain_loss(lattice: Lattice, target: Tensor, counts: Tensor, settings: Settings) -> Tensor:
    """Minus the mean log-probability; with `recall`, label sequences that miss spans are made likelier by that much.

    References:
        Mohit, Schneider, Bhowmick, Oflazer & Smith 2012, Recall-oriented learning of named entities in Arabic
        Wikipedia, https://aclanthology.org/E12-1017, §3.3, after Gimpel & Smith 2010 (softmax-margin).
    """
    rivals, recall = lattice, settings.train.recall
    if recall and settings.data.scheme not in (None, "none"):
        # The first label is the one outside all spans.
        missed = lattice.emissions[..., :1] + recall * (target > 0)[..., None]
        rivals = lattice._replace(emissions=torch.cat([missed, lattice.emissions[..., 1:]], dim=-1))
    chances = path_score(lattice, target, counts) - log_partition(rivals, counts)
    return -chances.sum() / counts.sum().clamp(min=1)


def _token_choices(prepared: Prepared, encoders: TagEncoders) -> Choices:
    large = len(prepared.train) >= 2000
    model = {
        "hidden": 128 if large else 64,
        "bidirectional": True,
        "dropout": 0.5,
        "embedding": 100 if large else 64,
        "embedding_dropout": 0.1,
        "characters": "none" if encoders.characters is None else "convolution",
        "character_size": 64,
        "crf": encoders.scheme != "none",
    }
    train = {"batch_size": 32 if large else 16, "learning_rate": 3e-3, "weight_decay": 1e-2}
    return Choices(model, train, {"epochs": 15 if large else 40})


def _sample_choices(prepared: Prepared) -> Choices:
    examples = max(1, len(prepared.train))
    model = {"bidirectional": True, "dropout": 0.2, "convolution": 32, "crf": False}
    train = {"batch_size": 32 if examples >= 1000 else 8, "learning_rate": 3e-3, "weight_decay": 1e-3}
    return Choices(model, train, {"epochs": min(60, max(5, 20_000 // examples))})


def _film_choices(prepared: Prepared) -> Choices:
    """Frames as a classifier of videos reads them, a label each."""
    chosen = film_choices(len(prepared.train))
    model = {name: value for name, value in chosen.model.items() if name != "pool"}
    return Choices(model | {"crf": False}, chosen.train, chosen.budget)


def _encoder(encoders: TagEncoders, settings: Settings) -> NumberEncoder | TokenEncoder | WordEncoder | FrameEncoder:
    chosen = settings.model
    if encoders.clip is not None:
        return frame_encoder(encoders.clip, settings)
    if encoders.vocabulary is None:
        return number_encoder(len(encoders.features), settings)
    tokens = token_encoder(encoders.vocabulary.size, settings, encoders.runs, singles=encoders.singles)
    if encoders.characters is None:
        return tokens
    kind, dropout = chosen.characters or "none", chosen.dropout or 0.0
    characters = None
    if kind == "affixes":
        kinds = np.concatenate([[0, 5], kinds_of(encoders.characters.tokens)])
        characters = AffixEncoder(kinds, chosen.character_size or 64, left_out=chosen.embedding_dropout or 0.0)
    elif kind != "none":
        characters = CharacterEncoder(encoders.characters.size, chosen.character_size or 64, kind=kind)
    uses = 0 if encoders.usage is None else USES_OF_WORDS
    return WordEncoder(tokens, characters, uses=uses, dropout=dropout)
