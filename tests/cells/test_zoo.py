"""The laws of every cell of the zoo: against its naive twin, and each property it declares measured."""

from __future__ import annotations

import pytest
import torch
from naive import TWINS, run

from remanence.cells import CELLS, Cell, describe
from remanence.compiler import emit_torch
from remanence.compiler.emit_latex import latex, symbol
from remanence.nn.recurrent import Recurrent, RecurrentOptions


def _layer(cell: Cell, inputs: int = 3, hidden: int = 5, **options: object) -> Recurrent:
    torch.manual_seed(7)
    return Recurrent(cell, inputs, hidden, options=RecurrentOptions(path="eager", **options)).double()


def _start(layer: Recurrent, batch: int) -> dict[str, torch.Tensor]:
    """A random state within [-1, 1]; the normaliser of sLSTM, a sum of exponentials, within [0.5, 1]."""
    sizes = layer.sizes
    start = {}
    for name in layer.cell.state:
        drawn = torch.rand(1, batch, sizes[layer.cell.step.sizes[name]], dtype=torch.float64) * 2 - 1
        start[name] = (drawn.abs() / 2 + 0.5 if name == "n" else drawn).requires_grad_()
    return start


def _given(layer: Recurrent, batch: int, time: int) -> dict[str, torch.Tensor]:
    """Random given inputs; a mask is of zeros and ones."""
    sizes = {"1": 1, "input": layer.input_size, **layer.sizes}
    drawn = {name: torch.rand(batch, time, sizes[size]).double() for name, size in layer.cell.step.given.items()}
    return {name: (values > 0.5).double() if name == "m" else 2 * values for name, values in drawn.items()}


every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def test_zoo_every_cell_has_a_twin():
    assert set(TWINS) == set(CELLS)


@every_cell
@pytest.mark.parametrize(("batch", "time", "hidden"), [(1, 1, 1), (3, 7, 5), (1, 2, 33)])
def test_cell_forward_and_gradients_match_naive_twin(cell: Cell, batch: int, time: int, hidden: int):
    layer = _layer(cell, 3, hidden)
    weights = {k: v + 0.1 * torch.randn_like(v) for k, v in layer.layer0_forward.tensors().items()}
    for name, weight in weights.items():
        layer.layer0_forward._parameters[name].data.copy_(weight)
    inputs = torch.randn(batch, time, 3, dtype=torch.float64, requires_grad=True)
    start = _start(layer, batch)
    given = _given(layer, batch, time)
    done = layer(inputs, start, given=given, trace=("*",))
    leaves = [inputs, *start.values(), *layer.parameters()]
    output, final, quantities = run(
        cell.name,
        layer.layer0_forward.tensors(),
        inputs,
        {k: v[0] for k, v in start.items()},
        cell.output,
        given=given,
    )
    torch.testing.assert_close(done.output, output, atol=1e-10, rtol=1e-10)
    for name, value in final.items():
        torch.testing.assert_close(done.state[name][0], value, atol=1e-10, rtol=1e-10)
    for name, value in quantities.items():
        torch.testing.assert_close(done.trace[f"layer0.forward.{name}"], value, atol=1e-10, rtol=1e-10)
    weigh = torch.randn_like(output)

    def gradients(out, last):
        loss = (out * weigh).sum() + sum(value.sin().sum() for value in last.values())
        return torch.autograd.grad(loss, leaves, materialize_grads=True)

    ours = gradients(done.output, {k: v[0] for k, v in done.state.items()})
    for mine, theirs in zip(ours, gradients(output, final), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10)


@every_cell
def test_cell_declared_bound_holds(cell: Cell):
    if not cell.bounded:
        pytest.skip(f"{cell.name} declares no bound")
    layer = _layer(cell)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(20)
        inputs = 10 * torch.randn(3, 63, 3, dtype=torch.float64)
        out = layer(inputs, _start(layer, 3), given=_given(layer, 3, 63)).output
    assert out.abs().max() <= 1


