"""Reverse mode of one step: the tape of the time loop → the tape of its backward loop. No torch here.

    Loop       the instructions of one step, forward or backward, over numbered slots
    Hoist      a product of what is known of all steps: formed for many steps at once, ahead of them
    Back       an instruction of backward alone: the transposed matrices times the adjoints of their products, summed

The backward tape reads slots of the forward one (they keep their numbers), the adjoint of each state as the
following step left it (`carry`) and the gradient of the output (`arrive`). A sigmoid's and a tanh's derivative come
from the value itself. Sums need no instruction: their operands share one adjoint slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from remanence.compiler.ir import REDUCTIONS, SCALAR, Step
from remanence.compiler.schedule import BEFORE, LOOP, ONCE, Compute, Multiply, Schedule

__all__ = ["Back", "Hoist", "Leaf", "Loop", "derive", "forward_loop", "reads", "writes"]


@dataclass(frozen=True)
class Back:
    """`slots[out] = Σ matrixᵀ @ slots[operand]`."""

    matrices: tuple[str, ...]
    operands: tuple[int, ...]
    out: int


@dataclass(frozen=True)
class Hoist:
    """`slots[out] = matrix @ slots[operand] + Σ slots[biases]`, of `x` or of what is given at each step."""

    matrix: str
    operand: int
    out: int
    biases: tuple[int, ...]


Instruction = Compute | Multiply | Back
Leaf = tuple[str, str | int]
"""Where a slot that no instruction writes comes from: ("previous", state), ("sliced", slot), ("vector", slot),
("input", "x"), ("given", name), ("carry", state), ("arrive", output)."""


@dataclass(frozen=True)
class Loop:
    """One step of a time loop.

    Args:
        instructions: in order.
        sizes: size name of each slot.
        numbers: slots that are constants.
        leaves: slots that are filled from outside.
        results: what the loop gives: ("state", name); in backward the adjoints of leaves, ("product", matrix, operand)
            and ("hoist", matrix, operand) → slot.
        hoisted: products ahead of the steps, forward; their results are leaves ("sliced", slot).
        after: products behind the steps, backward; each is added to the adjoint of the leaf `out`.
    """

    instructions: tuple[Instruction, ...]
    sizes: tuple[str, ...]
    numbers: Mapping[int, float]
    leaves: Mapping[int, Leaf]
    results: Mapping[Leaf, int]
    hoisted: tuple[Hoist, ...] = ()
    after: tuple[Back, ...] = ()


def reads(instruction: Instruction) -> tuple[int, ...]:
    """Slots an instruction reads."""
    return (instruction.operand,) if isinstance(instruction, Multiply) else instruction.operands


def writes(instruction: Instruction) -> tuple[int, ...]:
    """Slots an instruction writes."""
    return instruction.outs if isinstance(instruction, Multiply) else (instruction.out,)


def _sizes(step: Step, plan: Schedule) -> list[str]:
    """The size of each slot."""
    sizes = ["input"] + [""] * (len(plan.stage_of) - 1)
    for slot in plan.numbers:
        sizes[slot] = SCALAR
    for slot, name in plan.vectors.items():
        sizes[slot] = step.parameter(name).axes[0]
    for slot, name in plan.previous.items():
        sizes[slot] = step.sizes[name]
    for slot, name in plan.given.items():
        sizes[slot] = step.given[name]
    for stage in plan.stages:
        for instruction in stage:
            if isinstance(instruction, Multiply):
                for matrix, out in zip(instruction.matrices, instruction.outs, strict=True):
                    sizes[out] = step.parameter(matrix).axes[0]
            elif instruction.op in REDUCTIONS:
                sizes[instruction.out] = SCALAR
            else:
                known = [sizes[operand] for operand in instruction.operands]
                sizes[instruction.out] = next((size for size in known if size != SCALAR), SCALAR)
    return sizes


def _of_outside(instruction: Instruction, plan: Schedule) -> TypeGuard[Multiply]:
    """Whether it is a product of x or of what is given."""
    return isinstance(instruction, Multiply) and (instruction.operand == 0 or instruction.operand in plan.given)


def _hoists(plan: Schedule, sizes: list[str], named: set[int]) -> tuple[list[Hoist], set[int]]:
    """Products of x and of what is given, with the parameters that are added to them; and the sums that this spares."""
    tape = [*plan.stages[BEFORE], *plan.stages[LOOP]]
    users: dict[int, list[Instruction]] = {}
    for instruction in tape:
        for slot in reads(instruction):
            users.setdefault(slot, []).append(instruction)
    found: list[Hoist] = []
    spared: set[int] = set()
    for instruction in plan.stages[BEFORE]:
        if not isinstance(instruction, Multiply) or (
            instruction.operand != 0 and instruction.operand not in plan.given
        ):
            continue
        for matrix, out in zip(instruction.matrices, instruction.outs, strict=True):
            biases: list[int] = []
            while out not in named and len(users.get(out, [])) == 1:
                (user,) = users[out]
                if not isinstance(user, Compute) or user.op != "add":
                    break
                other = user.operands[user.operands[0] == out]
                if plan.stage_of[other] != ONCE or other in plan.numbers or sizes[other] != sizes[out]:
                    break
                biases.append(other)
                out = user.out
                spared.add(out)
            found.append(Hoist(matrix, instruction.operand, out, tuple(biases)))
    return found, spared


def forward_loop(step: Step, plan: Schedule, kept: Iterable[str] = ()) -> Loop:
    """What a step computes: all that depends on x or a state. Products with x stand ahead of the steps.

    Args:
        step, plan: the equations and their schedule.
        kept: quantities that someone wants to see.
    """
    sizes = _sizes(step, plan)
    named = {plan.quantities[name] for name in (*step.state, *kept)}
    hoisted, spared = _hoists(plan, sizes, named)
    known = {hoist.out for hoist in hoisted}
    tape: list[Instruction] = []
    for instruction in (*plan.stages[BEFORE], *plan.stages[LOOP]):
        if not _of_outside(instruction, plan) and not (spared | known) & set(writes(instruction)):
            tape.append(instruction)
    used = {slot for instruction in tape for slot in reads(instruction)} | named
    given = used | {hoist.operand for hoist in hoisted}
    leaves: dict[int, Leaf] = {slot: ("previous", name) for slot, name in plan.previous.items()}
    leaves |= {hoist.out: ("sliced", hoist.out) for hoist in hoisted}
    leaves |= {0: ("input", "x")} if 0 in used else {}
    leaves |= {slot: ("given", name) for slot, name in plan.given.items() if slot in given}
    leaves |= {s: ("vector", s) for s in sorted(used) if plan.stage_of[s] == ONCE and s not in plan.numbers}
    results: dict[Leaf, int] = {("state", name): plan.quantities[name] for name in step.state}
    return Loop(tuple(tape), tuple(sizes), dict(plan.numbers), leaves, results, tuple(hoisted))


@dataclass
class _Reverse:
    forward: Loop
    instructions: list[Instruction] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    numbers: dict[int, float] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    adjoints: dict[int, int] = field(default_factory=dict)
    made: dict[int, Compute] = field(default_factory=dict)

    def slot(self, size: str) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1

    def number(self, value: float) -> int:
        for slot, known in self.numbers.items():
            if known == value:
                return slot
        slot = self.slot(SCALAR)
        self.numbers[slot] = value
        return slot

    def leaf(self, leaf: Leaf, size: str) -> int:
        slot = self.slot(size)
        self.leaves[slot] = leaf
        return slot

    def compute(self, op: str, *operands: int, size: str | None = None) -> int:
        if size is None:
            found = next((self.sizes[o] for o in operands if self.sizes[o] != SCALAR), SCALAR)
            size = SCALAR if op == "sum" else found
        for known in (each for each in self.instructions if isinstance(each, Compute)):
            if (known.op, known.operands, self.sizes[known.out]) == (op, operands, size):
                return known.out
        slot = self.slot(size)
        self.made[slot] = Compute(op, operands, slot)
        self.instructions.append(self.made[slot])
        return slot

    def total(self, slot: int) -> int:
        """The sum of a vector's units: factors and signs stand before it, and what sums to zero is left out.

        Each sum that waits for another one costs a pass over the units; Σ (a · v + u) with Σ v = 0 waits for no a.
        """
        made = self.made.get(slot)
        if made is not None:
            a, b = made.operands[0], made.operands[-1]
            match made.op:
                case "neg":
                    return self.compute("neg", self.total(a))
                case "add" if self.vanishes(a) != self.vanishes(b):
                    return self.total(b if self.vanishes(a) else a)
                case "mul" if self.sizes[a] == SCALAR:
                    return self.compute("mul", a, self.total(b))
                case "mul" | "div" if self.sizes[b] == SCALAR:
                    return self.compute(made.op, self.total(a), b)
        return self.compute("sum", slot)

    def vanishes(self, slot: int) -> bool:
        """Whether a vector's units sum to zero but for rounding: its mean was taken away, and all were multiplied."""
        made = self.made.get(slot)
        if made is None or self.sizes[slot] == SCALAR:
            return False
        a, b = made.operands[0], made.operands[-1]
        match made.op:
            case "sub":
                mean = self.made.get(b)
                return mean is not None and mean.op == "mean" and mean.operands == (a,)
            case "add":
                return self.vanishes(a) and self.vanishes(b)
            case "mul":
                return (self.uniform(a) and self.vanishes(b)) or (self.uniform(b) and self.vanishes(a))
        return False

    def uniform(self, slot: int) -> bool:
        """Whether all units of a slot are the same number."""
        return self.sizes[slot] == SCALAR or (slot in self.made and self.made[slot].op == "share")

    def give(self, slot: int, adjoint: int) -> None:
        """Add to a slot's adjoint; one of a vector that meets a single number is summed first."""
        if slot in self.forward.numbers:
            return
        if self.sizes[slot] == SCALAR and self.sizes[adjoint] != SCALAR:
            adjoint = self.total(adjoint)
        known = self.adjoints.get(slot)
        self.adjoints[slot] = adjoint if known is None else self.compute("add", known, adjoint)

    def product(self, instruction: Multiply) -> None:
        pairs = [(m, self.adjoints[o]) for m, o in zip(instruction.matrices, instruction.outs, strict=True)
                 if o in self.adjoints]  # fmt: skip
        if pairs:
            out = self.slot(self.sizes[instruction.operand])
            self.instructions.append(Back(tuple(m for m, _ in pairs), tuple(a for _, a in pairs), out))
            self.give(instruction.operand, out)

    def operation(self, instruction: Compute, g: int) -> None:
        """Send the adjoint of a value on to its operands."""
        give, compute, number = self.give, self.compute, self.number
        a, b, y = instruction.operands[0], instruction.operands[-1], instruction.out
        match instruction.op:
            case "add":
                give(a, g)
                give(b, g)
            case "sub":
                give(a, g)
                give(b, compute("neg", g))
            case "mul":
                give(a, compute("mul", g, b))
                give(b, compute("mul", g, a))
            case "div":
                give(a, compute("div", g, b))
                give(b, compute("neg", compute("div", compute("mul", g, y), b)))
            case "neg":
                give(a, compute("neg", g))
            case "sigmoid":
                give(a, compute("mul", g, compute("mul", y, compute("sub", number(1.0), y))))
            case "tanh":
                give(a, compute("mul", g, compute("sub", number(1.0), compute("mul", y, y))))
            case "relu":
                give(a, compute("where", y, g, compute("mul", number(0.0), g)))
            case "exp":
                give(a, compute("mul", g, y))
            case "log":
                give(a, compute("div", g, a))
            case "softplus":
                give(a, compute("mul", g, compute("sigmoid", a)))
            case "sqrt":
                give(a, compute("div", compute("mul", number(0.5), g), y))
            case "abs":
                zero = compute("mul", number(0.0), g)
                give(a, compute("where", a, g, compute("where", compute("neg", a), compute("neg", g), zero)))
            case "max" | "min":
                self.extreme(instruction, g)
            case "mean":
                give(a, compute("share", g, size=self.sizes[a]))
            case "norm":
                zero = compute("mul", number(0.0), a)
                give(a, compute("mul", g, compute("where", compute("add", zero, y), compute("div", a, y), zero)))
            case op:
                raise AssertionError(f"no derivative of {op}")

    def extreme(self, instruction: Compute, g: int) -> None:
        """Where both are equal each gets half, as in torch."""
        a, b = instruction.operands if instruction.op == "max" else instruction.operands[::-1]
        zero, half = self.compute("mul", self.number(0.0), g), self.compute("mul", self.number(0.5), g)
        above, below = self.compute("sub", a, b), self.compute("sub", b, a)
        self.give(a, self.compute("where", above, g, self.compute("where", below, zero, half)))
        self.give(b, self.compute("where", below, g, self.compute("where", above, zero, half)))


