"""Times as text to numbers, and the frequency of a series."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Frequency"]


class Frequency(BaseModel):
    """The step between two rows: `step` units.

    Units: `row` (no time at all), `integer` (plain numbers), `microsecond`, `month`, `business` (weekdays).

    Example:
        >>> Frequency(unit="microsecond", step=3_600_000_000).name
        'hourly'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["row", "integer", "microsecond", "month", "business"]
    step: int

    @property
    def name(self) -> str:
        """A word for people."""
        raise NotImplementedError
