"""Options of texts that are read beside the data; part of `DataSettings`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TextSettings"]


class TextSettings(BaseModel):
    """Texts without labels, and what is learnt of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    word_texts: tuple[str, ...] = Field(
        default=(),
        description="Text files without labels: how often they use a word, and write it with a capital, is read too.",
    )
