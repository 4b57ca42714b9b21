"""What programs do with a layer of torch.nn besides calling it: the drop-ins bear it all."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.checkpoint import checkpoint

import remanence.nn as ours

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "lstmp": ("LSTM", {"proj_size": 2}),
    "gru": ("GRU", {}),
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")


def made(kind: str, home: Any = ours, *, hidden: int = 3, **options: Any) -> Any:
    name, special = KINDS[kind]
    torch.manual_seed(0)
    return getattr(home, name)(2, hidden, **{"dtype": torch.float64, **special, **options})


def batch(time: int = 9, rows: int = 2) -> Tensor:
    return torch.randn(time, rows, 2, dtype=torch.float64)


def ragged() -> PackedSequence:
    """Unequal lengths, so that the LSTM takes our kernel, too."""
    return pack_sequence([torch.randn(length, 2, dtype=torch.float64) for length in (9, 4, 1)])


def total(layer: nn.Module, inputs: Any) -> Tensor:
    output, last = layer(inputs)
    last = last if isinstance(last, tuple) else (last,)
    output = output.data if isinstance(output, PackedSequence) else output
    return output.square().sum() + sum(part.sin().sum() for part in last)


def gradients(layer: nn.Module, inputs: Any) -> list[Tensor]:
    layer.zero_grad()
    total(layer, inputs).backward()
    return [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]


@every_kind
def test_derivatives_are_those_of_finite_differences(kind: str) -> None:
    layer = made(kind, bidirectional=kind == "gru")
    names = [name for name, _ in layer.named_parameters()]
    packed = ragged()

    def run(data: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        inputs = PackedSequence(data, packed.batch_sizes)
        output, last = functional_call(layer, dict(zip(names, weights, strict=True)), (inputs,))
        return (output.data, *(last if isinstance(last, tuple) else (last,)))

    leaves = [leaf.detach().clone().requires_grad_() for leaf in (packed.data, *layer.parameters())]
    # A random direction through all numbers at once: one pass instead of one for each.
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


@every_kind
def test_derivative_of_a_derivative_is_that_of_torch(kind: str) -> None:
    found = []
    for home in (nn, ours):
        layer, inputs = made(kind, home), batch(10).requires_grad_()
        torch.manual_seed(1)
        data = torch.randn_like(inputs).requires_grad_()
        (first,) = torch.autograd.grad(total(layer, data), data, create_graph=True)
        first.square().sum().backward()
        found.append([data.grad, *(parameter.grad for parameter in layer.parameters())])
    torch.testing.assert_close(found[1], found[0])


@every_kind
def test_gradients_flow_in_evaluation_too(kind: str) -> None:
    layer, inputs = made(kind, num_layers=2), batch()
    torch.testing.assert_close(gradients(layer.eval(), inputs), gradients(layer.train(), inputs), rtol=0, atol=0)
    frozen = layer.requires_grad_(False)
    data = inputs.clone().requires_grad_()
    total(frozen, data).backward()
    assert data.grad is not None and data.grad.any()
    with torch.inference_mode():
        first = layer(inputs)[0]
    with torch.no_grad():
        torch.testing.assert_close(layer(inputs)[0], first.clone())


@every_kind
def test_autocast_gives_the_types_of_torch(kind: str) -> None:
    theirs, layer = made(kind, nn, dtype=torch.float32), made(kind, dtype=torch.float32)
    inputs = batch().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, came = theirs(inputs), layer(inputs)
    assert came[0].dtype == expected[0].dtype
    assert torch.equal(came[0], expected[0])


@every_kind
def test_same_call_gives_the_same_bits(kind: str) -> None:
    layer = made(kind, num_layers=2, bidirectional=True)
    for inputs in (batch(), ragged()):
        first, again = gradients(layer, inputs), gradients(layer, inputs)
        assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
        assert torch.equal(total(layer, inputs), total(layer, inputs))


def test_threads_of_python_do_not_meet() -> None:
    layers = [made(kind, num_layers=2, hidden=17) for kind in KINDS for _ in range(2)]
    inputs = [ragged() for _ in layers]
    expected = [gradients(layer, data) for layer, data in zip(layers, inputs, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            found = list(pool.map(gradients, layers, inputs))
            for ours_, alone in zip(found, expected, strict=True):
                assert all(torch.equal(one, other) for one, other in zip(ours_, alone, strict=True))
        # One layer read by all threads at once.
        read = list(pool.map(lambda _: total(layers[0], inputs[0]), range(8)))
    assert all(torch.equal(one, read[0]) for one in read)


@every_kind
def test_hooks_are_called(kind: str) -> None:
    layer, called = made(kind), []
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    layer.register_forward_hook(lambda *_: called.append("after"))
    layer.register_full_backward_hook(lambda *_: called.append("backward"))
    layer.weight_hh_l0.register_hook(lambda _: called.append("weight"))
    output, _ = layer(batch().requires_grad_())
    output.sum().backward()
    assert called[:2] == ["before", "after"] and sorted(called[2:]) == ["backward", "weight"]


@every_kind
def test_transforms_take_the_equations(kind: str) -> None:
    layer, inputs = made(kind, num_layers=2), batch()
    weights = dict(layer.named_parameters())

    def loss(weights: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(layer, weights, (one,))[0].square().sum()

    each = vmap(grad(loss), in_dims=(None, 1))(weights, inputs)
    for row in range(inputs.shape[1]):
        layer.zero_grad()
        layer(inputs[:, row])[0].square().sum().backward()
        for name, weight in weights.items():
            torch.testing.assert_close(each[name][row], weight.grad)
    slopes = jacrev(lambda one: layer(one)[0])(inputs[:, 0])
    again = torch.autograd.functional.jacobian(lambda one: layer(one)[0], inputs[:, 0])
    torch.testing.assert_close(slopes, again)
    both, _ = stack_module_state([layer, copy.deepcopy(layer)])
    apart = vmap(lambda one: functional_call(layer, one, (inputs,))[0])(both)
    torch.testing.assert_close(apart[1], layer(inputs)[0])


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_transforms_of_cells_take_the_equations(name: str) -> None:
    cell = getattr(ours, name)(2, 3, dtype=torch.float64)
    inputs, h = torch.randn(4, 2, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    hx: Any = (h, -h) if name == "LSTMCell" else h
    torch.testing.assert_close(vmap(cell)(inputs, hx), cell(inputs, hx))
    torch.testing.assert_close(vmap(cell)(inputs), cell(inputs))


@every_kind
def test_a_weight_may_be_made_from_others(kind: str) -> None:
    found = []
    for home in (nn, ours):
        layer = parametrizations.weight_norm(made(kind, home), "weight_hh_l0")
        torch.manual_seed(1)
        inputs = batch()
        found.append([total(layer, inputs), *gradients(layer, inputs)])
        with torch.no_grad():
            layer.parametrizations["weight_hh_l0"].original0.mul_(2)
        found[-1].append(total(layer, inputs))
    torch.testing.assert_close(found[1], found[0])


@every_kind
def test_recomputing_gives_the_same_gradients(kind: str) -> None:
    layer, inputs = made(kind), batch().requires_grad_()
    expected = gradients(layer, inputs)
    layer.zero_grad()
    checkpoint(lambda one: total(layer, one), inputs, use_reentrant=False).backward()
    torch.testing.assert_close([parameter.grad for parameter in layer.parameters()], expected, rtol=0, atol=0)


@every_kind
@pytest.mark.parametrize("both", [False, True])
def test_output_may_be_changed_and_viewed_as_that_of_torch(kind: str, both: bool) -> None:
    found = []
    for home in (nn, ours):
        layer = made(kind, home, bidirectional=both)
        for inputs in (batch(), ragged()):
            torch.manual_seed(1)
            inputs = (
                torch.randn_like(inputs) if isinstance(inputs, Tensor) else inputs._replace(data=inputs.data * 0 + 1)
            )
            output, _ = layer(inputs)
            output = output.data if isinstance(output, PackedSequence) else output
            output.mul_(2).view(-1).sum().backward()
            found.append([output, *(parameter.grad for parameter in layer.parameters())])
            with torch.no_grad():
                output = layer(inputs)[0]
                found[-1].append(output.data.view(-1))
    torch.testing.assert_close(found[2:], found[:2])


def test_weights_changed_in_place_before_backward_are_an_error() -> None:
    layer = made("gru")
    loss = total(layer, batch())
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def test_tensors_without_numbers_are_handed_to_torch() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    layer = made("gru")
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert layer(torch.empty(9, 2, 2, dtype=torch.float64))[0].shape == (9, 2, 3)
