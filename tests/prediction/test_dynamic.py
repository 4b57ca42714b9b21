"""Dynamic evaluation: without a step nothing changes; each update is the formula's; it helps where texts change."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from remanence.data.streams import StreamPart
from remanence.data.symbols import FIRST
from remanence.errors import SettingError
from remanence.prediction import dynamic
from remanence.prediction.dynamic import measure_dynamically, squared_gradients
from remanence.prediction.outputs import outputs
from remanence.settings import settings_from
from remanence.tasks import task
from tests.tasks import made


def ready(data, **options):
    found = task("generate")
    settings = found.defaults(data, settings_from({"hidden": 5, "dropout": 0.0, **options}))
    torch.manual_seed(0)
    return found, found.model(data.encoders, settings), settings


@pytest.mark.parametrize("make", [made.made_stream, made.made_documents, made.made_music])
def test_without_a_step_scores_are_those_of_the_model(make) -> None:
    data = make()
    found, model, settings = ready(data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scores = measure_dynamically(found, model, (data.train, data.test), data.encoders, settings, rate=0.0)
    meter = found.meter(data.encoders, settings)
    for output, batch in outputs(model, data.test, settings, in_order=True):
        meter.update(output, batch)
    np.testing.assert_allclose(scores.errors, meter.scores().errors, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_update_is_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic, "SEGMENT", 4)
    data, rate = made.made_documents(), 0.01
    found, model, settings = ready(data)
    model = model.double()
    roots = [square.sqrt() for square in squared_gradients(found, model, data.train, settings)]
    mean = torch.cat([root.flatten() for root in roots]).mean()
    scores = measure_dynamically(found, model, (data.train, data.test), data.encoders, settings, rate=rate)
    start = [weight.detach().clone() for weight in model.parameters()]
    expected = []
    for index in range(len(data.test)):
        batch = data.test.batch(np.array([index]))
        hidden = None
        for at in range(0, batch.inputs.time, 4):
            vectors = model.encoder.vectors(batch.inputs.data[:, at : at + 4])
            read = model.recurrent(vectors, hidden)
            logits = model.head.linear(read.output)[0]
            each = torch.nn.functional.cross_entropy(logits, batch.target[0, at : at + 4], reduction="none")
            expected += each.tolist()
            hidden = {name: value.detach() for name, value in read.state.items()}
            slopes = torch.autograd.grad(each.mean(), list(model.parameters()))
            with torch.no_grad():
                for weight, first, root, slope in zip(model.parameters(), start, roots, slopes, strict=True):
                    pull = dynamic.DECAY * torch.clamp(root / mean, max=1 / dynamic.DECAY)
                    weight.copy_(weight - rate * slope / (root + dynamic.EPSILON * mean) + pull * (first - weight))
    np.testing.assert_allclose(scores.errors, expected, atol=1e-9)


def test_it_learns_what_training_never_saw() -> None:
    data = made.made_stream()
    found, model, settings = ready(data)
    tokens = (np.arange(600) * 3 % 7 + FIRST).astype(np.int32)
    part = StreamPart(tokens, data.encoders.symbols, 7, "other.txt")
    still, moving = (
        measure_dynamically(found, model, (data.train, part), data.encoders, settings, rate=rate).metrics["nats"]
        for rate in (0.0, 3e-3)
    )
    assert moving < 0.8 * still


def test_what_training_never_used_does_not_run_away(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made.made_stream()
    found, model, settings = ready(data)
    train = StreamPart((np.arange(300) % 6 + FIRST).astype(np.int32), data.encoders.symbols, 7, "train.txt")
    new = StreamPart((np.arange(300) % 7 + FIRST).astype(np.int32), data.encoders.symbols, 7, "new.txt")
    learning: list[torch.nn.Module] = []

    def copied(model: torch.nn.Module) -> torch.nn.Module:
        learning.append(deepcopy(model))
        return learning[-1]

    monkeypatch.setattr(dynamic, "deepcopy", copied)
    measure_dynamically(found, model, (train, new), data.encoders, settings, rate=1e-3)
    # The vector of the seventh letter has a mean square of 0.
    assert max(float(weight.detach().abs().max()) for weight in learning[0].parameters()) < 10


def test_a_step_that_is_too_large_is_told() -> None:
    data = made.made_stream()
    found, model, settings = ready(data)
    with pytest.raises(SettingError, match="ran away"):
        measure_dynamically(found, model, (data.train, data.test), data.encoders, settings, rate=1e6)


def test_other_tasks_and_negative_steps_are_refused() -> None:
    data = made.made_stream()
    found, model, settings = ready(data)
    for rate in (-1.0, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="--dynamic"):
            measure_dynamically(found, model, (data.train, data.test), data.encoders, settings, rate=rate)
    with pytest.raises(SettingError, match="--dynamic"):
        measure_dynamically(task("classify"), model, (data.train, data.test), data.encoders, settings, rate=1.0)
