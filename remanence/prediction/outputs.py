"""A model read over a part: outputs and scores. Memory is that of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.batches import order, pieces
from remanence.data.examples import Batch, Part
from remanence.data.spills import trim_heap
from remanence.nn.carry import Carried
from remanence.nn.pool import State
from remanence.settings import Settings
from remanence.tasks.task import Scores, Task

__all__ = ["TRIM_EVERY", "forward", "measure", "outputs"]

EVALUATION_BATCH = 256
TRIM_EVERY = 32
STREAMS = 32
"""Places of a long text that are read side by side."""
WARM = 4
"""Windows read before each such place, so that a state is there when scoring begins."""


def outputs(model: Any, part: Part, settings: Settings, *, in_order: bool = False) -> Iterator[tuple[Tensor, Batch]]:
    """The model's output for each batch of a part, on the model's device.

    Args:
        model: a `SequenceModel` or a `Baseline`.
        part: what to read.
        settings: `train.truncate` bounds how many steps are in memory at once.
        in_order: give the outputs in the order of the part; they are computed in pools, by length.
    """
    if part.stream:
        yield from _streamed(model, part, settings, 1 if in_order else _places(part))
        return
    pools = [np.arange(len(part))]
    if in_order:
        pools = np.array_split(pools[0], max(1, -(-len(part) // part.held_at_once)))
    for pool in pools:
        answered = _answered(model, part, pool, settings)
        yield from _restored(part, pool, answered) if in_order else answered


def _answered(model: Any, part: Part, pool: np.ndarray, settings: Settings) -> Iterator[tuple[Tensor, Batch]]:
    """Outputs of some examples, those of like length together."""
    for count, places in enumerate(order(part.lengths[pool], EVALUATION_BATCH, seed=0, epoch=0)):
        if count % TRIM_EVERY == 0:
            trim_heap()
        for index in pieces(part.lengths, pool[places], part.steps_at_once):
            batch = part.batch(index)
            yield forward(model, batch, settings.train.truncate), batch


def _places(part: Part) -> int:
    """How many places of a long text are read side by side: few where reading up to them would cost as much."""
    longest = int(part.lengths.max(initial=1))
    return max(1, min(STREAMS, part.steps_at_once // longest, len(part) // (8 * WARM)))


def _streamed(model: Any, part: Part, settings: Settings, places: int) -> Iterator[tuple[Tensor, Batch]]:
    """Outputs of examples that go on from each other, the state carried between them."""
    batches = part.order(places, 0, 0)
    carried = Carried()
    if isinstance(model, torch.nn.Module) and len(batches):
        for index in (batches[0] - back for back in range(WARM, 0, -1)):
            if (index >= 0).any():
                _carried(model, part.batch(index[index >= 0]), settings, carried)
    for index in batches:
        batch = part.batch(index)
        yield _carried(model, batch, settings, carried), batch


def _carried(model: Any, batch: Batch, settings: Settings, carried: Carried) -> Tensor:
    """The answer to some examples after the state that `carried` holds for them; it holds theirs afterwards."""
    if not isinstance(model, torch.nn.Module):
        return model.predict(batch)
    answer, state = _read(model, batch, settings.train.truncate, carried.before(batch.index))
    carried.after(batch.index, state)
    return answer


def _restored(part: Part, pool: np.ndarray, answered: Iterator[tuple[Tensor, Batch]]) -> Iterator[tuple[Tensor, Batch]]:
    """The same outputs in the order of the part, a batch at a time."""
    found = {int(at): row for output, batch in answered for at, row in zip(batch.index, output, strict=True)}
    for piece in np.array_split(pool, max(1, -(-len(pool) // EVALUATION_BATCH))):
        if len(piece):
            yield _side_by_side([found[int(at)] for at in piece]), part.batch(piece)


def _side_by_side(answers: list[Tensor]) -> Tensor:
    """Answers as one tensor; those with a row a step are as large as the batch they were computed in, and filled up."""
    largest = torch.tensor([answer.shape for answer in answers]).amax(0).tolist()
    whole = answers[0].new_zeros(len(answers), *largest)
    for row, answer in zip(whole, answers, strict=True):
        row[tuple(map(slice, answer.shape))] = answer
    return whole


def forward(model: Any, batch: Batch, chunk: int | None) -> Tensor:
    """The answer to a batch, read in chunks of so many steps where given; no gradient, evaluation mode."""
    if not isinstance(model, torch.nn.Module):
        return model.predict(batch)
    return _read(model, batch, chunk, {})[0]


def _read(model: Any, batch: Batch, chunk: int | None, state: State) -> tuple[Tensor, State]:
    """The answer to a batch after a state, and the state after it; empty: the batch begins."""
    model.eval()
    batch = batch.to(next(model.parameters()).device)
    with torch.no_grad():
        state = state or model.begin(batch)
        if chunk is None or batch.inputs.time <= chunk:
            return model(batch, state)
        answers = []
        for piece in model.chunks(batch, chunk):
            answer, state = model(piece, state)
            answers = [*answers, answer] if model.answers_steps else [answer]
        return model.joined(answers, batch), state


def measure(task: Task, model: Any, part: Part, encoders: BaseModel, settings: Settings) -> tuple[Scores, float]:
    """Scores of a model on a part, and its mean loss.

    Args:
        task, encoders, settings: what the model was made with.
        model: a `SequenceModel` or a `Baseline`.
        part: examples with answers.
    """
    meter = task.meter(encoders, settings)
    total, count = 0.0, 0
    for output, batch in outputs(model, part, settings):
        output = output.cpu()
        meter.update(output, batch)
        size = len(batch.index)
        total += float(task.loss(output, batch, settings)) * size
        count += size
    return meter.scores(), total / max(1, count)
