"""Fused kernels against the eager reference: outputs, final states and every gradient, at odd sizes.

Compiling takes a second a cell, so a few cells that differ most stand for the zoo; REMANENCE_FULL=1 runs all of them.
"""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from remanence.cells import CELLS
from remanence.compiler import emit_torch, run_cpu
from remanence.compiler.kernel import build
from remanence.compiler.reading import Reading
from remanence.nn.turn import reversal, turn

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}
SHAPES = [(1, 1, 1, 1), (2, 3, 3, 5), (7, 3, 4, 33), (5, 13, 2, 16)]
# A product of the second level; peepholes and vectors; reductions in the loop.
FEW = [("gru-before", torch.float64), ("lstm-peephole", torch.float32), ("lstm-layernorm", torch.float64)]
ALL = [(name, dtype) for name in CELLS if not CELLS[name].given for dtype in TOLERANCE]


def _tensors(name: str, dtype: torch.dtype, shape: tuple[int, int, int, int]) -> tuple[dict, Tensor, dict]:
    time, batch, features, hidden = shape
    step = CELLS[name].step
    sizes = {"input": features, "hidden": hidden, "proj": max(hidden // 2, 1)}
    weights = {p.name: (0.3 * torch.randn(p.shape(sizes), dtype=dtype)).requires_grad_() for p in step.parameters}
    inputs = torch.randn(time, batch, features, dtype=dtype, requires_grad=True)
    # The normaliser of sLSTM, a sum of exponentials, is positive.
    drawn = {s: torch.randn(batch, sizes[step.sizes[s]], dtype=dtype) for s in step.state}
    state = {s: (value.abs() + 0.5 if s == "n" else value).requires_grad_() for s, value in drawn.items()}
    return weights, inputs, state


def _worst(one: Tensor | None, other: Tensor | None) -> float:
    if one is None or other is None:
        return max(float(t.detach().abs().max()) for t in (one, other) if t is not None) if one is not other else 0.0
    one, other = one.detach(), other.detach()
    assert torch.isfinite(other).all()
    return (
        float((one - other).abs().max() / one.abs().max().clamp_min(1e-30))
        if bool(one.any())
        else float(other.abs().max())
    )


@pytest.mark.parametrize(("name", "dtype"), ALL if os.environ.get("REMANENCE_FULL") else FEW)
def test_fused_kernel_equals_the_eager_reference(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    kernel = build(CELLS[name].step)
    for shape in SHAPES:
        for lengths in (None, torch.randint(0, shape[0] + 1, (shape[1],)), torch.zeros(shape[1], dtype=torch.int64)):
            weights, inputs, state = _tensors(name, dtype, shape)
            leaves = [inputs, *weights.values(), *state.values()]
            eager = emit_torch.run(kernel.plan, weights, inputs, state, lengths=lengths)
            fused = run_cpu.run(kernel, weights, inputs, state, Reading(lengths))
            outputs = [[run.output, *(run.state[s] for s in kernel.step.state)] for run in (eager, fused)]
            arriving = [torch.randn_like(output) for output in outputs[0]]
            gradients = [torch.autograd.grad(out, leaves, arriving, allow_unused=True) for out in outputs]
            for one, other in (*zip(*outputs, strict=True), *zip(*gradients, strict=True)):
                assert _worst(one, other) <= TOLERANCE[dtype], (shape, lengths)


def test_threads_change_a_result_by_rounding_alone() -> None:
    torch.manual_seed(0)
    kernel = build(CELLS["gru-before"].step)
    weights, inputs, state = _tensors("gru-before", torch.float64, (9, 7, 3, 5))
    lengths = torch.tensor([9, 0, 4, 4, 1, 9, 2])
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(run_cpu.run(kernel, weights, inputs, state, Reading(lengths)).output)
    finally:
        torch.set_num_threads(before)
    # Tiles of few rows interleave their sums, and how rows fall into tiles depends on the number of threads.
    assert float((found[0] - found[1]).detach().abs().max()) <= 1e-14


def test_second_derivatives_come_from_the_reference() -> None:
    torch.manual_seed(0)
    kernel = build(CELLS["gru-before"].step)
    weights, inputs, state = _tensors("gru-before", torch.float64, (3, 2, 2, 3))

    def output(x: Tensor) -> Tensor:
        return run_cpu.run(kernel, weights, x, state).output

    assert torch.autograd.gradcheck(output, inputs)
    assert torch.autograd.gradgradcheck(output, inputs)


def test_backward_may_run_twice_over_one_graph() -> None:
    torch.manual_seed(0)
    kernel = build(CELLS["gru-before"].step)
    weights, inputs, state = _tensors("gru-before", torch.float64, (4, 3, 2, 5))
    total = run_cpu.run(kernel, weights, inputs, state).output.sum()
    first = torch.autograd.grad(total, inputs, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(total, inputs)[0])


def test_kernel_says_what_it_does() -> None:
    kernel = build(CELLS["gru-before"].step)
    told = str(kernel)
    assert "saved             r, z, n" in told
    assert "U_r U_z (level 1); U_n (level 2)" in told
    assert "n = tanh(W_n @ x + U_n @ (r * h) + b_n)" in kernel.source().split('"""')[1]


def test_kernel_counts_its_work_and_what_it_moves() -> None:
    sizes = {"input": 3, "hidden": 5}
    learning, looking = build(CELLS["lstm"].step), build(CELLS["lstm"].step, train=False)
    # Four gates: 5 × 3 and 5 × 5 products of two operations each.
    assert learning.flops(sizes) == 2 * 4 * (15 + 25)
    # Matrices and biases; x; h and c; i, f, g and o.
    moved = {"weights": 4 * 4 * (15 + 25 + 5), "read": 4 * 3, "states": 4 * 10, "saved": 4 * 20}
    assert learning.bytes(sizes) == moved
    assert looking.bytes(sizes, 8) == {**{name: 2 * value for name, value in moved.items()}, "saved": 0}
    told = str(learning)
    assert "FLOPs a step      4 · 2 · hidden · input + 4 · 2 · hidden · hidden" in told
    assert "weights 4 · hidden · input + 4 · hidden · hidden + 4 · hidden; read input; states 2 · hidden" in told


@pytest.mark.parametrize("name", [name for name, _ in ALL[::2]] if os.environ.get("REMANENCE_FULL") else ["gru-before"])
@pytest.mark.parametrize("train", [False, True])
def test_traces_and_both_directions_equal_the_reference(name: str, train: bool) -> None:
    step, dtype = CELLS[name].step, torch.float64
    for time, batch, features, hidden in ((1, 1, 1, 1), (7, 5, 4, 9), (6, 3, 2, 16)):
        for lengths in (None, torch.randint(0, time + 1, (batch,))):
            for backwards in (False, True):
                for trace in ((), step.quantities):
                    torch.manual_seed(0)
                    kernel = build(step, trace, train=train)
                    weights, inputs, state = _tensors(name, dtype, (time, batch, features, hidden))
                    back = reversal(lengths, inputs) if backwards else None
                    with torch.set_grad_enabled(train):
                        read = inputs if back is None else turn(inputs, back)
                        one = emit_torch.run(kernel.plan, weights, read, state, lengths=lengths, trace=trace)
                        other = run_cpu.run(kernel, weights, inputs, state, Reading(lengths, backwards, {}, trace))
                    pairs = [(one.output, other.output), *((one.trace[q], other.trace[q]) for q in trace)]
                    pairs = pairs if back is None else [(turn(a, back), b) for a, b in pairs]
                    pairs += [(one.state[s], other.state[s]) for s in step.state]
                    for expected, came in pairs:
                        assert expected.shape == came.shape
                        assert float((expected - came).detach().abs().max()) <= 1e-12, (time, lengths, backwards, trace)


def test_memory_that_is_shown_is_not_used_again() -> None:
    torch.manual_seed(0)
    kernel = build(CELLS["gru-before"].step, ("z",))
    weights, inputs, state = _tensors("gru-before", torch.float64, (9, 4, 3, 8))
    done = run_cpu.run(kernel, weights, inputs, state, Reading(trace=("z",)))
    shown = [done.output, done.state["h"], done.trace["z"]]
    before = [tensor.detach().clone() for tensor in shown]
    shown[0].sum().backward()
    for _ in range(3):
        run_cpu.run(kernel, weights, inputs + 1, state, Reading(trace=("z",))).output.sum().backward()
    assert all(torch.equal(one, other) for one, other in zip(before, shown, strict=True))


def test_changing_an_output_that_backward_reads_is_an_error() -> None:
    kernel = build(CELLS["gru-before"].step)
    weights, inputs, state = _tensors("gru-before", torch.float64, (4, 3, 2, 8))
    output = run_cpu.run(kernel, weights, inputs, state).output
    output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()
