"""Small parts made of arrays, which stand in for files."""

from __future__ import annotations

import numpy as np
import torch

from remanence.data.encoders import ClassifyEncoders, ForecastEncoders
from remanence.data.examples import Batch, Part
from remanence.data.labelled import ClassifyPart
from remanence.data.runs import learn_runs
from remanence.data.scalers import Scaler
from remanence.data.times import Frequency
from remanence.data.tokens import Vocabulary
from remanence.data.windows import ForecastPart
from remanence.sequences import Sequences
from remanence.settings import DataSettings
from remanence.tasks.task import Prepared


def forecast_encoders(**changes) -> ForecastEncoders:
    """One target (mean 10, scale 2), no covariates, season 4, context 6, horizon 3."""
    values = {
        "time": "time",
        "series": (),
        "target": ("load",),
        "observed": (),
        "known": (),
        "calendar": (),
        "missing": "refuse",
        "time_format": "",
        "frequency": Frequency(unit="integer", step=1),
        "season": 4,
        "context": 6,
        "horizon": 3,
        "series_names": ("",),
        "naive_scale": ((4.0,),),
        "naive_scale_all": (4.0,),
    } | changes
    columns = values["target"] + values["observed"] + values["known"]
    values.setdefault("scaler", Scaler(columns=columns, mean=(10.0,) * len(columns), scale=(2.0,) * len(columns)))
    return ForecastEncoders(**values)


class MadeForecast(ForecastPart):
    """Windows over one scaled array `[row, feature]`, laid out as the encoders say."""

    def __init__(self, encoders: ForecastEncoders, rows: np.ndarray) -> None:
        self.encoders = encoders
        self.rows = np.asarray(rows, np.float32).reshape(len(rows), -1)
        self.count = max(0, len(rows) - encoders.context - encoders.horizon + 1)
        self.lengths = np.full(self.count, encoders.context)

    def batch(self, index: np.ndarray) -> Batch:
        context, horizon = self.encoders.context, self.encoders.horizon
        known = [self.encoders.features.index(name) for name in self.encoders.future_features]
        windows = (
            np.stack([self.rows[at : at + context + horizon] for at in index]) if len(index) else np.zeros((0, 9, 1))
        )
        inputs, future = torch.from_numpy(windows[:, :context]), torch.from_numpy(windows[:, context:])
        return Batch(
            Sequences(inputs, torch.full((len(index),), context)),
            future[..., : len(self.encoders.target)],
            future[..., known] if known else None,
            torch.from_numpy(np.asarray(index)),
            torch.zeros(len(index), dtype=torch.int64),
        )

    def name(self, index: int) -> str:
        return f"window {index}"

    def series(self, index: int) -> str:
        return "A"

    def times(self, index: int) -> list[str]:
        first = index + self.encoders.context
        return [str(first + step) for step in range(self.encoders.horizon)]


class MadeClassify(ClassifyPart):
    """Sequences from a list of arrays: tokens `[time]` or numbers `[time, feature]`."""

    def __init__(self, encoders: ClassifyEncoders, sequences: list[np.ndarray], labels: list[int]) -> None:
        self.encoders, self.sequences, self.labels = encoders, sequences, np.array(labels, np.int64)
        self.lengths = np.array([len(each) for each in sequences], np.int64)

    def batch(self, index: np.ndarray) -> Batch:
        chosen = [torch.as_tensor(self.sequences[at]) for at in index]
        data = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        lengths = torch.from_numpy(self.lengths[index])
        target = torch.from_numpy(self.labels[index])
        return Batch(Sequences(data, lengths), target, None, torch.from_numpy(np.asarray(index)))

    def targets(self, index: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.labels[index])

    def name(self, index: int) -> str:
        return f"row {index}"


def prepared(encoders: ForecastEncoders | ClassifyEncoders, train: Part, valid: Part, test: Part) -> Prepared:
    return Prepared(DataSettings(), encoders, train, valid, test, (), "")


def wave(rows: int, seed: int = 0) -> np.ndarray:
    """A season of 4 steps with noise, scaled."""
    random = np.random.default_rng(seed)
    return np.sin(np.arange(rows) * np.pi / 2) + 0.1 * random.standard_normal(rows)


def made_forecast(**changes) -> Prepared:
    encoders = forecast_encoders(**changes)
    features = len(encoders.features)
    rows = np.stack([wave(120, seed) for seed in range(features)], axis=1)
    for column, name in enumerate(encoders.features):
        if name.endswith(" missing"):
            rows[:, column] = np.random.default_rng(column).random(120) < 0.1
    parts = (MadeForecast(encoders, rows[start:stop]) for start, stop in ((0, 70), (60, 95), (85, 120)))
    return prepared(encoders, *parts)


def text_encoders() -> ClassifyEncoders:
    vocabulary = Vocabulary(kind="characters", tokens=tuple("abcdefgh"))
    tokens = np.random.default_rng(5).integers(1, 10, 900)
    return ClassifyEncoders(
        input=("text",),
        label="label",
        labels=("no", "yes", "也许"),
        vocabulary=vocabulary,
        runs=learn_runs([(tokens, np.arange(900) // 9)], longest=3),
    )


def made_texts() -> Prepared:
    """The label is how often the token 2 stands in a text: never, once, more."""
    random = np.random.default_rng(3)
    parts = []
    for count in (60, 20, 20):
        texts = [random.integers(1, 10, random.integers(0, 9)).astype(np.int64) for _ in range(count)]
        parts.append(MadeClassify(text_encoders(), texts, [min(int((text == 2).sum()), 2) for text in texts]))
    return prepared(text_encoders(), *parts)


def number_encoders() -> ClassifyEncoders:
    scaler = Scaler(columns=("x", "y"), mean=(0.0, 0.0), scale=(1.0, 1.0))
    return ClassifyEncoders(input=("x", "y"), label="label", labels=("down", "up"), scaler=scaler)


def made_numbers() -> Prepared:
    """The label is whether `x` rises."""
    random = np.random.default_rng(4)
    parts = []
    for count in (40, 12, 12):
        labels = random.integers(0, 2, count).tolist()
        sequences = []
        for label in labels:
            steps = int(random.integers(3, 12))
            x = (2 * label - 1) * np.linspace(-1, 1, steps) + 0.1 * random.standard_normal(steps)
            sequences.append(np.stack([x, random.standard_normal(steps)], axis=1).astype(np.float32))
        parts.append(MadeClassify(number_encoders(), sequences, labels))
    return prepared(number_encoders(), *parts)