@every_cell
def test_cell_additive_memory_identity_holds(cell: Cell):
    """c_T = (prod a) c_0 + sum_s (prod_{k>s} a_k) b_s, from traced quantities alone."""
    if not cell.additive_memory:
        pytest.skip(f"{cell.name} declares no additive memory")
    layer = _layer(cell)
    start = _start(layer, 3)
    inputs = torch.randn(3, 9, 3, dtype=torch.float64)
    done = layer(inputs, start, given=_given(layer, 3, 9), trace=("*",))
    quantities = {name: done.trace[f"layer0.forward.{name}"] for name in cell.quantities}
    for state in cell.additive_memory:
        a, b = (torch.as_tensor(emit_torch.evaluate(node, quantities)) for node in cell.memory(state))
        a, b = a.to(torch.float64).expand_as(quantities[state]), b.expand_as(quantities[state])
        total = a.prod(1) * start[state][0]
        for s in range(9):
            total = total + a[:, s + 1 :].prod(1) * b[:, s]
        torch.testing.assert_close(total, done.state[state][0], atol=1e-12, rtol=1e-10)


@every_cell
def test_cell_parameter_count_is_the_sum_of_shapes(cell: Cell):
    layer = _layer(cell, 3, 5)
    assert cell.parameter_count(input=3, **layer.sizes) == sum(p.numel() for p in layer.parameters())


@every_cell
def test_cell_json_round_trip_is_equal(cell: Cell):
    again = Cell.from_json(cell.to_json())
    assert again == cell
    assert again.step == cell.step


@every_cell
def test_cell_latex_and_description_mention_every_quantity(cell: Cell):
    text, words = latex(cell.step), describe(cell, input=3, hidden=5, proj=2)
    for name in cell.quantities:
        assert f"{symbol(name, 't')} &=" in text
        assert f"{name} = " in words
    for parameter in cell.step.parameters:
        assert symbol(parameter.name) in text
        assert f"{parameter.name} [" in words.replace("\n            ", " ")
    assert text.count("{") == text.count("}")
    assert text.count("\\left") == text.count("\\right")
    assert cell.source.split(",")[0] in words


@every_cell
def test_cell_forget_bias_makes_the_state_last_longer(cell: Cell):
    if not cell.forget_bias:
        pytest.skip(f"{cell.name} declares no forget bias")
    state = next(iter(cell.additive_memory))
    left = []
    for bias in (-2.0, 4.0):
        layer = _layer(cell, forget_bias=bias).requires_grad_(False)
        inputs = torch.zeros(1, 5, 3, dtype=torch.float64)
        quantities = layer(inputs, given=_given(layer, 1, 5), trace=("*",)).trace
        named = {name: quantities[f"layer0.forward.{name}"] for name in cell.quantities}
        left.append(float(torch.as_tensor(emit_torch.evaluate(cell.memory(state)[0], named)).mean()))
    assert left[1] > left[0] + 0.15


@pytest.mark.parametrize("name", ["slstm", "slstm-exp"])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_slstm_stays_finite_where_exponentials_would_not(name: str, scale: float):
    """The output is a gate times a mean of squashed inputs, however large the gates' arguments are."""
    layer = _layer(CELLS[name]).float()
    data = scale * torch.randn(3, 63, 3)
    done = layer(data)
    assert torch.isfinite(done.output).all() and done.output.abs().max() <= 1
    gradients = torch.autograd.grad(done.output.sum(), list(layer.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_gru_d_with_everything_observed_is_a_gru():
    """Without time between steps nothing decays: the reset-before GRU, whose update gate is turned round."""
    layer, plain = _layer(CELLS["gru-d"]), _layer(CELLS["gru-before"])
    ours, theirs = layer.layer0_forward.tensors(), plain.layer0_forward.tensors()
    with torch.no_grad():
        for gate, sign in (("z", -1), ("r", 1), ("n", 1)):
            theirs[f"W_{gate}"].copy_(sign * ours[f"W_{gate}"])
            theirs[f"U_{gate}"].copy_(sign * ours[f"U_{gate}"])
            theirs[f"b_{gate}"].copy_(sign * (ours[f"b_{gate}"] + ours[f"V_{gate}"].sum(1)))
        for name in ("b_gamma", "b_delta"):
            ours[name].fill_(-1)
    data = torch.randn(3, 7, 3, dtype=torch.float64)
    given = {"m": torch.ones_like(data), "delta": torch.zeros_like(data), "last": torch.full_like(data, 9.0)}
    torch.testing.assert_close(layer(data, given=given).output, plain(data).output)
