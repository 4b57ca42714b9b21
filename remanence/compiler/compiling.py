"""Python functions over pointers and numbers → one object file of C functions, by Numba.

    marked functions → Numba's typed and optimised LLVM → one module → an object file

Numba's own C callbacks end in a few calls of Python, for exceptions; what is compiled here raises none, so the object
file is free of Python and of Numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import llvmlite.binding as llvm
from numba.core import compiler, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from remanence.compiler.object_code import target_machine

__all__ = ["compiled", "object_file"]

Function = TypeVar("Function", bound=Callable[..., Any])
_ARGUMENTS = "c_arguments"
_PROCESS = ctypes.CDLL(None)


def compiled(*arguments: Any) -> Callable[[Function], Function]:
    """Mark a function of a written module: Numba's types of its arguments; it returns nothing."""

    def mark(function: Function) -> Function:
        setattr(function, _ARGUMENTS, arguments)
        return function

    return mark


@global_compiler_lock
def object_file(module: ModuleType, stem: str) -> bytes:
    """Compile the marked functions of a module; each goes by `stem.name` in the object file."""
    marked = {name: value for name, value in vars(module).items() if hasattr(value, _ARGUMENTS)}
    whole = None
    for name, function in marked.items():
        part = _llvm(function, f"{stem}.{name}")
        if whole is None:
            whole = part
        else:
            whole.link_in(part)
    assert whole is not None, f"{stem} has no function to compile"
    for value in (*whole.functions, *whole.global_variables):
        if not value.is_declaration and not value.name.startswith(f"{stem}."):
            value.linkage = "internal"
    for function in whole.functions:
        # The linker in memory would end the whole process.
        known = not function.is_declaration or function.name.startswith("llvm.")
        if not known and not llvm.address_of_symbol(function.name) and not hasattr(_PROCESS, function.name):
            raise OSError(f"no function {function.name} in this process")
    return target_machine().emit_object(whole)


def _llvm(function: Callable[..., Any], name: str) -> Any:
    """LLVM's module of a function under a C name."""
    flags: Any = compiler.Flags()
    flags.error_model = "numpy"
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    done = compiler.compile_extra(
        cpu_target.typing_context,
        cpu_target.target_context,
        function,
        args=getattr(function, _ARGUMENTS),
        return_type=types.void,
        flags=flags,
        locals={},
    )
    done.library.finalize()
    module = llvm.parse_assembly(done.library.get_llvm_str())
    inner = module.get_function(done.fndesc.llvm_func_name)
    # Numba's functions return a status, and take places for a result and for an error before their arguments.
    result, error, *kinds = [str(argument.type) for argument in inner.arguments]
    given = [f"{kind} %a{place}" for place, kind in enumerate(kinds)]
    module.link_in(
        llvm.parse_assembly(
            f'declare i32 @"{inner.name}"({", ".join([result, error, *kinds])})\n'
            f'define void @"{name}"({", ".join(given)}) {{\n'
            "  %result = alloca ptr\n  %error = alloca ptr\n"
            f'  %status = call i32 @"{inner.name}"({", ".join([f"{result} %result", f"{error} %error", *given])})\n'
            "  ret void\n}\n"
        )
    )
    return module
