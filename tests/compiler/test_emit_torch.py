"""The eager emitter: every operation against numbers worked by hand, hoisting, gradients, vmap."""

from __future__ import annotations

import math

import pytest
import torch

from remanence.cells import CELLS
from remanence.compiler.emit_torch import one_step, run
from remanence.compiler.parse import parse
from remanence.compiler.schedule import BEFORE, LOOP, Compute, Multiply, schedule


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("h + 1", 3.0),
        ("1 - h", -1.0),
        ("-h - -h - h", -2.0),
        ("3 / h * 2", 3.0),
        ("sigmoid(h)", 1 / (1 + math.exp(-2))),
        ("tanh(h)", math.tanh(2)),
        ("relu(-h) + relu(h)", 2.0),
        ("exp(h)", math.e**2),
        ("log(h)", math.log(2)),
        ("softplus(h)", math.log(1 + math.e**2)),
        ("abs(-h)", 2.0),
        ("max(h, 3) + min(1, h)", 4.0),
        ("sqrt(h)", math.sqrt(2)),
        ("mean(h) * h", 4.0),
        ("h / norm(h)", 1 / math.sqrt(3)),
        ("h * (sqrt(4) + exp(0))", 6.0),
        ("W @ x - 2 - h", -4.0),
        ("2 - W @ x - h + 1", 1.0),
        ("x_free + 0 * h", 7.0),
    ],
)
def test_operation_gives_the_number_worked_by_hand(expression: str, value: float):
    step = parse(f"h = {expression}", ("h",), "h")
    parameters = {p.name: torch.full(p.shape({"input": 1, "hidden": 3}), 0.0) for p in step.parameters}
    if "x_free" in parameters:
        parameters["x_free"] += 7
    done = one_step(schedule(step), parameters, torch.ones(2, 1), {"h": torch.full((2, 3), 2.0)})
    torch.testing.assert_close(done["h"], torch.full((2, 3), value))


def test_schedule_hoists_what_knows_no_state():
    plan = schedule(CELLS["lstm"].step)
    inside = [i for i in plan.stages[LOOP] if isinstance(i, Multiply)]
    outside = [i for i in plan.stages[BEFORE] if isinstance(i, Multiply)]
    assert [i.matrices for i in inside] == [("U_i", "U_f", "U_g", "U_o")]
    assert [i.matrices for i in outside] == [("W_i", "W_f", "W_g", "W_o")]
    # Four sums, four squashings, f*c, i*g, their sum, tanh(c), o*tanh(c): the biases are added before the loop.
    assert sum(isinstance(i, Compute) for i in plan.stages[LOOP]) == 13


def test_schedule_of_a_minimal_cell_leaves_two_operations_in_the_loop():
    plan = schedule(CELLS["mingru"].step)
    assert [i.op for i in plan.stages[LOOP] if isinstance(i, Compute)] == ["mul", "add"]


def test_schedule_keeps_second_stage_products_apart():
    plan = schedule(CELLS["gru-before"].step)
    inside = [i.matrices for i in plan.stages[LOOP] if isinstance(i, Multiply)]
    assert inside == [("U_r", "U_z"), ("U_n",)]


@pytest.mark.parametrize("name", ["lstm-peephole", "gru-before", "lstm-layernorm", "minlstm"])
def test_eager_gradients_pass_gradcheck_twice(name: str):
    step = CELLS[name].step
    torch.manual_seed(3)
    shapes = [p.shape({"input": 2, "hidden": 2}) for p in step.parameters]
    weights = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    inputs = torch.randn(2, 1, 2, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(1, 2, dtype=torch.float64, requires_grad=True) for _ in step.state]

    def call(inputs, *rest):
        state = dict(zip(step.state, rest[: len(step.state)], strict=True))
        named = {p.name: w for p, w in zip(step.parameters, rest[len(step.state) :], strict=True)}
        done = run(schedule(step), named, inputs, state)
        return (done.output, *done.state.values())

    assert torch.autograd.gradcheck(call, (inputs, *start, *weights), fast_mode=True)
    assert torch.autograd.gradgradcheck(call, (inputs, *start, *weights), fast_mode=True, atol=1e-4)


def test_eager_under_vmap_is_one_call_each():
    step = CELLS["lstm"].step
    torch.manual_seed(0)
    weights = {p.name: torch.randn(4, *p.shape({"input": 2, "hidden": 3})) for p in step.parameters}
    inputs = torch.randn(5, 1, 2)
    start = {"h": torch.zeros(1, 3), "c": torch.zeros(1, 3)}
    together = torch.func.vmap(lambda w: run(schedule(step), w, inputs, start).output)(weights)
    for index in range(4):
        alone = run(schedule(step), {k: w[index] for k, w in weights.items()}, inputs, start).output
        torch.testing.assert_close(together[index], alone)
    jacobian = torch.func.jacrev(lambda x: run(schedule(step), {k: w[0] for k, w in weights.items()}, x, start).output)(
        inputs
    )
    assert jacobian.shape == (5, 1, 3, 5, 1, 2)
    assert not jacobian[1, :, :, 2:].any()


def test_trace_of_quantities_without_state_or_input_has_every_step():
    step = parse("a = sigmoid(p)\nb = W @ x\nk = mean(b)\ntwo = 1 + 1\nh = a * h + two * b * k", ("h",), "h")
    weights = {p.name: torch.ones(p.shape({"input": 2, "hidden": 3})) for p in step.parameters}
    for time in (0, 4):
        done = run(schedule(step), weights, torch.ones(time, 5, 2), {"h": torch.zeros(5, 3)}, trace=step.quantities)
        shapes = {name: tuple(traced.shape) for name, traced in done.trace.items()}
        assert shapes == {
            "a": (time, 5, 3),
            "b": (time, 5, 3),
            "k": (time, 5, 1),
            "two": (time, 5, 1),
            "h": (time, 5, 3),
        }


@pytest.mark.parametrize("equation", ["h = max(h, 0.1)", "h = 0 * h + min(0.1, 1 + abs(h))"])
def test_numbers_of_equations_are_exact_in_float64(equation: str) -> None:
    step = parse(equation, ("h",), "h")
    start = {"h": torch.zeros(1, 1, dtype=torch.float64)}
    done = run(schedule(step), {}, torch.zeros(1, 1, 1, dtype=torch.float64), start)
    assert done.output.item() == 0.1 and done.output.dtype == torch.float64
