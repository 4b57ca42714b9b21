"""Fresh weights of what tasks share: large enough to learn from, small enough to begin near even odds."""

from __future__ import annotations

import pytest
import torch

from remanence.settings import settings_from
from remanence.tasks import task
from tests.tasks import made


@pytest.mark.parametrize(
    ("name", "tied", "spread"),
    [("generate", False, 1.0), ("generate", True, 0.3), ("translate", False, 0.3), ("translate", True, 0.3)],
)
def test_fresh_vectors_move_gates_and_are_smaller_where_they_answer_too(name: str, tied: bool, spread: float) -> None:
    torch.manual_seed(0)
    data = made.made_stream() if name == "generate" else made.made_pairs()
    found = task(name)
    settings = found.defaults(data, settings_from({"hidden": 64, "embedding": 64, "tied": tied}))
    model = found.model(data.encoders, settings)
    for tokens in (model.encoder,) if name == "generate" else (model.encoder, model.head.tokens):
        assert float(tokens.vectors.weight.detach().std()) == pytest.approx(spread, rel=0.15)
