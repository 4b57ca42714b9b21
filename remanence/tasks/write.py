"""What tasks that write a text for a source share: translate, summarise, and others with sources of other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.data.examples import Batch, Part
from remanence.data.pair_part import PairPart
from remanence.data.sound_source import SoundSide
from remanence.data.symbols import PADDING, UNKNOWN
from remanence.data.text_side import TextSide
from remanence.errors import SettingError
from remanence.nn.decoder import Decoder, WritingOptions
from remanence.nn.encoders import NumberEncoder, TokenDropout, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.model import SequenceModel
from remanence.nn.recurrent import Recurrent
from remanence.nn.written import forced_part
from remanence.settings import Settings
from remanence.tasks.alignment import answered, step_names
from remanence.tasks.paired_task import PairedTask
from remanence.tasks.stack import WRITTEN, frame_encoder, number_encoder, recurrent_stack, token_encoder

__all__ = ["Write"]


class Write(PairedTask):
    """An encoder reads a source, a decoder writes a text, token by token, attending to the source.

    A task of this kind adds its name, what it measures, its simple models and what it chooses.
    """

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, PairEncoders)
        chosen, dropout = settings.model, settings.model.dropout or 0.0
        if settings.train.truncate is not None:
            raise SettingError("an answer needs the whole source", name="truncate", remedy="leave it out")
        encoder = _source_encoder(encoders, settings)
        recurrent = recurrent_stack(encoder.output_size, settings)
        options = _options(encoders, settings)
        left_out = TokenDropout(whole=chosen.embedding_dropout or 0.0, feature=dropout)
        tokens = TokenEncoder(encoders.target.symbols.size, chosen.embedding or 64, left_out, spread=WRITTEN)
        hidden = chosen.hidden or 64
        writer = Recurrent(
            chosen.cell or "lstm", tokens.output_size + (recurrent.unit_size if options.input_feeding else 0), hidden,
            layers=chosen.layers or 1, dropout=dropout,
        )  # fmt: skip
        head = Decoder(recurrent, tokens, writer, encoders.target.symbols.size, dropout=dropout, options=options)
        return SequenceModel(encoder, recurrent, head)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean over the tokens of the true texts: −log p, smoothed, and what was attended to twice."""
        assert batch.target is not None
        cost, spread, twice = forced_part(output, batch.target.shape[1])
        smoothing, coverage = settings.train.smoothing or 0.0, settings.model.coverage or 0.0
        each = (1 - smoothing) * cost + smoothing * spread + coverage * twice
        inside = batch.target != PADDING
        return torch.where(inside, each, 0.0).sum() / inside.sum().clamp(min=1)

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a source: where it stands, the text, log p of a token of it, and its alignment as JSON."""
        assert isinstance(encoders, PairEncoders) and isinstance(part, PairPart)
        places = batch.index.tolist()
        lengths = batch.inputs.lengths.tolist()
        steps = [step_names(part, index, length) for index, length in zip(places, lengths, strict=True)]
        for index, found in zip(places, answered(output, steps, encoders), strict=True):
            yield {
                "example": part.name(index),
                encoders.answer: found.text,
                "score": found.score,
                "alignment": found.alignment.to_json(),
            }


def _source_encoder(encoders: PairEncoders, settings: Settings) -> TokenEncoder | NumberEncoder | FrameEncoder:
    """What turns a source into features: one way for each kind of source."""
    if isinstance(encoders.source, Clip):
        return frame_encoder(encoders.source, settings)
    if isinstance(encoders.source, SoundSide):
        return number_encoder(len(encoders.source.form.columns), settings)
    return token_encoder(encoders.source.symbols.size, settings, spread=WRITTEN)


def _options(encoders: PairEncoders, settings: Settings) -> WritingOptions:
    chosen = settings.model
    attention = chosen.attention or "multiplicative"
    source = encoders.source
    copied = None
    # What is copied is what was attended to.
    if isinstance(source, TextSide) and chosen.copy_source and attention != "none":
        copied = _copied(source, encoders.target)
    return WritingOptions(
        attention=attention,
        input_feeding=bool(chosen.input_feeding),
        coverage=bool(chosen.coverage),
        copied=copied,
        sampling=settings.train.scheduled_sampling or 0.0,
        tied=bool(chosen.tied),
        beam=chosen.beam or 1,
        penalty=chosen.length_penalty or 0.0,
        longest=encoders.longest_answer + 1,
    )


def _copied(source: TextSide, target: TextSide) -> Tensor:
    """The token to write for each token of the source: the same piece, or the unknown one."""
    numbers = {target.symbols.name(number): number for number in range(target.symbols.size)}
    names = (source.symbols.name(number) for number in range(source.symbols.size))
    found = [numbers.get(name, UNKNOWN) for name in names]
    found[PADDING] = PADDING
    return torch.tensor(found)
