"""What a model that transcribes answers, in one tensor `[batch, step, symbol + 1]`, and how its text is found.

symbol   a logit for each symbol at each step, the blank first
last     the text: its symbols one after the other from the first step on, then 0; all 0 while the model learns
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.sound_source import SoundSide
from remanence.data.symbols import PADDING
from remanence.settings import Settings
from remanence.tasks.ctc import Aligned, Language, beam_search, greedy, log_softmax
from remanence.tasks.spoken_language import CharacterLanguage, Weights, WordLanguage

__all__ = ["Search", "Transcript", "as_answer", "logits_of", "starts_of"]


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


def starts_of(found: Transcript, encoders: PairEncoders, settings: Settings) -> str:
    """Each symbol of the likeliest path, and the second (of ready features the frame) at which it begins, as JSON."""
    assert isinstance(encoders.source, SoundSide)
    form, names = encoders.source.form, encoders.target.pieces(found.path.symbols)
    step = (settings.model.stack or 1) * (form.hop_ms / 1000 if form.kind == "sound" else 1)
    starts = [[name, round(start * step, 3)] for name, start in zip(names, found.path.starts, strict=True)]
    return json.dumps(starts, ensure_ascii=False)
