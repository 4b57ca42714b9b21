"""A task small enough to train in a moment: does a sequence begin with a positive number?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel

from remanence.data.examples import Batch, Part
from remanence.sequences import Sequences
from remanence.settings import Settings, settings_from
from remanence.tasks.classify import Classify
from remanence.tasks.task import Prepared
from remanence.train.job import Job


class TinyPart(Part):
    """Sequences of random numbers, of unequal lengths; `spoil` makes one of them NaN."""

    def __init__(self, count: int, seed: int, *, longest: int = 6, spoil: int | None = None) -> None:
        random = np.random.default_rng(seed)
        self.lengths = random.integers(1, longest + 1, count).astype(np.int64)
        self.values = [random.normal(size=(n, 1)).astype(np.float32) for n in self.lengths]
        self.labels = np.array([int(value[0, 0] > 0) for value in self.values], dtype=np.int64)
        if spoil is not None:
            self.values[spoil][0, 0] = np.nan

    def batch(self, index: np.ndarray) -> Batch:
        lengths = torch.from_numpy(self.lengths[index])
        data = torch.zeros(len(index), int(lengths.max()), 1)
        for row, place in enumerate(index):
            data[row, : self.lengths[place]] = torch.from_numpy(self.values[place])
        return Batch(Sequences(data, lengths), torch.from_numpy(self.labels[index]), None, torch.from_numpy(index))

    def name(self, index: int) -> str:
        return f"tiny.csv:{index + 2}"


def tiny_job(train: TinyPart | None = None, *, seed: int = 0, valid: int = 16, **options: object) -> Job:
    """A job over tiny parts; options as those of `remanence.fit`."""
    from remanence.data.encoders import ClassifyEncoders
    from remanence.data.scalers import Scaler

    encoders: BaseModel = ClassifyEncoders(
        input=("x",), label="y", labels=("no", "yes"), scaler=Scaler(columns=("x",), mean=(0.0,), scale=(1.0,))
    )
    settings: Settings = settings_from(
        {"task": "classify", "cell": "lstm", "hidden": 5, "layers": 1, "bidirectional": False, "dropout": 0.1,
         "pool": "last", "batch_size": 8, "learning_rate": 0.02, "schedule": "cosine", "clip": 1.0, "epochs": 3,
         "weight_decay": 0.01} | options
    )  # fmt: skip
    train = TinyPart(40, 1) if train is None else train
    prepared = Prepared(settings.data, encoders, train, TinyPart(valid, 2), TinyPart(16, 3), (), "0" * 64)
    return Job(Classify(), prepared, settings, seed, "tiny")


def tiny_csv(path: Path, sequences: int = 60, seed: int = 0) -> Path:
    """Twelve letters a row, whose label is told by the first one."""
    random = np.random.default_rng(seed)
    lines = ["text,label"]
    for _ in range(sequences):
        letters = "".join(random.choice(list("abcd"), 12))
        lines.append(f"{' '.join(letters)},{'left' if letters[0] in 'ab' else 'right'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
