"""Texts to tokens to numbers: characters, words, subwords, and the vocabulary."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["PADDING", "UNKNOWN", "Vocabulary"]

PADDING, UNKNOWN = 0, 1


class Vocabulary(BaseModel):
    """Tokens by number: 0 is padding, 1 stands for every unknown token, then the tokens, most frequent first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["characters", "words", "subwords"]
    tokens: tuple[str, ...]
    model: str = ""
    """The subword model as JSON of the `tokenizers` library; empty for characters and words."""

    @property
    def size(self) -> int:
        """Numbers in use, padding and unknown included: the rows of an embedding."""
        return len(self.tokens) + 2
