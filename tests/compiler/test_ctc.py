"""Texts without known places, by kernels, against PyTorch's own and against all paths."""

from __future__ import annotations

from itertools import groupby, product

import pytest
import torch

from remanence.compiler.ctc import log_probability
from remanence.errors import ShapeError
from remanence.nn import fused
from remanence.tasks.losses import text_loss

STEPS = torch.tensor([0, 1, 5, 9, 9, 4, 9, 7])
# Repeats need a blank between them: the last but two has too few steps for its text, the next one just enough.
TEXTS = torch.tensor(
    [[1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [0] * 5, [1, 2, 3, 2, 1], [3, 3, 3, 3, 3], [1, 1, 1, 0, 0], [4, 0, 0, 0, 0],
     [2, 2, 1, 1, 0]]
)  # fmt: skip


def _counts(texts: torch.Tensor) -> torch.Tensor:
    return (texts != 0).sum(1)


def _theirs(logits: torch.Tensor, texts: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    chances, counts = logits.log_softmax(2).transpose(0, 1), (texts != 0).sum(1)
    return torch.nn.functional.ctc_loss(chances, texts, steps, counts, reduction="none", zero_infinity=True)


@pytest.mark.parametrize("classes", [5, 16, 21])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
def test_loss_and_gradient_are_those_of_torch(dtype: torch.dtype, close: float, classes: int) -> None:
    torch.manual_seed(0)
    # As the head gives them: one column more, which is no logit.
    whole = (3 * torch.randn(8, 9, classes + 1, dtype=dtype)).requires_grad_()
    weight = torch.randn(8, dtype=dtype)
    loss = -log_probability(whole[..., :-1], TEXTS, STEPS, _counts(TEXTS))
    possible = loss < torch.inf
    assert possible.tolist() == [False] + [True] * 4 + [False] + [True] * 2
    theirs = _theirs(whole[..., :-1], TEXTS, STEPS)
    torch.testing.assert_close(torch.where(possible, loss, 0.0), theirs, rtol=close, atol=close)
    (mine,) = torch.autograd.grad((loss * weight).sum(), whole)
    (expected,) = torch.autograd.grad((theirs * weight).sum(), whole)
    torch.testing.assert_close(mine, expected, rtol=close, atol=close)
    assert not mine[5].any() and not mine[0].any() and not mine[2, 5:].any()


def test_all_paths_add_up() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 3, dtype=torch.float64)
    chances = logits[0].softmax(1)
    found: dict[tuple[int, ...], float] = {}
    for path in product(range(3), repeat=5):
        text = tuple(symbol for symbol, _ in groupby(path) if symbol)
        found[text] = found.get(text, 0.0) + float(torch.stack([chances[t, s] for t, s in enumerate(path)]).prod())
    for text, chance in found.items():
        padded = torch.tensor([[*text, *[0] * (5 - len(text))]])
        mine = log_probability(logits, padded, torch.tensor([5]), torch.tensor([len(text)]))
        assert float(mine.exp()) == pytest.approx(chance)


def test_long_sounds_stay_finite_and_close() -> None:
    torch.manual_seed(0)
    logits = 20 * torch.randn(2, 800, 30)
    texts, steps = torch.randint(1, 30, (2, 120)), torch.tensor([800, 640])
    loss = -log_probability(logits, texts, steps, _counts(texts))
    torch.testing.assert_close(loss.double(), _theirs(logits.double(), texts, steps), rtol=1e-5, atol=1e-3)


def test_threads_and_either_way_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits = torch.randn(8, 9, 6)
    known, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            given = logits.clone().requires_grad_()
            loss = text_loss(given, TEXTS, STEPS)
            known.append((loss, *torch.autograd.grad(loss, given)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(known[0], known[1], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(known[0], known[2], strict=True))
    monkeypatch.setattr(fused, "_missing", lambda: "llvmlite is missing")
    given = logits.clone().requires_grad_()
    plain = text_loss(given, TEXTS, STEPS)
    torch.testing.assert_close(plain, known[0][0])
    torch.testing.assert_close(torch.autograd.grad(plain, given)[0], known[0][1], rtol=1e-4, atol=1e-6)


def test_what_cannot_be_is_as_unlikely_as_torch_says() -> None:
    never = torch.zeros(3, 4, 3)
    never[:, 1, :2] = never[:, 0, 0] = -torch.inf
    never[1] = 0
    never[1, 2, :2] = -torch.inf
    never[2, :, 0] = -torch.inf
    texts, steps = torch.tensor([[1, 2], [1, 0], [0, 0]]), torch.tensor([4, 4, 4])
    chances, counts = never.log_softmax(2).transpose(0, 1), (texts != 0).sum(1)
    theirs = torch.nn.functional.ctc_loss(chances, texts, steps, counts, reduction="none", zero_infinity=True)
    expected = (theirs / counts.clamp(min=1)).mean()
    given = never.clone().requires_grad_()
    loss = text_loss(given, texts, steps)
    torch.testing.assert_close(loss, expected)
    assert torch.autograd.grad(loss, given)[0].isfinite().all()
    assert (
        log_probability(torch.zeros(1, 2, 2), torch.tensor([[1]]), torch.tensor([0]), torch.tensor([1])) == -torch.inf
    )


@pytest.mark.parametrize(("texts", "steps"), [([[1, 3]], [4]), ([[1, 1]], [5]), ([[-1, 1]], [4])])
def test_what_lies_outside_is_refused(texts: list, steps: list) -> None:
    with pytest.raises(ShapeError, match="ctc"):
        log_probability(torch.zeros(1, 4, 3), torch.tensor(texts), torch.tensor(steps), torch.tensor([2]))


def test_no_text_and_no_sound() -> None:
    none = torch.zeros(2, 4, 3, requires_grad=True)
    loss = text_loss(none, torch.zeros(2, 0, dtype=torch.int64), torch.tensor([4, 0]))
    assert loss.item() == pytest.approx(2 * torch.tensor(3.0).log().item())
    assert torch.autograd.grad(loss, none)[0][0].any()
