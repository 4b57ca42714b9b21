"""Weights that are learnt in one tensor, beside PyTorch's AdamW of each."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from remanence.nn import fused
from remanence.train import weights
from remanence.train.weights import EPSILON, FIRST, SECOND, Weights

DECAY, RATE, KEPT, SCALE = 0.1, 1e-2, 0.9, 0.3


@pytest.fixture(params=["kernel", "torch"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By which AdamW is computed."""
    if request.param == "torch":
        monkeypatch.setattr(fused, "learns_rows", lambda _: False)
    return request.param


class Small(nn.Module):
    """Matrices, vectors and a weight that a backward pass may leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 40)
        self.now_and_then = nn.Linear(5, 40, bias=False)

    def loss(self, update: int) -> torch.Tensor:
        given = torch.randn(7, 3, generator=torch.Generator().manual_seed(update))
        hidden = torch.tanh(self.first(given))
        answer = self.second(hidden) + (self.now_and_then(hidden) if update % 3 else 0)
        return answer.square().mean()


def parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    return dict(model.named_parameters())


class Twin:
    """PyTorch's own, weight by weight."""

    def __init__(self, model: Small) -> None:
        self.model = copy.deepcopy(model)
        groups = [
            {"params": [p for p in self.model.parameters() if (p.ndim > 1) == matrix], "weight_decay": decay}
            for matrix, decay in ((True, DECAY), (False, 0.0))
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(FIRST, SECOND), eps=EPSILON)
        self.means = {name: value.detach().clone() for name, value in parameters(self.model).items()}

    def learn(self, update: int) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self.model.loss(update).backward()
        for value in self.model.parameters():
            value.grad = torch.zeros_like(value) if value.grad is None else SCALE * value.grad
        self.optimiser.step()
        for name, value in parameters(self.model).items():
            self.means[name].lerp_(value.detach(), 1 - KEPT)


def learn(model: Small, learning: Weights, update: int) -> torch.Tensor:
    """One update; the norm of the gradient."""
    learning.forget()
    model.loss(update).backward()
    norm = torch.nn.utils.get_total_norm(learning.gradients())
    learning.learn(RATE, KEPT, SCALE)
    return norm


@pytest.mark.parametrize("small", [0, 100, 2**16], ids=["each alone", "some", "all in one"])
def test_weights_and_means_are_those_of_pytorch(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SMALL", small)
    model = Small()
    twin, learning = Twin(model), Weights(parameters(model), DECAY, averaged=True)
    for update in range(6):
        norm = learn(model, learning, update)
        twin.learn(update)
        expected = [value.grad for value in twin.model.parameters()]
        torch.testing.assert_close(SCALE * norm, torch.nn.utils.get_total_norm(expected))  # type: ignore[arg-type]
    for name, value in parameters(twin.model).items():
        torch.testing.assert_close(parameters(model)[name], value, rtol=0, atol=1e-6)
        torch.testing.assert_close(learning.means[name], twin.means[name], rtol=0, atol=1e-6)


def test_several_backward_passes_add_up() -> None:
    model = Small()
    learning = Weights(parameters(model), DECAY, averaged=False)
    model.loss(1).backward()
    once = [gradient.clone() for gradient in learning.gradients()]
    learning.forget()
    model.loss(1).backward()
    model.loss(1).backward()
    for first, both in zip(once, learning.gradients(), strict=True):
        torch.testing.assert_close(both, 2 * first)
    learning.forget()
    assert not any(gradient.any() for gradient in learning.gradients())


@pytest.mark.parametrize("then", [0, 2**16], ids=["each alone", "all in one"])
def test_what_is_held_goes_on_alike_however_it_lies(then: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Small()
    learning = Weights(parameters(model), DECAY, averaged=False)
    other = copy.deepcopy(model)
    for update in range(4):
        learn(model, learning, update)
    monkeypatch.setattr(weights, "SMALL", then)
    following = Weights(parameters(other), DECAY, averaged=False)
    other.load_state_dict(model.state_dict())
    following.load({name: value.clone() for name, value in learning.tensors().items()})
    for update in range(4, 7):
        learn(model, learning, update)
        learn(other, following, update)
    for name, value in parameters(other).items():
        torch.testing.assert_close(parameters(model)[name], value, rtol=0, atol=1e-7)


def test_weights_that_are_released_are_each_on_their_own() -> None:
    model = Small()
    learning = Weights(parameters(model), DECAY, averaged=False)
    learn(model, learning, 1)
    shared = {value.untyped_storage().data_ptr() for value in model.parameters()}
    before = copy.deepcopy(model.state_dict())
    learning.release()
    assert len(shared) == 2
    assert len({value.untyped_storage().data_ptr() for value in model.parameters()}) == 5
    assert all(value.grad is None for value in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_kernels_are_the_way_taken_where_they_run(way: str) -> None:
    learning = Weights(parameters(Small()), DECAY, averaged=False)
    assert [block.kernel is not None for block in learning.blocks] == [way == "kernel"] * 2


@pytest.mark.parametrize("shape", [(1,), (7,), (70_001,), (331, 211), (4, 20_000), (256, 4, 64)], ids=str)
def test_a_weight_of_any_shape_is_learnt(shape: tuple[int, ...]) -> None:
    weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    other = nn.Parameter(weight.detach().clone())
    decay = DECAY if len(shape) > 1 else 0.0
    twin = torch.optim.AdamW([other], lr=RATE, betas=(FIRST, SECOND), eps=EPSILON, weight_decay=decay)
    learning = Weights({"weight": weight}, DECAY, averaged=True)
    for update in range(3):
        gradient = torch.randn(shape[::-1], generator=torch.Generator().manual_seed(1 + update))
        # As products of matrices leave them at times: not one row behind the other.
        weight.grad = other.grad = gradient.permute(*reversed(range(len(shape))))
        learning.learn(RATE)
        twin.step()
    torch.testing.assert_close(weight, other, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(learning.means["weight"], weight.detach())


def test_weights_that_nothing_came_to_shrink_alone() -> None:
    model = Small()
    before = copy.deepcopy(parameters(model))
    Weights(parameters(model), DECAY, averaged=False).learn(RATE)
    for name, value in parameters(model).items():
        shrunk = 1 - RATE * DECAY if value.ndim > 1 else 1
        torch.testing.assert_close(value, shrunk * before[name])
