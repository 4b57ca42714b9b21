"""How long to train, and how the learning rate falls on the way.

Budget     epochs, steps or minutes; how much of it is used
rate       learning rate at a fraction of the budget
Patience   early stopping and the plateau schedule, as plain numbers that a checkpoint can hold
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from remanence.settings import TrainSettings

__all__ = ["Budget", "Patience", "rate"]

DEFAULT_EPOCHS = 20
MOST_STEPS_BETWEEN_EVALUATIONS = 1000


@dataclass(frozen=True)
class Budget:
    """When training ends at the latest.

    Args:
        steps: updates of the weights, or None where only time counts.
        seconds: seconds of training, or None.
        evaluate_every: updates between two evaluations.

    Example:
        >>> from remanence.settings import TrainSettings
        >>> Budget.of(TrainSettings(epochs=3), epoch_steps=7).steps
        21
    """

    steps: int | None
    seconds: float | None
    evaluate_every: int

    @classmethod
    def of(cls, settings: TrainSettings, epoch_steps: int) -> Budget:
        steps, seconds = settings.steps, None
        if settings.minutes is not None:
            seconds = settings.minutes * 60
        elif steps is None:
            steps = (settings.epochs or DEFAULT_EPOCHS) * epoch_steps
        every = settings.evaluate_every or min(epoch_steps, MOST_STEPS_BETWEEN_EVALUATIONS)
        return cls(steps, seconds, every)

    def used(self, step: int, seconds: float) -> float:
        """Fraction of the budget that is used, in 0 … 1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, seconds / self.seconds) if self.seconds else 1.0

    def evaluates_after(self, position: int, epoch_steps: int) -> bool:
        """Whether an evaluation follows the update that ends at `position` (from 1) of an epoch."""
        return position == epoch_steps or position % self.evaluate_every == 0


def rate(schedule: str, base: float, used: float, scale: float = 1.0) -> float:
    """Learning rate when a fraction `used` of the budget is gone.

    Args:
        schedule: constant, cosine (base → 0 along half a cosine over the budget) or plateau (`base * scale`).
        base: the learning rate to start with.
        used: fraction of the budget, 0 … 1.
        scale: what plateaus have left of the rate (see `Patience`).

    Example:
        >>> rate("cosine", 0.1, 0.5)
        0.05
    """
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * used)) / 2
    return base * scale if schedule == "plateau" else base


@dataclass
class Patience:
    """What evaluations have shown so far.

    A score is `(metric, loss)`, both better when lower; the loss decides between equal metrics, which are common
    where a validation part is small. Without a validation part every evaluation counts as an improvement.
    """

    limit: int | None
    best: tuple[float, float] | None = None
    best_step: int = 0
    since_best: int = 0
    scale: float = 1.0
    since_fall: int = field(default=0)

    def improved(self, score: tuple[float, float] | None, step: int) -> bool:
        """Take in an evaluation; whether its weights are the best so far."""
        if score is None or self.best is None or score < self.best:
            self.best, self.best_step, self.since_best, self.since_fall = score, step, 0, 0
            return True
        self.since_best += 1
        self.since_fall += 1
        if self.since_fall >= self._plateau:
            self.scale, self.since_fall = self.scale / 2, 0
        return False

    @property
    def exhausted(self) -> bool:
        return self.limit is not None and self.since_best >= self.limit

    @property
    def _plateau(self) -> int:
        # The rate is halved twice before patience ends, so that a lower rate gets its chance.
        return max(1, (self.limit or 9) // 3)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Patience:
        best = data["best"]
        return cls(**{**data, "best": None if best is None else (float(best[0]), float(best[1]))})
