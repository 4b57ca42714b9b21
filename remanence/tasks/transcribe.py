"""Write down what is said: frames of sound → symbols, by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, ClassVar, final

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Batch, Part
from remanence.data.pair_part import PairPart
from remanence.data.sound_source import SoundSide
from remanence.data.symbols import END
from remanence.errors import SettingError
from remanence.nn.augment import varied
from remanence.nn.model import SequenceModel
from remanence.nn.sound import CTCHead, Masks, SoundEncoder, stacked_lengths
from remanence.settings import Settings
from remanence.tasks.alignment import step_names
from remanence.tasks.baselines_transcribe import FrequentTranscript, NearestTranscript, texts_of
from remanence.tasks.choices import Choices
from remanence.tasks.ctc import BLANK
from remanence.tasks.losses import text_loss
from remanence.tasks.metrics_transcribe import TranscriptMeter, wrong
from remanence.tasks.paired_task import PairedTask
from remanence.tasks.sample import spread
from remanence.tasks.spoken_language import Weights
from remanence.tasks.stack import number_encoder, recurrent_stack
from remanence.tasks.task import Baseline, Meter, Prepared
from remanence.tasks.transcript import Search, heard, logits_of, starts_of

__all__ = ["Transcribe"]

_AT_ONCE = 16
_WEIGHTS = (0.25, 0.5, 1.0, 2.0)
_BONUSES = (0.0, 1.0, 2.0, 4.0)
_TRIED = 200
"""Sounds of the validation part that the weights of a language model are chosen on, spread evenly."""
_LOOKED_AT = 1000
_MOST_STACKED = 3
_ENOUGH = 0.98
_LARGE = 200_000
"""Training frames from which on a model may be larger: half an hour, at a hundred a second."""
_ROOM = 1.3
"""Steps that a sound must have for each symbol of its text: repeats need a blank between them."""


@final
class Transcribe(PairedTask):
    """A text for a sound; frames are read by layers that go both ways, or one way with a look ahead.

    References:
        Graves, Fernández, Gomez & Schmidhuber 2006, doi:10.1145/1143844.1143891.
    """

    name: ClassVar[str] = "transcribe"

    def choices(self, prepared: Prepared) -> Choices:
        return _choices(prepared)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, PairEncoders) and isinstance(encoders.source, SoundSide)
        chosen, form = settings.model, encoders.source.form
        if settings.train.truncate is not None:
            raise SettingError("a text needs the whole sound", name="truncate", remedy="leave it out")
        if chosen.look_ahead and chosen.bidirectional:
            raise SettingError(
                "layers that read from both ends see all of it", name="look_ahead", remedy="--no-bidirectional"
            )
        stack, dropout = chosen.stack or 1, chosen.dropout or 0.0
        numbers = number_encoder(len(form.columns) * stack, settings)
        masks = Masks((2, chosen.mask_steps or 0), (2, chosen.mask_features or 0), form.width)
        encoder = SoundEncoder(numbers, stack=stack, masks=masks)
        recurrent = recurrent_stack(encoder.output_size, settings)
        size = encoders.target.symbols.size
        head = CTCHead(recurrent.output_size, size, ahead=chosen.look_ahead or 0, dropout=dropout)
        head.search = Search(encoders, settings)
        return SequenceModel(encoder, recurrent, head)

    def vary(self, batch: Batch, settings: Settings) -> Batch:
        # Spoken faster or slower: Ko, Peddinti, Povey & Khudanpur 2015, Audio augmentation for speech recognition.
        return varied(batch, settings.train.stretch or 0.0, 0.0)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """−log p of the true text, by symbol; a sound with fewer steps than its text needs has no say."""
        assert batch.target is not None
        truth = batch.target.where(batch.target != END, BLANK)
        steps = stacked_lengths(batch.inputs.lengths, settings.model.stack or 1).clamp(max=output.shape[1])
        return text_loss(logits_of(output), truth, steps)

    def settle(self, model: Any, prepared: Prepared, settings: Settings) -> bool:
        """Choose on the validation part how much the language counts."""
        assert isinstance(prepared.encoders, PairEncoders)
        head, part = model.head, prepared.valid
        if not len(part):
            first = next(iter(_candidates(settings)))
            head.decoding.copy_(torch.tensor([first.language, first.bonus]))
            return False
        model.eval()
        answers: list[tuple[Tensor, Tensor]] = []
        truth: list[str] = []
        target, stack = prepared.encoders.target, settings.model.stack or 1
        with torch.no_grad():
            for index in np.array_split(spread(len(part), _TRIED), -(-_TRIED // _AT_ONCE)):
                if not len(index):
                    continue
                batch = part.batch(index)
                assert batch.target is not None
                output = model(batch.to(head.decoding.device))[0].cpu()
                answers.append((logits_of(output), stacked_lengths(batch.inputs.lengths, stack)))
                truth += [target.decode(row) for row in batch.target.tolist()]
        least: float | None = None
        for weights in _candidates(settings):
            found = [text for logits, steps in answers for text in head.search.texts(logits, steps, weights)]
            edits, _ = wrong([target.decode(text) for text in found], truth, characters=target.script == "characters")
            if least is None or edits.sum() < least:
                least = float(edits.sum())
                head.decoding.copy_(torch.tensor([weights.language, weights.bonus]))
        # Validation scores are those of the likeliest path, as while it was trained.
        return False

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, PairEncoders)
        return TranscriptMeter(encoders, settings)

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a sound: where it stands, its text, mean log p of a step, and where each symbol begins, as JSON."""
        assert isinstance(encoders, PairEncoders) and isinstance(part, PairPart)
        output, stack = output.detach().cpu(), settings.model.stack or 1
        for row, index in enumerate(batch.index.tolist()):
            length = int(batch.inputs.lengths[row])
            found = heard(output[row], step_names(part, index, length)[::stack], encoders)
            yield {
                "example": part.name(index),
                encoders.answer: found.text,
                "score": found.score,
                "alignment": starts_of(found.alignment),
            }

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, PairEncoders)
        size = prepared.encoders.target.symbols.size
        return FrequentTranscript(size), NearestTranscript(size)


