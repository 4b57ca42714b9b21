"""Write what a text means in another language, or sum a long one up: encoder, attention, decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, final

from pydantic import BaseModel

from remanence.data.encoders import PairEncoders
from remanence.data.text_side import TextSide
from remanence.settings import Settings
from remanence.tasks.baselines_write import CopySource, FrequentText, Lead, NearestText
from remanence.tasks.choices import Choices
from remanence.tasks.metrics_write import WrittenMeter, corpus_scores, rouge_scores
from remanence.tasks.task import Baseline, Meter, Prepared
from remanence.tasks.write import Write

__all__ = ["Summarise", "Translate"]

_MANY = 10_000


@final
class Translate(Write):
    """A text in one language → the same in another; scored by chrF and BLEU."""

    name: ClassVar[str] = "translate"

    def choices(self, prepared: Prepared) -> Choices:
        return _choices(prepared, {"attention": "multiplicative", "copy_source": False, "coverage": 0.0})

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, PairEncoders)
        return WrittenMeter(encoders, corpus_scores)

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        return _simple(prepared, CopySource)


@final
class Summarise(Write):
    """A long text → a short one, words of it copied where it helps; scored by chrF and ROUGE."""

    name: ClassVar[str] = "summarise"

    def choices(self, prepared: Prepared) -> Choices:
        assert isinstance(prepared.encoders, PairEncoders)
        # Only a text has words that can be copied.
        copied = isinstance(prepared.encoders.source, TextSide)
        return _choices(prepared, {"attention": "additive", "copy_source": copied, "coverage": 0.0})

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, PairEncoders)
        return WrittenMeter(encoders, rouge_scores)

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        return _simple(prepared, Lead)


def _simple(prepared: Prepared, own: Callable[[PairEncoders], Baseline]) -> tuple[Baseline, ...]:
    """Simple models of any pairs, and between them a task's own."""
    encoders = prepared.encoders
    assert isinstance(encoders, PairEncoders)
    if not isinstance(encoders.source, TextSide):
        return (FrequentText(),)
    return FrequentText(), own(encoders), NearestText(encoders.source.symbols.size)


def _choices(prepared: Prepared, model: dict[str, object]) -> Choices:
    """Choose a model and its training by how many pairs there are."""
    large = len(prepared.train) >= _MANY
    chosen = {
        "hidden": 256 if large else 128,
        "bidirectional": True,
        "dropout": 0.3,
        "embedding": 256 if large else 128,
        "embedding_dropout": 0.1,
        "input_feeding": False,
        "tied": True,
        "beam": 5,
        "length_penalty": 1.0,
    }
    train = {
        "batch_size": 64 if large else 32,
        "learning_rate": 2e-3,
        "weight_decay": 1e-4,
        "smoothing": 0.1,
        "scheduled_sampling": 0.0,
        "patience": 10,
    }
    return Choices(chosen | model, train, {"epochs": 10 if large else 20})
