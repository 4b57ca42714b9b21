"""Functions with loops and branches that become machine code: a part of Python, read as it stands and written as LLVM.

A function marked `staged` is called with `values`, and adds what it does to the function that is being written, where
it is called: there are no calls left in the machine code, and what is known now, such as the width of a register, is
worked out now. It may hold

    names, also several at once, and `p[i] = …`; `+=` and the like
    `for … in range(…)` with steps known now, `while`, `if`, `continue`, `a if b else c`
    `and`, `or`, `not`, which are true or false
    `return` as its last line

and calls of any function that takes values. A name keeps the kind of what it was given first (but `_`, which nobody
reads). A branch on what is known now is taken now.
"""

from __future__ import annotations

import ast
import inspect
import operator
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from llvmlite import ir

from remanence.compiler.values import BOOL, FLOAT64, INT, Builder, Kind, Value, cast, common, truth

__all__ = ["builder_of", "staged"]

Function = TypeVar("Function", bound=Callable[..., Any])
_TWO: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitXor: operator.xor,
    ast.RShift: operator.rshift, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


def staged(function: Function) -> Function:
    """Mark a function that takes values and has loops or branches."""

    @wraps(function)
    def write(*arguments: Any) -> Any:
        return _Run(function, arguments).result  # type: ignore[arg-type]

    return write  # type: ignore[return-value]


def builder_of(values: Any) -> Builder:
    """The builder of the first value among values, tuples of them, and numbers."""
    found = next(_values(values), None)
    if found is None:
        raise TypeError("no value among what a staged function was given")
    return found.builder


def _values(given: Any) -> Iterator[Value]:
    if isinstance(given, Value):
        yield given
    elif isinstance(given, tuple):
        for each in given:
            yield from _values(each)


class _Place:
    """Memory of a name that is given more than one value; LLVM keeps it in a register."""

    def __init__(self, builder: Builder, first: Any) -> None:
        self.builder = builder
        self.parts: tuple[_Place, ...] | None = None
        if isinstance(first, tuple):
            self.parts = tuple(_Place(builder, part) for part in first)
            return
        self.kind: Kind = first.kind if isinstance(first, Value) else FLOAT64 if isinstance(first, float) else INT
        with builder.goto_entry_block():
            self.at = builder.alloca(self.kind.type)

    def put(self, value: Any) -> None:
        if self.parts is None:
            self.builder.store(cast(self.builder, value, self.kind), self.at)
            return
        for place, part in zip(self.parts, value, strict=True):
            place.put(part)

    def get(self) -> Any:
        if self.parts is None:
            return Value(self.builder, self.kind, self.builder.load(self.at))
        return tuple(part.get() for part in self.parts)


@lru_cache(maxsize=256)
def _read(function: FunctionType) -> tuple[ast.FunctionDef, frozenset[str]]:
    """A function's text, and the names in it that are given more than one value."""
    found = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(found, ast.FunctionDef)
    if any(isinstance(node, ast.Return) and node is not found.body[-1] for node in ast.walk(found)):
        raise TypeError(f"{function.__name__} returns before its last line")
    given = Counter(argument.arg for argument in found.args.args)
    for node in ast.walk(found):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            given[node.id] += 1
    counted = Counter(node.target.id for node in ast.walk(found) if isinstance(node, ast.For))  # type: ignore[attr-defined]
    # What only loops count with is theirs.
    return found, frozenset(
        name for name, times in given.items() if times > 1 and times > counted[name] and name != "_"
    )


