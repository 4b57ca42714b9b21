"""Values of machine code while it is written: numbers, pointers and registers, with Python's operators.

`a * b + c` of values adds instructions to the function that is being written, and is the value that they will have.
Python's own numbers stay what they are until they meet a value, and become of its kind; so what only depends on them is
computed now, not then.

    whole numbers   64 bits; `//` and `%` round down, as Python's do
    pointers        `p[i]` reads, `p[i] = v` writes; nothing is checked
    registers       `+ - * /` lane by lane, with another register or with a number in every lane

A register's width is that of `machine.MACHINE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir

__all__ = [
    "BOOL",
    "FLOAT32",
    "FLOAT64",
    "INT",
    "SHORT",
    "WORD",
    "Builder",
    "Kind",
    "Number",
    "Pointer",
    "Register",
    "Value",
    "cast",
    "common",
    "splatted",
    "truth",
    "unsigned",
]  # fmt: skip

# llvmlite's builder is annotated as returning None for most of what it builds.
Builder: TypeAlias = Any


@dataclass(frozen=True)
class Kind:
    """What a value is.

    Args:
        name: for messages.
        type: LLVM's.
    """

    name: str
    type: ir.Type


@dataclass(frozen=True)
class Pointer(Kind):
    """Where elements of one kind lie, one behind the other."""

    to: Kind

    @classmethod
    def of(cls, to: Kind) -> Pointer:
        return cls(f"pointer to {to.name}", to.type.as_pointer(), to)


@dataclass(frozen=True)
class Register(Kind):
    """Numbers of one kind side by side in one register of the machine."""

    dtype: Kind
    width: int

    @classmethod
    def of(cls, dtype: Kind, width: int) -> Register:
        return cls(f"register of {width} {dtype.name}", ir.VectorType(dtype.type, width), dtype, width)


INT, WORD = Kind("int64", ir.IntType(64)), Kind("uint64", ir.IntType(64))
BOOL, SHORT = Kind("bool", ir.IntType(1)), Kind("int32", ir.IntType(32))
FLOAT32, FLOAT64 = Kind("float32", ir.FloatType()), Kind("float64", ir.DoubleType())
_WIDER = (BOOL, SHORT, INT, FLOAT32, FLOAT64)
"""Numbers, each of which those behind it can stand for."""
_FLOATS = (FLOAT32, FLOAT64)
_BITS = {BOOL: 1, SHORT: 32, INT: 64, WORD: 64}


class Value:
    """A value of the function that a builder writes.

    Args:
        builder: LLVM's.
        kind: what it is.
        ir: LLVM's value.
    """

    __slots__ = ("builder", "ir", "kind")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, builder: Builder, kind: Kind, value: Any) -> None:
        self.builder, self.kind, self.ir = builder, kind, value

    def __bool__(self) -> bool:
        raise TypeError(f"a {self.kind.name} is not known before the machine code runs: use `staged` around it")

    def __repr__(self) -> str:
        return f"<{self.kind.name}>"

    def __add__(self, other: Number) -> Value:
        return _arithmetic("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return _arithmetic("add", other, self)

    def __sub__(self, other: Number) -> Value:
        return _arithmetic("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return _arithmetic("sub", other, self)

    def __mul__(self, other: Number) -> Value:
        return _arithmetic("mul", self, other)

    def __rmul__(self, other: Number) -> Value:
        return _arithmetic("mul", other, self)

    def __truediv__(self, other: Number) -> Value:
        return _arithmetic("div", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return _arithmetic("div", other, self)

    def __floordiv__(self, other: Number) -> Value:
        return _divided(self, other)[0]

    def __mod__(self, other: Number) -> Value:
        return _divided(self, other)[1]

    def __and__(self, other: Number) -> Value:
        return _bitwise("and_", self, other)

    def __rand__(self, other: Number) -> Value:
        return _bitwise("and_", other, self)

    def __xor__(self, other: Number) -> Value:
        return _bitwise("xor", self, other)

    def __rshift__(self, other: Number) -> Value:
        return _bitwise("lshr" if self.kind == WORD else "ashr", self, other)

    def __neg__(self) -> Value:
        if isinstance(self.kind, Register) or self.kind in _FLOATS:
            return Value(self.builder, self.kind, self.builder.fneg(self.ir))
        return 0 - self

    def __lt__(self, other: Number) -> Value:
        return _compared("<", self, other)

    def __le__(self, other: Number) -> Value:
        return _compared("<=", self, other)

    def __gt__(self, other: Number) -> Value:
        return _compared(">", self, other)

    def __ge__(self, other: Number) -> Value:
        return _compared(">=", self, other)

    def __eq__(self, other: Number) -> Value:  # type: ignore[override]
        return _compared("==", self, other)

    def __ne__(self, other: Number) -> Value:  # type: ignore[override]
        return _compared("!=", self, other)

    def __getitem__(self, index: Number) -> Value:
        return Value(self.builder, self._pointed().to, self.builder.load(self.at(index)))

    def __setitem__(self, index: Number, value: Number) -> None:
        self.builder.store(cast(self.builder, value, self._pointed().to), self.at(index))

    def at(self, index: Number) -> Any:
        """LLVM's address of an element of what this points to."""
        self._pointed()
        return self.builder.gep(self.ir, [cast(self.builder, index, INT)])

    def _pointed(self) -> Pointer:
        if not isinstance(self.kind, Pointer):
            raise TypeError(f"a {self.kind.name} has no elements")
        return self.kind


Number: TypeAlias = Value | int | float


