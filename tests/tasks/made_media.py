"""Small parts of sounds and videos with a label a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from remanence.data.encoders import TagEncoders
from remanence.data.media.sounds import SoundForm
from remanence.data.scalers import Scaler
from remanence.tasks.task import Prepared
from tests.tasks.made import clip_encoders, step_records, tag_parts


def made_heard() -> Prepared:
    """Sounds of two features; the label of a frame is the one that is the larger, or `none`."""
    random = np.random.default_rng(11)
    form = SoundForm(kind="vectors", width=2)
    sounds, labels = [], []
    for _ in range(50):
        loud = np.repeat(random.integers(0, 3, 5), 3)[: int(random.integers(5, 15))]
        sounds.append(np.eye(3)[loud][:, :2] + 0.1 * random.standard_normal((len(loud), 2)))
        labels.append([("a", "b", "none")[each] for each in loud])
    encoders = TagEncoders(
        input=("file",), label="sound", sequence=("file",), time="time", labels=("a", "b", "none"), sound=form,
        scaler=Scaler(columns=form.columns, mean=(0.0,) * 2, scale=(1.0,) * 2),
    )  # fmt: skip
    records = replace(step_records(sounds, labels), columns=form.columns)
    return tag_parts(encoders, records, (34, 8, 8))


def made_seen() -> Prepared:
    """Frames of the clips of `made_clips`, half of which are bright on the left; the label says so."""
    clip = clip_encoders("grey").clip
    assert clip is not None
    random, films, labels = np.random.default_rng(12), [], []
    for _ in range(50):
        left = random.integers(0, 2, int(random.integers(1, 7)))
        frames = random.integers(0, 60, (len(left), *clip.shape))
        frames[..., :4] += (150 * left)[:, None, None, None]
        films.append(frames.reshape(len(left), -1).astype(np.uint8))
        labels.append([("right", "left")[each] for each in left])
    encoders = TagEncoders(
        input=("path",), label="side", sequence=("path",), labels=("left", "right"), clip=clip, window=4, margin=1
    )
    records = replace(step_records(films, labels), values=np.concatenate(films))
    return tag_parts(encoders, records, (34, 8, 8))
