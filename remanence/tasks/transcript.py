"""What a model that transcribes answers, in one tensor `[batch, step, symbol + 1]`, and how its text is found.

symbol   a logit for each symbol at each step, the blank first
last     the text: its symbols one after the other from the first step on, then 0; all 0 while the model learns
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.symbols import PADDING
from remanence.settings import Settings
from remanence.tasks.alignment import Alignment, Answered
from remanence.tasks.ctc import Aligned, Language, beam_search, greedy, log_softmax
from remanence.tasks.spoken_language import CharacterLanguage, Weights, WordLanguage

__all__ = ["Search", "Transcript", "as_answer", "heard", "logits_of", "starts_of"]


class Transcript(NamedTuple):
    """What was found for one sound.

    Args:
        text: numbers of its symbols.
        path: the likeliest path: its symbols, and the steps where each stands.
    """

    text: tuple[int, ...]
    path: Aligned

    @classmethod
    def read(cls, output: Tensor, steps: int) -> Transcript:
        """Take text and path out of an answer `[step, symbol + 1]` of so many steps."""
        text = tuple(int(number) for number in output[:, -1].tolist() if number != PADDING)
        return cls(text, greedy(output[:steps, :-1].argmax(1).numpy()))


def logits_of(output: Tensor) -> Tensor:
    """A logit for each symbol at each step."""
    return output[..., :-1]


def as_answer(texts: Iterable[tuple[int, ...]], size: int) -> Tensor:
    """Texts that were not found step by step, as an answer; every path is as likely as the others."""
    texts = list(texts)
    found = torch.zeros(len(texts), max([1, *map(len, texts)]), size + 1)
    for row, text in zip(found, texts, strict=True):
        row[: len(text), -1] = torch.tensor(text, dtype=found.dtype)
    return found


class Search:
    """Finds the text of logits: by the likeliest path, or over all paths and with a language model.

    Args:
        encoders: of the model; they hold the texts that a language is learnt from.
        settings: `beam`, `language`, `language_order`.
    """

    def __init__(self, encoders: PairEncoders, settings: Settings) -> None:
        self._encoders, self._settings = encoders, settings

    def __call__(self, logits: Tensor, steps: Tensor, decoding: Tensor) -> Tensor:
        """The texts as a column `[batch, step, 1]`.

        Args:
            logits: `[batch, step, symbol]`.
            steps: valid ones of each.
            decoding: factor and bonus of the language; below 0 while they are not chosen: the likeliest path is taken.
        """
        weights = Weights(*decoding.tolist()) if float(decoding[0]) >= 0 else None
        column = logits.new_zeros(*logits.shape[:2], 1)
        for row, text in zip(column, self.texts(logits, steps, weights), strict=True):
            row[: len(text), 0] = torch.tensor(text, dtype=column.dtype, device=column.device)
        return column

    def texts(
        self, logits: Tensor, steps: Tensor, weights: Weights | None, most: int | None = None
    ) -> list[tuple[int, ...]]:
        """The text of each sound; `most` bounds how many beginnings are followed."""
        width = min(self._settings.model.beam or 1, most or self._settings.model.beam or 1)
        numbers = logits.detach().cpu().numpy()
        pairs = list(zip(numbers, steps.tolist(), strict=True))
        if weights is None or width == 1:
            return [greedy(row[:length].argmax(1)).symbols for row, length in pairs]
        language = self._weighed(weights)
        return [beam_search(log_softmax(row[:length]), width, language)[0] for row, length in pairs]

    def _weighed(self, weights: Weights) -> Language | None:
        kind, order = self._settings.model.language or "none", self._settings.model.language_order or 3
        texts, target = self._encoders.texts, self._encoders.target
        if kind == "none" or not texts or weights.language == 0:
            return None
        if kind == "words":
            return WordLanguage(texts, target.symbols, order, weights)
        return CharacterLanguage(self._coded, target.symbols.size, order, weights)

    @cached_property
    def _coded(self) -> list:
        return [self._encoders.target.encode(text) for text in self._encoders.texts]


def heard(output: Tensor, steps: Sequence[str], encoders: PairEncoders) -> Answered:
    """What was found for one sound.

    Args:
        output: its answer `[step, symbol + 1]`.
        steps: the name of each step that was answered.
        encoders: say what symbols stand for.

    Returns:
        The text; the mean log-probability of a step of the likeliest path; where each symbol of that path stands: the
        share of its own probability that lies at each of its steps.
    """
    found = Transcript.read(output, len(steps))
    chances = logits_of(output)[: len(steps)].double().log_softmax(1).numpy()
    weights = np.zeros((len(found.path.symbols), len(steps)))
    for row, (symbol, start, stop) in enumerate(zip(*found.path, strict=True)):
        shares = np.exp(chances[start:stop, symbol])
        weights[row, start:stop] = shares / shares.sum()
    score = float(chances.max(1).mean()) if len(steps) else 0.0
    alignment = Alignment(encoders.target.pieces(found.path.symbols), tuple(steps), weights)
    return Answered(encoders.target.decode(found.text), score, alignment)


def starts_of(alignment: Alignment) -> str:
    """Each symbol of the likeliest path and the step at which it begins, as JSON.

    Example:
        >>> starts_of(Alignment(("y", "es"), ("0", "0.03"), np.array([[0.9, 0.1], [0.0, 1.0]])))
        '[["y", "0"], ["es", "0.03"]]'
    """
    first = [alignment.source[step] for step in (alignment.weights > 0).argmax(1).tolist()]
    return json.dumps([list(pair) for pair in zip(alignment.written, first, strict=True)], ensure_ascii=False)