def _choices(prepared: Prepared) -> Choices:
    """Choose a model and its training by how much there is to hear, and by how fast symbols follow each other."""
    large = int(prepared.train.lengths.sum()) >= _LARGE
    model = {
        "hidden": 256 if large else 128,
        "layers": 2,
        "bidirectional": True,
        "dropout": 0.3,
        "convolution": 0,
        "stack": _stack(prepared),
        "look_ahead": 0,
        "mask_steps": 20,
        "mask_features": 6,
        "beam": 16,
        "language": "none",
        "language_order": 3,
    }
    train = {"batch_size": 16, "learning_rate": 2e-3, "weight_decay": 1e-4, "patience": 20}
    return Choices(model, train, {"epochs": 40})


def _stack(prepared: Prepared) -> int:
    """Most frames a step at which nearly every training sound has room for its text."""
    part = prepared.train
    places = spread(len(part), _LOOKED_AT)
    needed = _ROOM * np.array([len(text) for text in texts_of(part, places)])
    rooms = [np.mean(part.lengths[places] // stack >= needed) for stack in range(1, _MOST_STACKED + 1)]
    return max(1, *(stack for stack, room in enumerate(rooms, 1) if room >= _ENOUGH or stack == 1))


def _candidates(settings: Settings) -> Iterator[Weights]:
    """What the weights of a language are chosen from; without one there is nothing to choose."""
    if settings.model.language in (None, "none"):
        yield Weights(0.0, 0.0)
    else:
        yield from (Weights(*pair) for pair in product(_WEIGHTS, _BONUSES))
