"""Object files in memory, and the machine that they are for."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

__all__ = ["addresses", "target_machine"]

_lock = threading.Lock()
_loaded: set[str] = set()


@lru_cache(maxsize=1)
def target_machine() -> Any:
    """The host's: code for this very processor, at home wherever it is loaded."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        # The linker in memory knows no other way on x86.
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )


@lru_cache(maxsize=1)
def _engine() -> Any:
    machine = target_machine()
    empty = llvm.parse_assembly(f'target triple = "{llvm.get_process_triple()}"')
    return llvm.create_mcjit_compiler(empty, machine)


def addresses(code: bytes, stem: str, names: tuple[str, ...]) -> dict[str, int]:
    """Load an object file made by `compiling`, once; where its functions are in memory.

    Args:
        code: the object file.
        stem: under which it was compiled.
        names: of functions.
    """
    with _lock:
        engine = _engine()
        if stem not in _loaded:
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            _loaded.add(stem)
        return {name: engine.get_function_address(f"{stem}.{name}") for name in names}
