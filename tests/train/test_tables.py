"""Rows of tables that catch up: what AdamW would have made of every row at every update."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from remanence.errors import RunError, TrainingError
from remanence.nn.model import Table
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.train import loop, tables
from remanence.train.job import Hooks, Job, Trained
from remanence.train.loop import train
from remanence.train.tables import Tables, large_tables
from remanence.train.update import Updater
from tests.tasks import made
from tests.train.test_loop import StopAfter, digest

# In no machine's registers a whole number of times.
ROWS, SIZE, DECAY, KEPT = 300, 39, 0.1, 0.9
KINDS: dict[str, Callable[[], Table]] = {
    "one by one": lambda: nn.Embedding(ROWS, SIZE),
    "summed": lambda: nn.EmbeddingBag(ROWS, SIZE, mode="sum"),
    "float64": lambda: nn.Embedding(ROWS, SIZE, dtype=torch.float64),
}
of_each_kind = pytest.mark.parametrize("kind", KINDS)


def fresh(kind: str) -> tuple[Table, float]:
    """A table, and how far it may be from what it should be (ε is not quite that of each update)."""
    torch.manual_seed(0)
    table = KINDS[kind]()
    return table, 1e-6 if table.weight.dtype == torch.float64 else 1e-5


def rate(update: int) -> float:
    return 1e-2 * (1 + update % 7) / 7


class Twin:
    """A table that PyTorch's own AdamW changes as a whole, and its moving mean."""

    def __init__(self, kind: str) -> None:
        self.table, self.bound = fresh(kind)
        self.mean = self.table.weight.detach().clone()
        self.optimiser = torch.optim.AdamW(self.table.parameters(), weight_decay=DECAY)

    def learn(self, rate: float) -> None:
        self.optimiser.param_groups[0]["lr"] = rate
        if self.table.weight.grad is None:
            self.table.weight.grad = torch.zeros_like(self.table.weight)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.mean.lerp_(self.table.weight.detach(), 1 - KEPT)

    def check(self, table: Table, mean: Tensor | None) -> None:
        torch.testing.assert_close(table.weight, self.table.weight, rtol=0, atol=self.bound)
        if mean is not None:
            torch.testing.assert_close(mean, self.mean, rtol=0, atol=self.bound)


