"""Build a cell's kernels, keep them on disk by content, and say what they do.

    Step → schedule → forward loop → derive → layouts → source → a file named by its hash → LLVM → an object file

The hash covers the source, the compiler's own files, the version of llvmlite, the vector unit and the
processor. A file is written beside its place and renamed, and never written again, so two processes may
build at once.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding

from remanence.compiler import cache
from remanence.compiler.derive import derive, forward_loop
from remanence.compiler.emit_cpu import emit, sizes_of
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.lay_out import lay_out_backward, lay_out_forward
from remanence.compiler.layout import Home, Layout
from remanence.compiler.machine import MACHINE
from remanence.compiler.object_code import addresses
from remanence.compiler.runs import Runs, runs_of
from remanence.compiler.schedule import Schedule, schedule
from remanence.compiler.shared import FOR_ALL
from remanence.compiler.shared import TILES as TILES_SOURCE

__all__ = ["Kernel", "Tiles", "build", "functions_of", "shared_by_all", "tiles"]


_WORDS = {False: "forward", True: "backward"}


@dataclass(frozen=True, eq=False)
class Kernel:
    """The compiled loops of a cell. `print(kernel)` says what they do; `source()` is what is compiled.

    Args:
        step: the equations.
        plan: what depends on what.
        forward, backward: the plans of both loops; without a backward loop nothing is saved for one.
        runs: their products, by whether backward.
        kept: quantities that are kept because someone wants to see them.
    """

    step: Step
    plan: Schedule
    forward: Layout
    backward: Layout | None
    runs: Mapping[bool, Runs] = field(repr=False)
    kept: tuple[str, ...] = ()
    addresses: dict[tuple[str, bool], int] = field(default_factory=dict, repr=False)

    def source(self, dtype: str = "float32", backward: bool = False) -> str:
        """The generated module of one direction in one dtype."""
        layout = self.backward if backward else self.forward
        assert layout is not None, "this kernel has no backward loop"
        return emit(self.step, self.runs[backward], self.forward, layout, dtype)

    def key(self, dtype: str = "float32", backward: bool = False) -> str:
        """Its name in the cache."""
        return _key(self.source(dtype, backward))

    def address(self, dtype: str, backward: bool) -> int:
        """Where its machine code is in memory; compiled, or read from the cache, at the first call."""
        known = self.addresses.get((dtype, backward))
        if known is None:
            known = self._loaded(self.source(dtype, backward), dtype, backward)
        return known

    def _loaded(self, source: str, dtype: str, backward: bool) -> int:
        word = _WORDS[backward]
        address = self.addresses[dtype, backward] = functions_of(source, word, (word,))[word]
        return address

    def compile(self, dtype: str) -> None:
        """Compile all that it runs."""
        tiles(dtype)
        shared_by_all()
        for backward in (False, True) if self.backward else (False,):
            self._loaded(self.source(dtype, backward), dtype, backward)

    def lanes(self, array: str, padded: Mapping[str, int], backward: bool = False) -> int:
        """Width of an array of lanes."""
        layout = self.backward if backward else self.forward
        return sum(padded[size] for size in layout.lanes.get(array, [])) if layout else 0

    def flops(self, sizes: Mapping[str, int]) -> int:
        """Multiplications and additions of the matrix products of one forward step of one row."""
        return sum(2 * sizes[block] * sizes[run.other] for run in self.runs[False].packed for block in run.blocks)

    def bytes(self, sizes: Mapping[str, int], itemsize: int = 4) -> dict[str, int]:
        """What one forward step of one row reads and writes outside the core, and the weights, which a call reads once.

        Args:
            sizes: by name.
            itemsize: bytes of a number.
        """
        known = {**sizes, SCALAR: 1}
        return {
            name: itemsize * sum(math.prod(known[axis] for axis in part) for part in parts)
            for name, parts in self._moved().items()
        }

    def _moved(self) -> dict[str, list[tuple[str, ...]]]:
        """What is moved, by its axes: parameters, what a step reads of outside, the states and what is saved."""
        return {
            "weights": [parameter.axes for parameter in self.step.parameters],
            "read": [("input",), *((size,) for size in self.step.given.values())],
            "states": [(self.step.sizes[name],) for name in self.step.state],
            "saved": [(size,) for size in self.forward.lanes.get("s", [])] if self.keeping else [],
        }

    @property
    def keeping(self) -> bool:
        """Whether every step's values are kept, for backward or to be looked at."""
        return self.backward is not None or bool(self.kept)

    def forward_home(self, name: str) -> Home | None:
        """Where the forward loop leaves a quantity; None where it does not, for every step has the same."""
        slot, layout = self.plan.quantities[name], self.forward
        return layout.copies.get(slot, layout.homes.get(slot))

    def __str__(self) -> str:
        saved = [name for name, slot in self.plan.quantities.items() if slot in self.forward.saved]
        unnamed = len(self.forward.saved) - len({self.plan.quantities[name] for name in saved})
        ahead = [" ".join(run.matrices) for run in self.runs[False].ahead]
        products = [f"{' '.join(run.matrices)} (level {run.level})" for run in self.runs[False].inside]
        back = [f"{' '.join(run.matrices)} transposed" for run in self.runs[True].packed] if self.backward else []
        work = [f"2 · {block} · {run.other}" for run in self.runs[False].packed for block in run.blocks]
        moved = [f"{name} {_added(parts)}" for name, parts in self._moved().items() if parts]
        width = {array: len(lanes) for array, lanes in self.forward.lanes.items()}
        return "\n".join(
            [
                f"kernel {self.key()[:12]} on {MACHINE.name}, {len(sizes_of(self.step))} sizes at run time",
                f"  for many steps    {'; '.join(ahead) or 'nothing'}",
                f"  in the loop       {len(self.forward.loop.instructions)} instructions",
                f"  products          {'; '.join(products) or 'none'}",
                f"  backward          {'; '.join(back) or 'none'}",
                f"  saved             {', '.join(saved) or 'the states alone'}"
                + (f" and {unnamed} more" * bool(unnamed)),
                f"  FLOPs a step      {_counted(work)}",
                f"  numbers moved     {'; '.join(moved)} (4 or 8 bytes each)",
                f"  lanes a step      {', '.join(f'{name} {count}' for name, count in width.items())}",
                f"  kept in           {cache.cache_folder()}",
            ]
        )


