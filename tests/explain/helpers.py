"""A small text model and examples to look into."""

from __future__ import annotations

from typing import Any

import torch

from remanence.data.encoders import ClassifyEncoders
from remanence.data.examples import Batch
from remanence.data.tokens import Vocabulary
from remanence.explain import Example
from remanence.sequences import Sequences
from remanence.settings import settings_from
from remanence.tasks.classify import Classify

SIGNS = tuple(dict.fromkeys("猫追老鼠，它跑得很快abcdefghijklmnopqrstuvwxyz<>/()1 "))


def text_model(cell: str, **options: Any) -> Any:
    """An untrained classifier of texts, the same each time."""
    encoders = ClassifyEncoders(
        input=("text",), label="label", labels=("no", "yes"), vocabulary=Vocabulary(kind="characters", tokens=SIGNS)
    )
    torch.manual_seed(5)
    return Classify().model(encoders, settings_from({"cell": cell, "hidden": 6, "embedding": 4, **options})).eval()


def token_example(text: str, *, padding: int = 0) -> Example:
    """A text by its characters, padded by so many steps."""
    tokens = [SIGNS.index(sign) + 2 for sign in text] + [0] * padding
    inputs = Sequences(torch.tensor([tokens]), torch.tensor([len(text)]))
    return Example(Batch(inputs, None, None, torch.tensor([0])), tuple(text), text, tokens=True)
