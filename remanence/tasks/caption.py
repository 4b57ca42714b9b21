"""Say in a sentence what a video shows: an encoder over frames, attention, a decoder over words."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from pydantic import BaseModel

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.errors import DataError
from remanence.settings import DataSettings, Settings
from remanence.tasks.baselines_write import FrequentText, NearestClip
from remanence.tasks.choices import Choices
from remanence.tasks.metrics_write import WrittenMeter, corpus_scores
from remanence.tasks.task import Baseline, Meter, Prepared
from remanence.tasks.write import Write

__all__ = ["Caption"]

_UPDATES = 20_000


@final
class Caption(Write):
    """A video → a sentence; scored by chrF and BLEU.

    References:
        Venugopalan et al. 2015, Sequence to sequence – video to text, arXiv:1505.00487; Yao et al. 2015, Describing
        videos by exploiting temporal structure, arXiv:1502.08029 (attention over frames).
    """

    name: ClassVar[str] = "caption"

    def prepare(self, path: Path, data: DataSettings) -> Prepared:
        prepared = super().prepare(path, data)
        assert isinstance(prepared.encoders, PairEncoders)
        if not isinstance(prepared.encoders.source, Clip):
            raise DataError(
                "no column names videos", path=path, remedy="--input names it; texts are for --task translate"
            )
        return prepared

    def choices(self, prepared: Prepared) -> Choices:
        """Choose a model and its training by how many videos there are."""
        examples = max(1, len(prepared.train))
        model = {
            "hidden": 96,
            "bidirectional": True,
            "dropout": 0.2,
            # Of a frame: channels of its first convolution, and the features that are left of it.
            "convolution": 16,
            "embedding": 64,
            "embedding_dropout": 0.0,
            "attention": "additive",
            "input_feeding": False,
            "copy_source": False,
            "coverage": 0.0,
            "tied": False,
            "beam": 3,
            "length_penalty": 1.0,
        }
        train = {
            "batch_size": 16 if examples < 1000 else 32,
            "learning_rate": 2e-3,
            "weight_decay": 1e-3,
            "average": 0.98,
            "smoothing": 0.1,
            "scheduled_sampling": 0.0,
            "noise": 0.1,
            "patience": 20,
        }
        return Choices(model, train, {"epochs": min(60, max(12, _UPDATES // examples))})

    def meter(self, encoders: BaseModel, settings: Settings) -> Meter:
        assert isinstance(encoders, PairEncoders)
        return WrittenMeter(encoders, corpus_scores)

    def baselines(self, prepared: Prepared, settings: Settings) -> tuple[Baseline, ...]:
        encoders = prepared.encoders
        assert isinstance(encoders, PairEncoders) and isinstance(encoders.source, Clip)
        return FrequentText(), NearestClip(encoders.source)
