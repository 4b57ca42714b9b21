"""Metrics of what comes next, gathered batch by batch in bounded memory. Every step counts alike.

Texts, −log p(truth) in nats, the mean over tokens; the end of a text is a token, too:

    nats, bits              a token (bits: divided by log 2)
    perplexity              exp(nats)
    nats_per_character, bits_per_character
                            the same sum over the characters of the text, an end counted as one: what models that cut
                            texts into other tokens are compared by

Music, −Σ log p(key sounds or not) over the 88 keys of a frame, in nats, the mean over frames:

    nll                     as in Boulanger-Lewandowski et al. 2012, arXiv:1206.6392, the first frame given
    frame_accuracy          hits / (hits + misses + false alarms), a key sounding where p > 1/2 (Bay et al. 2009)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import GenerateEncoders
from remanence.data.examples import Batch
from remanence.tasks.task import Meter, Scores

__all__ = ["FrameMeter", "TokenMeter", "costs"]

_LEAST_BLOCK, _BLOCKS = 64, 2000


def costs(output: Tensor, batch: Batch) -> Tensor:
    """−log p(truth) of each step in nats, `[batch, time]`; 0 beyond a sequence's end.

    Args:
        output: logits `[batch, time, token]`, or `[batch, time, key]` for music.
        batch: with its target.
    """
    assert batch.target is not None
    if batch.target.ndim == 3:
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            output, batch.target.to(output), reduction="none"
        ).sum(2)
    else:
        each = torch.nn.functional.cross_entropy(output.transpose(1, 2), batch.target, reduction="none")
    return torch.where(batch.inputs.mask(), each, 0.0)


class _Steps:
    """Errors of steps in the order of their examples."""

    def __init__(self) -> None:
        self._errors: list[np.ndarray] = []
        self._index: list[np.ndarray] = []

    def add(self, values: Tensor, batch: Batch) -> None:
        mask = batch.inputs.mask().cpu()
        self._errors.append(values.cpu()[mask].double().numpy())
        self._index.append(batch.index.cpu().numpy().repeat(batch.inputs.lengths.numpy()))

    def scores(self, metrics: dict[str, float], name: str) -> Scores:
        """The scores, whose first metric is the mean of the errors."""
        errors = np.concatenate([np.zeros(0), *self._errors])
        order = np.argsort(np.concatenate([np.zeros(0, np.int64), *self._index]), kind="stable")
        errors = errors[order]
        # Neighbouring steps share what makes them hard; more blocks than that would tell no more.
        block = max(_LEAST_BLOCK, len(errors) // _BLOCKS)
        mean = float(errors.mean()) if len(errors) else float("nan")
        return Scores({name: mean} | (metrics if len(errors) else {}), errors, block)


class TokenMeter(Meter):
    """Scores of a language model; see the module for what each metric is."""

    def __init__(self, encoders: GenerateEncoders) -> None:
        assert encoders.symbols is not None
        self._characters = torch.from_numpy(encoders.symbols.characters)
        self._steps = _Steps()
        self._nats, self._tokens, self._count = 0.0, 0, 0

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        each = costs(output.detach().double(), batch)
        self._steps.add(each, batch)
        self._nats += float(each.sum())
        self._tokens += int(batch.inputs.lengths.sum())
        self._count += int(self._characters[batch.target[batch.inputs.mask()].cpu()].sum())

    def scores(self) -> Scores:
        nats, each = self._nats / max(1, self._tokens), self._nats / max(1, self._count)
        metrics = {
            "bits": nats / math.log(2),
            "perplexity": math.exp(min(nats, 700.0)),
            "nats_per_character": each,
            "bits_per_character": each / math.log(2),
        }
        return self._steps.scores(metrics, "nats")


class FrameMeter(Meter):
    """Scores of a model of music; see the module for what each metric is."""

    def __init__(self) -> None:
        self._steps = _Steps()
        self._hits, self._any = 0, 0

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        self._steps.add(costs(output.detach().double(), batch), batch)
        inside = batch.inputs.mask()[..., None]
        guessed, truth = (output > 0) & inside, (batch.target > 0) & inside
        self._hits += int((guessed & truth).sum())
        self._any += int((guessed | truth).sum())

    def scores(self) -> Scores:
        return self._steps.scores({"frame_accuracy": self._hits / max(1, self._any)}, "nll")