def read(update: int) -> Tensor:
    """Which rows a batch reads: some often, some seldom, some not after the first updates, many never."""
    generator = torch.Generator().manual_seed(update)
    often = torch.randint(0, 20, (4, 6), generator=generator)
    seldom = torch.randint(20, ROWS // 2, (4, 6), generator=generator)
    early = torch.arange(ROWS // 2, ROWS // 2 + 24).reshape(4, 6)
    return early if update < 3 else torch.where(torch.rand(4, 6, generator=generator) < 0.6, often, seldom)


def loss(found: Tensor, update: int) -> Tensor:
    target = torch.randn(found.shape, dtype=found.dtype, generator=torch.Generator().manual_seed(1000 + update))
    return (found * target).sum() + 0.1 * (found**2).sum()


def learn(table: Table, learning: Tables, updates: range, twin: Twin | None = None) -> None:
    """Learn from batches; beside a twin, from whom nothing that is read or learnt from differs."""
    for update in updates:
        found = table(read(update))
        loss(found, update).backward()
        gradients = learning.gradients()
        if twin is not None:
            expected = twin.table(read(update))
            torch.testing.assert_close(found, expected, rtol=0, atol=twin.bound)
            loss(expected, update).backward()
            norms = [torch.nn.utils.get_total_norm(each) for each in (gradients, [twin.table.weight.grad])]  # type: ignore[list-item]
            torch.testing.assert_close(*norms)
            twin.learn(rate(update))
        learning.learn(rate(update), KEPT)


@of_each_kind
def test_rows_are_what_adamw_makes_of_the_whole_table(kind: str) -> None:
    (table, _), twin = fresh(kind), Twin(kind)
    mean = table.weight.detach().clone()
    learning = Tables({"weight": table}, {"weight": mean}, DECAY)
    learn(table, learning, range(60), twin)
    learning.catch_up()
    twin.check(table, mean)
    state, held = twin.optimiser.state[twin.table.weight], learning.tensors()
    torch.testing.assert_close(held["weight.first"], state["exp_avg"], rtol=1e-4, atol=2e-6)
    torch.testing.assert_close(held["weight.second"], state["exp_avg_sq"], rtol=1e-4, atol=2e-6)


def test_rows_wait_until_they_are_read_and_a_table_is_any_other_in_the_end() -> None:
    (table, _), twin = fresh("one by one"), Twin("one by one")
    before = table.weight.detach().clone()
    learning = Tables({"weight": table}, {}, DECAY)
    learn(table, learning, range(40), twin)
    assert torch.equal(table.weight[-1], before[-1]) and not torch.equal(twin.table.weight[-1], before[-1])
    learning.release()
    twin.check(table, None)
    table(read(0)).sum().backward()
    assert table.weight.grad is not None and not table.weight.grad.is_sparse
    assert not table._forward_pre_hooks
    torch.testing.assert_close(pickle.loads(pickle.dumps(table)).weight, table.weight)


def test_gradients_so_small_that_epsilon_counts() -> None:
    """The move itself is what must agree: within a hundredth of it, where the mean of ε stands in for each."""
    (table, _), twin = fresh("one by one"), Twin("one by one")
    before = table.weight.detach().clone()
    learning = Tables({"weight": table}, {}, DECAY)
    for update in range(60):
        for each in (table, twin.table):
            (1e-8 * loss(each(read(update)), update)).backward()
        learning.learn(rate(update))
        twin.learn(rate(update))
    learning.catch_up()
    move, off = twin.table.weight - before, table.weight - twin.table.weight
    assert off.norm() < 0.01 * move.norm() and off.abs().max() < 0.02 * move.abs().max()


def test_threads_share_rows() -> None:
    (table, _), twin = fresh("one by one"), Twin("one by one")
    learning = Tables({"weight": table}, {}, DECAY)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        learn(table, learning, range(20), twin)
        learning.catch_up()
    finally:
        torch.set_num_threads(threads)
    twin.check(table, None)


def test_factors_are_held_of_a_few_updates_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_AGES", 8)
    (table, _), twin = fresh("one by one"), Twin("one by one")
    mean, ages = table.weight.detach().clone(), []
    learning = Tables({"weight": table}, {"weight": mean}, DECAY)
    for update in range(30):
        learn(table, learning, range(update, update + 1), twin)
        ages.append(learning.each["weight"].now)
    assert max(ages) == 7
    learning.catch_up()
    twin.check(table, mean)


@of_each_kind
def test_what_is_held_goes_on_bit_by_bit_with_rows_of_every_age(kind: str) -> None:
    found = []
    for sittings in ([range(30)], [range(15), range(15, 30)]):
        table, _ = fresh(kind)
        mean = table.weight.detach().clone()
        held: dict[str, Tensor] = {}
        for sitting in sittings:
            # As in another process: a table of its own, with the weights and the mean that were held.
            again, of_mean = KINDS[kind](), mean.clone()
            again.load_state_dict(table.state_dict())
            learning = Tables({"weight": again}, {"weight": of_mean}, DECAY)
            learning.load(held) if held else None
            learn(again, learning, sitting)
            held = {name: value.clone() for name, value in learning.tensors().items()}
            table, mean = again, of_mean
        learning.catch_up()
        found.append((table.weight.detach(), mean))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_gradients_of_two_readings_add_up() -> None:
    (table, _), twin = fresh("one by one"), Twin("one by one")
    learning = Tables({"weight": table}, {}, DECAY)
    for update in range(5):
        for rows in (read(update), read(update + 50), read(update + 70)):
            loss(table(rows), update).backward()
            loss(twin.table(rows), update).backward()
        # However often it is read, each row has one gradient.
        assert len(learning.gradients()[0]) == twin.table.weight.grad.any(1).sum()  # type: ignore[union-attr]
        learning.learn(rate(update))
        twin.learn(rate(update))
    learning.catch_up()
    twin.check(table, None)


def test_to_a_batch_that_does_not_read_a_table_its_gradient_is_zero() -> None:
    (table, _), twin = fresh("one by one"), Twin("one by one")
    mean = table.weight.detach().clone()
    learning = Tables({"weight": table}, {"weight": mean}, DECAY)
    learn(table, learning, range(5), twin)
    for _ in range(3):
        learning.learn(1e-2, KEPT)
        twin.learn(1e-2)
    learn(table, learning, range(5, 20), twin)
    learning.catch_up()
    twin.check(table, mean)


def test_a_gradient_that_is_forgotten_changes_nothing() -> None:
    (table, _), twin = fresh("one by one"), Twin("one by one")
    learning = Tables({"weight": table}, {}, DECAY)
    loss(table(read(0)), 0).backward()
    assert len(learning.gradients()) == 1
    learning.forget()
    learn(table, learning, range(3), twin)
    learning.catch_up()
    twin.check(table, None)


def test_a_row_for_padding_stays_nothing() -> None:
    table = nn.Embedding(ROWS, SIZE, padding_idx=0)
    learning = Tables({"weight": table}, {}, DECAY)
    for update in range(5):
        loss(table(torch.cat([read(update), torch.zeros(4, 1, dtype=torch.int64)], dim=1)), update).backward()
        learning.learn(1e-2)
    learning.catch_up()
    assert not table.weight[0].any() and table.weight[1:].abs().amin(1).min() > 0


def job(name: str, **options: object) -> Job:
    data = {"classify": made.made_texts, "tag": made.made_spans, "generate": made.made_stream}[name]()
    found = task(name)
    chosen = {"hidden": 5, "epochs": 3, "batch_size": 8, "embedding": SIZE, "average": 0.9} | options
    return Job(found, data, found.defaults(data, settings_from(chosen)), 0)


def table_names(one: Job) -> set[str]:
    return set(large_tables(one.task.model(one.prepared.encoders, one.settings)))


@pytest.mark.parametrize(
    ("one", "names"),
    [
        (job("classify"), {"encoder.vectors.weight", "encoder.run_vectors.weight"}),
        (
            job("tag", characters="affixes"),
            {"encoder.tokens.vectors.weight", "encoder.characters.table.weight"},
        ),
        (job("generate", tied=False), {"encoder.vectors.weight"}),
        (job("generate", tied=True), set()),
    ],
    ids=lambda given: given.task.name if isinstance(given, Job) else None,
)
def test_tables_that_are_read_by_row_alone_are_learnt_by_row(
    one: Job, names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LEAST", 0)
    assert table_names(one) == names


def test_small_tables_and_machines_without_kernels_keep_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not table_names(job("classify"))
    monkeypatch.setattr(tables, "LEAST", 0)
    monkeypatch.setattr("remanence.nn.fused._no_kernels", lambda name, dtype: "no such processor")
    assert not table_names(job("classify"))


@pytest.mark.parametrize("name", ["classify", "tag"])
def test_a_model_learns_the_same_by_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = job(name, weight_decay=0.1)
    found: list[tuple[Trained, list[dict]]] = []
    for least in (0, 2**40):
        monkeypatch.setattr(tables, "LEAST", least)
        rows: list[dict] = []
        found.append((train(one, hooks=Hooks(log=rows.append)), rows))
    (first, told), (second, expected) = found
    for name, value in second.model.state_dict().items():
        torch.testing.assert_close(first.model.state_dict()[name], value, rtol=0, atol=2e-5)
    for mine, others in zip(told, expected, strict=True):
        assert mine["train_loss"] == pytest.approx(others["train_loss"], rel=1e-4)
        assert mine["valid_loss"] == pytest.approx(others["valid_loss"], rel=1e-4)
        assert mine["gradient_norm"] == pytest.approx(others["gradient_norm"], rel=1e-3)


@pytest.mark.parametrize("after", [3, 11], ids=["before the first evaluation", "behind it"])
def test_training_by_row_resumes_to_the_same_weights(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LEAST", 0)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    one = job("classify")
    whole = train(one)
    train(one, tmp_path, Hooks(interrupt=StopAfter(after)))
    assert digest(train(one, tmp_path)) == digest(whole)


def test_a_trained_model_is_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LEAST", 0)
    model = train(job("classify")).model
    read_by_row = list(model.tables().values())
    assert read_by_row and not any(table.sparse or table._forward_pre_hooks for table in read_by_row)
    copy.deepcopy(model)


def test_an_update_that_fails_leaves_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LEAST", 0)
    one = job("classify", clip=None)
    twins = [Updater(one) for _ in range(2)]
    twins[1].model.load_state_dict(twins[0].model.state_dict())
    part = one.prepared.train
    batches = [part.batch(rows) for rows in part.order(8, 0, 0)[:3]]
    # Before the first update the head is zero, and so is every gradient behind it.
    for updater in twins:
        torch.manual_seed(0)
        updater.update(batches[0], 1e-2, 1)
    with monkeypatch.context() as during:
        during.setattr(Updater, "_norm", lambda _: torch.inf)
        with pytest.raises(TrainingError):
            twins[0].update(batches[1], 1e-2, 2)
    for updater in twins:
        torch.manual_seed(1)
        updater.update(batches[2], 1e-2, 2)
        updater.tables.catch_up()
    first, second = (updater.weights() for updater in twins)
    # Rows caught up a batch earlier, at the one that failed.
    for name, value in second.items():
        torch.testing.assert_close(first[name], value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("by_row", [True, False])
def test_a_checkpoint_of_a_machine_with_other_kernels_is_refused(
    by_row: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job("classify")
    monkeypatch.setattr(tables, "LEAST", 0 if by_row else 2**40)
    train(one, tmp_path, Hooks(interrupt=StopAfter(11)))
    monkeypatch.setattr(tables, "LEAST", 2**40 if by_row else 0)
    with pytest.raises(RunError, match=r"kernels for tables.*--overwrite"):
        train(one, tmp_path)
