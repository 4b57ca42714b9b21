"""What a tagger answers: sentences with their labels, or the stretches of a recording, true beside found."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from remanence.data.clock import Clock
from remanence.data.examples import Part
from remanence.data.schemes import spans
from remanence.data.tag_part import TagPart
from remanence.explain.example import Example, example_of
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.page import Block, Table, Text
from remanence.report.places import place_words
from remanence.tasks.metrics_tag import decoded

__all__ = ["found_words", "tagged_blocks"]

SENTENCES = 4
"""Examples shown, evenly spread over the part."""

TOKENS = 24
"""Tokens, or stretches of samples, that are shown of one."""


def tagged_blocks(run: Any, part: Part) -> tuple[Block, ...]:
    """A few tagged examples of a part."""
    assert isinstance(part, TagPart)
    blocks: list[Block] = [Text((_HOW,), "how")]
    chosen = np.unique(np.linspace(0, len(part) - 1, SENTENCES).round().astype(np.int64))
    for index in chosen:
        blocks += [Text((place_words(part.name(int(index))),)), _example(run, part, int(index))]
    return tuple(blocks)


_HOW = Words(
    "Examples spread evenly over the part, none of which was seen in training. A label in brackets is a wrong one.",
    "从该部分均匀选取的例子，训练时都没见过。方括号中的标签是答错的。",
)


def _example(run: Any, part: TagPart, index: int) -> Table:
    """Three rows: what is read, the true labels, the labels found."""
    batch = part.batch(np.array([index]))
    assert batch.target is not None and batch.scored is not None
    own = batch.scored[0].numpy()
    names = (*run.encoders.labels, "�", "�")
    output = forward(run.model, batch, run.settings.train.truncate)
    found = [names[label] for label in decoded(output, batch, chain=bool(run.settings.model.crf))[0][own]]
    true = [names[label] for label in batch.target[0].numpy()[own]]
    tokens = part.tokens(index)
    if tokens:
        read = [token for token, scored in zip(tokens, own.tolist(), strict=False) if scored]
        columns = list(zip(read, true, found, strict=True))
    else:
        stretches = _stretches(zip(true, found, strict=True), example_of(part, index), int(own.argmax()))
        columns = [(when, *said) for said, when in stretches]
    columns = columns[:TOKENS]
    header = (Words("", ""), *(Words(one, one) for one, _, _ in columns))
    shown = [answer if answer == truth else f"[{answer}]" for _, truth, answer in columns]
    return Table(
        header,
        (
            (Words("true", "真实"), *(truth for _, truth, _ in columns)),
            (Words("found", "回答"), *shown),
        ),
    )


class _Stretch(NamedTuple):
    """Neighbouring steps that are alike: what is said of them, and which they are, or when where steps are of time."""

    said: Any
    when: str


def _stretches(said: Iterable[Any], example: Example, first: int) -> list[_Stretch]:
    """Gather what is said of each step of an example, from the step `first` on."""
    found = []
    for one, group in groupby(said):
        steps = len(list(group))
        when = f"{example.labels[first]}–{example.labels[first + steps - 1]}" if steps > 1 else example.labels[first]
        if example.apart:
            start = example.labels[first]
            (stop,) = Clock(float(start) + steps * example.apart, example.apart).names(1)
            when = f"{start}–{stop} s"
        found.append(_Stretch(one, when))
        first += steps
    return found


def found_words(run: Any, example: Example) -> Words:
    """What a tagger finds in one example, as a sentence: its spans, or its labels in order."""
    batch, encoders = example.batch, run.encoders
    assert batch.scored is not None
    output = forward(run.model, batch, run.settings.train.truncate)
    answers = decoded(output, batch, chain=bool(run.settings.model.crf))[0]
    places = np.flatnonzero(batch.scored[0].numpy()).tolist()
    labels = [encoders.labels[answers[place]] for place in places]
    tokens = [example.labels[place] for place in places]
    if encoders.scheme != "none":
        joint = "" if encoders.tokens == "characters" else " "
        pieces = [f"{kind} “{joint.join(tokens[start:stop])}”" for kind, start, stop in spans(labels)]
    elif encoders.vocabulary is not None:
        pieces = [f"{token}/{label}" for token, label in zip(tokens, labels, strict=True)]
    else:
        stretches = _stretches(labels, example, places[0] if places else 0)
        pieces = [f"{label} ({when})" for label, when in stretches]
    if not pieces:
        return Words("No span is found.", "没有找到片段。")
    more = len(pieces) > TOKENS
    shown = pieces[:TOKENS]
    return Words(
        f"Found: {', '.join(shown)}{', …' if more else ''}.", f"找到：{'、'.join(shown)}{'……' if more else ''}。"
    )
