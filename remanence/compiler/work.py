"""What lies where: the work of a backward loop, which nobody reads behind it, and what a forward loop leaves for it."""

from __future__ import annotations

from remanence.compiler.call import Shape
from remanence.compiler.rows import Rows
from remanence.compiler.scratch import Scratch

__all__ = ["backward_work", "kept"]


def backward_work(shape: Shape, rows: Rows) -> Scratch:
    """The work of a backward loop; from `a` on it is to be zero, for that is added to."""
    sizes = {"w": shape.packing[True].size, "d": rows.parts * shape.at_once(rows, True) * shape.width("d", True)}
    sizes |= {"k": shape.batch * shape.width("k", True), "l": rows.parts * shape.width("l", True)}
    sizes |= {"a": rows.parts * shape.width("v"), "z": rows.parts * shape.gradient_size}
    sizes |= {f"y_{name}": 2 * shape.batch * shape.row(name) for name in shape.kernel.step.state}
    return Scratch.of(sizes, shape.dtype.itemsize)


def kept(shape: Shape) -> Scratch:
    """What a forward loop over the whole batch leaves for the backward one, besides the states that are the output."""
    step, sizes = shape.kernel.step, {}
    if shape.keeping:
        sizes |= {"s": shape.time * shape.batch * shape.width("s"), "v": shape.width("v")}
    others = [name for name in step.state if name not in (step.output, *shape.kernel.forward.passing)]
    sizes |= {f"x_{name}": (shape.time + 1) * shape.batch * shape.row(name) for name in others}
    return Scratch.of({name: size for name, size in sizes.items() if size}, shape.dtype.itemsize)
