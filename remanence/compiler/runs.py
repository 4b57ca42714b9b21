"""Which matrices lie side by side, so that their products are one call of the tile. No torch here.

ahead      products with x, for the rows of a few steps at once
inside     products of each step, forward or backward
behind     backward: adjoints of x, for the rows of a few steps
matrices   backward: gradients of matrices, likewise
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from remanence.compiler.derive import reads, writes
from remanence.compiler.ir import SCALAR
from remanence.compiler.layout import Home, Layout
from remanence.compiler.schedule import Compute, Multiply

__all__ = ["Run", "Runs", "lanes", "runs_of"]


def lanes(sizes: Iterable[str]) -> str:
    """The width of lanes side by side, as source.

    Example:
        >>> lanes(["hidden", "hidden", "1"])
        '2 * hidden + one'
    """
    counted = Counter("one" if size == SCALAR else size for size in sizes)
    return " + ".join(f"{count} * {size}" if count > 1 else size for size, count in counted.items()) or "0"


@dataclass(frozen=True)
class Run:
    """Matrices side by side: their product is one call of the tile.

    Args:
        matrices: names, in order; blocks of columns forward and of gradients, of the inner dimension backward.
        blocks: size name of each block.
        other: size name of the operand forward and of gradients, of the result backward.
        operand, result: where they live; of a gradient, the two operands.
        mode: ADD to the result, set it (FRESH), or START from parameters.
        level: of the result, inside the loop.
        place: its number among the packed matrices, or among the gradients.
    """

    matrices: tuple[str, ...]
    blocks: tuple[str, ...]
    other: str
    operand: Home
    result: Home
    mode: str = "ADD"
    level: int = 0
    place: int = 0

    def elements(self, true: Mapping[str, int], padded: Mapping[str, int], backward: bool) -> int:
        """Elements of the packed panels, or of a gradient (as forward)."""
        return sum(padded[b] for b in self.blocks) * (padded if backward else true)[self.other]


@dataclass(frozen=True)
class Runs:
    """The products of one direction; `biases`: sizes of d's lanes, whose sums are the gradients of vectors."""

    ahead: list[Run] = field(default_factory=list)
    inside: list[Run] = field(default_factory=list)
    behind: list[Run] = field(default_factory=list)
    matrices: list[Run] = field(default_factory=list)
    biases: list[str] = field(default_factory=list)

    @property
    def packed(self) -> list[Run]:
        """Those that multiply packed matrices, in the order of their places."""
        return [*self.ahead, *self.inside, *self.behind]

    def places(self, letter: str, backward: bool) -> list[str]:
        """Source that names where each packed matrix (`w`) or gradient (`z`) begins."""
        lines, at = [], "0"
        for number, run in enumerate(self.packed if letter == "w" else self.matrices):
            lines.append(f"    {letter}{number} = {at}")
            inner = letter == "w" and backward
            columns, depth = lanes(run.blocks), run.other if inner else f"n_{run.other}"
            at = f"{letter}{number} + ({columns}) * ({depth})"
        return [*lines, f"    zb = {at}"] if letter == "z" and self.biases else lines

    def gradient_size(self, true: Mapping[str, int], padded: Mapping[str, int]) -> int:
        """Elements of all gradients of one thread."""
        whole = sum(run.elements(true, padded, False) for run in self.matrices)
        return whole + sum(padded[size] for size in self.biases)


def runs_of(layout: Layout, forward: Layout) -> Runs:
    """Find the products of a loop; `layout is forward` for the forward one."""
    runs = Runs()
    if layout is forward:
        _ahead(layout, runs)
    _inside(layout, runs)
    if layout is not forward:
        _behind(layout, runs)
        _gradients(layout, forward, runs)
        if any(hoist.biases for hoist in forward.loop.hoisted):
            runs.biases.extend(layout.lanes.get("d", []))
    return runs


def _ahead(layout: Layout, runs: Runs) -> None:
    """Products of each operand, in the order of g's lanes."""
    loop = layout.loop
    sized = {hoist: loop.sizes[hoist.out] for hoist in loop.hoisted}
    for operand in dict.fromkeys(hoist.operand for hoist in loop.hoisted):
        mine = [hoist for hoist in loop.hoisted if hoist.operand == operand]
        mine.sort(key=lambda hoist: len(layout.homes[hoist.out].before))
        homes = [layout.homes[hoist.out] for hoist in mine]
        for start, end in _groups(homes, [sized[hoist] for hoist in mine]):
            part = mine[start:end]
            runs.ahead.append(
                Run(
                    tuple(hoist.matrix for hoist in part),
                    tuple(sized[hoist] for hoist in part),
                    loop.sizes[operand],
                    _outside(layout, operand),
                    homes[start],
                    "START",
                    place=len(runs.packed),
                )
            )


