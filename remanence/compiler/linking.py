"""Compiled functions that call each other by address, and pointers made of integers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types

from remanence.compiler.vector import intrinsic

__all__ = ["answer", "call", "pointed", "shifted", "words"]


@intrinsic
def call(typing_context: Any, address: Any, arguments: Any) -> Any:
    """`call(address, arguments)`: a C function that returns nothing; tuples inside the arguments are laid flat."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        flat: list[Any] = []

        def lay(kind: Any, value: Any) -> None:
            if isinstance(kind, types.BaseTuple):
                for place, inner in enumerate(kind):  # pyright: ignore[reportArgumentType] (numba's tuples are iterable)
                    lay(inner, builder.extract_value(value, place))
            else:
                wide = isinstance(kind, types.CPointer)
                flat.append(value if wide else context.cast(builder, value, kind, types.int64))

        lay(arguments, args[1])
        function = ir.FunctionType(ir.VoidType(), [value.type for value in flat])
        builder.call(builder.inttoptr(args[0], function.as_pointer()), flat)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), generate


@intrinsic
def answer(typing_context: Any, address: Any) -> Any:
    """`answer(address)`: what a C function `int f(void)` returns."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.IntType(32), [])
        found = builder.call(builder.inttoptr(args[0], function.as_pointer()), [])
        return builder.sext(found, ir.IntType(64))

    return types.int64(types.int64), generate


@intrinsic
def shifted(typing_context: Any, pointer: Any, count: Any) -> Any:
    """`shifted(pointer, count)`: the pointer, `count` elements further on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def pointed(typing_context: Any, like: Any, address: Any) -> Any:
    """`pointed(like, address)`: a pointer to an address, of the type of another pointer."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[1], args[0].type)

    return like(like, types.int64), generate


@intrinsic
def words(typing_context: Any, address: Any) -> Any:
    """`words(address)`: a pointer to what is there, in pieces of 32 bits."""
    kind = types.CPointer(types.int32)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(types.int64), generate
