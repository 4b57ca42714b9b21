"""One update of the weights: forward, backward, clip, AdamW, average; of large tables, of the rows that a batch reads.

The windows of a long text are a batch each; the state is carried from one to the next without a gradient.

With `truncate`, the inputs come in chunks of that many steps. The state is carried from chunk to chunk and cut off
from the gradient; the loss after each chunk counts by its share of the valid steps (a forecast is only scored after its
whole context); gradients of all chunks are summed and the weights are updated once a batch, so that memory is that of
one chunk while a batch means the same with and without truncation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.data.examples import Batch
from remanence.errors import TrainingError
from remanence.nn.carry import Carried
from remanence.train.job import Job
from remanence.train.tables import Tables, large_tables
from remanence.train.weights import Weights

__all__ = ["Updater"]

MOST_ROWS_NAMED = 3


class Updater:
    """A model with its optimiser and averages."""

    def __init__(self, job: Job) -> None:
        self.job, self.options = job, job.settings.train
        self.device = torch.device(self.options.device)
        self.model: Any = job.task.model(job.prepared.encoders, job.settings).to(self.device)
        large, decay = large_tables(self.model), self.options.weight_decay or 0.0
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad and name not in large}
        self.rest = Weights(trained, decay, averaged=bool(self.options.average))
        # The tensors themselves, which keep their place from now on, when weights are loaded, too.
        self.floating = {name: value for name, value in self.model.state_dict().items() if value.is_floating_point()}
        self.averaged: dict[str, Tensor] = {}
        if self.options.average:
            self.averaged = {name: value.clone() for name, value in self.floating.items()} | self.rest.means
        self.untrained = [name for name in self.averaged if name not in trained and name not in large]
        self.tables = Tables(large, self.averaged, decay)
        self.updates, self.learning_rate = 0, 0.0
        self.carried = Carried()

    def update(self, batch: Batch, learning_rate: float, step: int) -> tuple[float, float]:
        """Learn from a batch; its loss, and the norm of the gradient before clipping.

        Raises:
            TrainingError: one of them is not finite; the weights are as they were.
        """
        self.learning_rate = learning_rate
        if not self.model.training:
            self.model.train()
        self._forget_gradients()
        varied = self.job.task.vary(batch, self.job.settings)
        loss = self._backward(varied.to(self.device))
        norm = self._norm() if np.isfinite(loss) else loss
        if not (np.isfinite(loss) and np.isfinite(norm)):
            self._forget_gradients()
            raise self._not_finite(batch, step, "loss" if not np.isfinite(loss) else "gradient")
        self.updates += 1
        # A young average follows the weights closely, or it would remember how they began.
        kept = min(self.options.average or 0.0, (1 + self.updates) / (10 + self.updates))
        clip = self.options.clip
        scale = 1.0 if clip is None or norm <= clip else clip / (norm + 1e-6)
        self.rest.learn(learning_rate, kept, scale)
        self.tables.learn(learning_rate, kept, scale)
        for name in self.untrained:
            self.averaged[name].lerp_(self.floating[name], 1 - kept)
        return loss, norm

    def _forget_gradients(self) -> None:
        self.rest.forget()
        self.tables.forget()

    def _backward(self, batch: Batch) -> float:
        total = 0.0
        for output, weight, last in self._outputs(batch):
            loss = self.job.task.loss(output, last, self.job.settings) * weight
            value = float(loss.detach())
            total += value
            if not np.isfinite(value):
                return value
            if loss.requires_grad:
                loss.backward()
        return total

    def _outputs(self, batch: Batch) -> Iterator[tuple[Tensor, float, Batch]]:
        """Output, weight of its loss and the chunk, for each chunk that is scored."""
        size = self.options.truncate
        stream = self.job.prepared.train.stream
        state = self.carried.before(batch.index) if stream else self.model.begin(batch)
        chunks = [batch] if size is None or size >= batch.inputs.time else self.model.chunks(batch, size)
        steps = max(1, int(batch.inputs.lengths.sum()))
        for position, chunk in enumerate(chunks):
            output, state = self.model(chunk, state)
            if len(chunks) == 1:
                weight = 1.0
            elif self.job.task.scored_early:
                weight = float(chunk.inputs.lengths.sum()) / steps
            else:
                weight = float(position == len(chunks) - 1)
            if weight:
                yield output, weight, chunk
            state = {name: value.detach() for name, value in state.items()}
        if stream:
            self.carried.after(batch.index, state)

    def _norm(self) -> float:
        """Of the gradient of all weights."""
        gradients = [*self.tables.gradients(), *self.rest.gradients()]
        return math.hypot(*(float(torch.linalg.vector_norm(gradient)) for gradient in gradients))

    def _not_finite(self, batch: Batch, step: int, what: str) -> TrainingError:
        """Find the examples that alone give a loss that is not finite."""
        train = self.job.prepared.train
        places = batch.index.tolist()
        rows = [place for place in places if self._spoils(train.batch(np.array([place])))]
        if rows:
            named = ", ".join(train.name(place) for place in rows[:MOST_ROWS_NAMED])
            more = f" and {len(rows) - MOST_ROWS_NAMED} more" if len(rows) > MOST_ROWS_NAMED else ""
            where, remedy = f"caused by {named}{more}", "look at these rows; else try a smaller --learning-rate"
        else:
            where = f"no example of it alone gives one; it begins with {train.name(places[0])}"
            remedy = "try a smaller --learning-rate or --clip 1"
        error = TrainingError(
            f"step {step}: the {what} of a batch of {len(places)} is not finite, {where}", remedy=remedy
        )
        error.step, error.rows = step, rows  # type: ignore[attr-defined]
        return error

    def _spoils(self, single: Batch) -> bool:
        single = single.to(self.device)
        if single.inputs.data.is_floating_point() and not single.inputs.data[single.inputs.mask()].isfinite().all():
            return True
        self.model.eval()
        with torch.no_grad():
            return not self.job.task.loss(self.model(single)[0], single, self.job.settings).isfinite().all()

    @contextmanager
    def evaluated_weights(self) -> Iterator[None]:
        """The weights that are evaluated and kept: the averaged ones where there are."""
        self.tables.catch_up()
        if not self.averaged:
            yield
            return
        current = {name: value.clone() for name, value in self.floating.items()}
        self.model.load_state_dict(self.averaged, strict=False)
        try:
            yield
        finally:
            self.model.load_state_dict(current, strict=False)

    def finish(self, weights: dict[str, Tensor]) -> Any:
        """The model with weights such as `weights` gave, to be used and trained no more."""
        self.tables.release()
        self.rest.release()
        self.model.load_state_dict(weights)
        return self.model.eval()

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights as they are now, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint must hold to go on as if nothing had happened."""
        held = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        held.update({f"average.{name}": value for name, value in self.averaged.items()})
        held.update({f"optimiser.{name}": value for name, value in self.rest.tensors().items()})
        held.update({f"tables.{name}": value for name, value in self.tables.tensors().items()})
        held.update({f"carried.{name}": value for name, value in self.carried.tensors().items()})
        held["random.cpu"] = torch.get_rng_state()
        held["updates"] = torch.tensor(self.updates)
        if self.device.type == "cuda":
            held["random.cuda"] = torch.cuda.get_rng_state(self.device)
        return held

    def load(self, held: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""

        def below(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}

        self.model.load_state_dict(below("model."))
        for name, value in below("average.").items():
            self.averaged[name].copy_(value)
        self.tables.load(below("tables."))
        self.rest.load(below("optimiser."))
        self.carried.load(below("carried."), self.device)
        torch.set_rng_state(held["random.cpu"])
        self.updates = int(held["updates"])
        if "random.cuda" in held:
            torch.cuda.set_rng_state(held["random.cuda"], self.device)
