"""Derivatives of sums over units: beside the eager reference, and in as few passes over the units as they need."""

from __future__ import annotations

import pytest
import torch

from remanence.cells import CELLS
from remanence.compiler import emit_torch, run_cpu
from remanence.compiler.kernel import build
from remanence.compiler.parse import parse
from remanence.compiler.reading import Reading

CENTRED = "s = W @ x + U @ h\nd = s - mean(s)\n"
EQUATIONS = {
    "layer norm": CENTRED + "h = tanh(k * d / sqrt(mean(d * d) + 0.01) + b)",
    "its factor apart": CENTRED + "h = tanh(k * (d / sqrt(mean(d * d) + 0.01)) + b)",
    # The mean's adjoint is a sum of signs, of a vanishing part and of another one, on either side.
    "vanishing first": CENTRED + "h = tanh(mean(d * d) * b - k * d)",
    "both vanish": CENTRED + "h = tanh(mean(d * d) * d + mean(d * s) * d)",
    "neither": "s = W @ x + U @ h\nm = mean(s)\nh = tanh(k * (s - 2 * m) / (1 + m * m))",
    "mean of another": CENTRED + "e = s - mean(d * s)\nh = tanh(e * mean(e * e) - k * e)",
    "numbers": CENTRED + "h = tanh(0 - 3 * d / 2 + mean(0 - d * k))",
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_gradients_through_means_equal_the_reference(name: str) -> None:
    torch.manual_seed(0)
    step = parse(EQUATIONS[name], ("h",), "h")
    kernel = build(step)
    for time, batch, features, hidden in ((1, 1, 1, 1), (4, 3, 2, 5), (3, 5, 3, 17)):
        sizes = {"input": features, "hidden": hidden}
        weights = {p.name: torch.randn(p.shape(sizes), dtype=torch.float64).requires_grad_() for p in step.parameters}
        inputs = torch.randn(time, batch, features, dtype=torch.float64, requires_grad=True)
        state = {"h": torch.randn(batch, hidden, dtype=torch.float64, requires_grad=True)}
        leaves = [inputs, *weights.values(), *state.values()]
        eager = emit_torch.run(kernel.plan, weights, inputs, state).output
        fused = run_cpu.run(kernel, weights, inputs, state, Reading(None)).output
        torch.testing.assert_close(fused, eager, rtol=1e-10, atol=1e-12)
        arriving = torch.randn_like(eager)
        for mine, right in zip(*(torch.autograd.grad(o, leaves, arriving) for o in (fused, eager)), strict=True):
            torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-11)


def test_backward_of_layer_norms_walks_three_times_over_the_units_of_a_row() -> None:
    source = build(CELLS["lstm-layernorm"].step).source(backward=True)
    assert source.count("for j in range(") == 3


def test_many_saved_lanes_are_fetched_ahead_and_few_are_not() -> None:
    for name, fetched in (("lstm-layernorm", True), ("lstm", False)):
        kernel = build(CELLS[name].step)
        assert ("    claim(s, next_s" in kernel.source()) == fetched
        assert ("    fetch(s, next_s" in kernel.source(backward=True)) == fetched
