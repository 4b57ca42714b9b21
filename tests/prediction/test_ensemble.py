"""Models of several seeds that answer together: the mean of what each says alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import command

from remanence.errors import SettingError
from remanence.nn.crf import Lattice, log_partition, path_score
from remanence.prediction.ensemble import Ensemble
from remanence.prediction.outputs import forward
from remanence.run import Run
from remanence.settings import settings_from
from remanence.tasks import task
from tests.tasks import made
from tests.train.made import load_csv


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble")
    load_csv(folder / "load.csv")
    options = ("--target", "load", "--horizon", 3, "--context", 8, "--hidden", 5, "--no-calendar", "--steps", 4)
    done = command(
        "fit", folder / "load.csv", *options, "--seeds", 3, "--threads", 1, "--beside", "none", "--quiet",
        "--out", folder / "run",
    )  # fmt: skip
    assert done.status == 0, done.err
    return folder / "run"


def _rows(*arguments: str | Path) -> list[dict[str, str]]:
    done = command("predict", *arguments)
    assert done.status == 0, done.err
    return list(csv.DictReader(done.out.splitlines()))


def test_a_forecast_is_the_mean_of_those_of_the_seeds(run: Path) -> None:
    loaded = Run.load(run)
    file = run.parent / "load.csv"
    together = [float(row["load"]) for row in _rows(run, file, "--ensemble")]
    assert together != [float(row["load"]) for row in _rows(run, file)]
    alone = []
    for model in loaded.members.values():
        loaded.__dict__["model"] = model
        alone.append([row["load"] for row in loaded.predict(file)])
    assert together == pytest.approx(np.mean(alone, 0), rel=1e-5)


def test_scores_are_those_of_the_mean(run: Path) -> None:
    found = json.loads(command("evaluate", run, "--ensemble", "--json").out)
    assert found["on"] == "test, 3 seeds together"
    loaded = Run.load(run)
    part = loaded.part("test")
    batch = part.batch(np.arange(len(part)))
    mean = sum(forward(model, batch, None) for model in loaded.members.values()) / 3
    assert batch.target is not None
    assert found["metrics"]["mae"] == pytest.approx(float((mean - batch.target).abs().mean()), rel=1e-5)
    pair = loaded.ensemble((0, 2)).predict(batch)
    torch.testing.assert_close(
        pair, (forward(loaded.members[0], batch, None) + forward(loaded.members[2], batch, None)) / 2
    )


def test_random_fields_together_multiply_their_probabilities() -> None:
    data, found = made.made_spans(), task("tag")
    settings = found.defaults(data, settings_from({"hidden": 3, "crf": True}))
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        models.append(found.model(data.encoders, settings))
        models[-1].head.chain.scores.data.normal_()
    batch = data.train.batch(np.array([0]))
    mask = batch.scored
    assert mask is not None
    paths = torch.randint(0, 3, (2, batch.inputs.time), generator=torch.Generator().manual_seed(0))

    def log_odds(output: torch.Tensor) -> float:
        lattice = Lattice.read(output, batch.inputs.time)
        first, second = (float(path_score(lattice, path[None], mask)[0]) for path in paths)
        assert torch.isfinite(log_partition(lattice, mask)).all()
        return first - second

    alone = [log_odds(forward(model, batch, None)) for model in models]
    assert log_odds(Ensemble(models).predict(batch)) == pytest.approx(sum(alone) / 2, rel=1e-4)


def test_what_cannot_answer_together_says_so(run: Path, tmp_path: Path) -> None:
    load_csv(tmp_path / "load.csv")
    options = ("--target", "load", "--horizon", 3, "--context", 8, "--hidden", 2, "--steps", 1, "--threads", 1)
    command("fit", tmp_path / "load.csv", *options, "--beside", "none", "--quiet", "--out", tmp_path / "one")
    for verb in (("evaluate", tmp_path / "one"), ("predict", tmp_path / "one", tmp_path / "load.csv")):
        done = command(*verb, "--ensemble")
        assert done.status == 2 and "one seed only" in done.err and "--seeds 5" in done.err
    (tmp_path / "text.txt").write_text("the sea is wide\n" * 60)
    command(
        "fit", tmp_path / "text.txt", "--task", "generate", "--context", 8, "--hidden", 2, "--steps", 1, "--seeds", 2,
        "--threads", 1, "--beside", "none", "--quiet", "--out", tmp_path / "text",
    )  # fmt: skip
    with pytest.raises(SettingError, match="answers by one model"):
        Run.load(tmp_path / "text").evaluate(ensemble=True)
