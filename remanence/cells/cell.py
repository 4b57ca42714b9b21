"""A cell is its equations, stated once, with what its paper claims about it."""

from __future__ import annotations

import json
import random
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from remanence.compiler.emit_latex import latex
from remanence.compiler.ir import Input, Node, Operation, Previous, Quantity, Step, render, walk
from remanence.compiler.parse import parse, parse_expression
from remanence.compiler.scalar import compute
from remanence.errors import CellError

__all__ = ["Cell", "TorchTwin", "describe"]


@dataclass(frozen=True)
class TorchTwin:
    """The layer of torch that computes the same, and which of our parameters stand where in its weights.

    Args:
        kind: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input: matrices stacked into `weight_ih_l0`, in torch's order of gates.
        recurrent: matrices stacked into `weight_hh_l0`.
        bias: vectors stacked into `bias_ih_l0`.
        recurrent_bias: vectors stacked into `bias_hh_l0`; an empty name stands for zeros.
        keep: for each gate, what to add to its pre-activation so that a step leaves every state but the output as
            it was (a sigmoid of ±1e4 is exactly 1 or 0); empty where the output is the only state.
    """

    kind: str
    input: tuple[str, ...]
    recurrent: tuple[str, ...]
    bias: tuple[str, ...]
    recurrent_bias: tuple[str, ...] = ()
    keep: tuple[float, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One step of a recurrent network, as equations.

    Args:
        name: as in `cells.CELLS` and on the command line.
        state: names that carry over from step to step.
        output: the state that leaves the layer.
        equations: one `name = expression` a line; the grammar stands in `compiler.ir`.
        source: paper, with equation numbers, and where we differ.
        title: what people call it.
        sizes: size names of quantities where they cannot be told from the equations.
        given: name → size ("input", "hidden", "proj", or "1" for one number) of what comes from outside at each step
            beside x, such as a mask or the time since the last observation.
        additive_memory: state → (a, b) where the equations say state_t = a ⊙ state_{t−1} + b; two expressions over
            quantities. Checked here.
        candidate: the quantity that is written into the state, where gates keep or write: what recurrent dropout drops.
        bounded: every output stays within [−1, 1] when the initial state does.
        forget_bias: vectors that make the cell keep more when raised.
        chrono: vectors that are log-odds of a gate → 1 where raising them keeps more of the state, −1 where it writes
            more over it: with all else 0, a step keeps u / (u + 1) of the state where they are ±log u.
        start: parameters that start at a constant instead of at random.
        torch_twin: the layer of torch that computes the same.
        clip: largest magnitude of each number of a state's gradient as it goes back over a step.

    Raises:
        CellError: malformed equations, or a property that does not fit them.

    Example:
        >>> leaky = Cell("leaky", ("h",), "h", "g = tanh(W @ x)\\nh = 0.9 * h + 0.1 * g", source="none",
        ...     additive_memory={"h": ("0.9", "0.1 * g")})
        >>> leaky.parameter_count(input=3, hidden=5)
        15
        >>> Cell("leaky", ("h",), "h", "h = tnh(W @ x)", source="none")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        remanence.errors.CellError: cell 'leaky', line 1: unknown function 'tnh'
            h = tnh(W @ x)
                ^^^
         — did you mean 'tanh'? expected one of ...
    """

    name: str
    state: tuple[str, ...]
    output: str
    equations: str
    source: str
    title: str = ""
    sizes: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    additive_memory: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    candidate: str = ""
    bounded: bool = False
    forget_bias: tuple[str, ...] = ()
    chrono: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    torch_twin: TorchTwin | None = None
    clip: float | None = None
    step: Step = field(init=False, repr=False, compare=False)
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.state, str):
            raise CellError(f"cell '{self.name}': state should be a tuple of names, came {self.state!r}")
        if not isinstance(self.given, Mapping):
            raise CellError(f"cell '{self.name}': given should map names to sizes, came {self.given!r}")
        try:
            step = parse(self.equations, tuple(self.state), self.output, sizes=self.sizes, given=self.given)
        except CellError as error:
            raise CellError(f"cell '{self.name}', {error.message}", remedy=error.remedy) from None
        if self.clip is not None and not (isinstance(self.clip, int | float) and self.clip > 0):
            raise CellError(f"cell '{self.name}': clip should be a number above 0, came {self.clip!r}")
        object.__setattr__(self, "step", replace(step, clip=self.clip))
        # Made here, so that what torch compiles reads it as a constant.
        held = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.init}
        try:
            object.__setattr__(self, "text", json.dumps(held, ensure_ascii=False))
        except TypeError as error:
            raise CellError(f"cell '{self.name}' should be text and plain numbers: {error}") from None
        if not any(node == Input() for equation in step.equations for node in walk(equation.value)):
            raise CellError(f"cell '{self.name}': no equation reads the input x", remedy="such as W @ x")
        self._check_names()
        if self.candidate and self.candidate not in step.quantities:
            raise CellError(
                f"cell '{self.name}': candidate '{self.candidate}' is not a quantity",
                remedy=f"expected one of {', '.join(step.quantities)}",
            )
        for state, parts in self.additive_memory.items():
            self._check_additive(state, *parts)

    def __hash__(self) -> int:
        return hash((self.name, self.equations))

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names on the left of the equations: what can be traced."""
        return self.step.quantities

    def parameter_count(self, **sizes: int) -> int:
        """Numbers that one layer learns, for sizes such as `input=3, hidden=8`."""
        total = 0
        for parameter in self.step.parameters:
            count = 1
            for length in parameter.shape(sizes):
                count *= length
            total += count
        return total

    def memory(self, state: str) -> tuple[Node, Node]:
        """The two expressions (a, b) of state_t = a ⊙ state_{t−1} + b, for `emit_torch.evaluate` over a trace."""
        a, b = self.additive_memory[state]
        return parse_expression(a, self.step), parse_expression(b, self.step)

    def to_latex(self) -> str:
        """Write the equations as an aligned LaTeX block."""
        return latex(self.step)

    def to_json(self) -> str:
        """Write the cell as JSON text; `Cell.from_json` gives an equal one."""
        return self.text

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Read a cell from JSON text; nothing in it is executed.

        Raises:
            CellError: not JSON, an unknown or missing key, or malformed equations.
        """
        try:
            held = json.loads(text)
        except ValueError as error:
            raise CellError(f"a cell should be JSON text: {error}") from None
        known = {f.name for f in fields(cls) if f.init}
        if (
            not isinstance(held, dict)
            or not set(held) <= known
            or not {"name", "state", "output", "equations"} <= set(held)
        ):
            raise CellError(f"a cell in JSON should have the keys {', '.join(sorted(known))}")
        twin = held.get("torch_twin")
        try:
            held["state"] = tuple(held["state"])
            held["forget_bias"] = tuple(held.get("forget_bias", ()))
            held["additive_memory"] = {k: (v[0], v[1]) for k, v in held.get("additive_memory", {}).items()}
            if twin is not None:
                held["torch_twin"] = TorchTwin(
                    twin.pop("kind"), **{name: tuple(values) for name, values in twin.items()}
                )
            return cls(**{"source": "", **held})
        except (TypeError, AttributeError, IndexError, KeyError) as error:
            raise CellError(f"a cell in JSON is malformed: {error}") from None

    def __str__(self) -> str:
        return describe(self)

    def _check_names(self) -> None:
        known = {parameter.name: parameter for parameter in self.step.parameters}
        twin = self.torch_twin
        named = [*self.forget_bias, *self.chrono, *self.start]
        if twin is not None:
            named += [name for name in (*twin.input, *twin.recurrent, *twin.bias, *twin.recurrent_bias) if name]
        for name in named:
            if name not in known:
                raise CellError(
                    f"cell '{self.name}': '{name}' is not a parameter", remedy=f"expected one of {', '.join(known)}"
                )
        for what, names in (("forget_bias", self.forget_bias), ("chrono", self.chrono)):
            for name in names:
                if len(known[name].axes) != 1:
                    raise CellError(f"cell '{self.name}': {what} '{name}' is a matrix", remedy="expected a vector")

    def _check_additive(self, state: str, a: str, b: str) -> None:
        """Compare a ⊙ state + b with the state's equation at random numbers: where eight agree, they are one."""
        where = f"cell '{self.name}': additive_memory of '{state}'"
        if state not in self.state:
            raise CellError(f"{where}: not a state", remedy=f"expected one of {', '.join(self.state)}")
        keep, add = parse_expression(a, self.step), parse_expression(b, self.step)
        if any(node == Quantity(state) for part in (keep, add) for node in walk(part)):
            raise CellError(f"{where}: {a} and {b} must not mention '{state}' itself")
        value = self.step.equation(state).value
        claimed = Operation("add", (Operation("mul", (keep, Previous(state))), add))
        value, claimed = self._unfolded(value, state), self._unfolded(claimed, state)
        draw = random.Random(0)
        for _ in range(8):
            # A product stands for any number here, the same wherever it is written alike.
            leaves: dict[Node, float] = {}
            try:
                numbers = [compute(node, leaves, draw.uniform) for node in (value, claimed)]
            except (ArithmeticError, ValueError) as error:
                raise CellError(f"{where}: cannot be checked ({error})") from None
            if not abs(numbers[0] - numbers[1]) <= 1e-9 * (1 + abs(numbers[0])):
                raise CellError(f"{where}: the equations say {state} = {render(value)}, not ({a}) * {state} + ({b})")

    def _unfolded(self, node: Node, state: str) -> Node:
        """A node in which no quantity hides the last value of a state."""
        match node:
            case Quantity(name):
                inner = self._unfolded(self.step.equation(name).value, state)
                return inner if _reads(inner, state) else node
            case Operation(op, operands):
                return Operation(op, tuple(self._unfolded(operand, state) for operand in operands))
        return node


def _reads(node: Node, state: str) -> bool:
    """Whether a node reads the last value of a state, but for what a matrix reads of it."""
    if isinstance(node, Operation):
        return any(_reads(operand, state) for operand in node.operands)
    return node == Previous(state)


def _plain(value: Any) -> Any:
    if isinstance(value, TorchTwin):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value


def describe(cell: Cell, **sizes: int) -> str:
    """Describe a cell; with sizes such as `input=3, hidden=8` shapes are numbers, and parameters are counted.

    Example:
        >>> from remanence.cells import CELLS
        >>> print(describe(CELLS["rnn"], input=3, hidden=5))
        rnn · Elman RNN (tanh)
        <BLANKLINE>
            h = tanh(W @ x + U @ h + b)
        <BLANKLINE>
        state       h [5], output h
        parameters  W [5, 3], U [5, 5], b [5]: 45 numbers
        properties  bounded (|h| ≤ 1); torch kernel: RNN_TANH
        source      Elman 1990, Finding structure in time, doi:10.1207/s15516709cog1402_1; tanh in place of the
                    logistic function
    """

    def size(name: str) -> str:
        return str(sizes.get(name, name))

    states = ", ".join(f"{name} [{size(cell.step.sizes[name])}]" for name in cell.state)
    weights = ", ".join(f"{p.name} [{', '.join(map(size, p.axes))}]" for p in cell.step.parameters)
    if set(cell.step.size_names) <= set(sizes):
        weights += f": {cell.parameter_count(**sizes)} numbers"
    rows = {
        "state": f"{states}, output {cell.output}",
        "given": ", ".join(f"{name} [{size(axis)}]" for name, axis in cell.step.given.items()),
        "parameters": weights,
        "properties": "; ".join(_properties(cell)) or "none declared",
        "source": cell.source,
    }
    lines = [f"{cell.name} · {cell.title}" if cell.title else cell.name, ""]
    lines += [f"    {line.strip()}" for line in cell.equations.strip().splitlines()]
    lines.append("")
    for name, text in rows.items():
        if text or name != "given":
            lines.append(textwrap.fill(f"{name:<12}{text}", 110, subsequent_indent=" " * 12, break_long_words=False))
    return "\n".join(lines)


def _properties(cell: Cell) -> list[str]:
    found = []
    for state, (a, b) in cell.additive_memory.items():
        factor = a if a.isidentifier() or a.isdigit() else f"({a})"
        found.append(f"additive memory: {state} = {factor} ⊙ {state} + {b}")
    if cell.candidate:
        found.append(f"candidate: {cell.candidate}")
    if cell.bounded:
        found.append(f"bounded (|{cell.output}| ≤ 1)")
    if cell.clip is not None:
        found.append(f"state gradients within ±{cell.clip:g}")
    if cell.forget_bias:
        found.append(f"forget bias: {', '.join(cell.forget_bias)}")
    if cell.chrono:
        found.append(f"chrono: {', '.join(name if sign > 0 else f'−{name}' for name, sign in cell.chrono.items())}")
    if cell.torch_twin is not None:
        found.append(f"torch kernel: {cell.torch_twin.kind}")
    return found
