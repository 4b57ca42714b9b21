"""What a run hears of a sound, and what it writes of it, on the sound's own time axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.data.encoders import PairEncoders
from remanence.data.media.sounds import SoundForm
from remanence.data.sound_source import SoundSide
from remanence.explain.example import Example
from remanence.explain.sound import Heard, Sound, sound_picture, transcript_figure
from remanence.explain.words import Words
from remanence.nn.sound import CTCHead
from remanence.prediction.outputs import forward
from remanence.report.page import Block, Figure
from remanence.tasks.ctc import BLANK
from remanence.tasks.transcript import Transcript, logits_of

__all__ = ["heard_figure", "sound_blocks"]

_FEATURE = {
    "mel": Words("band, low to high", "频带（由低到高）"),
    "mfcc": Words("cepstrum", "倒谱系数"),
    "vectors": Words("feature", "特征"),
}
HOW = Words(
    "The sound as the model reads it, from left to right: each row is one of its features, orange where it is more "
    "than the training sounds have on average, purple where it is less.",
    "模型所读到的声音，从左到右；每一行是一个特征，橙色表示高于训练声音的平均值，紫色表示低于。",
)
HOW_HEARD = Words(
    "Above, the sound as the model reads it: orange is more than the training sounds have on average, purple less. "
    "Below, what it heard when: a blue bar is a symbol of the likeliest path, as high as its chance; the grey line is "
    "the chance of the blank, which says that nothing new is heard; in orange stand other symbols that had a chance of "
    "a tenth or more. A model that reads from both ends may write a symbol well before or after its sound.",
    "上方是模型所读到的声音：橙色高于训练声音的平均值，紫色低于。下方是它在何时听到什么：蓝柱是最可能路径上的符号，高度是其概率；"
    "灰线是空白符的概率，表示没有听到新的符号；橙色是概率达到一成的其他符号。从两端读的模型，写出符号的时刻可以比声音早一些或晚一些。",
)


def _form_of(encoders: Any) -> SoundForm | None:
    """How sounds become what a run reads; None where it reads something else."""
    if isinstance(encoders, PairEncoders):
        return encoders.source.form if isinstance(encoders.source, SoundSide) else None
    return getattr(encoders, "sound", None)


def sound_blocks(run: Any, example: Example) -> tuple[Block, ...]:
    """The picture of a sound; nothing for runs that read no sounds, or show it beside what they write of it."""
    sound = _sound(run.encoders, example)
    if sound is None or isinstance(run.model.head, CTCHead):
        return ()
    return (Figure("sound", lambda language: sound_picture(sound, language=language), how=HOW),)


def heard_figure(run: Any, example: Example, title: Words) -> Figure:
    """What a run that transcribes hears in one sound, and when."""
    sound, found = _sound(run.encoders, example), _heard(run, example)
    assert sound is not None
    return Figure("heard", lambda language: transcript_figure(sound, found, language=language), title, HOW_HEARD)


def _sound(encoders: Any, example: Example) -> Sound | None:
    form = _form_of(encoders)
    if form is None:
        return None
    # Slopes stand behind the features themselves, and look like noise.
    values = example.batch.inputs.data[0, : len(example.labels), : form.width].double().numpy()
    return Sound(values, example.apart, _FEATURE[form.features if form.kind == "sound" else form.kind])


def _heard(run: Any, example: Example) -> Heard:
    output = forward(run.model, example.batch, None).cpu()[0]
    steps = int(run.model.encode(example.batch).lengths[0])
    path = Transcript.read(output, steps).path
    chances = logits_of(output)[:steps].double().softmax(1).numpy()
    target = run.encoders.target
    rest = chances.copy()
    rest[:, BLANK] = 0
    for symbol, start, stop in zip(*path, strict=True):
        rest[start:stop, symbol] = 0
    other = rest.argmax(1)
    return Heard(
        held=-(-len(example.labels) // max(1, steps)),
        blank=chances[:, BLANK],
        written=tuple(zip(target.pieces(path.symbols), path.starts, path.stops, strict=True)),
        chances=chances[:, list(path.symbols)].T,
        other=tuple(target.pieces(other.tolist())),
        other_chance=np.take_along_axis(rest, other[:, None], 1)[:, 0],
    )
