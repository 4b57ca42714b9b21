"""Compiled functions that call each other by address, and pointers made of integers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from remanence.compiler.staged import builder_of
from remanence.compiler.values import INT, SHORT, Number, Pointer, Value, cast

__all__ = ["answer", "call", "pointed", "shifted", "words"]


def call(address: Value, arguments: tuple[Any, ...]) -> None:
    """Call a C function that returns nothing; tuples inside the arguments are laid flat."""
    builder = builder_of((address, arguments))
    flat: list[Any] = []

    def lay(given: Any) -> None:
        if isinstance(given, tuple):
            for each in given:
                lay(each)
        else:
            wide = isinstance(given, Value) and isinstance(given.kind, Pointer)
            flat.append(given.ir if wide else cast(builder, given, INT))

    lay(arguments)
    function = ir.FunctionType(ir.VoidType(), [value.type for value in flat])
    builder.call(builder.inttoptr(address.ir, function.as_pointer()), flat)


def answer(address: Value) -> Value:
    """What a C function `int f(void)` returns."""
    builder, function = address.builder, ir.FunctionType(ir.IntType(32), [])
    found = builder.call(builder.inttoptr(address.ir, function.as_pointer()), [])
    return Value(builder, INT, builder.sext(found, INT.type))


def shifted(pointer: Value, count: Number) -> Any:
    """The pointer, `count` elements further on (a `Value`; no type checker knows a range of them)."""
    return Value(pointer.builder, pointer.kind, pointer.at(count))


def pointed(like: Value, address: Value) -> Value:
    """A pointer to an address, of the kind of another pointer."""
    return Value(like.builder, like.kind, like.builder.inttoptr(address.ir, like.kind.type))


def words(address: Value) -> Value:
    """A pointer to what is there, in pieces of 32 bits."""
    kind = Pointer.of(SHORT)
    return Value(address.builder, kind, address.builder.inttoptr(address.ir, kind.type))