class _Run:
    """One call of a staged function, written where it is called."""

    def __init__(self, function: FunctionType, arguments: tuple[Any, ...]) -> None:
        self.builder, self.function = builder_of(arguments), function
        text, self.changing = _read(function)
        self.names: dict[str, Any] = {}
        self.places: dict[str, _Place] = {}
        self.nexts: list[Any] = []
        self.result: Any = None
        for name, value in zip((argument.arg for argument in text.args.args), arguments, strict=True):
            self.name(name, value)
        self.body(text.body)

    # --- what is done

    def body(self, lines: list[ast.stmt]) -> None:
        for line in lines:
            try:
                self.line(line)
            except TypeError as error:
                if not getattr(error, "__notes__", None):
                    error.add_note(f"in {self.function.__module__}.{self.function.__name__}: {ast.unparse(line)}")
                raise
            if self.builder.block.is_terminated:
                return

    def line(self, line: ast.stmt) -> None:
        match line:
            case ast.Assign(targets=[target], value=value):
                self.give(target, self.value(value))
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self.name(name, _TWO[type(op)](self.named(name), self.value(value)))
            case ast.AugAssign(target=ast.Subscript(value=array, slice=index), op=op, value=value):
                into, at = self.value(array), self.value(index)
                into[at] = _TWO[type(op)](into[at], self.value(value))
            case ast.For():
                self.count(line)
            case ast.While(orelse=[]):
                self.repeat(line)
            case ast.If():
                self.branch(line)
            case ast.Continue():
                self.builder.branch(self.nexts[-1])
            case ast.Return(value=value):
                self.result = None if value is None else self.value(value)
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=value):
                self.value(value)
            case _:
                raise TypeError(f"a {type(line).__name__} has no meaning in machine code")

    def give(self, target: ast.expr, value: Any) -> None:
        match target:
            case ast.Name(id=name):
                self.name(name, value)
            case ast.Tuple(elts=parts):
                for part, each in zip(parts, value, strict=True):
                    self.give(part, each)
            case ast.Subscript(value=array, slice=index):
                self.value(array)[self.value(index)] = value
            case _:
                raise TypeError(f"{ast.unparse(target)} is no place for a value")

    def name(self, name: str, value: Any) -> None:
        if name not in self.changing:
            self.names[name] = value
            return
        if name not in self.places:
            self.places[name] = _Place(self.builder, value)
        self.places[name].put(value)

    def branch(self, line: ast.If) -> None:
        test = self.value(line.test)
        if not isinstance(test, Value):
            self.body(line.body if test else line.orelse)
            return
        yes, no, after = (self.builder.append_basic_block(word) for word in ("yes", "no", "after"))
        self.builder.cbranch(truth(test), yes, no)
        for block, lines in ((yes, line.body), (no, line.orelse)):
            with self.within(block, after):
                self.body(lines)

    @contextmanager
    def within(self, block: Any, after: Any) -> Iterator[None]:
        """Write into a block, which goes on to another; then there."""
        self.builder.position_at_end(block)
        yield
        if not self.builder.block.is_terminated:
            self.builder.branch(after)
        self.builder.position_at_end(after)

    def repeat(self, line: ast.While) -> None:
        test, inside, after = (self.builder.append_basic_block(word) for word in ("while", "do", "done"))
        self.builder.branch(test)
        self.builder.position_at_end(test)
        goes_on = self.value(line.test)
        if not isinstance(goes_on, Value):
            raise TypeError("a loop that is known now to go on, or not to")
        self.builder.cbranch(truth(goes_on), inside, after)
        self.loop(inside, line.body, test, after)

    def loop(self, inside: Any, lines: list[ast.stmt], following: Any, after: Any) -> None:
        self.nexts.append(following)
        with self.within(inside, following):
            self.body(lines)
        self.nexts.pop()
        self.builder.position_at_end(after)

    def count(self, line: ast.For) -> None:
        builder = self.builder
        match line:
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=bounds), orelse=[]):
                given = [self.value(bound) for bound in bounds]
            case _:
                raise TypeError("a loop counts one name over a range")
        start, stop, step = (0, *given, 1) if len(given) == 1 else (*given, 1) if len(given) == 2 else given
        if not isinstance(step, int) or step == 0:
            raise TypeError("the step of a range is a whole number that is known now")
        first, last = (cast(builder, bound, INT) for bound in (start, stop))
        before = builder.block
        test, inside, following, after = (builder.append_basic_block(w) for w in ("for", "do", "next", "done"))
        builder.branch(test)
        builder.position_at_end(test)
        counter = builder.phi(INT.type)
        counter.add_incoming(first, before)
        builder.cbranch(builder.icmp_signed("<" if step > 0 else ">", counter, last), inside, after)
        builder.position_at_end(inside)
        self.name(name, Value(builder, INT, counter))
        self.loop(inside, line.body, following, after)
        builder.position_at_end(following)
        counter.add_incoming(builder.add(counter, ir.Constant(INT.type, step), flags=("nsw",)), following)
        builder.branch(test)
        builder.position_at_end(after)

    # --- what is computed

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.named(name)
            case ast.Tuple(elts=parts):
                return tuple(self.value(part) for part in parts)
            case ast.BinOp(left=left, op=op, right=right):
                return _TWO[type(op)](self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                test = self.value(operand)
                return (
                    Value(self.builder, BOOL, self.builder.not_(truth(test))) if isinstance(test, Value) else not test
                )
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _TWO[type(op)](self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=values):
                return self.both(values, isinstance(op, ast.And))
            case ast.IfExp(test=test, body=yes, orelse=no):
                return self.either(self.value(test), lambda: self.value(yes), lambda: self.value(no))
            case ast.Subscript(value=array, slice=index):
                return self.value(array)[self.value(index)]
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if isinstance(self.named(name), ModuleType):
                return getattr(self.named(name), attribute)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self.value(function)(*(self.value(argument) for argument in arguments))
            case _:
                raise TypeError(f"{ast.unparse(node)} has no meaning in machine code")

    def named(self, name: str) -> Any:
        if name in self.places:
            return self.places[name].get()
        if name in self.names:
            return self.names[name]
        if name in self.function.__globals__:
            return self.function.__globals__[name]
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        raise TypeError(f"'{name}' is not known here")

    def both(self, values: list[ast.expr], every: bool) -> Any:
        """`and`, `or`: what follows is computed only where it counts."""
        test, rest = self.value(values[0]), values[1:]
        if not rest:
            return test
        if every:
            return self.either(test, lambda: self.both(rest, every), lambda: False)
        return self.either(test, lambda: True, lambda: self.both(rest, every))

    def either(self, test: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        """One of two values; only that one is computed."""
        if not isinstance(test, Value):
            return yes() if test else no()
        builder = self.builder
        blocks = [builder.append_basic_block(word) for word in ("yes", "no")]
        after = builder.append_basic_block("either")
        builder.cbranch(truth(test), *blocks)
        ends = []
        for block, make in zip(blocks, (yes, no), strict=True):
            builder.position_at_end(block)
            ends.append((make(), builder.block))
        (left, _), (right, _) = ends
        truths = all(
            isinstance(each, bool) or (isinstance(each, Value) and each.kind == BOOL) for each in (left, right)
        )
        kind = BOOL if truths else _kind(left, right)
        found = []
        for value, block in ends:
            builder.position_at_end(block)
            found.append((cast(builder, value, kind), block))
            builder.branch(after)
        builder.position_at_end(after)
        phi = builder.phi(kind.type)
        for value, block in found:
            phi.add_incoming(value, block)
        return Value(builder, kind, phi)


def _kind(left: Any, right: Any) -> Kind:
    """The kind of two numbers of which one is chosen."""
    if isinstance(left, Value) or isinstance(right, Value):
        return (
            left.kind
            if isinstance(left, Value) and isinstance(right, Value) and left.kind == right.kind
            else common(left, right)
        )
    return FLOAT64 if isinstance(left, float) or isinstance(right, float) else INT


def _chosen(sign: str) -> Callable[..., Any]:
    """`min` and `max` of two numbers."""
    known = min if sign == "<" else max

    def choose(left: Any, right: Any) -> Any:
        if not (isinstance(left, Value) or isinstance(right, Value)):
            return known(left, right)
        builder, kind = builder_of((left, right)), _kind(left, right)
        both = [Value(builder, kind, cast(builder, value, kind)) for value in (left, right)]
        test = both[1] < both[0] if sign == "<" else both[1] > both[0]
        return Value(builder, kind, builder.select(test.ir, both[1].ir, both[0].ir))

    return choose


_BUILT_IN = {"min": _chosen("<"), "max": _chosen(">"), "len": len}
