"""IR → eager PyTorch: the readable reference, on any device, of any dtype, differentiable to any order, under vmap.

The tape of `schedule` is interpreted over tensors; no source is generated. Tensors are time-major here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from remanence.compiler.ir import Node, Number, Operation, Quantity, Step
from remanence.compiler.schedule import BEFORE, LOOP, ONCE, Compute, Instruction, Schedule

__all__ = ["Run", "Weights", "evaluate", "interpret", "one_step", "run", "start"]

Values = list[Tensor | float]


def _mean(a: Tensor) -> Tensor:
    return a.mean(-1, keepdim=True)


def _norm(a: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a, dim=-1, keepdim=True)


def _extreme(pick: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor | float, Tensor | float], Tensor]:
    def compute(a: Tensor | float, b: Tensor | float) -> Tensor:
        like = a if isinstance(a, Tensor) else b
        assert isinstance(like, Tensor)
        return pick(_tensor(a, None).to(like), _tensor(b, None).to(like))

    return compute


FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "softplus": functional.softplus,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "max": _extreme(torch.maximum),
    "min": _extreme(torch.minimum),
    "mean": _mean,
    "norm": _norm,
}


@dataclass(frozen=True)
class Run:
    """What the time loop gives, time-major.

    Args:
        output: `[time, batch, size]`; zero beyond a sequence's length.
        state: state name → `[batch, size]`, after each sequence's last valid step.
        trace: quantity → `[time, batch, size]`; zero beyond a sequence's length.
    """

    output: Tensor
    state: dict[str, Tensor]
    trace: dict[str, Tensor]


class Weights:
    """Parameters by name, and stacks of matrices made once a run."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.parameters = parameters
        self.stacks: dict[tuple[str, ...], tuple[Tensor, list[int]]] = {}

    def stack(self, names: tuple[str, ...]) -> tuple[Tensor, list[int]]:
        if names not in self.stacks:
            matrices = [self.parameters[name] for name in names]
            stacked = matrices[0] if len(matrices) == 1 else torch.cat(matrices)
            self.stacks[names] = stacked, [matrix.shape[0] for matrix in matrices]
        return self.stacks[names]


def interpret(tape: Sequence[Instruction], values: Values, weights: Weights) -> None:
    """Run a tape over the slots, in place."""
    for instruction in tape:
        if isinstance(instruction, Compute):
            values[instruction.out] = _apply(instruction.op, [values[slot] for slot in instruction.operands])
            continue
        matrix, rows = weights.stack(instruction.matrices)
        operand = values[instruction.operand]
        assert isinstance(operand, Tensor)
        product = functional.linear(operand, matrix)
        if len(rows) == 1:
            values[instruction.outs[0]] = product
        else:
            for out, part in zip(instruction.outs, product.split(rows, dim=-1), strict=True):
                values[out] = part


def _apply(op: str, operands: list[Tensor | float]) -> Tensor | float:
    if not any(isinstance(operand, Tensor) for operand in operands):
        # Numbers alone: computed in float64 and kept as a number, so that they take the dtype of what they meet.
        return FUNCTIONS[op](*(torch.tensor(operand, dtype=torch.float64) for operand in operands)).item()
    return FUNCTIONS[op](*operands)


def start(plan: Schedule, parameters: Mapping[str, Tensor]) -> Values:
    """Fill the slots of numbers and parameter vectors."""
    values: Values = [0.0] * len(plan.stage_of)
    for slot, number in plan.numbers.items():
        values[slot] = number
    for slot, name in plan.vectors.items():
        values[slot] = parameters[name]
    return values


def run(
    plan: Schedule,
    parameters: Mapping[str, Tensor],
    inputs: Tensor,
    state: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
    trace: tuple[str, ...] = (),
    given: Mapping[str, Tensor] | None = None,
) -> Run:
    """Run a cell over time.

    Args:
        plan: the schedule of the cell's equations.
        parameters: name → tensor, of the shapes that the step says.
        inputs: `[time, batch, input]`.
        state: name → `[batch, size]` before the first step.
        lengths: valid steps of each sequence, `[batch]` on the CPU; None: all of them.
        trace: quantities to return.
        given: name → `[time, batch, size]`, for what the step reads from outside beside x.

    Numerics: products with x and sums without a state are formed for all steps at once, before the loop.
    """
    weights = Weights(parameters)
    values = start(plan, parameters)
    interpret(plan.stages[ONCE], values, weights)
    valid = None if lengths is None else _valid(lengths, inputs)
    # What stands in padding may be anything, also NaN, and must reach neither a sum nor a gradient.
    outside = {0: inputs, **{slot: (given or {})[name] for slot, name in plan.given.items()}}
    for slot, value in outside.items():
        values[slot] = value if valid is None else value.masked_fill(~valid, 0)
    interpret(plan.stages[BEFORE], values, weights)
    output, final, gathered = _loop(plan, weights, values, _Steps(inputs.shape[0], state, lengths, valid, trace))
    if valid is not None:
        output = output.masked_fill(~valid, 0)
        gathered = {name: traced.masked_fill(~valid, 0) for name, traced in gathered.items()}
    return Run(output, final, gathered)