def derive(step: Step, forward: Loop) -> Loop:
    """Derive the backward loop of a forward one.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> from remanence.compiler.schedule import schedule
        >>> step = parse("h = tanh(W @ x + U @ h + b)", ("h",), "h")
        >>> back = derive(step, forward_loop(step, schedule(step)))
        >>> [getattr(i, "op", "back") for i in back.instructions]
        ['add', 'mul', 'sub', 'mul', 'back']
    """
    work = _Reverse(forward, sizes=list(forward.sizes), numbers=dict(forward.numbers))
    work.made |= {known.out: known for known in forward.instructions if isinstance(known, Compute)}
    for name in step.state:
        size = step.sizes[name]
        slot = forward.results["state", name]
        work.give(slot, work.leaf(("carry", name), size))
        if name == step.output:
            work.give(slot, work.leaf(("arrive", name), size))
    results: dict[Leaf, int] = {}
    for instruction in reversed(forward.instructions):
        if isinstance(instruction, Multiply):
            work.product(instruction)
            for matrix, out in zip(instruction.matrices, instruction.outs, strict=True):
                if out in work.adjoints:
                    results["product", matrix, instruction.operand] = work.adjoints[out]  # type: ignore[index]
        elif isinstance(instruction, Compute) and instruction.out in work.adjoints:
            work.operation(instruction, work.adjoints[instruction.out])
    for slot, leaf in forward.leaves.items():
        if slot in work.adjoints:
            results[leaf] = work.adjoints[slot]
    after: dict[int, list[Hoist]] = {}
    for hoist in forward.hoisted:
        if hoist.out in work.adjoints:
            results["hoist", hoist.matrix, hoist.operand] = work.adjoints[hoist.out]  # type: ignore[index]
            after.setdefault(hoist.operand, []).append(hoist)
    # A state that no equation reads sends nothing back, and must say so: its adjoint would linger otherwise.
    for name in step.state:
        slot = results.setdefault(("previous", name), work.number(0.0))
        if step.clip is not None and slot not in work.numbers:
            below = work.compute("min", slot, work.number(step.clip))
            results["previous", name] = work.compute("max", below, work.number(-step.clip))
    backs = tuple(
        Back(tuple(h.matrix for h in hoists), tuple(work.adjoints[h.out] for h in hoists), operand)
        for operand, hoists in after.items()
    )
    leaves = work.leaves | dict(forward.leaves)
    return Loop(tuple(work.instructions), tuple(work.sizes), work.numbers, leaves, results, (), backs)
