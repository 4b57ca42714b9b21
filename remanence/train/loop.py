"""The training loop: one model, one seed, from fresh weights to the best ones on the validation part.

    train    Job → Trained; with a folder, checkpoints go there and training continues from the last one

A budget in epochs or steps makes the result a function of data, settings, seed, threads and machine: the same seed
gives the same weights, killed and resumed or not. A budget in minutes depends on the clock, and does not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from remanence.data.spills import trim_heap
from remanence.errors import DataError, ShapeError, TrainingError
from remanence.prediction.outputs import TRIM_EVERY, measure
from remanence.tasks.task import Scores
from remanence.train.budget import Budget, Patience, rate
from remanence.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from remanence.train.determinism import reproducible
from remanence.train.job import Hooks, Job, Trained, plain_metrics
from remanence.train.update import Updater

__all__ = ["train"]

CHECKPOINT_SECONDS = 30.0
"""A checkpoint is at most so old, and one step; after an evaluation sooner, see `_due`."""
CHECKPOINT_SHARE = 0.05
"""Checkpoints after evaluations may take this share of the training time: tiny epochs are not worth one each."""


def train(job: Job, folder: Path | None = None, hooks: Hooks | None = None) -> Trained:
    """Train a model; torch's random state, threads and flags are as before afterwards.

    Args:
        job: what to train.
        folder: where checkpoints are written, and continued from; None keeps none.
        hooks: progress, log and interrupt.

    Raises:
        TrainingError: a loss or gradient is not finite: names step and examples; the last checkpoint is kept.
        RunError: the last checkpoint is damaged.
        MachineError: the disk is full.
    """
    with reproducible(job.settings.train.device, job.settings.train.threads):
        training = _Training(job, folder, hooks or Hooks())
        training.resume()
        return training.run()


@dataclass
class _Position:
    """Where training stands; JSON of a checkpoint."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    norm_sum: float = 0.0
    steps_summed: int = 0
    valid: dict[str, float | None] = field(default_factory=dict)
    kept: int = 0
    mark: int = 0