@dataclass(frozen=True)
class _Steps:
    """How the loop runs: its number of steps, where it starts, which steps are valid, what it keeps."""

    time: int
    state: Mapping[str, Tensor]
    lengths: Tensor | None
    valid: Tensor | None
    trace: tuple[str, ...]


class _Clipped(torch.autograd.Function):
    """A tensor as it is, whose gradient is clipped number by number."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, limit: float) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.limit = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].clamp(-ctx.limit, ctx.limit), None


def _valid(lengths: Tensor, inputs: Tensor) -> Tensor:
    """bool `[time, batch, 1]`."""
    steps = torch.arange(inputs.shape[0], device=inputs.device)
    return (steps[:, None] < lengths.to(inputs.device)[None, :])[..., None]


def _loop(
    plan: Schedule, weights: Weights, values: Values, steps: _Steps
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Output, final state, and what was traced."""
    step = plan.step
    whole = {slot: values[slot] for slot in plan.sliced}
    sliced = {slot: value.unbind(0) for slot, value in whole.items() if isinstance(value, Tensor)}
    state = dict(steps.state)
    shortest = int(steps.lengths.min()) if steps.lengths is not None and steps.lengths.numel() else steps.time
    outputs: list[Tensor] = []
    kept: dict[str, list[Tensor]] = {name: [] for name in steps.trace}
    for t in range(steps.time):
        for slot, parts in sliced.items():
            values[slot] = parts[t]
        before = state
        if step.clip is not None:
            before = {name: cast(Tensor, _Clipped.apply(value, step.clip)) for name, value in state.items()}
        for slot, name in plan.previous.items():
            values[slot] = before[name]
        interpret(plan.stages[LOOP], values, weights)
        fresh = {name: _tensor(values[plan.quantities[name]], state[name]) for name in step.state}
        if t >= shortest:
            assert steps.valid is not None
            alive = steps.valid[t]
            fresh = {name: torch.where(alive, value, state[name]) for name, value in fresh.items()}
        state = fresh
        outputs.append(state[step.output])
        for name, parts in kept.items():
            if plan.stage_of[plan.quantities[name]] == LOOP:
                parts.append(_tensor(values[plan.quantities[name]], None))
    values_before = {**dict(enumerate(values)), **whole}
    like = steps.state[step.output]
    shape = (steps.time, like.shape[0])
    traced = {
        name: torch.stack(parts) if parts else _early(values_before[plan.quantities[name]], shape, like, step, name)
        for name, parts in kept.items()
    }
    return (torch.stack(outputs) if outputs else like.new_zeros(*shape, like.shape[-1])), state, traced


def _early(value: Tensor | float, shape: tuple[int, int], like: Tensor, step: Step, name: str) -> Tensor:
    """A quantity known before the loop (or of no step at all), as `[time, batch, size]`."""
    if shape[0] == 0:
        width = 1 if step.sizes[name] == "1" else like.shape[-1]
        return like.new_zeros(*shape, width)
    tensor = _tensor(value, None)
    return tensor.to(like).expand(*shape, tensor.shape[-1] if tensor.ndim else 1)


def _tensor(value: Tensor | float, like: Tensor | None) -> Tensor:
    # A number is as exact as the equations have it, whatever torch's default is.
    tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    # A state that an equation gives as a parameter alone has no batch axis yet.
    return tensor if like is None or tensor.shape == like.shape else tensor.to(like).expand_as(like)


def one_step(
    plan: Schedule,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    state: Mapping[str, Tensor],
    given: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Compute every quantity of one step, from x `[batch, input]`; all else that comes or goes is `[batch, size]`."""
    outside = {name: value[None] for name, value in (given or {}).items()}
    done = run(plan, parameters, x[None], state, trace=plan.step.quantities, given=outside)
    return {name: traced[0] for name, traced in done.trace.items()}


def evaluate(node: Node, quantities: Mapping[str, Tensor]) -> Tensor | float:
    """Compute an expression over quantities that were traced, such as a side of `Cell.additive_memory`."""
    match node:
        case Number(value):
            return value
        case Quantity(name):
            return quantities[name]
        case Operation(op, operands):
            return _apply(op, [evaluate(operand, quantities) for operand in operands])
    raise ValueError(f"{node} is not an expression over quantities")
