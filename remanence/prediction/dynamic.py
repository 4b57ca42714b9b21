"""Dynamic evaluation: a model that goes on learning from what it has just been scored on.

A part is read in order, in segments. After each segment, once its cost is counted, the weights θ take a step down the
gradient g of that cost and are drawn back towards the trained weights θ₀:

    θ ← θ − η g / (√m + ε mean(√m)) + λ r (θ₀ − θ)        r = min(√m / mean(√m), 1 / λ)

where m is the mean square of each weight's gradient over the training part: weights that matter much move little, and
are drawn back strongly. Nothing is learnt from a token before it is scored. The run itself stays as it was.

References:
    Krause, Kahembwe, Murray & Renals 2018, Dynamic evaluation of neural sequence models, arXiv:1709.07432: RMS with a
    decay towards the trained weights. Our mean is over the weights of the whole model; ε is a share of it, for a weight
    that the examples looked at never used, such as the vector of a rare character, has m = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.nn.carry import Carried
from remanence.settings import Settings
from remanence.tasks.task import Scores, Task

__all__ = ["measure_dynamically", "squared_gradients"]

SEGMENT = 100
"""Steps scored between two updates."""
SAMPLED = 1024
"""Examples of the training part, spread evenly, from which the mean square of the gradients is taken."""
DECAY = 0.001
"""How strongly weights are drawn back, λ."""
EPSILON = 0.03
"""What is added to the root of a mean square, as a share of the mean of all roots, ε."""
_LEAST = 1e-8


def measure_dynamically(
    task: Task, model: Any, parts: tuple[Part, Part], encoders: BaseModel, settings: Settings, *, rate: float
) -> Scores:
    """Scores of a model that goes on learning.

    Args:
        task, encoders, settings: what the model was made with.
        model: a `SequenceModel` with answers at every step; it is not changed.
        parts: the training part, and the part to score.
        rate: step size η, such as 0.0005; 0 scores the model as it is.

    Raises:
        SettingError: a task whose answers do not come step by step, or a step size below 0 or far too large.
    """
    if task.name != "generate":
        raise SettingError(
            f"is for runs that generate, not those that {task.name}", name="dynamic", remedy="leave it out"
        )
    if not 0 <= rate < float("inf"):
        raise SettingError(f"expected a number of at least 0, came {rate:g}", name="dynamic", remedy="such as 0.0005")
    train, part = parts
    learning = deepcopy(model).eval()
    weights = [weight for weight in learning.parameters() if weight.requires_grad]
    trained = [weight.detach().clone() for weight in weights]
    roots = [square.sqrt() for square in squared_gradients(task, learning, train, settings)]
    mean = torch.cat([root.flatten() for root in roots]).mean().clamp(min=_LEAST)
    back = [DECAY * (root / mean).clamp(max=1 / DECAY) for root in roots]
    meter = task.meter(encoders, settings)
    for output, batch in _segments(learning, part, np.arange(len(part))):
        meter.update(output.detach().cpu(), batch.to("cpu"))
        gradients = torch.autograd.grad(task.loss(output, batch, settings), weights, allow_unused=True)
        with torch.no_grad():
            for weight, start, root, pull, gradient in zip(weights, trained, roots, back, gradients, strict=True):
                step = torch.zeros_like(weight) if gradient is None else gradient / (root + EPSILON * mean)
                weight += pull * (start - weight) - rate * step
        if not all(weight.isfinite().all() for weight in weights):
            raise _ran_away(rate)
    scores = meter.scores()
    if not np.isfinite(scores.errors).all():
        raise _ran_away(rate)
    return scores


def _ran_away(rate: float) -> SettingError:
    return SettingError(f"{rate:g} is so large that the weights ran away", name="dynamic", remedy="try a tenth of it")


def squared_gradients(task: Task, model: Any, train: Part, settings: Settings) -> list[Tensor]:
    """Mean square of the gradient of each weight over segments of the training part."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    totals, count = [torch.zeros_like(weight) for weight in weights], 0
    chosen = np.unique(np.linspace(0, len(train) - 1, SAMPLED).round().astype(np.int64))
    for output, batch in _segments(model, train, chosen):
        gradients = torch.autograd.grad(task.loss(output, batch, settings), weights, allow_unused=True)
        for total, gradient in zip(totals, gradients, strict=True):
            if gradient is not None:
                total += gradient**2
        count += 1
    return [total / max(1, count) for total in totals]


def _segments(model: Any, part: Part, index: np.ndarray) -> Iterator[tuple[Tensor, Batch]]:
    """Output and inputs of each segment, one example after the other, with a graph behind the output."""
    device = next(model.parameters()).device
    carried = Carried()
    for at in index:
        batch = part.batch(np.array([at])).to(device)
        if not batch.inputs.time:
            continue
        state = carried.before(batch.index) if part.stream else {}
        for chunk in model.chunks(batch, SEGMENT):
            output, state = model(chunk, state)
            state = {name: value.detach() for name, value in state.items()}
            yield output, chunk
        carried.after(batch.index, state)
