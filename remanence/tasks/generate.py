"""Say what comes next: in a text, token by token, or in music, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, final

from pydantic import BaseModel
from torch import Tensor

from remanence.data.corpus import prepare_generate, reopen_generate
from remanence.data.encoders import GenerateEncoders
from remanence.data.examples import Batch, Part
from remanence.data.frames import KEYS
from remanence.errors import SettingError
from remanence.nn.model import SequenceModel
from remanence.nn.readout import Readout
from remanence.nn.weight_drop import drop_recurrent_weights
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_generate import generate_baselines
from remanence.tasks.choices import Choices
from remanence.tasks.metrics_generate import FrameMeter, TokenMeter, costs
from remanence.tasks.stack import WRITTEN, number_encoder, recurrent_stack, token_encoder
from remanence.tasks.task import Baseline, Meter, Prepared, Task

__all__ = ["Generate"]

_ANSWERS = 1 << 25
"""Logits of an update, which bound its memory."""
_READ = 1.0
"""Standard deviation of fresh vectors that are only read."""
_SILENT = -3.0
"""Log-odds of a key before anything is learnt: four of 88 sound."""
_LARGE = 1 << 20
"""Training steps from which on a model may be larger."""


@final
class Generate(Task):
    """What comes next at every step, given all steps so far; the state of a long text is carried along it.

    References:
        Merity, Keskar & Socher 2018, Regularizing and optimizing LSTM language models, arXiv:1708.02182: the dropouts;
        their averaging of weights is the exponential one of every task here.
    """

    name: ClassVar[str] = "generate"
    encoders_type: ClassVar[type[BaseModel]] = GenerateEncoders
    scored_early: ClassVar[bool] = True

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        return prepare_generate(path, data)

    def reopen(self, path: Path, data: DataSettings, encoders: BaseModel, *, answers: bool) -> Part:
        assert isinstance(encoders, GenerateEncoders)
        return reopen_generate(path, data, encoders)

    def choices(self, prepared: Prepared) -> Choices:
        return _choices(prepared)

    def model(self, encoders: BaseModel, settings: Settings) -> SequenceModel:
        assert isinstance(encoders, GenerateEncoders)
        chosen = settings.model
        if chosen.bidirectional:
            raise SettingError("what comes next cannot be read first", name="bidirectional", remedy="leave it out")
        dropout, symbols = chosen.dropout or 0.0, encoders.symbols
        if symbols is None:
            encoder = number_encoder(KEYS, settings)
        else:
            encoder = token_encoder(symbols.size, settings, locked=True, spread=WRITTEN if chosen.tied else _READ)
        recurrent = recurrent_stack(encoder.output_size, settings, locked=symbols is not None)
        if chosen.weight_drop:
            drop_recurrent_weights(recurrent, chosen.weight_drop)
        tied = encoder.output_size if symbols is not None and chosen.tied else None
        answers = KEYS if symbols is None else symbols.size
        # Of a piano's keys few sound together; from even odds, hundreds of updates would only learn that.
        bias = _SILENT if symbols is None else None
        head = Readout(recurrent.output_size, answers, dropout=dropout, tied=tied, bias=bias)
        return SequenceModel(encoder, recurrent, head)

    def loss(self, output: Tensor, batch: Batch, settings: Settings) -> Tensor:
        """Mean cost of a step (see `metrics_generate`)."""
        return costs(output, batch).sum() / max(1, int(batch.inputs.lengths.sum()))

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, GenerateEncoders)
        return FrameMeter() if encoders.symbols is None else TokenMeter(encoders)

    def rows(
        self, output: Tensor, batch: Batch, part: Part, encoders: BaseModel, settings: Settings
    ) -> Iterator[dict[str, Any]]:
        """A row a step: where it stands, what came (a token), and its cost in nats, its surprisal."""
        assert isinstance(encoders, GenerateEncoders) and batch.target is not None
        each = costs(output.detach().double(), batch).tolist()
        for row, index in enumerate(batch.index.tolist()):
            name = part.name(index)
            for step in range(int(batch.inputs.lengths[row])):
                found: dict[str, Any] = {"example": name, "step": step + 1}
                if encoders.symbols is not None:
                    found["token"] = encoders.symbols.name(int(batch.target[row, step]))
                yield found | {"nats": each[row][step]}

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        assert isinstance(prepared.encoders, GenerateEncoders)
        return generate_baselines(prepared.encoders)


def _choices(prepared: Prepared) -> Choices:
    """Choose a model and its training by how much there is to read."""
    encoders = prepared.encoders
    assert isinstance(encoders, GenerateEncoders)
    steps = int(prepared.train.lengths.sum())
    if encoders.symbols is None:
        return Choices(
            {"hidden": 200, "tied": False, "weight_drop": 0.0, "convolution": 0},
            {"batch_size": 8, "learning_rate": 3e-3, "weight_decay": 1e-4, "patience": 15},
            {"epochs": 40},
        )
    large, size = steps >= _LARGE, encoders.symbols.size
    hidden = 256 if large else 128
    model = {
        "hidden": hidden,
        "layers": 2 if large else 1,
        "dropout": 0.2,
        "embedding": 64 if size <= 512 else hidden,
        "embedding_dropout": 0.0 if size <= 512 else 0.1,
        # A matrix of answers is worth sharing where it is most of the model.
        "tied": size > 512,
        "weight_drop": 0.0,
    }
    longest = encoders.context if prepared.train.stream else max(1, int(prepared.train.lengths.max(initial=1)))
    batch = max(1, min(64 if large else 32, _ANSWERS // (longest * size), len(prepared.train) // 8 or 1))
    train = {"batch_size": batch, "learning_rate": 2e-3 if large else 4e-3, "weight_decay": 1e-4, "patience": 10}
    return Choices(model, train, {"epochs": 10})
