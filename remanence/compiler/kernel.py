"""Build a cell's kernels, keep them on disk by content, and say what they do.

    Step → schedule → forward loop → derive → layouts → source → a file named by its hash → Numba

The hash covers the source, the compiler's own run-time files, the versions of Numba and llvmlite, the vector unit
and the processor. A file is written beside its place and renamed, and never written again, so two processes may
build at once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba

from remanence.compiler import pointwise, tile, vector
from remanence.compiler.derive import Loop, derive, forward_loop
from remanence.compiler.emit_cpu import emit, packed_runs, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.layout import Layout, lay_out_backward, lay_out_forward
from remanence.compiler.schedule import Schedule, schedule

__all__ = ["Kernel", "build", "cache_folder", "threading_layer", "tiles_address"]

# One pool with PyTorch: with Numba's own the two fight for the cores. Asked for before any kernel runs.
if "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "omp"  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class Kernel:
    """The compiled loops of a cell. `print(kernel)` says what they do; `source` is what Numba compiled.

    Args:
        step: the equations.
        plan: what is hoisted.
        forward, backward: the plans of both loops.
        source: the generated module.
        key: its name in the cache.
        path: its file.
    """

    step: Step
    plan: Schedule
    forward: Layout
    backward: Layout
    source: str
    key: str
    path: Path
    run_forward: Callable[..., None] = field(repr=False)
    run_backward: Callable[..., None] = field(repr=False)

    def lanes(self, array: str, padded: Mapping[str, int], backward: bool = False) -> int:
        """Width of an array of lanes."""
        layout = self.backward if backward else self.forward
        return sum(padded[size] for size in layout.lanes.get(array, []))

    def packed(self, true: Mapping[str, int], padded: Mapping[str, int], backward: bool) -> int:
        """Elements of the packed matrices."""
        runs = packed_runs(self.backward if backward else self.forward)
        return sum(run.elements(dict(true), dict(padded), backward) for run in runs)

    def flops(self, sizes: Mapping[str, int]) -> int:
        """Multiplications and additions of the matrix products inside one forward step of one row."""
        runs = packed_runs(self.forward)
        return sum(2 * sizes[block] * sizes[run.other] for run in runs for block in run.blocks)

    def __str__(self) -> str:
        saved = [name for name, slot in self.plan.quantities.items() if slot in self.forward.saved]
        unnamed = len(self.forward.saved) - len({self.plan.quantities[name] for name in saved})
        products = [f"{' '.join(run.matrices)} (level {run.level})" for run in packed_runs(self.forward)]
        back = [f"{' '.join(run.matrices)} transposed" for run in packed_runs(self.backward)]
        width = {array: len(lanes) for array, lanes in self.forward.lanes.items()}
        return "\n".join(
            [
                f"kernel {self.key[:12]} on {vector.MACHINE.name}, {len(sizes_of(self.step))} sizes at run time",
                f"  before the loop   {len(self.plan.stages[1])} instructions give {len(self.plan.sliced)} values",
                f"  in the loop       {len(self.forward.loop.instructions)} instructions",
                f"  products          {'; '.join(products) or 'none'}",
                f"  backward          {'; '.join(back) or 'none'}; weights in one product after the loop",
                f"  saved             {', '.join(saved) or 'the states alone'}"
                + (f" and {unnamed} more" * bool(unnamed)),
                f"  lanes a step      {', '.join(f'{name} {count}' for name, count in width.items())}",
                f"  file              {self.path}",
            ]
        )


def cache_folder() -> Path:
    """Where kernels are kept: REMANENCE_CACHE, else the user's cache folder."""
    root = os.environ.get("REMANENCE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "remanence"
    )
    return Path(root) / "kernels"


def threading_layer() -> str:
    """The threading layer that kernels run on; "" before the first run with several threads."""
    try:
        return numba.threading_layer()
    except ValueError:
        return ""


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """What shapes a kernel besides its source."""
    parts = [Path(str(module.__file__)).read_bytes() for module in (pointwise, tile, vector)]
    parts += [numba.__version__.encode(), llvmlite.__version__.encode(), repr(vector.MACHINE).encode()]
    features = llvmlite.binding.get_host_cpu_features().flatten()
    return b"\0".join([*parts, llvmlite.binding.get_host_cpu_name().encode(), features.encode()])


def _written(source: str, key: str, kind: str = "kernel") -> Path:
    """The file of a kernel, written if it is not there; in a temporary folder where the cache is read-only."""
    folder = cache_folder()
    path = folder / f"{kind}_{key[:32]}.py"
    if path.is_file() and path.read_text(encoding="utf-8") == source:
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _renamed(folder, path, source)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="remanence-kernels-"))
        return _renamed(folder, folder / path.name, source)


def _renamed(folder: Path, path: Path, source: str) -> Path:
    handle, beside = tempfile.mkstemp(dir=folder, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise
    return path


def _module(path: Path, key: str) -> Any:
    specification = importlib.util.spec_from_file_location(f"remanence_kernel_{key[:32]}", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Numba's file cache finds the functions of a kernel by the name of their module.
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


@lru_cache(maxsize=2)
def tiles_address(dtype: str) -> int:
    """Where the compiled tiles of a dtype ("float32", "float64") are in memory."""
    source = tile.TILES.format(dtype=dtype)
    key = hashlib.sha256(source.encode() + _surroundings()).hexdigest()
    return _module(_written(source, key, "tiles"), key).tiles.address


_BUILT: dict[tuple[Any, ...], Kernel] = {}


def build(step: Step) -> Kernel:
    """Build the kernels of a cell, or return those built before. Numba compiles them at their first call.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> print(build(parse("h = tanh(W @ x + U @ h + b)", ("h",), "h")))  # doctest: +ELLIPSIS
        kernel ...
    """
    known = (step.equations, step.state, step.output, tuple(sorted(step.sizes.items())))
    if known not in _BUILT:
        plan = schedule(step)
        loop = forward_loop(step, plan)
        reverse = derive(step, loop)
        _refuse_unknown_sizes(loop)
        forward = lay_out_forward(loop, reverse)
        backward = lay_out_backward(reverse, forward)
        source = emit(step, forward, backward)
        key = hashlib.sha256(source.encode() + _surroundings()).hexdigest()
        path = _written(source, key)
        module = _module(path, key)
        _BUILT[known] = Kernel(step, plan, forward, backward, source, key, path, module.forward, module.backward)
    return _BUILT[known]


def _refuse_unknown_sizes(loop: Loop) -> None:
    used = {slot for leaf in loop.results for slot in (loop.results[leaf],)} | set(loop.leaves)
    assert all(loop.sizes[slot] or loop.sizes[slot] == SCALAR for slot in used), "a slot has no size"
