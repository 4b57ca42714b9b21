"""How readily each kind of label is given: what is added to its scores, chosen on the validation part.

The kinds seldom come in the shares of the training part where a tagger is used, and a probability is no F1. The
weights stay as they are; a number for each kind moves it against all others.

References:
    An offset a class, fitted on the validation part: vector scaling in Guo, Pleiss, Sun & Weinberger 2017,
    arXiv:1706.04599, §4.2; there for the likelihood, here, without the scaling, for the score itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch
from remanence.data.schemes import parts
from remanence.tasks.metrics_tag import TagMeter

__all__ = ["chosen_offsets", "kinds_of_labels", "shifted"]

_TOGETHER = (-2.0, -1.0, 1.0, 2.0, 3.0, 4.0)
"""Offsets that all kinds of spans get at first, against what lies outside of them."""
_MOVES = (-2.0, -1.0, 1.0, 2.0)
_STRIDES = (1.0, 0.5)

Answer = tuple[Tensor, Batch]


def kinds_of_labels(encoders: TagEncoders) -> np.ndarray:
    """Which labels move together, bool `[kind, class]`: those of a type of span; else each but the first by itself.

    What lies outside all spans, or the first label, stays where it is: only differences count.

    Example:
        >>> labels = ("O", "B-place", "B-name", "I-name", "I-place")
        >>> kinds_of_labels(TagEncoders(input=("text",), label="label", labels=labels, scheme="BIO")).astype(int)
        array([[0, 0, 1, 1, 0],
               [0, 1, 0, 0, 1]])
    """
    labels = encoders.labels
    if encoders.scheme == "none":
        return np.eye(len(labels), dtype=bool)[1:]
    kinds = [parts(label)[1] for label in labels]
    return np.array([[kind == name for kind in kinds] for name in sorted({*kinds} - {""})])


def shifted(lattice: Tensor, offsets: Tensor) -> Tensor:
    """A lattice `[batch, class + 2 + time, class]` with offsets `[class]` added to the score of each step."""
    classes = lattice.shape[2]
    return torch.cat([lattice[:, : classes + 2], lattice[:, classes + 2 :] + offsets], dim=1)


def chosen_offsets(answers: Sequence[Answer], encoders: TagEncoders, *, chain: bool) -> Tensor:
    """The offset of each label, float32 `[class]`, with which the verdict's metric is lowest on these answers.

    First all kinds move together, then each by itself, by whole steps and by half ones; where two are equally good,
    the one that was there first stays.

    Args:
        answers: lattices of the validation part, without offsets, and their batches.
        encoders: names of the labels, and their scheme.
        chain: labels are decoded together.
    """
    kinds = kinds_of_labels(encoders).astype(np.float32)

    def error(moved: np.ndarray) -> float:
        offsets, meter = torch.from_numpy(moved @ kinds), TagMeter(encoders, chain=chain)
        for lattice, batch in answers:
            meter.update(shifted(lattice, offsets), batch)
        return next(iter(meter.scores().metrics.values()))

    best = np.zeros(len(kinds), np.float32)
    least = error(best)

    def tried(moved: np.ndarray) -> None:
        nonlocal best, least
        if (found := error(moved)) < least:
            best, least = moved, found

    if encoders.scheme != "none":
        for offset in _TOGETHER:
            tried(np.full_like(best, offset))
    for stride in _STRIDES:
        for kind in np.eye(len(kinds), dtype=np.float32):
            start = best
            for move in _MOVES:
                tried(start + move * stride * kind)
    return torch.from_numpy(best @ kinds)
