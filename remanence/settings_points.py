"""Options of numbers that belong together, as the coordinates of points on a body do; part of `DataSettings`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PointSettings"]


class PointSettings(BaseModel):
    """What the coordinates of points are told from, and what they share."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    origin: str | None = Field(
        default=None, description="Point that all others are told from, such as point6 of columns point6 x, point6 y."
    )
    scale: Literal["column", "axis", "all"] = Field(
        default="column",
        description="Columns scaled alike, so that what moves little stays small: none, those of an axis (x, y), all.",
    )