def cast(builder: Builder, value: Number, kind: Kind) -> Any:
    """LLVM's value of a number, a pointer or a register as one of this kind.

    Raises:
        TypeError: it would lose what it means.
    """
    if not isinstance(value, Value):
        if isinstance(kind, Pointer | Register) or (isinstance(value, float) and kind not in _FLOATS):
            raise TypeError(f"{value!r} is no {kind.name}")
        if kind in _BITS and not -(2 ** (_BITS[kind] - 1)) <= value < 2 ** (_BITS[kind] - 1 + (kind in (BOOL, WORD))):
            raise TypeError(f"{value!r} is no {kind.name}")
        return ir.Constant(kind.type, float(value) if kind in _FLOATS else int(value))
    came = value.kind
    if came == kind or {came, kind} == {INT, WORD}:
        return value.ir
    if came in _WIDER and kind in _WIDER and _WIDER.index(came) < _WIDER.index(kind):
        if came == FLOAT32:
            return builder.fpext(value.ir, kind.type)
        if kind in _FLOATS:
            return (builder.uitofp if came == BOOL else builder.sitofp)(value.ir, kind.type)
        return (builder.zext if came == BOOL else builder.sext)(value.ir, kind.type)
    if (came, kind) == (FLOAT64, FLOAT32):
        return builder.fptrunc(value.ir, kind.type)
    if (came, kind) == (INT, SHORT):
        return builder.trunc(value.ir, kind.type)
    raise TypeError(f"a {came.name} is no {kind.name}")


def splatted(builder: Builder, scalar: Any, width: int) -> Any:
    """LLVM: a number in every lane."""
    whole = ir.VectorType(scalar.type, width)
    first = builder.insert_element(ir.Constant(whole, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), None)
    return builder.shuffle_vector(first, ir.Constant(whole, ir.Undefined), zeros)


def common(left: Number, right: Number) -> Kind:
    """The kind that both are turned into where they meet.

    Raises:
        TypeError: there is none.
    """
    kinds = [value.kind for value in (left, right) if isinstance(value, Value)]
    kind = kinds[0]
    if len(kinds) == 2 and kinds[1] != kind:
        registers = [kind for kind in kinds if isinstance(kind, Register)]
        if len(registers) == 1:
            return registers[0]
        if not all(kind in _WIDER for kind in kinds):
            raise TypeError(f"a {kinds[0].name} and a {kinds[1].name} do not meet")
        kind = max(kinds, key=_WIDER.index)
    if kind in (BOOL, SHORT):
        kind = INT
    if kind == INT and any(isinstance(value, float) for value in (left, right)):
        return FLOAT64
    return kind


def unsigned(value: Value) -> Value:
    """The same 64 bits, as a number that is never negative."""
    return Value(value.builder, WORD, cast(value.builder, value, WORD))


def truth(value: Value) -> Any:
    """LLVM's bit for whether a number is not zero."""
    if value.kind == BOOL:
        return value.ir
    zero = ir.Constant(value.kind.type, 0)
    if value.kind in _FLOATS:
        return value.builder.fcmp_unordered("!=", value.ir, zero)
    return value.builder.icmp_signed("!=", value.ir, zero)


def _met(left: Number, right: Number) -> tuple[Builder, Kind, list[Any]]:
    """Both as LLVM's values of their common kind."""
    builder = next(value.builder for value in (left, right) if isinstance(value, Value))
    kind = common(left, right)
    if not isinstance(kind, Register):
        return builder, kind, [cast(builder, value, kind) for value in (left, right)]
    lanes = [
        value.ir
        if isinstance(value, Value) and value.kind == kind
        else splatted(builder, cast(builder, value, kind.dtype), kind.width)
        for value in (left, right)
    ]
    return builder, kind, lanes


def _arithmetic(name: str, left: Number, right: Number) -> Value:
    builder, kind, both = _met(left, right)
    if isinstance(kind, Register):
        return Value(builder, kind, getattr(builder, f"f{name}")(*both, flags=("contract",)))
    if kind in _FLOATS:
        return Value(builder, kind, getattr(builder, f"f{name}")(*both))
    if name == "div":
        raise TypeError("whole numbers are divided by //")
    return Value(builder, kind, getattr(builder, name)(*both))


def _divided(value: Value, by: Number) -> tuple[Value, Value]:
    """Quotient, rounded down, and the rest."""
    builder, kind, (left, right) = _met(value, by)
    if kind != INT:
        raise TypeError(f"a {kind.name} is not divided by //")
    if isinstance(by, int) and by > 0 and by & (by - 1) == 0:
        shift, mask = (ir.Constant(kind.type, number) for number in (by.bit_length() - 1, by - 1))
        return Value(builder, kind, builder.ashr(left, shift)), Value(builder, kind, builder.and_(left, mask))
    zero = ir.Constant(kind.type, 0)
    quotient, rest = builder.sdiv(left, right), builder.srem(left, right)
    apart = builder.icmp_signed("<", builder.xor(rest, right), zero)
    over = builder.and_(builder.icmp_signed("!=", rest, zero), apart)
    lower = builder.sub(quotient, builder.zext(over, kind.type))
    return Value(builder, kind, lower), Value(builder, kind, builder.select(over, builder.add(rest, right), rest))


def _bitwise(name: str, left: Number, right: Number) -> Value:
    builder, kind, both = _met(left, right)
    if kind not in (INT, WORD):
        raise TypeError(f"a {kind.name} has no bits of its own")
    return Value(builder, kind, getattr(builder, name)(*both))


def _compared(sign: str, left: Number, right: Number) -> Value:
    builder, kind, both = _met(left, right)
    if kind in _FLOATS:
        compare = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
    elif kind in (INT, WORD):
        compare = builder.icmp_signed if kind == INT else builder.icmp_unsigned
    else:
        raise TypeError(f"a {kind.name} is not compared")
    return Value(builder, BOOL, compare(sign, *both))
