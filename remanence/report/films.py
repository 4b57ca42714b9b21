"""What a run sees in videos: strips of frames with the answer, beside the true one."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.explain.example import Example, example_of
from remanence.explain.film import Strip, film_strips
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.page import Block, Figure
from remanence.tasks.alignment import answered

__all__ = ["clip_of", "film_blocks", "film_of"]

SHOWN = 4
LONGEST = 80
"""Characters of an answer that are shown."""
HOW = Words(
    "Videos spread evenly over the part, none of which was seen in training, as the model sees them: some of their "
    "frames, with their seconds, and above them the answer. The true one follows in brackets where the answer is "
    "wrong.",
    "从该部分均匀选取的视频，训练时都没见过，画面就是模型所看到的：其中若干帧（下方是秒数），上方是回答；答错时，方括号中是真实答案。",
)
HOW_ONE = Words(
    "The video as the model sees it: some of its frames, with their seconds.",
    "模型所看到的视频：其中若干帧，下方是秒数。",
)


def clip_of(encoders: Any) -> Clip | None:
    """What a run sees of videos; None where it reads something else."""
    found = encoders.source if isinstance(encoders, PairEncoders) else getattr(encoders, "clip", None)
    return found if isinstance(found, Clip) else None


def film_blocks(run: Any, part: Part) -> tuple[Block, ...]:
    """Strips of a few videos of a part with their answers; nothing for runs that read no videos."""
    clip = clip_of(run.encoders)
    if clip is None:
        return ()
    chosen = np.unique(np.linspace(0, len(part) - 1, SHOWN).round().astype(np.int64))
    examples = [example_of(part, int(index)) for index in chosen]
    strips = [_strip(example, clip, f"{example.title}: {_answer(run, example)}") for example in examples]
    return (Figure("videos", lambda language: film_strips(strips), how=HOW),)


def film_of(run: Any, example: Example) -> tuple[Block, ...]:
    """The strip of one video; nothing for runs that read no videos."""
    clip = clip_of(run.encoders)
    if clip is None:
        return ()
    strips = [_strip(example, clip, "")]
    return (Figure("video", lambda language: film_strips(strips), how=HOW_ONE),)


def _strip(example: Example, clip: Clip, title: str) -> Strip:
    length = len(example.labels)
    frames = example.batch.inputs.data[0, :length].numpy().reshape(length, *clip.shape)
    return Strip(title, frames, example.labels)


def _answer(run: Any, example: Example) -> str:
    """The answer, and behind it the true one where it is wrong."""
    batch, encoders = example.batch, run.encoders
    output = forward(run.model, batch, None)
    if isinstance(encoders, PairEncoders):
        answer = next(answered(output, [example.labels], encoders)).text
        true = "" if batch.target is None else encoders.target.decode(batch.target[0].tolist())
    else:
        answer = encoders.labels[int(output[0].argmax())]
        true = "" if batch.target is None else encoders.labels[int(batch.target[0])]
    return answer if true in ("", answer) else f"{answer[:LONGEST]} [{true[:LONGEST]}]"
