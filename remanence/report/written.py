"""What a run writes for sources of the test part, beside the true texts, and from which steps each word came."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.explain.alignment import alignment_heatmap
from remanence.explain.example import Example, example_of, step_labels, typical
from remanence.explain.words import Words
from remanence.nn.sound import CTCHead
from remanence.prediction.outputs import forward
from remanence.report.names import number
from remanence.report.page import Block, Figure, Section, Table, Text
from remanence.report.sounds import heard_figure
from remanence.tasks.alignment import Alignment, answered
from remanence.tasks.transcript import heard

__all__ = ["alignment_section", "written_section", "written_words"]

SHOWN = 8
LONGEST = 300
"""Characters of a text that are shown."""
NOTHING = Words("(nothing)", "（空）")

HOW = Words(
    "Sources that were kept aside, evenly spread over the part: what was read, the true text, and what the model "
    "wrote. The last column is log p of a token written: the nearer to 0, the surer it was.",
    "从留出部分均匀选取的原文：读到的、真实的文本、模型写出的。"
    "最后一列是写出的每个词元的对数概率：越接近 0，模型越有把握。",
)
HOW_ALIGNED = Words(
    "Each row is a piece that was written, in order; the dark cells of its row are the steps of the source it attended "
    "to while writing it. A row sums to 100 %.",
    "每一行是依次写出的一个片段；行中深色的格子，是写它时模型所注意的原文各步。每行合计 100 %。",
)

HOW_TRANSCRIBED = Words(
    "Sounds that were kept aside, evenly spread over the part: where each stands, the true text, and what the model "
    "wrote. The last column is the mean log p of a step of the likeliest path: the nearer to 0, the surer it was.",
    "从留出部分均匀选取的声音：所在位置、真实的文本、模型写出的。"
    "最后一列是最可能路径上每一步的平均对数概率：越接近 0，模型越有把握。",
)


def written_section(run: Any, part: Part) -> Section:
    """Examples of a part, and the alignment of one that shows well."""
    rows = []
    for index in np.unique(np.linspace(0, len(part) - 1, SHOWN).round().astype(np.int64)).tolist():
        example = example_of(part, index)
        truth = "" if example.batch.target is None else run.encoders.target.decode(example.batch.target[0].tolist())
        text, score, _ = _written(run, example)
        rows.append((_short(_read(run, example)), _short(truth), _short(text) or NOTHING, number(score)))
    header = Words("read", "读到的"), Words("true", "真实"), Words("written", "写出"), Words("log p", "对数概率")
    how = HOW_TRANSCRIBED if isinstance(run.model.head, CTCHead) else HOW
    blocks: list[Block] = [Table(header, tuple(rows), (3,)), Text((how,), "how")]
    blocks += _aligned(run, example_of(part, typical(part)))
    return Section(Words("What it writes", "它写的东西"), tuple(blocks))


def alignment_section(run: Any, example: Example) -> Section | None:
    """What was written for one example, and from which steps; None for runs that write no text."""
    if not isinstance(run.encoders, PairEncoders):
        return None
    blocks = _aligned(run, example)
    title = Words("What it looked at", "它注意了什么")
    if isinstance(run.model.head, CTCHead):
        title = Words("What it heard, and when", "它在何时听到什么")
    return Section(title, tuple(blocks)) if blocks else None


def written_words(run: Any, example: Example) -> Words:
    """What is written for one example, as a sentence."""
    text = _short(_written(run, example)[0])
    if not text:
        return Words("It writes nothing. ", "它什么也没有写出。")
    return Words(f"It writes “{text}”. ", f"它写出：“{text}”。")


def _aligned(run: Any, example: Example) -> list[Block]:
    """The figure; nothing where the model has no attention."""
    text, _, alignment = _written(run, example)
    read, written = _short(_read(run, example), 60), _short(text, 60)
    title = Words(f"{read} → {written or NOTHING.en}", f"{read} → {written or NOTHING.zh}")
    if isinstance(run.model.head, CTCHead):
        return [heard_figure(run, example, title)]
    if not alignment.weights.any():
        return []
    return [Figure("alignment", lambda language: alignment_heatmap(alignment, language=language), title, HOW_ALIGNED)]


def _written(run: Any, example: Example) -> tuple[str, float, Alignment]:
    """The text for an example, log p of a token of it, its alignment."""
    output = forward(run.model, example.batch, None).cpu()
    if isinstance(run.model.head, CTCHead):
        steps = int(run.model.encode(example.batch).lengths[0])
        found = heard(output[0], step_labels(example.labels, steps), run.encoders)
        return found.text, found.score, found.alignment
    found = next(answered(output, [example.labels], run.encoders))
    return found.text, found.score, found.alignment


def _read(run: Any, example: Example) -> str:
    """The source: its text, or where it stands."""
    source = run.encoders.source
    if example.batch.inputs.data.ndim > 2 or not hasattr(source, "decode"):
        return example.title
    return source.decode(example.batch.inputs.data[0].tolist())


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
