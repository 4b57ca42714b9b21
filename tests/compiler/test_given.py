"""What comes from outside at each step beside x: read, sized, staged before the loop, and run."""

from __future__ import annotations

import pytest
import torch

from remanence.cells import Cell, describe
from remanence.compiler.emit_torch import one_step, run
from remanence.compiler.ir import Given, walk
from remanence.compiler.parse import parse
from remanence.compiler.schedule import BEFORE, schedule
from remanence.errors import CellError

EQUATIONS = "a = exp(-relu(v * d))\nh = a * tanh(W @ (m * x) + U @ h) + k * h"
GIVEN = {"m": "input", "d": "hidden", "k": "1"}


def test_given_names_are_leaves_with_the_size_that_is_said():
    step = parse(EQUATIONS, ("h",), "h", given=GIVEN)
    found = {node for equation in step.equations for node in walk(equation.value) if isinstance(node, Given)}
    assert found == {Given("m"), Given("d"), Given("k")}
    assert [(p.name, p.axes) for p in step.parameters] == [
        ("v", ("hidden",)),
        ("W", ("hidden", "input")),
        ("U", ("hidden", "hidden")),
    ]
    assert step.size(Given("k")) == "1"
    apart = parse("h = W @ x + V @ d", ("h",), "h", given={"d": "proj"})
    assert apart.parameter("V").axes == ("hidden", "proj")
    assert apart.size_names == ("input", "hidden", "proj")


def test_schedule_stages_given_inputs_before_the_loop():
    plan = schedule(parse(EQUATIONS, ("h",), "h", given=GIVEN))
    assert sorted(plan.given.values()) == ["d", "k", "m"]
    assert {plan.stage_of[slot] for slot in plan.given} == {BEFORE}
    # a, W @ (m * x) and k are what the loop reads of it.
    assert set(plan.sliced) >= {plan.quantities["a"], next(s for s, n in plan.given.items() if n == "k")}
    assert len(plan.sliced) == 3


def test_run_reads_given_inputs_step_by_step_and_ignores_padding():
    plan = schedule(parse(EQUATIONS, ("h",), "h", given=GIVEN))
    torch.manual_seed(0)
    weights = {p.name: torch.randn(p.shape({"input": 2, "hidden": 3})).double() for p in plan.step.parameters}
    inputs = torch.randn(4, 2, 2, dtype=torch.float64)
    given = {"m": torch.rand(4, 2, 2), "d": torch.rand(4, 2, 3), "k": torch.rand(4, 2, 1)}
    given = {name: value.double().requires_grad_() for name, value in given.items()}
    start = {"h": torch.zeros(2, 3, dtype=torch.float64)}
    lengths = torch.tensor([4, 2])
    outside = {name: value.detach().clone() for name, value in given.items()}
    for value in outside.values():
        value[2:, 1] = torch.nan
    done = run(plan, weights, inputs, start, lengths=lengths, given=outside)
    again = run(plan, weights, inputs, start, lengths=lengths, given=given)
    assert torch.equal(done.output, again.output)
    gradients = torch.autograd.grad(again.output.sum(), list(given.values()))
    assert all(gradient[:2].any() and not gradient[2:, 1].any() for gradient in gradients)
    h = start["h"]
    for t in range(4):
        m, d, k = (given[name][t] for name in ("m", "d", "k"))
        a = torch.exp(-(weights["v"] * d).clamp(min=0))
        new = a * torch.tanh((m * inputs[t]) @ weights["W"].T + h @ weights["U"].T) + k * h
        alone = one_step(plan, weights, inputs[t], {"h": h}, {"m": m, "d": d, "k": k})
        torch.testing.assert_close(alone["h"], new)
        h = torch.where((t < lengths)[:, None], new, h)
    torch.testing.assert_close(done.state["h"], h.detach())


def test_states_may_have_the_input_size_where_that_is_said():
    equations = "l = m * x + (1 - m) * l\nh = tanh(W @ l + U @ h)"
    cell = Cell("held", ("h", "l"), "h", equations, "none", sizes={"l": "input"}, given={"m": "input"})
    assert dict(cell.step.sizes) == {"l": "input", "h": "hidden"}
    assert Cell.from_json(cell.to_json()) == cell
    assert "given       m [2]" in describe(cell, input=2, hidden=3)
    with pytest.raises(CellError, match="sizes clash"):
        Cell("held", ("h", "l"), "h", equations, "none", given={"m": "input"})


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("h = W @ x", {"m": "hidden"}, "'m' is given, but no equation reads it"),
        ("h = m * h + W @ x", {"m": "wide"}, "cannot have the size 'wide'"),
        ("h = m * h + W @ x", {"m": "input"}, "sizes clash"),
        ("h = m * x", {"m": "hidden"}, "sizes clash|meets one of size"),
        ("h = m * h + W @ x", {"m": "proj"}, "has the size proj, but it meets one of size hidden"),
        ("m = W @ x\nh = m", {"m": "hidden"}, "'m' is given and cannot be assigned"),
        ("h = h + W @ x", {"h": "hidden"}, "both a state and given"),
        ("h = h + W @ x", {"x": "input"}, "cannot name a given input"),
        ("h = h + m @ x", {"m": "hidden"}, "left side of @ is not a parameter"),
        ("h = h + W @ k", {"k": "1"}, "right side of @ is a single number"),
    ],
)
def test_wrong_given_inputs_are_refused_where_the_cell_is_defined(text: str, given: dict[str, str], message: str):
    with pytest.raises(CellError, match=message):
        parse(text, ("h",), "h", given=given)
    with pytest.raises(CellError, match="given should map names to sizes"):
        Cell("bad", ("h",), "h", "h = m * h + W @ x", "none", given=("m",))  # type: ignore[arg-type]
