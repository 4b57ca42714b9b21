"""The training loop on a tiny task: what it learns, when it stops, that it is the same twice and in two sittings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from remanence.errors import DataError, RunError, TrainingError
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.train import loop
from remanence.train.interrupt import Interrupt
from remanence.train.job import Hooks, Job, Trained
from remanence.train.loop import train
from tests.tasks.made import made_stream
from tests.train.tiny import TinyPart, tiny_job


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)


def digest(trained: Trained) -> str:
    found = hashlib.sha256()
    for name, value in sorted(trained.model.state_dict().items()):
        found.update(name.encode() + value.contiguous().numpy().tobytes())
    return found.hexdigest()


class StopAfter(Interrupt):
    """Asks to stop once so many updates were begun."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    @property
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0


def rows_of(job: Job, **more: object) -> list[dict]:
    rows: list[dict] = []
    train(job, hooks=Hooks(log=rows.append, **more))
    return rows


def test_loop_learns_what_can_be_learnt() -> None:
    rows = rows_of(tiny_job(TinyPart(200, 1), epochs=12, dropout=0.0))
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["valid"]["accuracy"] > 0.9


def test_same_seed_same_weights_and_another_seed_others() -> None:
    first, again, other = (train(tiny_job(seed=seed, average=0.9)) for seed in (3, 3, 4))
    assert digest(first) == digest(again) != digest(other)


def test_torch_state_is_as_before() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    threads = torch.get_num_threads()
    train(tiny_job(epochs=1, threads=1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("schedule", ["cosine", "plateau", "constant"])
def test_interrupted_at_every_step_gives_the_same_weights(tmp_path: Path, schedule: str) -> None:
    options = {"epochs": 3, "schedule": schedule, "average": 0.9, "patience": 2, "evaluate_every": 2}
    whole = train(tiny_job(**options))
    for _ in range(100):
        part = train(tiny_job(**options), tmp_path, Hooks(interrupt=StopAfter(1)))
        if part.stopped != "interrupted":
            break
    assert digest(part) == digest(whole)
    assert (part.steps, part.best_step, part.valid) == (whole.steps, whole.best_step, whole.valid)


def test_budget_in_steps_is_kept() -> None:
    trained = train(tiny_job(epochs=None, steps=7))
    assert (trained.steps, trained.stopped) == (7, "budget")


def test_budget_in_minutes_ends() -> None:
    trained = train(tiny_job(epochs=None, minutes=0.005))
    assert trained.stopped == "budget"
    assert trained.seconds < 5


def test_early_stopping_restores_the_best_weights() -> None:
    rows: list[dict] = []
    job = tiny_job(TinyPart(8, 1), epochs=40, patience=3, learning_rate=0.3, schedule="constant")
    trained = train(job, hooks=Hooks(log=rows.append))
    assert trained.stopped == "patience"
    best = min(rows, key=lambda row: (row["valid"]["error"], row["valid_loss"]))
    assert trained.best_step == best["step"]
    assert trained.valid["loss"] == best["valid_loss"]
    assert len(rows) == rows.index(best) + 4


def test_without_validation_the_last_weights_are_kept() -> None:
    trained = train(tiny_job(valid=0, patience=1))
    assert (trained.best_step, trained.stopped, trained.valid) == (trained.steps, "budget", {})


def test_a_long_text_resumes_with_the_state_it_had(tmp_path: Path) -> None:
    data, found = made_stream(), task("generate")
    settings = found.defaults(data, settings_from({"hidden": 5, "epochs": 3, "batch_size": 4, "weight_drop": 0.2}))
    job = Job(found, data, settings, 0)
    whole = train(job)
    train(job, tmp_path, Hooks(interrupt=StopAfter(20)))
    resumed = train(job, tmp_path)
    assert digest(resumed) == digest(whole)
    rows: list[dict] = []
    train(job, hooks=Hooks(log=rows.append))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


def test_cosine_falls_to_nothing_and_is_logged() -> None:
    rates = [row["learning_rate"] for row in rows_of(tiny_job(epochs=4))]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] < 0.02
    assert rates[-1] < 0.001


def test_gradient_is_clipped_but_its_norm_is_logged() -> None:
    free, clipped = (rows_of(tiny_job(epochs=1, clip=clip))[0] for clip in (None, 1e-3))
    assert clipped["gradient_norm"] > 1e-3
    assert free["train_loss"] != clipped["train_loss"]


@pytest.mark.parametrize("truncate", [1, 2, 63])
def test_truncated_training_runs_and_learns(truncate: int) -> None:
    rows = rows_of(tiny_job(TinyPart(200, 1, longest=4), epochs=12, truncate=truncate, dropout=0.0))
    assert rows[-1]["train_loss"] < 0.8 * rows[0]["train_loss"]


def test_truncation_beyond_the_longest_sequence_changes_nothing() -> None:
    assert digest(train(tiny_job(truncate=63))) == digest(train(tiny_job()))


def test_non_finite_loss_names_step_and_row(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+: .*tiny\.csv:19.*look at these rows") as caught:
        train(tiny_job(TinyPart(40, 1, spoil=17)), tmp_path)
    assert "and" not in str(caught.value).partition("tiny.csv")[2].split(" — ")[0]


def test_exploding_weights_are_told_without_blaming_a_row(tmp_path: Path) -> None:
    job = tiny_job(epochs=30, learning_rate=1e30, schedule="constant", clip=None)
    with pytest.raises(TrainingError, match="--learning-rate"):
        train(job, tmp_path)


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    train(tiny_job(epochs=1), tmp_path, Hooks(interrupt=StopAfter(2)))
    file = next(tmp_path.glob("step-*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        train(tiny_job(epochs=1), tmp_path)


def test_no_training_example_is_told() -> None:
    with pytest.raises(DataError, match="no example"):
        train(tiny_job(TinyPart(0, 1)))
