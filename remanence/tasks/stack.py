"""The parts of a model that tasks build alike from complete settings: vectors of tokens, recurrent layers."""

from __future__ import annotations

from remanence.data.runs import Runs
from remanence.nn.encoders import TokenEncoder
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.settings import Settings

__all__ = ["recurrent_stack", "token_encoder"]


def recurrent_stack(input_size: int, settings: Settings) -> Recurrent:
    """The recurrent layers over inputs of a size, with fresh weights."""
    chosen = settings.model
    return Recurrent(
        chosen.cell or "lstm",
        input_size,
        chosen.hidden or 64,
        layers=chosen.layers or 1,
        bidirectional=bool(chosen.bidirectional),
        dropout=chosen.dropout or 0.0,
        options=RecurrentOptions(variational_dropout=chosen.variational_dropout),
    )


def token_encoder(
    vocabulary_size: int, settings: Settings, runs: Runs | None = None, *, locked: bool = False
) -> TokenEncoder:
    """A vector for each token, with fresh weights, and for each run of tokens where there are runs.

    Args:
        locked: dropout is alike at all steps.
    """
    chosen = settings.model
    return TokenEncoder(
        vocabulary_size,
        chosen.embedding or 64,
        token_dropout=chosen.embedding_dropout or 0.0,
        runs=runs,
        locked=locked,
        dropout=chosen.dropout or 0.0,
    )
