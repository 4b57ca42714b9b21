"""Text of a cell → IR. The text is Python expression syntax, read with `ast` and never evaluated.

    text → statements (ast) → nodes with spans → named sizes → Step, verified

Every error shows the line with a caret below the place, and says what was expected.
"""

from __future__ import annotations

import ast
import math
import re
import textwrap
from collections.abc import Mapping
from difflib import get_close_matches

from remanence.compiler.infer import infer_sizes
from remanence.compiler.ir import (
    OPERATIONS,
    SCALAR,
    Equation,
    Given,
    Input,
    Node,
    Number,
    Operation,
    Previous,
    Product,
    Quantity,
    Span,
    Step,
    Vector,
    children,
    verify,
    walk,
)
from remanence.compiler.place import Source
from remanence.compiler.scalar import compute

__all__ = ["FUNCTIONS", "parse", "parse_expression"]

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_SIGNS = frozenset({*_BINARY.values(), "neg"})
FUNCTIONS = tuple(name for name in OPERATIONS if name not in _SIGNS)
"""Functions an equation may call."""

_EXPECTED = "expected + - * / @, unary minus, parentheses, numbers, names, and " + ", ".join(FUNCTIONS)
GIVEN_SIZES = ("input", "hidden", "proj", SCALAR)
_LONGEST = 20_000
_DEEPEST = 150


