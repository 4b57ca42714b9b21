"""When the steps of a sound or a video are."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Clock"]


class Clock(NamedTuple):
    """Steps that are equally far apart.

    Args:
        first: second of the first step.
        apart: seconds between two.
    """

    first: float
    apart: float

    def names(self, steps: int) -> tuple[str, ...]:
        """The second of each step.

        Example:
            >>> Clock(0.0, 0.01).names(3), Clock(1.0, 0.004).names(2)
            (('0.00', '0.01', '0.02'), ('1.000', '1.004'))
        """
        digits = 2 if self.apart >= 0.01 else 3
        return tuple(f"{self.first + step * self.apart:.{digits}f}" for step in range(steps))
