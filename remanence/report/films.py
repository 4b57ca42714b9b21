"""What a run sees in videos: strips of frames with the answer, beside the true one."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.explain.film import Strip, film_strips
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.page import Block, Figure
from remanence.tasks.alignment import answered

__all__ = ["clip_of", "film_blocks"]

SHOWN = 4
LONGEST = 80
"""Characters of an answer that are shown."""
HOW = Words(
    "Videos spread evenly over the part, none of which was seen in training, as the model sees them: some of their "
    "frames, numbered, and above them the answer. The true one follows in brackets where the answer is wrong.",
    "从该部分均匀选取的视频，训练时都没见过，画面就是模型所看到的：其中若干帧（带编号），上方是回答；答错时，方括号中是真实答案。",
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
    strips = [_strip(run, part, int(index), clip) for index in chosen]
    return (Figure("videos", lambda language: film_strips(strips), how=HOW),)


def _strip(run: Any, part: Part, index: int, clip: Clip) -> Strip:
    batch = part.batch(np.array([index]))
    length = int(batch.inputs.lengths[0])
    frames = batch.inputs.data[0, :length].numpy().reshape(length, *clip.shape)
    output, encoders = forward(run.model, batch, None), run.encoders
    if isinstance(encoders, PairEncoders):
        answer = next(answered(output, [tuple(map(str, range(length)))], encoders)).text
        true = "" if batch.target is None else encoders.target.decode(batch.target[0].tolist())
    else:
        answer = encoders.labels[int(output[0].argmax())]
        true = "" if batch.target is None else encoders.labels[int(batch.target[0])]
    shown = answer if true in ("", answer) else f"{answer[:LONGEST]} [{true[:LONGEST]}]"
    return Strip(f"{part.name(index)}: {shown}", frames)