def _added(parts: list[tuple[str, ...]]) -> str:
    """How many numbers, as a formula.

    Example:
        >>> _added([("hidden", "input"), ("hidden",), ("hidden", "input")])
        '2 · hidden · input + hidden'
    """
    return _counted([" · ".join(axes) for axes in parts])


def _counted(terms: list[str]) -> str:
    shown = [str(n) if term == SCALAR else f"{n} · {term}" if n > 1 else term for term, n in Counter(terms).items()]
    return " + ".join(shown) or "0"


@lru_cache(maxsize=1)
def _surroundings() -> bytes:
    """What shapes a kernel besides its source."""
    # All of the compiler: what is written into kernels comes from many of its files.
    parts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    parts += [version("llvmlite").encode(), repr(MACHINE).encode()]
    features = llvmlite.binding.get_host_cpu_features().flatten()
    return b"\0".join([*parts, llvmlite.binding.get_host_cpu_name().encode(), features.encode()])


def _key(source: str) -> str:
    return hashlib.sha256(source.encode() + _surroundings()).hexdigest()


def functions_of(source: str, kind: str, names: tuple[str, ...]) -> dict[str, int]:
    """Where the functions of a source are in memory; compiled, or read from the cache."""
    path = _written(source, kind)

    def make() -> bytes:
        from remanence.compiler.compiling import object_file

        return object_file(cache.loaded(path), path.stem)

    return addresses(cache.product(path, make), path.stem, names)


def _written(source: str, kind: str) -> Path:
    return cache.written(source, _key(source), kind)


TILES = ("spread", "gather", "sums", "fill", "pack", "collect")


@dataclass(frozen=True, eq=False)
class Tiles:
    """What all kernels of a dtype share: addresses of C functions (see `shared.TILES`)."""

    spread: int
    gather: int
    sums: int
    fill: int
    pack: int
    collect: int


@lru_cache(maxsize=2)
def tiles(dtype: str) -> Tiles:
    """The compiled tiles of a dtype ("float32", "float64")."""
    return Tiles(**functions_of(_tiles_source(dtype), "tiles", TILES))


def _tiles_source(dtype: str) -> str:
    return TILES_SOURCE.format(dtype=dtype.upper(), width=MACHINE.width(4 if dtype == "float32" else 8))


@lru_cache(maxsize=1)
def shared_by_all() -> dict[str, int]:
    """Addresses of what kernels of all dtypes share (see `shared.FOR_ALL`)."""
    return functions_of(FOR_ALL, "calls", ("launch", "perform", "deal", "enter", "leave"))


_BUILT: dict[tuple[Any, ...], Kernel] = {}


def build(step: Step, kept: tuple[str, ...] = (), *, train: bool = True) -> Kernel:
    """Plan the kernels of a cell, or return those planned before. Each is compiled at its first use.

    Args:
        step: the equations.
        kept: quantities that someone wants to see.
        train: whether there will be a backward pass; without one nothing is saved for it.

    Example:
        >>> from remanence.compiler.parse import parse
        >>> print(build(parse("h = tanh(W @ x + U @ h + b)", ("h",), "h")))  # doctest: +ELLIPSIS
        kernel ...
    """
    sizes = tuple(sorted({**step.sizes, **step.given}.items()))
    known = (step.equations, step.state, step.output, step.clip, sizes, tuple(sorted(kept)), train)
    if known not in _BUILT:
        _BUILT[known] = _built(step, tuple(sorted(kept)), train)
    return _BUILT[known]


def _built(step: Step, kept: tuple[str, ...], train: bool) -> Kernel:
    plan = schedule(step)
    loop = forward_loop(step, plan, kept)
    reverse = derive(step, loop) if train else None
    forward = lay_out_forward(loop, reverse, step.output, [plan.quantities[name] for name in kept])
    runs = {False: runs_of(forward, forward)}
    if reverse is None:
        return Kernel(step, plan, forward, None, runs, kept)
    backward = lay_out_backward(reverse, forward)
    return Kernel(step, plan, forward, backward, {**runs, True: runs_of(backward, forward)}, kept)
