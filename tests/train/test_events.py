"""TensorBoard reads back what metrics.jsonl holds, once each, also after an interruption."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from remanence.run import Run
from remanence.train import fit as fitting
from remanence.train import loop
from remanence.train.fit import fit, resume
from remanence.train.progress import Progress
from tests.train.made import OPTIONS, load_csv
from tests.train.test_fit import Interrupting

if importlib.util.find_spec("tensorboard") is None:
    pytest.skip("tensorboard is not installed", allow_module_level=True)

BUDGET = {"steps": 12, "evaluate_every": 3, "tensorboard": True} | OPTIONS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_report", lambda *_: None)


def shown(run: Run, label: str) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads of one model."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard" / label))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def logged(run: Run, model: str, seed: int) -> list[dict]:
    return [row for row in run.metrics_rows if (row["model"], row["seed"]) == (model, seed)]


def check(run: Run, label: str, model: str, seed: int) -> None:
    rows, found = logged(run, model, seed), shown(run, label)
    assert len(rows) > 1
    tags = {"loss/train": "train_loss", "loss/valid": "valid_loss", "updates/learning_rate": "learning_rate"}
    for tag, name in tags.items():
        assert found[tag] == [(row["step"], pytest.approx(row[name], rel=1e-6)) for row in rows], name
    assert found["valid/mae"] == [(row["step"], pytest.approx(row["valid"]["mae"], rel=1e-6)) for row in rows]


def test_events_are_the_rows_of_metrics(tmp_path: Path) -> None:
    run = fit(load_csv(tmp_path / "load.csv"), out=tmp_path / "run", progress=False, seeds=2, beside=("rnn",), **BUDGET)
    check(run, "seed-0", "lstm", 0)
    check(run, "seed-1", "lstm", 1)
    check(run, "beside-rnn", "rnn", 0)


def test_events_after_an_interruption_are_those_of_the_whole(tmp_path: Path) -> None:
    file = load_csv(tmp_path / "load.csv")
    # The second seed is stopped: the first one's events are written anew when training goes on.
    fit(file, out=tmp_path / "run", progress=Interrupting(16), seeds=2, beside=(), **BUDGET)
    assert not (tmp_path / "run" / "checkpoints" / "tensorboard").exists()
    run = resume(tmp_path / "run", progress=Progress())
    check(run, "seed-0", "lstm", 0)
    check(run, "seed-1", "lstm", 1)
    steps = [step for step, _ in shown(run, "seed-1")["loss/train"]]
    assert steps == sorted(set(steps))


def test_events_of_a_killed_training_are_not_shown_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = load_csv(tmp_path / "load.csv")

    class Killed(BaseException):
        pass

    class Killing(Interrupting):
        def step(self, used: float, loss: float, seconds: float) -> None:
            self.left -= 1
            if self.left == 0:
                raise Killed

    # One checkpoint early on; the rows after it are lost with the killed training.
    monkeypatch.setattr(loop._Training, "_due", lambda self: self.at.step == 4)
    with pytest.raises(Killed):
        fit(file, out=tmp_path / "run", progress=Killing(10), beside=(), **BUDGET)
    run = fit(file, out=tmp_path / "run", progress=False, beside=(), **BUDGET)
    check(run, "seed-0", "lstm", 0)
