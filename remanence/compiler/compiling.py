"""Functions of `staged` Python over pointers and numbers → one object file of C functions, by LLVM.

marked functions → LLVM's instructions → one module, optimised → an object file
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import llvmlite.binding as llvm
from llvmlite import ir

from remanence.compiler.object_code import target_machine
from remanence.compiler.staged import staged
from remanence.compiler.values import Kind, Value

__all__ = ["compiled", "object_file"]

Function = TypeVar("Function", bound=Callable[..., Any])
_ARGUMENTS = "c_arguments"
_PROCESS = ctypes.CDLL(None)


def compiled(*arguments: Kind) -> Callable[[Function], Function]:
    """Mark a function of a written module: the kinds of its arguments; it returns nothing."""

    def mark(function: Function) -> Function:
        setattr(function, _ARGUMENTS, arguments)
        return function

    return mark


def object_file(module: ModuleType, stem: str) -> bytes:
    """Compile the marked functions of a module; each goes by `stem.name` in the object file."""
    machine = target_machine()
    whole = ir.Module(stem)
    whole.triple, whole.data_layout = llvm.get_process_triple(), str(machine.target_data)
    marked = {name: value for name, value in vars(module).items() if hasattr(value, _ARGUMENTS)}
    assert marked, f"{stem} has no function to compile"
    for name, function in marked.items():
        _write(whole, function, f"{stem}.{name}")
    parsed = llvm.parse_assembly(str(whole))
    parsed.verify()
    _optimise(parsed, machine)
    for function in parsed.functions:
        # The linker in memory would end the whole process.
        known = not function.is_declaration or function.name.startswith("llvm.")
        if not known and not llvm.address_of_symbol(function.name) and not hasattr(_PROCESS, function.name):
            raise OSError(f"no function {function.name} in this process")
    return machine.emit_object(parsed)


def _write(module: ir.Module, function: Callable[..., Any], name: str) -> None:
    """Add a function to LLVM's module under a C name."""
    kinds: tuple[Kind, ...] = getattr(function, _ARGUMENTS)
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), [kind.type for kind in kinds]), name)
    builder = ir.IRBuilder(made.append_basic_block("entry"))
    staged(function)(*(Value(builder, kind, given) for kind, given in zip(kinds, made.args, strict=True)))
    builder.ret_void()


def _optimise(module: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
