"""What a run that generates writes: texts of the test part gone on with, beside how they really went on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from remanence.data.examples import Part
from remanence.data.symbols import END, PADDING
from remanence.explain.example import typical
from remanence.explain.music import piano_roll
from remanence.explain.style import token_text
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.names import number
from remanence.report.page import Block, Figure, Section, Table, Text
from remanence.report.places import place_words
from remanence.settings import SamplingSettings

__all__ = ["next_words", "writings_section"]

SHOWN = 3
GIVEN, WRITTEN = 48, 80
TEMPERATURES = (0.0, 0.7)
HOW = Words(
    "Texts that were kept aside: what the model was given, how they really went on, and what it wrote, always taking "
    "the likeliest token and drawing at temperature 0.7 (seed 0). “remanence generate” writes more.",
    "留出的文本：给模型的开头、原文的续文，以及模型写的续文（总取最可能的一个；温度 0.7 采样，种子 0）。"
    "用“remanence generate”可以写更多。",
)

BEGINNING, ENDED = Words("(its beginning)", "（文本开头）"), Words("(ends here)", "（到此结束）")

FRAMES = 96
"""Frames of a piece that are drawn."""
ROLL = Words(
    "Each column is a frame of a piece that was kept aside, given all frames before it. The darker a key, the likelier "
    "it was to the model; a dot stands where it sounded.",
    "每一列是留出乐曲的一帧，模型已读过它之前的所有帧。颜色越深，模型认为该键越可能响；圆点是实际响了的键。",
)


def writings_section(run: Any, part: Part) -> Section | None:
    """Show what a run writes after texts of a part, or how likely each key of a piece was to it."""
    symbols = run.encoders.symbols
    if symbols is None:
        return _expected(run, part)
    rows = []
    for index in np.unique(np.linspace(0, len(part) - 1, SHOWN).round().astype(np.int64)):
        batch = part.batch(np.array([index]))
        length = int(batch.inputs.lengths[0])
        target = [] if batch.target is None else batch.target[0, :length].tolist()
        truth = [token for token in target if token not in (PADDING, END)]
        given = min(GIVEN, len(truth) // 2)
        text = symbols.decode(truth[:given])
        written = [
            "".join(run.completion(text, SamplingSettings(length=WRITTEN, temperature=temperature)))
            for temperature in TEMPERATURES
        ]
        came = symbols.decode(truth[given : given + WRITTEN])
        rows.append((_visible(text, BEGINNING), *map(_visible, (came, *written))))
    header = (
        Words("given", "给定"), Words("how it went on", "原文"), Words("likeliest", "最可能"),
        Words("drawn at 0.7", "温度 0.7"),
    )  # fmt: skip
    blocks: tuple[Block, ...] = (Table(header, tuple(rows)), Text((HOW,), "how"))
    return Section(Words("What it writes", "它写的东西"), blocks)


def _visible(text: str, empty: Words = ENDED) -> str | Words:
    """A text that may hold blanks alone, or nothing."""
    return (text if text.strip() else token_text(text)) if text else empty


def _expected(run: Any, part: Part) -> Section | None:
    """A piece of usual length: what was likely, and what came."""
    index = typical(part)
    batch = part.batch(np.array([index]))
    length = min(FRAMES, int(batch.inputs.lengths[0]))
    if not length or batch.target is None:
        return None
    chances = forward(run.model, batch, run.settings.train.truncate)[0, :length].sigmoid().double().cpu().numpy()
    truth = batch.target[0, :length].numpy()
    figure = Figure(
        "piano-roll",
        lambda language: piano_roll(chances, truth, language=language),
        place_words(part.name(index)),
        ROLL,
    )
    return Section(Words("What it expects of a piece", "它对一首乐曲的预期"), (figure,))


def next_words(run: Any, batch: Any) -> Words:
    """The likeliest tokens after a text, with their probabilities, as a sentence."""
    output = forward(run.model, batch, run.settings.train.truncate)[0, int(batch.inputs.lengths[0]) - 1].double()
    if run.encoders.symbols is None:
        return Words("", "")
    shares, tokens = torch.softmax(output, 0).topk(min(3, len(output)))
    named = [
        f"“{run.encoders.symbols.name(token)}” ({number(100 * share)} %)"
        for share, token in zip(shares.tolist(), tokens.tolist(), strict=True)
    ]
    return Words(f"Next would come {', '.join(named)}. ", f"接下来最可能是{'、'.join(named)}。")
