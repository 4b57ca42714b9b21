"""The equations of one step of a cell, as immutable nodes. No torch here.

    Step       = Equation+                               one line each, in order
    Equation   = name "=" Node                           a quantity; names in `state` carry over to the next step
    Node       = Number                                  a constant
               | Input                                   x, of size `input`
               | Given(name)                             what comes from outside at each step beside x: a mask, a time
               | Previous(state)                         a state as the last step left it
               | Quantity(name)                          what an earlier line assigned
               | Vector(parameter)                       a parameter that is not left of @
               | Product(matrix, Node)                   W @ node, W a parameter
               | Operation(op, Node+)                    see `OPERATIONS`

Sizes are names (`input`, `hidden`, `proj`); a single number, as `mean` gives it, has the size `1` and
goes with any size. Every node carries the span of text it came from; spans take no part in equality, so two
nodes are equal when they compute the same expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = [
    "OPERATIONS",
    "REDUCTIONS",
    "SCALAR",
    "Equation",
    "Given",
    "Input",
    "Node",
    "Number",
    "Operation",
    "Parameter",
    "Previous",
    "Product",
    "Quantity",
    "Span",
    "Step",
    "Vector",
    "children",
    "render",
    "verify",
    "walk",
]

SCALAR = "1"

OPERATIONS: Mapping[str, int] = {
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "neg": 1,
    "sigmoid": 1,
    "tanh": 1,
    "relu": 1,
    "exp": 1,
    "log": 1,
    "softplus": 1,
    "abs": 1,
    "sqrt": 1,
    "max": 2,
    "min": 2,
    "mean": 1,
    "norm": 1,
}
"""Operation → number of operands. `mean` and `norm` (Euclidean) reduce a vector to a single number."""

REDUCTIONS = frozenset({"mean", "norm"})


@dataclass(frozen=True)
class Span:
    """Where in the text of a cell something stands: 1-based line, 0-based columns [column, end)."""

    line: int = 0
    column: int = 0
    end: int = 0


_NOWHERE = Span()


@dataclass(frozen=True)
class Number:
    value: float
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Input:
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Given:
    name: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Previous:
    name: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Quantity:
    name: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Vector:
    name: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Product:
    matrix: str
    operand: Node
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Operation:
    op: str
    operands: tuple[Node, ...]
    span: Span = field(default=_NOWHERE, compare=False)


Node = Number | Input | Given | Previous | Quantity | Vector | Product | Operation


@dataclass(frozen=True)
class Equation:
    """One line: `name = value`."""

    name: str
    value: Node
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True)
class Parameter:
    """A weight: its name and the names of its axes, `(hidden, input)` for a matrix, `(hidden,)` for a vector."""

    name: str
    axes: tuple[str, ...]

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(sizes[axis] for axis in self.axes)


@dataclass(frozen=True)
class Step:
    """One step of a cell.

    Args:
        equations: the lines, in order.
        state: names that carry over, in the order of the cell.
        output: the state that leaves the layer.
        parameters: weights, in order of first use.
        sizes: size name of each quantity.
        given: name → size name of what comes from outside at each step beside x.
        clip: largest magnitude of each number of the gradient that a step hands to the states before it.
        text: what the equations were read from.
    """

    equations: tuple[Equation, ...]
    state: tuple[str, ...]
    output: str
    parameters: tuple[Parameter, ...]
    sizes: Mapping[str, str]
    given: Mapping[str, str] = field(default_factory=dict)
    clip: float | None = None
    text: str = field(default="", compare=False)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names on the left, in order."""
        return tuple(equation.name for equation in self.equations)

    @property
    def size_names(self) -> tuple[str, ...]:
        """Named sizes that a user chooses, `input` first."""
        used = {axis for parameter in self.parameters for axis in parameter.axes}
        used |= {*self.sizes.values(), *self.given.values()} - {SCALAR}
        order = ("input", "hidden", "proj")
        return tuple(name for name in order if name in used or name == "input")

    def parameter(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def equation(self, name: str) -> Equation:
        for equation in self.equations:
            if equation.name == name:
                return equation
        raise KeyError(name)

    def size(self, node: Node) -> str:
        """Size name of what a node computes."""
        match node:
            case Number():
                return SCALAR
            case Input():
                return "input"
            case Given(name):
                return self.given[name]
            case Previous(name) | Quantity(name):
                return self.sizes[name]
            case Vector(name) | Product(name):
                return self.parameter(name).axes[0]
            case Operation(op, operands):
                if op in REDUCTIONS:
                    return SCALAR
                return next((size for size in map(self.size, operands) if size != SCALAR), SCALAR)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below a node."""
    match node:
        case Product(_, operand):
            return (operand,)
        case Operation(_, operands):
            return operands
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it, operands before what they enter."""
    for child in children(node):
        yield from walk(child)
    yield node


_SIGNS = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2)}


def render(node: Node, above: int = 0) -> str:
    """Write a node as the text that parses to it.

    Example:
        >>> render(Operation("mul", (Quantity("f"), Previous("c"))))
        'f * c'
    """
    match node:
        case Number(value):
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case Input():
            return "x"
        case Given(name) | Previous(name) | Quantity(name) | Vector(name):
            return name
        case Product(matrix, operand):
            text, level = f"{matrix} @ {render(operand, 4)}", 2
        case Operation("neg", (operand,)):
            text, level = f"-{render(operand, 3)}", 3
        case Operation(op, (left, right)) if op in _SIGNS:
            sign, level = _SIGNS[op]
            text = f"{render(left, level)} {sign} {render(right, level + 1)}"
        case Operation(op, operands):
            return f"{op}({', '.join(render(operand) for operand in operands)})"
    return f"({text})" if level < above else text


def verify(step: Step) -> None:
    """Check what every stage relies on; a failure is a fault of the compiler, not of the user.

    Raises:
        AssertionError: an operand that no earlier line assigns, a wrong number of operands, sizes that differ.
    """
    assigned: set[str] = set()
    for equation in step.equations:
        for node in walk(equation.value):
            match node:
                case Quantity(name):
                    assert name in assigned, f"{name} is read before its line"
                case Given(name):
                    assert name in step.given, f"{name} is not given"
                case Previous(name):
                    assert name in step.state, f"{name} is not a state"
                    assert name not in assigned, f"{name} is read as a previous state after its line"
                case Product(matrix, operand):
                    axes = step.parameter(matrix).axes
                    assert len(axes) == 2, f"{matrix} is not a matrix"
                    assert step.size(operand) == axes[1], f"{matrix} @ {render(operand)}"
                case Vector(name):
                    assert len(step.parameter(name).axes) == 1, f"{name} is not a vector"
                case Operation(op, operands):
                    assert len(operands) == OPERATIONS[op], f"{op} with {len(operands)} operands"
                    if op not in REDUCTIONS:
                        assert len({step.size(o) for o in operands} - {SCALAR}) <= 1, render(node)
        assert equation.name not in assigned, f"{equation.name} is assigned twice"
        assert step.size(equation.value) == step.sizes[equation.name], equation.name
        assigned.add(equation.name)
    assert set(step.state) <= assigned, "a state is never assigned"
    assert step.output in step.state, "the output is not a state"
