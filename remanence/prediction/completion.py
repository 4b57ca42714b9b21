"""A model that says what comes next, put to write: a text (or music) is read, then tokens are drawn and read in turn.

    p = softmax(logits / temperature)          temperature 0 takes the likeliest token
    top-k       only the k likeliest tokens    (Fan, Lewis & Dauphin 2018, arXiv:1805.04833)
    top-p       only the fewest likeliest tokens whose probabilities sum to p or more
                                               (Holtzman et al. 2020, arXiv:1904.09751, equation 2)

Sample k of seed s is drawn by a generator of its own, seeded by s and k: the same on one machine, however many samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import GenerateEncoders
from remanence.data.examples import Batch
from remanence.data.frames import LOWEST
from remanence.data.symbols import END, FIRST, UNKNOWN
from remanence.errors import SettingError
from remanence.sequences import Sequences
from remanence.settings import SamplingSettings

__all__ = ["choose", "completion", "continued", "unknown_in"]

_APART = 1_000_003
"""Keeps the generators of samples apart from those of neighbouring seeds."""


def completion(
    model: Any, encoders: GenerateEncoders, text: str, sampling: SamplingSettings, sample: int = 0
) -> Iterator[str]:
    """Go on with a text: what is written, piece by piece as it comes; the text itself is not repeated.

    Args:
        model: a `SequenceModel` of the task `generate`.
        encoders: its own.
        text: what to go on with; empty for the beginning of a text.
        sampling: how long, and how tokens are drawn.
        sample: which of several, from 0.

    Raises:
        SettingError: the model was trained on music.
    """
    symbols = encoders.symbols
    if symbols is None:
        raise SettingError("this run was trained on music, it writes no text", name="text", remedy="leave it out")
    numbers = _drawn(model, [END, *symbols.encode(text).tolist()], sampling, sample, encoders.document == "line")
    return symbols.stream(numbers)


def continued(model: Any, frames: np.ndarray, sampling: SamplingSettings, sample: int = 0) -> Iterator[list[int]]:
    """Go on with music: the MIDI numbers that sound together, frame by frame.

    Each key is drawn by itself, with the probability sigmoid(logit / temperature); at temperature 0 it sounds where
    that is more likely than not. `top_k` bounds how many keys may sound.

    Args:
        model: a `SequenceModel` of the task `generate`, trained on music.
        frames: what to go on with, uint8 `[frame, key]`, at least one.
        sampling: how long, and how keys are drawn.
        sample: which of several, from 0.

    Raises:
        SettingError: an option that is for texts, or nothing to go on with.
    """
    if sampling.top_p is not None:
        raise SettingError("is for tokens; keys are drawn each by itself", name="top_p", remedy="leave it out")
    if not len(frames):
        raise SettingError("the piece to go on with has no frame", name="row", remedy="choose another")
    return _sounded(model, torch.from_numpy(frames.astype(np.float32))[None], sampling, sample)


def _sounded(model: Any, read: Tensor, sampling: SamplingSettings, sample: int) -> Iterator[list[int]]:
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(sampling.seed + _APART * sample)
    state = None
    for _ in range(sampling.length):
        with torch.no_grad():
            output, state = model(_batch(read).to(device), state)
        logits = output[0, -1].double().cpu()
        chance = (logits > 0).double() if sampling.temperature == 0 else (logits / sampling.temperature).sigmoid()
        keys = torch.rand(chance.shape, generator=generator, dtype=chance.dtype) < chance
        if sampling.top_k is not None:
            likeliest = logits.argsort(descending=True, stable=True)[: sampling.top_k]
            keys &= torch.zeros_like(keys).index_fill(0, likeliest, True)
        yield [LOWEST + key for key in keys.nonzero().flatten().tolist()]
        read = keys.float()[None, None]


def unknown_in(encoders: GenerateEncoders, text: str) -> str:
    """The characters of a text that the model has never seen, each once.

    Example:
        >>> from remanence.data.symbols import learn_symbols
        >>> symbols = learn_symbols(["ab"], "characters", 9)
        >>> unknown_in(GenerateEncoders(input=("text",), document="file", symbols=symbols, context=8), "abcad")
        'cd'
    """
    symbols = encoders.symbols
    if symbols is None:
        return ""
    return "".join(letter for letter in dict.fromkeys(text) if UNKNOWN in symbols.encode(letter))


def _drawn(model: Any, read: list[int], sampling: SamplingSettings, sample: int, ends: bool) -> Iterator[int]:
    """Numbers of the tokens written; a document's end is not among them."""
    model.eval()
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(sampling.seed + _APART * sample)
    state = None
    for _ in range(sampling.length):
        with torch.no_grad():
            output, state = model(_batch(torch.tensor([read])).to(device), state)
        logits = output[0, -1].double().cpu()
        logits[: END if ends else FIRST] = -torch.inf
        number = choose(logits, sampling, generator)
        if number == END:
            return
        yield number
        read = [number]


def _batch(data: Tensor) -> Batch:
    """A batch of one, `[1, time, …]`."""
    return Batch(Sequences(data, torch.tensor([data.shape[1]])), None, None, torch.zeros(1, dtype=torch.int64))


def choose(logits: Tensor, sampling: SamplingSettings, generator: torch.Generator) -> int:
    """Draw one answer.

    Args:
        logits: `[answer]`, −∞ for what must not be drawn.
        sampling: temperature, top-k, top-p.
        generator: of the CPU.

    Example:
        >>> choose(torch.tensor([0.0, 3.0, 1.0]), SamplingSettings(temperature=0), torch.Generator())
        1
    """
    if sampling.temperature == 0:
        return int(logits.argmax())
    shares, order = (logits.double() / sampling.temperature).softmax(0).sort(descending=True, stable=True)
    kept = shares > 0
    if sampling.top_k is not None:
        kept[sampling.top_k :] = False
    if sampling.top_p is not None:
        # A token is kept while those before it have not yet reached the sum.
        kept &= shares.cumsum(0) - shares < sampling.top_p
    return int(order[torch.multinomial(shares * kept, 1, generator=generator)])
