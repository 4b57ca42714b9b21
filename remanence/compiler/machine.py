"""The vector unit that kernels are written for.

It is the host's, or the one that the environment variable REMANENCE_VECTOR names (`avx512`, `avx2`, `neon`), so that
narrow machines can be tested on wide ones.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import llvmlite.binding

from remanence.errors import SettingError

__all__ = ["MACHINE", "Machine", "host_machine"]


@dataclass(frozen=True)
class Machine:
    """The vector unit that kernels are written for.

    Args:
        name: `avx512`, `avx2` or `neon`.
        bytes: width of one register.
        rows, vectors: the largest register tile of a matrix product: rows of the left matrix × registers of columns.
        fused: whether multiply-add is one instruction.
    """

    name: str
    bytes: int
    rows: int
    vectors: int
    fused: bool = True

    def width(self, itemsize: int) -> int:
        """Elements of one register, for elements of `itemsize` bytes."""
        return self.bytes // itemsize


# Accumulators (rows × vectors), one row of the panel and one broadcast must fit 32, 16 and 32 registers.
_MACHINES = {
    "avx512": Machine("avx512", 64, 6, 4),
    "avx2": Machine("avx2", 32, 6, 2),
    "neon": Machine("neon", 16, 8, 2),
}


def host_machine() -> Machine:
    """Choose the vector unit: REMANENCE_VECTOR where it is set, else what the host has.

    Raises:
        SettingError: REMANENCE_VECTOR names no known unit.
    """
    features = llvmlite.binding.get_host_cpu_features()
    arm = platform.machine().lower() in ("arm64", "aarch64")
    fused = arm or bool(features.get("fma"))
    name = os.environ.get("REMANENCE_VECTOR", "")
    if not name:
        wide = bool(features.get("avx512f")) and fused
        name = "avx512" if wide else "avx2" if features.get("avx2") and fused else "neon"
    if name not in _MACHINES:
        raise SettingError(
            f"the environment variable REMANENCE_VECTOR is {name!r}; expected one of {', '.join(_MACHINES)}"
        )
    known = _MACHINES[name]
    return Machine(known.name, known.bytes, known.rows, known.vectors, fused)


MACHINE = host_machine()
