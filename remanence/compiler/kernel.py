"""Build a cell's kernels, keep them on disk by content, and say what they do.

    Step → schedule → forward loop → derive → layouts → source → a file named by its hash → Numba

The hash covers the source, the compiler's own run-time files, the versions of Numba and llvmlite, the vector unit
and the processor. A file is written beside its place and renamed, and never written again, so two processes may
build at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
from numba.core import config

from remanence.compiler import cache, pointwise, tile, vector
from remanence.compiler.derive import Loop, derive, forward_loop
from remanence.compiler.emit_cpu import Run, emit, packed_runs, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.layout import Layout, lay_out_backward, lay_out_forward
from remanence.compiler.schedule import Schedule, schedule

__all__ = ["Kernel", "Tiles", "build", "launcher", "most_threads", "tiles"]

# One pool with PyTorch: with Numba's own the two fight for the cores. Asked for before any kernel runs.
if "NUMBA_THREADING_LAYER" not in os.environ:
    config.THREADING_LAYER = "omp"  # pyright: ignore[reportAttributeAccessIssue] (made when numba is imported)


@dataclass(frozen=True, eq=False)
class Kernel:
    """The compiled loops of a cell. `print(kernel)` says what they do; `source()` is what Numba compiles.

    Args:
        step: the equations.
        plan: what is hoisted.
        forward, backward: the plans of both loops.
        runs: their products, by whether backward.
    """

    step: Step
    plan: Schedule
    forward: Layout
    backward: Layout
    runs: Mapping[bool, list[Run]] = field(repr=False)
    addresses: dict[tuple[str, bool], int] = field(default_factory=dict, repr=False)

    def source(self, dtype: str = "float32", backward: bool = False) -> str:
        """The generated module of one direction in one dtype."""
        return emit(self.step, self.forward, self.backward, dtype, backward)

    def key(self, dtype: str = "float32", backward: bool = False) -> str:
        """Its name in the cache."""
        return _key(self.source(dtype, backward))

    def address(self, dtype: str, backward: bool) -> int:
        """Where its machine code is in memory; compiled, or read from the cache, at the first call."""
        known = self.addresses.get((dtype, backward))
        if known is None:
            word = "backward" if backward else "forward"
            source = self.source(dtype, backward)
            path = cache.written(source, _key(source), word)
            known = self.addresses[dtype, backward] = getattr(cache.loaded(path), word).address
        return known

    def lanes(self, array: str, padded: Mapping[str, int], backward: bool = False) -> int:
        """Width of an array of lanes."""
        layout = self.backward if backward else self.forward
        return sum(padded[size] for size in layout.lanes.get(array, []))

    def packed(self, true: Mapping[str, int], padded: Mapping[str, int], backward: bool) -> int:
        """Elements of the packed matrices."""
        runs = self.runs[backward]
        return sum(run.elements(dict(true), dict(padded), backward) for run in runs)

    def flops(self, sizes: Mapping[str, int]) -> int:
        """Multiplications and additions of the matrix products inside one forward step of one row."""
        runs = self.runs[False]
        return sum(2 * sizes[block] * sizes[run.other] for run in runs for block in run.blocks)

    def __str__(self) -> str:
        saved = [name for name, slot in self.plan.quantities.items() if slot in self.forward.saved]
        unnamed = len(self.forward.saved) - len({self.plan.quantities[name] for name in saved})
        products = [f"{' '.join(run.matrices)} (level {run.level})" for run in self.runs[False]]
        back = [f"{' '.join(run.matrices)} transposed" for run in self.runs[True]]
        width = {array: len(lanes) for array, lanes in self.forward.lanes.items()}
        return "\n".join(
            [
                f"kernel {self.key()[:12]} on {vector.MACHINE.name}, {len(sizes_of(self.step))} sizes at run time",
                f"  before the loop   {len(self.plan.stages[1])} instructions give {len(self.plan.sliced)} values",
                f"  in the loop       {len(self.forward.loop.instructions)} instructions",
                f"  products          {'; '.join(products) or 'none'}",
                f"  backward          {'; '.join(back) or 'none'}; weights in one product after the loop",
                f"  saved             {', '.join(saved) or 'the states alone'}"
                + (f" and {unnamed} more" * bool(unnamed)),
                f"  lanes a step      {', '.join(f'{name} {count}' for name, count in width.items())}",
                f"  kept in           {cache.cache_folder()}",
            ]
        )


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """What shapes a kernel besides its source."""
    parts = [Path(str(module.__file__)).read_bytes() for module in (pointwise, tile, vector)]
    parts += [numba.__version__.encode(), llvmlite.__version__.encode(), repr(vector.MACHINE).encode()]
    features = llvmlite.binding.get_host_cpu_features().flatten()
    return b"\0".join([*parts, llvmlite.binding.get_host_cpu_name().encode(), features.encode()])


def _key(source: str) -> str:
    return hashlib.sha256(source.encode() + _surroundings()).hexdigest()


@dataclass(frozen=True, eq=False)
class Tiles:
    """What all kernels of a dtype share: the addresses of `accumulate` and `pack` as C functions (see `tile.TILES`)."""

    multiply: int
    pack: int


@lru_cache(maxsize=2)
def tiles(dtype: str) -> Tiles:
    """The compiled tiles of a dtype ("float32", "float64")."""
    source = tile.TILES.format(dtype=dtype)
    module = cache.loaded(cache.written(source, _key(source), "tiles"))
    return Tiles(module.tiles.address, module.pack_panels.address)


@lru_cache(maxsize=1)
def launcher() -> Any:
    """`launch(address, numbers, arrays, parts)`: a kernel over all threads of the pool.

    Raises:
        ValueError: the threading layer is missing on this machine.
    """
    launch = cache.loaded(cache.written(tile.LAUNCH, _key(tile.LAUNCH), "launch")).launch
    launch(0, 0, 0, 0)
    return launch


@lru_cache(maxsize=1)
def most_threads() -> int:
    """Threads that may share a kernel: 1 where the layer that shares PyTorch's pool is missing."""
    try:
        launcher()
    except ValueError:
        return 1
    return config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue] (made when numba is imported)


_BUILT: dict[tuple[Any, ...], Kernel] = {}


def build(step: Step) -> Kernel:
    """Plan the kernels of a cell, or return those planned before. Each is compiled at its first use.

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
        runs = {False: packed_runs(forward), True: packed_runs(backward)}
        _BUILT[known] = Kernel(step, plan, forward, backward, runs)
    return _BUILT[known]


def _refuse_unknown_sizes(loop: Loop) -> None:
    used = set(loop.results.values()) | set(loop.leaves)
    assert all(loop.sizes[slot] or loop.sizes[slot] == SCALAR for slot in used), "a slot has no size"