class _Training:
    """State and steps of one training."""

    def __init__(self, job: Job, folder: Path | None, hooks: Hooks) -> None:
        self.job, self.folder, self.hooks = job, folder, hooks
        self.options = job.settings.train
        if not len(job.prepared.train):
            raise DataError("the training part has no example", remedy="choose another --split or a shorter --context")
        torch.manual_seed(job.seed)
        self.updater = Updater(job)
        self.patience = Patience(self.options.patience)
        self.at = _Position()
        self.order = self._order()
        self.budget = Budget.of(self.options, len(self.order))
        self.best: dict[str, Tensor] = {}
        self.started = self.saved_at = time.monotonic()
        self.save_cost = 0.0

    def run(self) -> Trained:
        """Train to the end of budget or patience."""
        self.started = time.monotonic() - self.at.seconds
        self.hooks.progress.begin(self.job.title)
        try:
            stopped = self._updates()
        except ShapeError as error:
            # Layers refuse weights that are not finite: here that is no mistake of a shape.
            if all(weights.isfinite().all() for weights in self.updater.model.parameters()):
                raise
            raise TrainingError(
                f"step {self.at.step}: the last update left weights that are not finite",
                remedy="try a smaller --learning-rate or --clip 1",
            ) from error
        finally:
            self.hooks.progress.end()
        # Before an evaluation that an uninterrupted training has not: to evaluate, tables catch up.
        if stopped == "interrupted":
            self._save()
        if not self.best:
            self._evaluate()
        at = self.at
        return Trained(
            self.updater.finish(self.best), self.job.seed, at.valid, at.kept, at.step,
            at.epoch + (at.batch > 0), at.seconds, stopped,
        )  # fmt: skip

    def _updates(self) -> str:
        """Update until something says stop; what it was."""
        while True:
            # All three conditions follow from what a checkpoint holds, so a resumed training stops where it would have.
            if self.budget.used(self.at.step, self.at.seconds) >= 1:
                return "budget"
            if self.patience.exhausted:
                return "patience"
            if self.hooks.interrupt.requested:
                return "interrupted"
            self._update()
            if self.at.step % TRIM_EVERY == 0:
                trim_heap()
            ended = self.budget.used(self.at.step, self.at.seconds) >= 1
            if ended or self.budget.evaluates_after(self.at.batch, len(self.order)):
                self._evaluate()
            if self.at.batch == len(self.order):
                self.at.epoch, self.at.batch = self.at.epoch + 1, 0
                self.order = self._order()
            if self._due():
                self._save()

    def _update(self) -> None:
        at = self.at
        used = self.budget.used(at.step, at.seconds)
        assert self.options.learning_rate is not None
        learning_rate = rate(self.options.schedule or "constant", self.options.learning_rate, used, self.patience.scale)
        batch = self.job.prepared.train.batch(self.order[at.batch])
        loss, norm = self.updater.update(batch, learning_rate, at.step + 1)
        at.step, at.batch = at.step + 1, at.batch + 1
        at.loss_sum, at.norm_sum, at.steps_summed = at.loss_sum + loss, at.norm_sum + norm, at.steps_summed + 1
        at.seconds = time.monotonic() - self.started
        self.hooks.progress.step(self.budget.used(at.step, at.seconds), at.loss_sum / at.steps_summed, at.seconds)

    def _evaluate(self) -> None:
        """Score the validation part, keep the weights if they are the best so far, write a row of metrics."""
        at = self.at
        with self.updater.evaluated_weights():
            scores, loss = self._valid()
            metrics = plain_metrics(scores.metrics) if scores else {}
            first = next(iter(metrics), "")
            score = (scores.metrics[first], loss) if scores and loss is not None else None
            best = self.patience.improved(score, at.step)
            if best or self.options.keep == "last":
                at.kept = at.step
                self.best, at.valid = self.updater.weights(), {**metrics, "loss": loss} if loss is not None else {}
        at.seconds = time.monotonic() - self.started
        if first:
            self.hooks.progress.evaluated(first, metrics[first] or 0.0, best)
        count = max(1, at.steps_summed)
        self.hooks.log({
            "model": self.job.settings.model.cell, "seed": self.job.seed, "step": at.step,
            "epoch": round(at.epoch + at.batch / len(self.order), 4), "train_loss": at.loss_sum / count,
            "valid_loss": loss, "valid": metrics, "learning_rate": self.updater.learning_rate,
            "gradient_norm": at.norm_sum / count, "seconds": round(at.seconds, 3), "best": best,
        })  # fmt: skip
        at.loss_sum = at.norm_sum = 0.0
        at.steps_summed = 0

    def _valid(self) -> tuple[Scores | None, float | None]:
        part = self.job.prepared.valid
        if not len(part):
            return None, None
        scores, loss = measure(self.job.task, self.updater.model, part, self.job.prepared.encoders, self.job.settings)
        first = next(iter(scores.metrics))
        if not (torch.tensor([loss, scores.metrics[first]]).isfinite().all()):
            raise TrainingError(
                f"step {self.at.step}: validation gives loss {loss:.4g} and {first} {scores.metrics[first]:.4g}",
                remedy="try a smaller --learning-rate or --clip 1",
            )
        return scores, loss

    def _order(self) -> Sequence[Any]:
        assert self.options.batch_size is not None
        return self.job.prepared.train.order(self.options.batch_size, self.job.seed, self.at.epoch)

    def _due(self) -> bool:
        """Whether it is time for a checkpoint: often after evaluations, seldom enough to cost little."""
        if self.folder is None:
            return False
        age = time.monotonic() - self.saved_at
        evaluated = self.at.steps_summed == 0
        return age >= CHECKPOINT_SECONDS or (evaluated and age * CHECKPOINT_SHARE >= self.save_cost)

    def _save(self) -> None:
        if self.folder is None:
            return
        began = time.monotonic()
        self.at.mark = self.hooks.mark()
        tensors = {f"best.{name}": value for name, value in self.best.items()}
        tensors.update(self.updater.tensors())
        state = {"position": dict(vars(self.at)), "patience": self.patience.to_json(), "seed": self.job.seed}
        save_checkpoint(self.folder, Checkpoint(tensors, state), self.at.step)
        self.saved_at = time.monotonic()
        self.save_cost = self.saved_at - began

    def resume(self) -> None:
        """Continue from the last checkpoint, where there is one."""
        checkpoint = load_checkpoint(self.folder) if self.folder else None
        if checkpoint is None:
            return
        self.at = _Position(**checkpoint.state["position"])
        self.patience = Patience.from_json(checkpoint.state["patience"])
        self.best = {n.removeprefix("best."): t for n, t in checkpoint.tensors.items() if n.startswith("best.")}
        self.updater.load(checkpoint.tensors)
        self.order = self._order()
        self.hooks.rewind(self.at.mark)
        self.hooks.progress.note(f"{self.job.title}: continuing after step {self.at.step}")
