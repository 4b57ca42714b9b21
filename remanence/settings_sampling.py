"""Options of writing with a trained model: how much, how boldly, from which seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SamplingSettings"]


class SamplingSettings(BaseModel):
    """How a trained model writes (`remanence generate`); not part of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    length: Annotated[int, Field(ge=1, le=10**9)] = Field(default=200, description="Tokens to write at most.")
    temperature: Annotated[float, Field(ge=0, le=100)] = Field(
        default=0.8, description="Below 1 more careful, above 1 wilder; 0 always takes the likeliest token."
    )
    top_k: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        default=None, description="Draw from the so many likeliest tokens only."
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Draw from the likeliest tokens that together have this probability."
    )
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(default=0, description="The same seed writes the same.")
    samples: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="How many to write.")
