"""The chain against every path, one by one."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from remanence.data.schemes import allowed
from remanence.nn import crf, fused
from remanence.nn.crf import (
    FORBIDDEN,
    Chain,
    Lattice,
    lattice_of,
    log_likelihood,
    log_partition,
    path_score,
    viterbi,
)  # fmt: skip


def _lattice(batch: int, time: int, classes: int, seed: int = 0) -> Lattice:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Lattice(
        draw(classes, classes).expand(batch, -1, -1), draw(classes).expand(batch, -1), draw(classes).expand(batch, -1),
        draw(batch, time, classes),
    )  # fmt: skip


def _every_path(lattice: Lattice, row: int, steps: list[int]) -> dict[tuple[int, ...], float]:
    """Score of each path over the given steps of one row, by the definition."""
    classes = lattice.emissions.shape[2]
    found = {}
    for path in product(range(classes), repeat=len(steps)):
        score = float(lattice.start[row, path[0]] + lattice.end[row, path[-1]]) if path else 0.0
        score += sum(float(lattice.emissions[row, t, y]) for t, y in zip(steps, path, strict=True))
        score += sum(float(lattice.transitions[row, a, b]) for a, b in pairwise(path))
        found[path] = score
    return found


@pytest.fixture(params=["kernel", "written out"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "written out":
        monkeypatch.setattr(fused, "log_partition", lambda *_: None)


MASKS = ("1", "0", "11", "01", "111", "011", "110", "000", "01110", "11111")


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("pattern", MASKS)
@pytest.mark.usefixtures("ways")
def test_chain_matches_every_path(pattern: str, classes: int) -> None:
    time = len(pattern)
    lattice = _lattice(3, time, classes, seed=time)
    steps = [t for t, sign in enumerate(pattern) if sign == "1"]
    mask = torch.tensor([sign == "1" for sign in pattern]).expand(3, -1)
    labels = torch.randint(classes, (3, time), generator=torch.Generator().manual_seed(1))
    for row in range(3):
        paths = _every_path(lattice, row, steps)
        total = torch.logsumexp(torch.tensor(list(paths.values()), dtype=torch.float64), 0)
        given = tuple(int(labels[row, t]) for t in steps)
        torch.testing.assert_close(log_partition(lattice, mask)[row], total)
        assert float(path_score(lattice, labels, mask)[row]) == pytest.approx(paths[given])
        assert float(log_likelihood(lattice, labels, mask)[row]) == pytest.approx(paths[given] - float(total))
        best = viterbi(lattice, mask)[row]
        assert tuple(int(best[t]) for t in steps) == max(paths, key=lambda path: paths[path])
        assert not best[~mask[row]].any()


@pytest.mark.usefixtures("ways")
def test_gradients_are_those_of_finite_differences() -> None:
    lattice = _lattice(2, 4, 3)
    labels, mask = torch.tensor([[0, 2, 1, 1], [2, 2, 0, 0]]), torch.tensor([[True] * 4, [False, True, True, False]])
    parts = [part.clone().requires_grad_() for part in lattice]
    assert torch.autograd.gradcheck(lambda *parts: log_likelihood(Lattice(*parts), labels, mask), parts)


@pytest.mark.usefixtures("ways")
def test_far_apart_scores_stay_finite() -> None:
    lattice = Lattice.read(lattice_of(torch.tensor([[[900.0, -900.0], [-900.0, 900.0]]])), 2)
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert log_likelihood(lattice, torch.tensor([[0, 1]]), mask).item() == 0
    assert log_likelihood(lattice, torch.tensor([[1, 0]]), mask).item() == pytest.approx(-3600)


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BMES"])
def test_decoding_never_breaks_the_scheme(scheme: str) -> None:
    letters = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES"}[scheme]
    labels = ["O", *(f"{letter}-{kind}" for kind in ("x", "y") for letter in letters)]
    follow, begin, end = allowed(labels, scheme)
    chain = Chain(follow, begin, end)
    emissions = 30 * torch.randn(40, 7, len(labels), generator=torch.Generator().manual_seed(2))
    lengths = torch.arange(40) % 8
    mask = torch.arange(7) < lengths[:, None]
    found = viterbi(Lattice.read(chain(emissions), 7), mask)
    for row, length in zip(found.tolist(), lengths.tolist(), strict=True):
        path = row[:length]
        assert all(follow[a, b] for a, b in pairwise(path))
        assert not path or (begin[path[0]] and end[path[-1]])


@pytest.mark.usefixtures("ways")
def test_label_sequence_that_breaks_the_scheme_has_a_large_and_finite_loss() -> None:
    chain = Chain(*allowed(["O", "B-x", "I-x"], "BIO"))
    packed = chain(torch.zeros(1, 2, 3))
    packed.retain_grad()
    loss = -log_likelihood(Lattice.read(packed, 2), torch.tensor([[0, 2]]), torch.ones(1, 2, dtype=torch.bool))
    loss.sum().backward()
    assert loss.item() == pytest.approx(-FORBIDDEN, rel=1e-3) and torch.isfinite(packed.grad).all()


def test_pack_and_read_are_inverse() -> None:
    lattice = _lattice(2, 3, 4)
    read = Lattice.read(lattice.pack(), 3)
    assert all(torch.equal(one, two) for one, two in zip(lattice, read, strict=True))
    assert np.array_equal(Lattice.read(lattice.pack(), 1).emissions, lattice.emissions[:, :1])


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("time", [1, 2, 7, 63])
def test_pairs_and_steps_give_the_same_sum_and_gradients(
    time: int, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice = _lattice(5, time, classes, seed=3)
    generator = torch.Generator().manual_seed(4)
    mask = torch.rand(5, time, generator=generator) < 0.7
    mask[0], mask[1] = False, True
    weights = torch.randn(5, generator=generator, dtype=torch.float64)
    found = []
    monkeypatch.setattr(fused, "log_partition", lambda *_: None)
    for few in (classes, 0):
        monkeypatch.setattr(crf, "_FEW", few)
        monkeypatch.setattr(crf, "_MANY", 0)
        parts = [part.clone().requires_grad_() for part in lattice]
        total = log_partition(Lattice(*parts), mask)
        found.append((total, torch.autograd.grad((total * weights).sum(), parts)))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.usefixtures("ways")
def test_long_sequences_of_few_labels_match_in_float32() -> None:
    lattice = Lattice(*(10 * part.float() for part in _lattice(3, 500, 4)))
    mask = torch.arange(500) < torch.tensor([[500], [123], [1]])
    double = Lattice(*(part.double() for part in lattice))
    expected = crf._by_steps(double, mask)
    torch.testing.assert_close(log_partition(lattice, mask).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.usefixtures("ways")
def test_gradients_beside_forbidden_transitions_match_in_float32() -> None:
    labels = ["O", *(f"{letter}-{kind}" for kind in "xyz" for letter in "BI")]
    chain = Chain(*allowed(labels, "BIO"))
    emissions = 10 * torch.randn(6, 9, len(labels), generator=torch.Generator().manual_seed(5))
    mask = torch.arange(9) < torch.tensor([9, 9, 8, 5, 1, 0])[:, None]
    found = []
    for dtype in (torch.float32, torch.float64):
        packed = chain.to(dtype)(emissions.to(dtype)).detach().requires_grad_()
        log_partition(Lattice.read(packed, 9), mask).sum().backward()
        found.append(packed.grad.double())
    assert len(labels) > crf._FEW
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("classes", [1, 4, 15, 16, 17, 35])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
def test_kernel_equals_the_equations_step_by_step(dtype: torch.dtype, near: float, classes: int, threads: int) -> None:
    """Whatever the sizes, and wherever the parts lie."""
    before, generator = torch.get_num_threads(), torch.Generator().manual_seed(classes)
    shared, wide = (
        2 * torch.randn(classes, classes, generator=generator, dtype=dtype),
        torch.randn(7, 9, 2 * classes, generator=generator, dtype=dtype),
    )
    if classes > 1:
        shared[0, -1] = FORBIDDEN
    rows = torch.randn(2, classes, 7, generator=generator, dtype=dtype)
    mask = torch.rand(7, 9, generator=generator) < 0.7
    mask[0], mask[1] = False, True
    weights = torch.randn(7, generator=generator, dtype=dtype)
    found = []
    for way in (fused.log_partition, lambda lattice, mask: crf._by_steps(lattice, mask)):
        own = [tensor.clone().requires_grad_() for tensor in (shared, rows, wide)]
        lattice = Lattice(own[0].expand(7, -1, -1), own[1][0].T, own[1][1].T, own[2][..., classes:])
        torch.set_num_threads(threads)
        try:
            total = way(lattice, mask)
            assert total is not None
            total = torch.where(mask.any(1), total, 0.0)
            found.append([total, *torch.autograd.grad((total * weights).sum(), own)])
        finally:
            torch.set_num_threads(before)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=near, atol=near)
