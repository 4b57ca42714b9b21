"""What a language model is measured against: how frequent a token is, and what follows the last few tokens.

Each gives log-probabilities in place of logits; for music, logits of each key alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import GenerateEncoders
from remanence.data.examples import Batch, Part
from remanence.data.frames import FramePart
from remanence.data.streams import PAST
from remanence.data.symbols import END
from remanence.tasks.kneser_ney import KneserNey, count_ngrams
from remanence.tasks.task import Baseline

__all__ = ["KeyFrequency", "KeyTransitions", "NGram", "Unigram", "generate_baselines"]

_BATCH = 256
_MOST_TOKENS = 20_000_000
_MOST_NGRAMS = 20_000_000
_CHOSEN_ON = 200_000
_ORDERS = (2, 3, 4, 5, 6, 8, 10)


def generate_baselines(encoders: GenerateEncoders) -> tuple[Baseline, ...]:
    """The simple models that suit the data: n-grams for texts, each key by itself for music."""
    if encoders.symbols is None:
        return KeyFrequency(), KeyTransitions()
    return Unigram(encoders.symbols.size), NGram(encoders.symbols.size)


@final
class Unigram(Baseline):
    """How frequent each token is in the training part, half a token added to each."""

    name: ClassVar[str] = "unigram"
    trivial: ClassVar[bool] = True

    def __init__(self, size: int) -> None:
        self._counts = np.full(size, 0.5)

    def fit(self, train: Part, valid: Part) -> None:
        for batch in _in_order(train):
            self._counts += np.bincount(_answers(batch), minlength=len(self._counts))

    def predict(self, batch: Batch) -> Tensor:
        logs = torch.from_numpy(np.log(self._counts / self._counts.sum())).float()
        return logs.expand(batch.inputs.batch, batch.inputs.time, -1)

    @property
    def parameters(self) -> int:
        return len(self._counts)


@final
class NGram(Baseline):
    """Interpolated Kneser–Ney over the last tokens; how many of them the validation part decides.

    Of a very large training part, the first 20 million tokens are counted.
    """

    name: ClassVar[str] = "kneser-ney"

    def __init__(self, size: int) -> None:
        self._size = size
        self._model: KneserNey | None = None

    def fit(self, train: Part, valid: Part) -> None:
        tokens, count = [np.array([END])], 0
        for batch in _in_order(train):
            tokens.append(_answers(batch))
            count += len(tokens[-1])
            if count > _MOST_TOKENS:
                break
        counted = count_ngrams(np.concatenate(tokens), max(_ORDERS), self._size, END, most=_MOST_NGRAMS)
        models = (KneserNey(counted[:order], self._size) for order in _ORDERS if order <= len(counted))
        scored = [(self._nats(model, valid), -model.order, model) for model in models]
        self._model = min(scored)[2] if scored else KneserNey(counted, self._size)

    def predict(self, batch: Batch) -> Tensor:
        assert self._model is not None
        return _answer(self._model, batch)

    @property
    def parameters(self) -> int:
        return self._model.parameters if self._model else 0

    def _nats(self, model: KneserNey, valid: Part) -> float:
        """Mean cost of the first tokens of the validation part; without one, the longest n-grams win."""
        total, count = 0.0, 0
        for batch in _in_order(valid):
            assert batch.target is not None
            each = torch.nn.functional.nll_loss(_answer(model, batch).transpose(1, 2), batch.target, reduction="none")
            total += float(each[batch.inputs.mask()].sum())
            count += int(batch.inputs.lengths.sum())
            if count > _CHOSEN_ON:
                break
        return total / max(1, count)


def _answer(model: KneserNey, batch: Batch) -> Tensor:
    """Log-probabilities after each step; what stood before the inputs is looked back upon."""
    tokens = batch.inputs.data.numpy()
    skip = 0
    if batch.past is not None:
        past = batch.past.numpy()
        tokens, skip = np.concatenate([np.where(past > 0, past, -1), tokens], axis=1), PAST
    # Where no run of tokens was seen just once, nothing is kept back for what was not seen.
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(model.distributions(tokens, skip))).float()


def _in_order(part: Part) -> Iterator[Batch]:
    """The batches of a part in its own order, small where the answer to a step is large."""
    longest = int(part.lengths.max(initial=1))
    size = max(1, min(_BATCH, part.steps_at_once // max(longest, 1)))
    # What is counted is the pieces themselves, not those they were multiplied to.
    part = part.as_written() if isinstance(part, FramePart) else part
    for start in range(0, len(part), size):
        yield part.batch(np.arange(start, min(start + size, len(part))))


def _answers(batch: Batch) -> np.ndarray:
    """The tokens that are to be answered, one after the other."""
    assert batch.target is not None
    return batch.target[batch.inputs.mask()].numpy()


@final
class KeyFrequency(Baseline):
    """How often each key sounds in the training part."""

    name: ClassVar[str] = "key-frequency"
    trivial: ClassVar[bool] = True

    def __init__(self) -> None:
        self._logits: Tensor | None = None

    def fit(self, train: Part, valid: Part) -> None:
        sounding, frames = torch.zeros(0), 0
        for batch in _in_order(train):
            assert batch.target is not None
            added = batch.target.sum((0, 1)).double()
            sounding = added if not frames else sounding + added
            frames += int(batch.inputs.lengths.sum())
        self._logits = _logits(sounding, torch.full_like(sounding, frames))

    def predict(self, batch: Batch) -> Tensor:
        assert self._logits is not None
        return self._logits.expand(batch.inputs.batch, batch.inputs.time, -1)

    @property
    def parameters(self) -> int:
        return 0 if self._logits is None else len(self._logits)


@final
class KeyTransitions(Baseline):
    """How often each key sounds after a frame in which it did, and after one in which it did not."""

    name: ClassVar[str] = "key-transitions"

    def __init__(self) -> None:
        self._logits: Tensor | None = None

    def fit(self, train: Part, valid: Part) -> None:
        sounding, frames = torch.zeros(2, 1), torch.zeros(2, 1)
        for batch in _in_order(train):
            assert batch.target is not None
            inside = batch.inputs.mask()[..., None]
            before = torch.stack([(batch.inputs.data == 0) & inside, (batch.inputs.data > 0) & inside]).double()
            sounding = sounding + (before * batch.target).sum((1, 2))
            frames = frames + before.sum((1, 2))
        self._logits = _logits(sounding, frames)

    def predict(self, batch: Batch) -> Tensor:
        assert self._logits is not None
        return torch.where(batch.inputs.data > 0, self._logits[1], self._logits[0])

    @property
    def parameters(self) -> int:
        return 0 if self._logits is None else self._logits.numel()


def _logits(sounding: Tensor, frames: Tensor) -> Tensor:
    """Log-odds of a share, half a frame added on either side."""
    return ((sounding + 0.5) / (frames - sounding + 0.5)).log().float()
