"""A model read over a part: outputs and scores. Memory is that of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.batches import order, pieces
from remanence.data.examples import Batch, Part
from remanence.settings import Settings
from remanence.tasks.task import Scores, Task

__all__ = ["forward", "measure", "outputs"]

EVALUATION_BATCH = 256


def outputs(model: Any, part: Part, settings: Settings, *, in_order: bool = False) -> Iterator[tuple[Tensor, Batch]]:
    """The model's output for each batch of a part, on the model's device.

    Args:
        model: a `SequenceModel` or a `Baseline`.
        part: what to read.
        settings: `train.truncate` bounds how many steps are in memory at once.
        in_order: keep the order of the part; otherwise sequences of like length come together, which is quicker.
    """
    for whole in order(part.lengths, EVALUATION_BATCH, seed=0, epoch=0, shuffle=not in_order):
        for index in pieces(part.lengths, whole):
            batch = part.batch(index)
            yield forward(model, batch, settings.train.truncate), batch


def forward(model: Any, batch: Batch, chunk: int | None) -> Tensor:
    """The answer to a batch, read in chunks of so many steps where given; no gradient, evaluation mode."""
    if not isinstance(model, torch.nn.Module):
        return model.predict(batch)
    model.eval()
    device = next(model.parameters()).device
    batch = batch.to(device)
    with torch.no_grad():
        if chunk is None or batch.inputs.time <= chunk:
            return model(batch)[0]
        state = model.begin(batch)  # type: ignore[operator]
        output = None
        for piece in model.chunks(batch, chunk):  # type: ignore[operator]
            output, state = model(piece, state)
    assert output is not None
    return output


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
