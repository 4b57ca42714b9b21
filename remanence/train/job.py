"""What the training loop is given, and what it gives back.

Job      what is trained: task, data, settings, seed
Hooks    whom the loop tells, and whom it listens to
Trained  the model with its best weights, and how it came about
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remanence.settings import Settings
from remanence.tasks.task import Prepared, Task
from remanence.train.interrupt import Interrupt
from remanence.train.progress import Progress

__all__ = ["Hooks", "Job", "Trained", "plain_metrics"]


@dataclass(frozen=True)
class Job:
    """One model to train.

    Args:
        task, prepared, settings: `settings` complete (see `Task.defaults`).
        seed: of weights, order of examples, dropout and noise.
        title: what a person sees while it trains.
    """

    task: Task
    prepared: Prepared
    settings: Settings
    seed: int
    title: str = ""


@dataclass(frozen=True)
class Hooks:
    """What the loop tells, and listens to.

    Args:
        log: takes a row of metrics after each evaluation.
        mark: length of the log so far in bytes, kept in checkpoints.
        rewind: cut the log back to a mark (resume).
    """

    progress: Progress = field(default_factory=Progress)
    interrupt: Interrupt = field(default_factory=Interrupt)
    log: Callable[[dict[str, Any]], None] = lambda row: None
    mark: Callable[[], int] = lambda: 0
    rewind: Callable[[int], None] = lambda mark: None


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Args:
        model: with its best weights, in evaluation mode.
        seed: its seed.
        valid: metrics on the validation part (empty without one).
        best_step, steps: updates until the weights that are kept, and until the end.
        epochs: passes begun over the training part.
        seconds: training time, evaluations included, over all sittings.
        stopped: why: "budget", "patience" or "interrupted".
    """

    model: Any
    seed: int
    valid: dict[str, float | None]
    best_step: int
    steps: int
    epochs: int
    seconds: float
    stopped: str

    @property
    def parameters(self) -> int:
        """Trained numbers."""
        return sum(weights.numel() for weights in self.model.parameters())

    def facts(self) -> dict[str, Any]:
        """All but the weights, as JSON."""
        return {
            "seed": self.seed, "valid": self.valid, "best_step": self.best_step, "steps": self.steps,
            "epochs": self.epochs, "seconds": round(self.seconds, 3), "stopped": self.stopped,
            "parameters": self.parameters,
        }  # fmt: skip


def plain_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics as JSON: what is not a number (a scaled error of a constant series) is null.

    Example:
        >>> plain_metrics({"mae": 0.5, "mase": float("nan")})
        {'mae': 0.5, 'mase': None}
    """
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
