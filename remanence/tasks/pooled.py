"""The model that reads a whole sequence and answers once: a class, or a number."""

from __future__ import annotations

from remanence.data.encoders import ClassifyEncoders
from remanence.nn.convolution import Branch
from remanence.nn.encoders import NumberEncoder, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.heads import ClassifyHead
from remanence.nn.model import SequenceModel
from remanence.settings import Settings
from remanence.tasks.stack import frame_encoder, number_encoder, recurrent_stack, token_encoder

__all__ = ["pooled_model"]


def pooled_model(encoders: ClassifyEncoders, settings: Settings, answers: int) -> SequenceModel:
    """Encoder, recurrent layers, and a head of so many numbers (a logit a class), with fresh weights."""
    chosen = settings.model
    bidirectional, dropout = bool(chosen.bidirectional), chosen.dropout or 0.0
    encoder = _encoder(encoders, settings)
    recurrent = recurrent_stack(encoder.output_size, settings)
    channels = (chosen.branch or 0) if isinstance(encoder, NumberEncoder) else 0
    head = ClassifyHead(
        recurrent.output_size,
        answers,
        pool=chosen.pool or "last",
        dropout=dropout,
        backward=recurrent.output_size // 2 if bidirectional else 0,
        beside=channels,
        read=encoder.output_size if chosen.skip else 0,
    )
    branch = Branch(len(encoders.features), channels, causal=not bidirectional) if channels else None
    return SequenceModel(encoder, recurrent, head, branch=branch)


def _encoder(encoders: ClassifyEncoders, settings: Settings) -> NumberEncoder | TokenEncoder | FrameEncoder:
    chosen = settings.model
    if encoders.clip is not None:
        return frame_encoder(encoders.clip, settings)
    if encoders.vocabulary is not None:
        return token_encoder(encoders.vocabulary.size, settings, encoders.runs)
    dropout = (chosen.dropout or 0.0) / 2 if chosen.convolution else 0.0
    return number_encoder(len(encoders.features), settings, dropout=dropout)