def _outside(layout: Layout, operand: int) -> Home:
    """Where x, or what is given, is read by products."""
    return Home("x") if operand == 0 else layout.homes[operand]


def _inside(layout: Layout, runs: Runs) -> None:
    added = {product for _, product in layout.merged.values()}
    sizes = layout.loop.sizes
    for instruction in layout.loop.instructions:
        if isinstance(instruction, Compute):
            continue
        forward = isinstance(instruction, Multiply)
        slots = writes(instruction) if forward else reads(instruction)
        homes = [layout.homes_of_d.get(slot, layout.homes[slot]) for slot in slots]
        kinds = [slot in added if forward else False for slot in slots]
        for start, end in _groups(homes, [sizes[slot] for slot in slots], kinds):
            part = slots[start:end]
            if forward:
                operand, result, fresh = layout.homes[reads(instruction)[0]], homes[start], part[0] not in added
                other, level = sizes[reads(instruction)[0]], layout.level(part[0])
            else:
                out = writes(instruction)[0]
                operand, result, fresh = homes[start], layout.homes[out], out not in added and start == 0
                other, level = sizes[out], layout.level(out)
            blocks, mode = tuple(sizes[slot] for slot in part), "FRESH" if fresh else "ADD"
            names = instruction.matrices[start:end]
            runs.inside.append(Run(names, blocks, other, operand, result, mode, level, len(runs.packed)))


def _behind(layout: Layout, runs: Runs) -> None:
    """Adjoints of x and of what is given; added where a step has stored some already."""
    sizes = layout.loop.sizes
    direct = {leaf for leaf in layout.loop.results if leaf[0] in ("input", "given")}
    for back in layout.loop.after:
        pairs = sorted(
            zip(back.operands, back.matrices, strict=True), key=lambda p: len(layout.homes_of_d[p[0]].before)
        )
        homes = [layout.homes_of_d[adjoint] for adjoint, _ in pairs]
        fresh = layout.loop.leaves.get(back.out, ("input", "x")) not in direct
        for start, end in _groups(homes, [sizes[adjoint] for adjoint, _ in pairs]):
            part = pairs[start:end]
            blocks = tuple(sizes[adjoint] for adjoint, _ in part)
            mode = "FRESH" if fresh and start == 0 else "ADD"
            result = layout.homes_of_d[back.out]
            names = tuple(name for _, name in part)
            runs.behind.append(Run(names, blocks, sizes[back.out], homes[start], result, mode, place=len(runs.packed)))


def _gradients(layout: Layout, forward: Layout, runs: Runs) -> None:
    """A matrix's gradient is the product of its operand and the adjoint of its product."""
    found: dict[int, list[tuple[str, int]]] = {}
    for leaf, adjoint in layout.loop.results.items():
        if leaf[0] in ("product", "hoist"):
            found.setdefault(int(leaf[2]), []).append((str(leaf[1]), adjoint))  # type: ignore[misc]
    for operand, pairs in found.items():
        pairs.sort(key=lambda pair: len(layout.homes_of_d[pair[1]].before))
        homes = [layout.homes_of_d[adjoint] for _, adjoint in pairs]
        sizes = [layout.loop.sizes[adjoint] for _, adjoint in pairs]
        hoisted = operand in {hoist.operand for hoist in forward.loop.hoisted}
        place = _outside(forward, operand) if hoisted else forward.copies.get(operand, forward.homes.get(operand))
        assert place is not None, f"slot {operand} was not saved"
        for start, end in _groups(homes, sizes):
            names = tuple(name for name, _ in pairs[start:end])
            run = Run(names, tuple(sizes[start:end]), layout.loop.sizes[operand], place, homes[start])
            runs.matrices.append(
                Run(run.matrices, run.blocks, run.other, run.operand, run.result, place=len(runs.matrices))
            )


def _groups(homes: list[Home], sizes: list[str], kinds: list[bool] | None = None) -> list[tuple[int, int]]:
    """Where runs of homes that lie side by side (and are of one kind) begin and end."""
    groups, start = [], 0
    for end in range(1, len(homes) + 1):
        if end < len(homes):
            one, two = homes[end - 1], homes[end]
            behind = one.array == two.array and one.step == two.step and two.before == (*one.before, sizes[end - 1])
            if behind and (kinds is None or kinds[end - 1] == kinds[end]):
                continue
        groups.append((start, end))
        start = end
    return groups
