"""What is computed when: a step becomes a tape of instructions in three stages. No torch here.

    once     of parameters and numbers alone, before everything
    before   of x and of what is given, but of no state: for all steps at once, before the loop
    loop     of a state: at each step

    step → sums regrouped, so that what knows no state is added before the loop
         → equal expressions shared → products of one operand made one matrix product

Values live in numbered slots. Regrouping a sum moves a result by rounding only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from remanence.compiler.ir import (
    Given,
    Input,
    Node,
    Number,
    Operation,
    Previous,
    Product,
    Quantity,
    Step,
    Vector,
)

__all__ = ["BEFORE", "LOOP", "ONCE", "Compute", "Instruction", "Multiply", "Schedule", "schedule"]

ONCE, BEFORE, LOOP = 0, 1, 2


@dataclass(frozen=True)
class Compute:
    """`slots[out] = op(slots[operands]…)`."""

    op: str
    operands: tuple[int, ...]
    out: int


@dataclass(frozen=True)
class Multiply:
    """The matrices, one upon another, times one operand; each block of rows goes to a slot of its own."""

    matrices: tuple[str, ...]
    operand: int
    outs: tuple[int, ...]


Instruction = Compute | Multiply


@dataclass(frozen=True)
class Schedule:
    """The tapes of one step, and which slot holds what.

    Args:
        step: the equations.
        stages: instructions of each stage, `stages[ONCE]`, `stages[BEFORE]`, `stages[LOOP]`.
        stage_of: stage of each slot.
        numbers, vectors, given, previous: slots that are filled from outside; `x` is slot 0.
        quantities: slot of each quantity of the cell.
        sliced: slots computed before the loop that the loop or the state reads, step by step.
    """

    step: Step
    stages: tuple[tuple[Instruction, ...], ...]
    stage_of: tuple[int, ...]
    numbers: dict[int, float]
    vectors: dict[int, str]
    given: dict[int, str]
    previous: dict[int, str]
    quantities: dict[str, int]
    sliced: tuple[int, ...]


@dataclass
class _Tape:
    step: Step
    stage_of: list[int] = field(default_factory=lambda: [BEFORE])
    known: dict[object, int] = field(default_factory=lambda: {"x": 0})
    numbers: dict[int, float] = field(default_factory=dict)
    vectors: dict[int, str] = field(default_factory=dict)
    given: dict[int, str] = field(default_factory=dict)
    previous: dict[int, str] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    quantities: dict[str, int] = field(default_factory=dict)

    def slot(self, key: object, stage: int) -> tuple[int, bool]:
        """The slot of an expression, and whether it is new."""
        if key in self.known:
            return self.known[key], False
        self.known[key] = len(self.stage_of)
        self.stage_of.append(stage)
        return self.known[key], True

    def leaf(self, key: tuple[str, object], stage: int, table: dict) -> int:
        slot, new = self.slot(key, stage)
        if new:
            table[slot] = key[1]
        return slot

    def compute(self, op: str, operands: tuple[int, ...]) -> int:
        stage = max(self.stage_of[operand] for operand in operands)
        slot, new = self.slot((op, operands), stage)
        if new:
            self.instructions.append(Compute(op, operands, slot))
        return slot

    def visit(self, node: Node) -> int:
        match node:
            case Number(value):
                return self.leaf(("number", value), ONCE, self.numbers)
            case Input():
                return 0
            case Vector(name):
                return self.leaf(("vector", name), ONCE, self.vectors)
            case Given(name):
                return self.leaf(("given", name), BEFORE, self.given)
            case Previous(name):
                return self.leaf(("previous", name), LOOP, self.previous)
            case Quantity(name):
                return self.quantities[name]
            case Product(matrix, operand):
                inner = self.visit(operand)
                slot, new = self.slot(("product", matrix, inner), self.stage_of[inner])
                if new:
                    self.instructions.append(Multiply((matrix,), inner, (slot,)))
                return slot
            case Operation("add" | "sub"):
                return self.sum(node)
            case Operation(op, operands):
                return self.compute(op, tuple(self.visit(operand) for operand in operands))

    def sum(self, node: Node) -> int:
        """Add the terms of a sum, those of the earliest stage first."""
        terms = [(sign, self.visit(term)) for sign, term in _terms(node, 1)]
        terms.sort(key=lambda term: self.stage_of[term[1]])
        # A sum that begins with a positive term needs no negation.
        first = next((i for i, (sign, _) in enumerate(terms) if sign > 0), 0)
        if self.stage_of[terms[first][1]] == self.stage_of[terms[0][1]]:
            terms.insert(0, terms.pop(first))
        sign, total = terms[0]
        if sign < 0 and len(terms) > 1 and terms[1][0] > 0 and self.stage_of[total] == ONCE:
            terms[0], terms[1] = terms[1], terms[0]
            sign, total = terms[0]
        if sign < 0:
            total = self.compute("neg", (total,))
        for sign, term in terms[1:]:
            total = self.compute("add" if sign > 0 else "sub", (total, term))
        return total


def _terms(node: Node, sign: int) -> Iterable[tuple[int, Node]]:
    match node:
        case Operation("add", (left, right)):
            return [*_terms(left, sign), *_terms(right, sign)]
        case Operation("sub", (left, right)):
            return [*_terms(left, sign), *_terms(right, -sign)]
        case Operation("neg", (operand,)):
            return _terms(operand, -sign)
    return [(sign, node)]


def _merged(instructions: list[Instruction]) -> list[Instruction]:
    """Products of one operand become one, at the place of the first: its operand is known by then."""
    groups: dict[int, list[Multiply]] = {}
    for instruction in instructions:
        if isinstance(instruction, Multiply):
            groups.setdefault(instruction.operand, []).append(instruction)
    merged: list[Instruction] = []
    for instruction in instructions:
        if isinstance(instruction, Compute):
            merged.append(instruction)
        elif (group := groups.pop(instruction.operand, None)) is not None:
            matrices = tuple(matrix for product in group for matrix in product.matrices)
            outs = tuple(out for product in group for out in product.outs)
            merged.append(Multiply(matrices, instruction.operand, outs))
    return merged


def _reads(instruction: Instruction) -> tuple[int, ...]:
    return (instruction.operand,) if isinstance(instruction, Multiply) else instruction.operands


def _writes(instruction: Instruction) -> tuple[int, ...]:
    return instruction.outs if isinstance(instruction, Multiply) else (instruction.out,)


def schedule(step: Step) -> Schedule:
    """Sort the work of a step into what is done once, before the loop, and in it.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> plan = schedule(parse("h = tanh(W @ x + U @ h + b)", ("h",), "h"))
        >>> [len(stage) for stage in plan.stages]     # W @ x + b before; U @ h, the sum and tanh in the loop
        [0, 2, 3]
    """
    tape = _Tape(step)
    for equation in step.equations:
        tape.quantities[equation.name] = tape.visit(equation.value)
    stages: list[list[Instruction]] = [[], [], []]
    for instruction in tape.instructions:
        stages[tape.stage_of[_writes(instruction)[0]]].append(instruction)
    read = {slot for instruction in stages[LOOP] for slot in _reads(instruction)}
    read |= {tape.quantities[name] for name in step.state}
    sliced = tuple(slot for slot in sorted(read) if tape.stage_of[slot] == BEFORE)
    return Schedule(
        step,
        tuple(tuple(_merged(stage)) for stage in stages),
        tuple(tape.stage_of),
        tape.numbers,
        tape.vectors,
        tape.given,
        tape.previous,
        dict(tape.quantities),
        sliced,
    )
