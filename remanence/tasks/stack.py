"""The parts of a model that tasks build alike from complete settings: encoders of each kind, recurrent layers."""

from __future__ import annotations

from remanence.cells import cell as find_cell
from remanence.data.clips import Clip
from remanence.data.runs import Runs
from remanence.nn.encoders import NumberEncoder, TokenDropout, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.nn.start import options_of
from remanence.settings import Settings

__all__ = ["WRITTEN", "frame_encoder", "number_encoder", "recurrent_stack", "token_encoder"]


WRITTEN = 0.3
"""Standard deviation of the fresh vectors of a model that writes. With a third of it, gates hardly move for hundreds of
updates; with three times as much, few pairs are overfitted sooner, and vectors that answer, too, begin far from even
odds."""


def recurrent_stack(input_size: int, settings: Settings, *, locked: bool = False) -> Recurrent:
    """The recurrent layers over inputs of a size, with fresh weights.

    Args:
        locked: each layer, the first too, drops the same units of what it reads at every step of a sequence.
    """
    chosen, dropout = settings.model, settings.model.dropout or 0.0
    cell = find_cell(chosen.cell or "lstm")
    return Recurrent(
        cell,
        input_size,
        chosen.hidden or 64,
        layers=chosen.layers or 1,
        bidirectional=bool(chosen.bidirectional),
        dropout=0.0 if locked else dropout,
        options=RecurrentOptions(
            variational_dropout=chosen.variational_dropout,
            variational_input_dropout=dropout if locked else 0.0,
            **options_of(cell, chosen.initialise, chosen.reach or 2),
        ),
    )


def number_encoder(features: int, settings: Settings, *, dropout: float = 0.0) -> NumberEncoder:
    """Numbers of each step, convolved if asked; it looks ahead where the recurrent layers do."""
    chosen = settings.model
    return NumberEncoder(
        features,
        convolution=chosen.convolution or 0,
        causal=not chosen.bidirectional,
        differences=bool(chosen.differences),
        displacement=bool(chosen.displacement),
        noise=settings.train.noise or 0.0,
        dropout=dropout,
    )


def token_encoder(
    vocabulary_size: int,
    settings: Settings,
    runs: Runs | None = None,
    *,
    locked: bool = False,
    singles: int = 0,
    spread: float = 0.1,
) -> TokenEncoder:
    """A vector for each token, with fresh weights, and for each run of tokens where there are runs.

    Args:
        locked: tokens are dropped wherever they stand; their features are left to the layer that reads them.
        singles: how many of the last tokens training has once.
        spread: standard deviation of fresh vectors.
    """
    chosen = settings.model
    dropout = TokenDropout(
        whole=chosen.embedding_dropout or 0.0,
        feature=0.0 if locked else chosen.dropout or 0.0,
        locked=locked,
        singles=singles,
        unknown=settings.data.unknown or 0.0,
    )
    return TokenEncoder(vocabulary_size, chosen.embedding or 64, dropout, runs=runs, spread=spread)


def frame_encoder(clip: Clip, settings: Settings) -> FrameEncoder:
    """A convolutional network over each frame of a video, with fresh weights."""
    chosen = settings.model
    return FrameEncoder(
        clip,
        channels=chosen.convolution or 16,
        size=chosen.embedding or 64,
        noise=settings.train.noise or 0.0,
        dropout=(chosen.dropout or 0.0) / 2,
    )
