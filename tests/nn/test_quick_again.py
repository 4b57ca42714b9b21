"""What the short way reads again behind the forward pass, and how exactly it reads it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from remanence import nn
from remanence.errors import ShapeError
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences


def _changed(weight: torch.nn.Parameter, how: str) -> None:
    if how == "half":
        weight.data = weight.data.half()
    elif how == "double":
        weight.data = weight.data.double()
    elif how == "nothing":
        weight.data = weight.data.new_empty(0)
    else:
        weight.data = weight.data.t().contiguous().t() if weight.ndim == 2 else weight.data


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("how", ["half", "double", "nothing", "turned"])
def test_weights_that_change_behind_forward_are_refused_or_read_right(how: str, uneven: bool) -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 9, 33, options=RecurrentOptions(path="cpu-fused"))
    data = torch.randn(4, 9, 9, requires_grad=True)
    given: Any = Sequences(data, torch.tensor([9, 4, 0, 9])) if uneven else data
    (expected,) = torch.autograd.grad(layer(given).output.sum(), data)
    output = layer(given).output
    for weight in layer.parameters():
        _changed(weight, how)
    if how == "turned":
        torch.testing.assert_close(torch.autograd.grad(output.sum(), data)[0], expected)
        return
    with pytest.raises(ShapeError, match="changed behind the forward pass"):
        output.sum().backward()


def test_hooks_on_what_is_saved_may_turn_it() -> None:
    torch.manual_seed(0)
    layer, data = nn.GRU(17, 33), torch.randn(9, 4, 17, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(data)[0].sum(), data)

    def turned(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.t().contiguous() if tensor.ndim == 2 else tensor

    with torch.autograd.graph.saved_tensors_hooks(turned, lambda tensor: tensor.t() if tensor.ndim == 2 else tensor):
        output = layer(data)[0]
    torch.testing.assert_close(torch.autograd.grad(output.sum(), data)[0], expected)


_signed: Any = torch._neg_view  # pyright: ignore[reportPrivateImportUsage] (what imaginary parts of conjugates are)


@pytest.mark.parametrize("lengths", [None, torch.tensor([5, 2])])
def test_views_with_a_sign_are_read_with_it(lengths: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    layer = Recurrent("gru", 1, 4, options=RecurrentOptions(path="cpu-fused"))
    data, start, toward = torch.randn(2, 5, 1), torch.randn(1, 2, 4), torch.randn(1, 2, 4)

    def found(data: torch.Tensor, start: torch.Tensor, toward: torch.Tensor) -> list[torch.Tensor]:
        layer.zero_grad()
        given: Any = data if lengths is None else Sequences(data, lengths)
        done = layer(given, {"h": start})
        torch.autograd.backward([done.state["h"], done.output], [toward, _signed(torch.ones(2, 5, 4))])
        return [done.output, done.state["h"], *(weight.grad.clone() for weight in layer.parameters())]  # type: ignore[union-attr]

    expected = found(data, start, toward)
    signed = found(*(_signed(-tensor) for tensor in (data, start, toward)))
    for ours, theirs in zip(signed, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gates_that_are_divided_by_are_exact_where_they_are_small() -> None:
    torch.manual_seed(0)
    layer = Recurrent("minlstm", 130, 2, options=RecurrentOptions(path="cpu-fused"))
    with torch.no_grad():
        for name in ("b_f", "b_i"):
            layer.get_parameter(f"layer0_forward.{name}").fill_(-14.0)
    exact = Recurrent("minlstm", 130, 2, options=RecurrentOptions(path="eager")).double()
    exact.load_state_dict(layer.state_dict())
    data = torch.randn(8, 33, 130)
    found = []
    for one, read in ((layer, data), (exact, data.double())):
        output = one(read).output
        output.sin().sum().backward()
        found.append([output, *(weight.grad for weight in one.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert (ours.double() - theirs).abs().max() <= 2e-5 * theirs.abs().max()


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("wrong", [-1, 6, 10**6])
def test_lengths_that_left_the_batch_are_refused(wrong: int, started: bool, trains: bool) -> None:
    layer = Recurrent("gru", 3, 4, bidirectional=True, options=RecurrentOptions(path="cpu-fused"))
    lengths = torch.tensor([4, 2])
    read = Sequences(torch.randn(2, 5, 3), lengths)
    # Whoever changes them behind the check of `Sequences` must not make a kernel write elsewhere.
    lengths[1] = wrong
    start = {"h": torch.zeros(2, 2, 4)} if started else None
    with torch.set_grad_enabled(trains), pytest.raises(ShapeError, match="lengths in 0 … 5"):
        layer(read, start)
