"""Named sizes of quantities and parameters, by unification.

Each of x, the states, the quantities and the axes of the parameters starts with a size of its own; every line makes
some of them one. The class of x is `input`; what is left is `hidden`; where two are left, the output's is `proj`.
"""

from __future__ import annotations

from collections.abc import Mapping

from remanence.compiler.ir import (
    REDUCTIONS,
    SCALAR,
    Equation,
    Given,
    Input,
    Node,
    Number,
    Operation,
    Parameter,
    Previous,
    Product,
    Quantity,
    Span,
    Vector,
)
from remanence.compiler.place import Source

__all__ = ["infer_sizes"]


def infer_sizes(
    source: Source,
    equations: tuple[Equation, ...],
    state: tuple[str, ...],
    output: str,
    sizes: Mapping[str, str],
    given: Mapping[str, str],
) -> tuple[tuple[Parameter, ...], dict[str, str]]:
    """Name the size of every parameter axis and every quantity.

    Args:
        sizes: quantity → size name, where it cannot be told from the equations.
        given: given input → size name.

    Raises:
        CellError: two sizes that must be one but differ, or a size that nothing determines.
    """
    classes = _Classes(source, state, sizes, given)
    quantities: dict[str, str] = {}
    for equation in equations:
        size = classes.visit(equation.value, quantities)
        if equation.name in state:
            if size == SCALAR:
                raise source.error(
                    f"'{equation.name}' is a state, but this is a single number", equation.span, "expected a vector"
                )
            classes.unify(size, f"state {equation.name}", equation.span)
        quantities[equation.name] = size
    names = _names(source, classes, quantities, output, sizes)
    parameters = tuple(
        Parameter(name, tuple(names[classes.root(axis)] for axis in axes)) for name, axes in classes.parameters.items()
    )
    named = {name: SCALAR if size == SCALAR else names[classes.root(size)] for name, size in quantities.items()}
    return parameters, named


class _Classes:
    """Union–find over size variables. `input` and the states are rigid: input and a state never become one, but for
    a state that is said to have the input's size."""

    def __init__(
        self, source: Source, state: tuple[str, ...], sizes: Mapping[str, str], given: Mapping[str, str]
    ) -> None:
        self.source = source
        self.given = {name: size for name, size in given.items() if size not in (SCALAR, "input")}
        self.fixed_given = {name: size for name, size in given.items() if name not in self.given}
        self.parent: dict[str, str] = {"input": "input"}
        self.rigid: dict[str, str] = {"input": "input"}
        for name in state:
            variable = f"state {name}"
            self.parent[variable] = "input" if sizes.get(name) == "input" else variable
            self.rigid.setdefault(self.parent[variable], variable)
        self.parent.update({f"given {name}": f"given {name}" for name in self.given})
        self.parameters: dict[str, tuple[str, ...]] = {}

    def root(self, variable: str) -> str:
        while self.parent[variable] != variable:
            variable = self.parent[variable]
        return variable

    def unify(self, one: str, other: str, span: Span) -> None:
        first, second = self.root(one), self.root(other)
        if first == second:
            return
        meaning = {self.rigid.get(first, ""), self.rigid.get(second, "")} - {""}
        if "input" in meaning and len(meaning) > 1:
            raise self.source.error(
                "sizes clash: the size of the input x meets the size of a state",
                span,
                "multiply x by a matrix of its own first, as in W @ x",
            )
        self.parent[second] = first
        if meaning:
            self.rigid[first] = meaning.pop()

    def parameter(self, name: str, count: int, span: Span) -> tuple[str, ...]:
        axes = self.parameters.get(name)
        if axes is None:
            axes = tuple(f"{name} axis {axis}" for axis in range(count))
            self.parent.update({axis: axis for axis in axes})
            self.parameters[name] = axes
        if len(axes) != count:
            raise self.source.error(
                f"'{name}' is a matrix in one place and a vector in another", span, "give one of them another name"
            )
        return axes

    def visit(self, node: Node, quantities: Mapping[str, str]) -> str:
        """Size variable of a node, or `SCALAR`."""
        match node:
            case Number():
                return SCALAR
            case Input():
                return "input"
            case Given(name):
                return f"given {name}" if name in self.given else self.fixed_given[name]
            case Previous(name):
                return f"state {name}"
            case Quantity(name):
                return quantities[name]
            case Vector(name):
                return self.parameter(name, 1, node.span)[0]
            case Product(matrix, operand):
                size = self.visit(operand, quantities)
                if size == SCALAR:
                    raise self.source.error("the right side of @ is a single number", node.span, "expected a vector")
                rows, columns = self.parameter(matrix, 2, node.span)
                self.unify(columns, size, node.span)
                return rows
            case Operation(op, operands):
                sizes = [self.visit(operand, quantities) for operand in operands]
                vectors = [size for size in sizes if size != SCALAR]
                if op in REDUCTIONS:
                    if not vectors:
                        raise self.source.error(f"'{op}' of a single number", node.span, "expected a vector")
                    return SCALAR
                for size in vectors[1:]:
                    self.unify(vectors[0], size, node.span)
                return vectors[0] if vectors else SCALAR


def _names(
    source: Source, classes: _Classes, quantities: Mapping[str, str], output: str, sizes: Mapping[str, str]
) -> dict[str, str]:
    """Name of each class of sizes, by its root."""
    names = {classes.root("input"): "input"}
    for quantity, name in sizes.items():
        if quantity not in quantities:
            raise source.error(f"a size is given for '{quantity}', which no line assigns", Span())
        names[classes.root(quantities[quantity])] = name
    outside = {classes.root(f"given {name}"): size for name, size in classes.given.items()}
    tied = {classes.root(f"state {name}") for name in quantities if f"state {name}" in classes.parent}
    # A given input that meets a state has the state's size, checked below; one that does not has its own.
    names |= {root: size for root, size in outside.items() if root not in tied and root not in names}
    left = []
    for variable in (*(f"state {n}" for n in quantities if f"state {n}" in classes.parent), *classes.parent):
        root = classes.root(variable)
        if root not in names and root not in left:
            left.append(root)
    out = classes.root(f"state {output}")
    if len(left) == 2 and out in left:
        left.remove(out)
        names[out] = "proj"
    if len(left) == 1:
        names[left.pop()] = "hidden"
    if left:
        loose = ", ".join(sorted(left))
        raise source.error(
            f"these sizes are not tied to one another: {loose}",
            Span(),
            "at most input, hidden and proj can be told apart",
        )
    for name, size in classes.given.items():
        came = names[classes.root(f"given {name}")]
        if size != came:
            raise source.error(
                f"the given input '{name}' has the size {size}, but it meets one of size {came}",
                Span(),
                f"say given={{'{name}': '{came}'}}, or multiply it by a matrix first",
            )
    return names