def parse(
    text: str,
    state: tuple[str, ...],
    output: str,
    *,
    sizes: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Step:
    """Read the equations of one step.

    Args:
        text: one `name = expression` a line; `#` starts a comment.
        state: names that carry over from step to step.
        output: the state that leaves the layer.
        sizes: size names of quantities (`{"h": "proj"}`) where they cannot be told from the equations.
        given: names that come from outside at each step beside x → "input", "hidden", "proj", or "1" for a number.

    Raises:
        CellError: with the line, a caret, and what was expected.

    Example:
        >>> step = parse("h = tanh(W @ x + U @ h + b)", state=("h",), output="h")
        >>> [(p.name, p.axes) for p in step.parameters]
        [('W', ('hidden', 'input')), ('U', ('hidden', 'hidden')), ('b', ('hidden',))]
    """
    source = Source(textwrap.dedent(text).strip("\n"))
    outside = dict(given or {})
    _check_states(source, state, output)
    for name, size in outside.items():
        _check_given(source, name, size, state)
    statements = _statements(source)
    targets = _targets(source, statements, outside)
    for name in state:
        if name not in targets:
            raise source.error(f"state '{name}' is never assigned", Span(), f"add a line '{name} = …'")
    reader = _Reader(source, frozenset(state), targets, frozenset(outside))
    equations = tuple(reader.equation(statement) for statement in statements)
    for name in outside:
        if not any(node == Given(name) for equation in equations for node in walk(equation.value)):
            raise source.error(f"'{name}' is given, but no equation reads it", Span(), "leave it out of `given`")
    parameters, named = infer_sizes(source, equations, state, output, sizes or {}, outside)
    step = Step(equations, state, output, parameters, named, outside, text=source.text)
    verify(step)
    return step


def parse_expression(text: str, step: Step) -> Node:
    """Read one expression over quantities that a step assigns, such as `i * g`.

    Raises:
        CellError: a name that is not a quantity of the step, or malformed text.
    """
    source = Source(text.strip())
    try:
        body = ast.parse(source.text, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise source.error("this is not an expression", _syntax_span(error), _EXPECTED) from None
    reader = _Reader(source, frozenset(), dict.fromkeys(step.quantities, 0))
    reader.assigned.update(step.quantities)
    node = reader.node(body)
    if reader.parameters:
        name, span = next(iter(reader.parameters.items()))
        raise source.error(f"'{name}' is not a quantity", span, "expected one of " + ", ".join(step.quantities))
    return node


def _check_states(source: Source, state: tuple[str, ...], output: str) -> None:
    if not state:
        raise source.error("the cell has no state", Span(), "name at least one, such as state=('h',)")
    if len(set(state)) != len(state):
        raise source.error(f"a state is named twice in {state}", Span())
    for name in state:
        if not _is_free(name):
            raise source.error(f"'{name}' cannot name a state", Span(), "use ASCII letters, digits and _, not x")
    if output not in state:
        raise source.error(f"output '{output}' is not a state", Span(), f"expected one of {', '.join(state)}")
    for number, line in enumerate(source.lines, start=1):
        code = line.split("#")[0]
        for column, letter in enumerate(code):
            if not letter.isascii() or (ord(letter) < 32 and letter != "\t"):
                raise source.error(
                    f"the character {letter!r} is not ASCII text",
                    Span(number, column, column + 1),
                    "names are ASCII letters, digits and _; spell Greek letters out (alpha)",
                )


def _is_free(name: object) -> bool:
    """Whether a state or a given input may bear a name."""
    named = isinstance(name, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    return bool(named) and name != "x" and name not in FUNCTIONS


def _check_given(source: Source, name: str, size: str, state: tuple[str, ...]) -> None:
    if not _is_free(name):
        raise source.error(f"{name!r} cannot name a given input", Span(), "use ASCII letters, digits and _, not x")
    if name in state:
        raise source.error(f"'{name}' is both a state and given", Span(), "give one of them another name")
    if size not in GIVEN_SIZES:
        expected = f"expected one of {', '.join(GIVEN_SIZES)}"
        raise source.error(f"the given input '{name}' cannot have the size {size!r}", Span(), expected)


def _syntax_span(error: SyntaxError | ValueError) -> Span:
    if isinstance(error, SyntaxError) and error.lineno:
        column = max((error.offset or 1) - 1, 0)
        return Span(error.lineno, column, column + 1)
    return Span()


def _statements(source: Source) -> list[ast.Assign]:
    if not any(line.split("#")[0].strip() for line in source.lines):
        raise source.error("the equations are empty", Span(), "expected lines such as h = tanh(W @ x + U @ h + b)")
    if len(source.text) > _LONGEST:
        raise source.error(
            f"the equations are {len(source.text)} characters long", Span(), f"expected at most {_LONGEST}"
        )
    try:
        # Comments may hold any letters, but columns of `ast` count UTF-8 bytes: they are cut off first.
        body = ast.parse("\n".join(line.split("#")[0] for line in source.lines)).body
    except (SyntaxError, ValueError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise source.error(
            f"this line cannot be read ({why})", _syntax_span(error), "expected name = expression"
        ) from None
    except (RecursionError, MemoryError):
        raise source.error("the equations are nested too deeply", Span(), "name a part of them") from None
    found = []
    for statement in body:
        if not isinstance(statement, ast.Assign):
            raise source.error("this is not an equation", source.span(statement), "expected name = expression")
        found.append(statement)
    return found


def _targets(source: Source, statements: list[ast.Assign], given: Mapping[str, str]) -> dict[str, int]:
    """Names on the left, with their lines."""
    targets: dict[str, int] = {}
    for statement in statements:
        target = statement.targets[0]
        span = source.span(target)
        if len(statement.targets) > 1 or not isinstance(target, ast.Name):
            raise source.error("the left side is not one name", span, "expected name = expression")
        name = target.id
        if name == "x":
            raise source.error("'x' is the input and cannot be assigned", span, "choose another name")
        if name in given:
            raise source.error(f"'{name}' is given and cannot be assigned", span, "choose another name")
        if name in FUNCTIONS:
            raise source.error(f"'{name}' is a function and cannot be assigned", span, "choose another name")
        if name in targets:
            raise source.error(
                f"'{name}' is assigned twice, first on line {targets[name]}", span, "give this line another name"
            )
        targets[name] = statement.lineno
    return targets


class _Reader:
    """Turns expressions into nodes, knowing which names were assigned so far."""

    def __init__(
        self, source: Source, state: frozenset[str], targets: Mapping[str, int], given: frozenset[str] = frozenset()
    ) -> None:
        self.source, self.state, self.targets, self.given = source, state, targets, given
        self.assigned: set[str] = set()
        self.parameters: dict[str, Span] = {}

    def equation(self, statement: ast.Assign) -> Equation:
        target = statement.targets[0]
        assert isinstance(target, ast.Name)
        if target.id in self.parameters:
            raise self.source.error(
                f"'{target.id}' is a parameter on line {self.parameters[target.id].line} and cannot be assigned",
                self.source.span(target),
                "choose another name",
            )
        try:
            value = self.node(statement.value)
            too_deep = _depth(value) > _DEEPEST
        except RecursionError:
            value, too_deep = Number(0.0), True
        if too_deep:
            raise self.source.error(
                "this line is nested too deeply",
                self.source.span(target),
                f"name a part of it; at most {_DEEPEST} levels",
            )
        self.check_numbers(value)
        self.assigned.add(target.id)
        return Equation(target.id, value, self.source.span(statement))

    def check_numbers(self, node: Node) -> bool:
        """True where a node is made of numbers alone; such a part must be a finite number.

        Raises:
            CellError: it is not, as in 1 / 0 or log(0).
        """
        plain = [self.check_numbers(child) for child in children(node)]
        if isinstance(node, Operation) and all(plain):
            try:
                finite = math.isfinite(compute(node, {}, lambda low, high: low))
            except (ArithmeticError, ValueError):
                finite = False
            if not finite:
                raise self.source.error("this is not a finite number", node.span, "expected one that exists")
            return True
        return isinstance(node, Number)

    def node(self, tree: ast.expr) -> Node:
        span = self.source.span(tree)
        match tree:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if abs(value) > 1e30:
                    raise self.source.error("this number is too large", span, "expected at most 1e30")
                return Number(float(value), span)
            case ast.Name(id=name):
                return self.name(name, span)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Operation("neg", (self.node(operand),), span)
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return Product(self.matrix(left), self.node(right), span)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return Operation(_BINARY[type(op)], (self.node(left), self.node(right)), span)
            case ast.Call():
                return self.call(tree, span)
        raise self.source.error(f"unknown operator or form '{self.source.at(span)}'", span, _EXPECTED)

    def name(self, name: str, span: Span) -> Node:
        if name == "x":
            return Input(span)
        if name in self.given:
            return Given(name, span)
        if name in self.assigned:
            return Quantity(name, span)
        if name in self.state:
            return Previous(name, span)
        if name in self.targets:
            line = self.targets[name]
            where = "its own line (a cycle)" if line == span.line else f"line {line} assigns it"
            raise self.source.error(
                f"'{name}' is used before {where}", span, f"move it up, or make '{name}' a state to read its last step"
            )
        if name in FUNCTIONS:
            raise self.source.error(f"'{name}' is a function", span, f"expected {name}(…)")
        self.parameters.setdefault(name, span)
        return Vector(name, span)

    def matrix(self, tree: ast.expr) -> str:
        span = self.source.span(tree)
        if isinstance(tree, ast.Name):
            node = self.name(tree.id, span)
            if isinstance(node, Vector):
                return tree.id
        raise self.source.error(
            "the left side of @ is not a parameter",
            span,
            "expected the name of a matrix; @ binds like *, so write f * (W @ x), -(W @ x) and W @ (U @ h)",
        )

    def call(self, tree: ast.Call, span: Span) -> Node:
        name = tree.func.id if isinstance(tree.func, ast.Name) else ""
        if name not in FUNCTIONS:
            close = get_close_matches(name, FUNCTIONS, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise self.source.error(
                f"unknown function '{self.source.at(self.source.span(tree.func))}'",
                self.source.span(tree.func),
                f"{hint}expected one of {', '.join(FUNCTIONS)}",
            )
        if tree.keywords or any(isinstance(argument, ast.Starred) for argument in tree.args):
            raise self.source.error(f"'{name}' takes plain arguments", span, f"expected {name}(…)")
        if len(tree.args) != OPERATIONS[name]:
            raise self.source.error(
                f"'{name}' takes {OPERATIONS[name]} argument(s), came {len(tree.args)}", span, f"expected {name}(…)"
            )
        return Operation(name, tuple(self.node(argument) for argument in tree.args), span)


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, children(node)), default=0)
