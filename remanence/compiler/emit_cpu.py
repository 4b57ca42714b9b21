"""IR → Numba: one time loop forward and one backward, written as source that can be read. No torch here.

    Layout → for each level: products by tiles, then a loop over units of each size → `forward`, `backward`

A kernel is a C function of (part, numbers, arrays): the whole time loop over the rows of one thread, called by its
address. Each thread owns its rows of the batch, so no step waits for another thread. One dtype is one module, and so
is each direction: what is never used is never compiled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from remanence.compiler.derive import Back, Loop, reads, writes
from remanence.compiler.ir import SCALAR, Step, render
from remanence.compiler.layout import SUMS, Home, Layout
from remanence.compiler.schedule import Compute, Multiply
from remanence.compiler.vector import MACHINE

__all__ = ["Run", "arrays_of", "emit", "matrices", "packed_runs", "sizes_of", "whole_numbers"]

_FUNCTIONS = {"abs": "absolute", "max": "maximum", "min": "minimum"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_HEAD = '''"""Written by remanence from these equations; the cache key covers them and the compiler.

{equations}
"""

from numba import cfunc, types

from remanence.compiler.pointwise import absolute, exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh
from remanence.compiler.tile import multiply
from remanence.compiler.vector import add_at, lane_sum, lanes_below, load, splat, store, where_positive

NUMBERS, ARRAYS = types.CPointer(types.int64), types.CPointer(types.CPointer(types.{dtype}))
one = {one}


@cfunc(types.void(types.int64, NUMBERS, ARRAYS), cache=True, error_model="numpy")
'''


@dataclass(frozen=True)
class Run:
    """Matrices packed side by side: their product is one call of the tile.

    Args:
        matrices: names, in order; blocks of columns forward, of the inner dimension backward.
        blocks: size name of each block.
        other: size name of the operand forward, of the result backward.
        operand, result: where they live.
        fresh: set the result, or add to it.
        level: of the result.
    """

    matrices: tuple[str, ...]
    blocks: tuple[str, ...]
    other: str
    operand: Home
    result: Home
    fresh: bool
    level: int

    def elements(self, true: dict[str, int], padded: dict[str, int], backward: bool) -> int:
        """Elements of the packed panels."""
        return sum(padded[b] for b in self.blocks) * (padded if backward else true)[self.other]


def packed_runs(layout: Layout) -> list[Run]:
    """Group the products of a loop into calls of the tile."""
    added = {product for _, product in layout.merged.values()}
    runs: list[Run] = []
    for instruction in layout.loop.instructions:
        if isinstance(instruction, Compute):
            continue
        forward = isinstance(instruction, Multiply)
        slots = writes(instruction) if forward else reads(instruction)
        sizes = layout.loop.sizes
        start = 0
        for end in range(1, len(slots) + 1):
            if end < len(slots) and _adjacent(layout, slots[end - 1], slots[end], added if forward else set()):
                continue
            part = slots[start:end]
            first = layout.homes[part[0]]
            if forward:
                operand, result, fresh = layout.homes[reads(instruction)[0]], first, part[0] not in added
                other, level = sizes[reads(instruction)[0]], layout.level(part[0])
            else:
                out = writes(instruction)[0]
                operand, result, fresh = first, layout.homes[out], out not in added and start == 0
                other, level = sizes[out], layout.level(out)
            blocks = tuple(sizes[slot] for slot in part)
            runs.append(Run(instruction.matrices[start:end], blocks, other, operand, result, fresh, level))
            start = end
    return runs


def _adjacent(layout: Layout, left: int, right: int, added: set[int]) -> bool:
    one, two = layout.homes[left], layout.homes[right]
    behind = one.array == two.array and one.step == two.step and two.before == (*one.before, layout.loop.sizes[left])
    return behind and (left in added) == (right in added)


def _lanes(sizes: tuple[str, ...] | list[str]) -> str:
    """The width of lanes side by side, as source."""
    counted = Counter("one" if size == SCALAR else size for size in sizes)
    return " + ".join(f"{count} * {size}" if count > 1 else size for size, count in counted.items()) or "0"


class _Rows:
    """Writes the time loop that one thread runs over its rows."""

    def __init__(self, step: Step, layout: Layout, arrays: dict[str, str], backward: bool) -> None:
        self.step, self.layout, self.loop, self.backward = step, layout, layout.loop, backward
        self.arrays = arrays
        self.lines: list[str] = []
        self.scalars: set[int] = set()
        self.masked = {s for i in self.loop.instructions if isinstance(i, Back) for s in i.operands}

    def stride(self, array: str) -> str:
        return f"({self.arrays[array]})"

    def base(self, home: Home, row: str) -> str:
        """Where the row of an array begins at this step."""
        array = home.array
        step = f"(t + {home.step})" if home.step else "t"
        if array in ("g", "d", "e"):
            return f"(t * batch + {row}) * {self.stride(array)}"
        if array == "s":
            return f"(t * s_step + {row}) * {self.stride(array)}"
        if array.startswith("x_"):
            return f"({step} * batch + {row}) * {self.stride(array)}"
        if array.startswith("y_"):
            return f"(({step} & 1) * batch + {row}) * {self.stride(array)}"
        return {"k": f"{row} * {self.stride('k')}", "v": "0", "a": f"part * {self.stride('v')}"}[array]

    def name(self, home: Home) -> str:
        return f"at_{home.array}{home.step or ''}"

    def at(self, home: Home) -> str:
        return f"{self.name(home)} + {_lanes(home.before)}" if home.before else self.name(home)

    def product(self, run: Run, number: int) -> None:
        columns = run.other if self.backward else _lanes(run.blocks)
        depth = _lanes(run.blocks) if self.backward else f"n_{run.other}"
        c, a = (f"{self.base(h, 'first')} + {_lanes(h.before)}" for h in (run.result, run.operand))
        self.lines += [
            f"        multiply(tiles, {run.result.array}, {c}, {self.stride(run.result.array)},",
            f"                   {run.operand.array}, {a}, {self.stride(run.operand.array)},",
            f"                   rows, w, w{number}, {depth}, {columns}, {run.fresh})",
        ]

    def write(self, runs: list[Run]) -> list[str]:
        """The body of the time loop."""
        last = max([self.layout.level(s) for s in self.layout.origin if s >= 0] + [0])
        levels: list[int] = []
        for level in range(last + 1):
            products = [(n, run) for n, run in enumerate(runs) if run.level == level]
            if products and levels:
                self.segment(levels)
                levels = []
            for number, run in products:
                self.product(run, number)
            levels.append(level)
        self.segment(levels)
        return self.lines

    def segment(self, levels: list[int]) -> None:
        """One loop over rows: the levels that no product parts."""
        self.scalars = set()
        inner: list[str] = []
        for level in levels:
            inner += self.single_numbers(level)
            for size in sorted({s for s in self.loop.sizes if s and s != SCALAR}):
                inner += self.units(level, size)
        if not inner:
            return
        homes = {*self.layout.homes.values(), *(home for _, home, _ in self.layout.extra)}
        text = "\n".join(inner)
        used = sorted({(self.name(h), self.base(h, "r")) for h in homes if f"{self.name(h)} " in text + " "
                       or f"{self.name(h)}," in text})  # fmt: skip
        self.lines.append("        for r in range(first, first + rows):")
        self.lines += [f"            {name} = {base}" for name, base in used]
        self.lines += inner

    def single_numbers(self, level: int) -> list[str]:
        """Values of size 1 at a level, each in every lane of a register."""
        lines: list[str] = []
        for instruction in self.loop.instructions:
            if not isinstance(instruction, Compute) or self.loop.sizes[instruction.out] != SCALAR:
                continue
            slot = instruction.out
            if self.layout.level(slot) != level:
                continue
            if instruction.op not in SUMS and (slot in self.layout.stored or slot not in self.layout.homes):
                self.value(slot, (level, SCALAR), {}, lines, lines)
                if slot in self.layout.stored:
                    lines.append(self.store(self.layout.homes[slot], "0", f"v{slot}"))
        for slot, home, size in self.layout.extra:
            if size == SCALAR and self.layout.level(slot) == level:
                lines.append(self.store(home, "0", self.value(slot, (level, SCALAR), {}, lines, lines)))
        return [f"            {line}" for line in lines]

    def units(self, level: int, size: str) -> list[str]:
        """One loop over units: everything of this level and size that someone needs."""
        here = (level, size)
        targets = [s for s in self.layout.stored if self._computed(s) == here]
        sums = [i for i in self.loop.instructions if isinstance(i, Compute) and i.op in SUMS
                and self.layout.level(i.out) - 1 == level and self.loop.sizes[i.operands[0]] == size]  # fmt: skip
        extra = [(s, h) for s, h, z in self.layout.extra if z == size and self.layout.level(s) == level]
        if not targets and not sums and not extra:
            return []
        known: dict[int, str] = {}
        body: list[str] = []
        before: list[str] = []
        ends: list[str] = []
        for slot in sorted(targets):
            value = self.value(slot, here, known, body, before)
            kept = f"lanes_below({value}, n_{size} - j)" if slot in self.masked else value
            ends.append(self.store(self.layout.homes[slot], "j", kept))
        for slot, home in extra:
            value = self.value(slot, here, known, body, before)
            kept = f"lanes_below({value}, n_{size} - j)" if slot in self.masked else value
            ends.append(self.store(home, "j", kept))
        after: list[str] = []
        for instruction in sums:
            value = self.value(instruction.operands[0], here, known, body, before)
            term = f"{value} * {value}" if instruction.op == "norm" else value
            before.append(f"sum{instruction.out} = splat(w, 0.0)")
            ends.append(f"sum{instruction.out} = sum{instruction.out} + lanes_below({term}, n_{size} - j)")
            whole = f"splat(w, lane_sum(sum{instruction.out}))"
            final = {"norm": f"sqrt({whole})", "mean": f"{whole} / n_{size}", "sum": whole}[instruction.op]
            after.append(f"v{instruction.out} = {final}")
            if instruction.out in self.layout.stored:
                after.append(self.store(self.layout.homes[instruction.out], "0", f"v{instruction.out}"))
            self.scalars.add(instruction.out)
        lines = [f"            {line}" for line in before]
        lines.append(f"            for j in range(0, {size}, one):")
        lines += [f"                {line}" for line in (*body, *ends)]
        return lines + [f"            {line}" for line in after]

    def _computed(self, slot: int) -> tuple[int, str] | None:
        """The loop over units that computes a slot; None for what no such loop computes."""
        instruction = self.layout.origin.get(slot)
        if not isinstance(instruction, Compute) or slot in self.layout.merged or self.loop.sizes[slot] == SCALAR:
            return None
        return self.layout.level(slot), self.loop.sizes[slot]

    def store(self, home: Home, j: str, value: str) -> str:
        call = "add_at" if home.array == "a" else "store"
        return f"{call}({home.array}, {self.at(home)} + {j}, {value})"

    def value(self, slot: int, here: tuple[int, str], known: dict[int, str], body: list[str], before: list[str]) -> str:
        """Source of a slot's value in a loop; lines that it needs go to `body`, for single numbers to `before`."""
        if slot in self.loop.numbers:
            return f"splat(w, {self.loop.numbers[slot]!r})"
        if slot in known:
            return known[slot]
        single = self.loop.sizes[slot] == SCALAR
        if single and slot in self.scalars:
            return f"v{slot}"
        lines = before if single else body
        home, instruction = self.layout.homes.get(slot), self.layout.origin.get(slot)
        mine = self._computed(slot) == here or (single and self.layout.level(slot) == here[0])
        fresh = slot not in self.layout.stored or not mine
        if home and (fresh or slot in self.layout.merged or not isinstance(instruction, Compute)):
            text = f"load({home.array}, {self.at(home)} + {'0' if single else 'j'})"
        else:
            assert isinstance(instruction, Compute), f"slot {slot} is nowhere"
            operands = [self._operand(o, instruction.op, here, known, body, before) for o in instruction.operands]
            text = self._operation(instruction, operands)
        lines.append(f"v{slot} = {text}")
        if single:
            self.scalars.add(slot)
        else:
            known[slot] = f"v{slot}"
        return f"v{slot}"

    def _operand(self, slot: int, op: str, here: tuple[int, str], known: dict, body: list, before: list) -> str:
        if op in _SIGNS and slot in self.loop.numbers:
            return f"({self.loop.numbers[slot]!r})"
        return self.value(slot, here, known, body, before)

    def _operation(self, instruction: Compute, operands: list[str]) -> str:
        op = instruction.op
        if op in _SIGNS:
            if all(operand.startswith("(") for operand in operands):
                operands = [f"splat(w, {operands[0]})", operands[1]]
            return f"{operands[0]} {_SIGNS[op]} {operands[1]}"
        if op == "neg":
            return f"-{operands[0]}"
        if op == "share":
            return f"{operands[0]} / n_{self.loop.sizes[instruction.operands[1]]}"
        if op == "where":
            return f"where_positive({', '.join(operands)})"
        return f"{_FUNCTIONS.get(op, op)}({', '.join(operands)})"


def matrices(loop: Loop) -> tuple[str, ...]:
    """Matrices that multiply inside a loop, in order of first use."""
    return tuple(dict.fromkeys(m for i in loop.instructions if not isinstance(i, Compute) for m in i.matrices))


def sizes_of(step: Step) -> tuple[str, ...]:
    """Names of the sizes that a kernel takes as arguments."""
    return tuple(dict.fromkeys((*step.size_names, *(s for s in step.sizes.values() if s != SCALAR))))


def whole_numbers(step: Step) -> list[str]:
    """Names of a kernel's first integers, in order; behind them stand `bounds`, then `counts`."""
    return ["tiles", "time", "batch", "s_step", "parts", *(f"n_{size}" for size in sizes_of(step))]


def arrays_of(step: Step, backward: bool) -> list[str]:
    """Names of a kernel's arrays, in order."""
    names = ["g", "s", "k", "v", "w", *(f"x_{name}" for name in step.state)]
    return names + ["d", "e", "a", *(f"y_{name}" for name in step.state)] * backward


def _places(runs: list[Run], backward: bool) -> list[str]:
    lines, at = [], "0"
    for number, run in enumerate(runs):
        lines.append(f"    w{number} = {at}")
        columns = run.other if backward else _lanes(run.blocks)
        depth = _lanes(run.blocks) if backward else f"n_{run.other}"
        at = f"w{number} + ({columns}) * ({depth})"
    return lines


def emit(step: Step, forward: Layout, backward: Layout, dtype: str, reverse: bool) -> str:
    """Write the module of one kernel.

    Args:
        step, forward, backward: the equations and the plans of both loops.
        dtype: "float32" or "float64".
        reverse: write the backward kernel.
    """
    layout = backward if reverse else forward
    arrays = {name: _lanes(forward.lanes.get(name, [])) for name in "gsv"} | {"k": _lanes(layout.lanes.get("k", []))}
    arrays |= {"d": _lanes(layout.lanes.get("d", [])), "e": step.sizes[step.output]}
    for name in step.state:
        arrays |= {f"x_{name}": step.sizes[name], f"y_{name}": step.sizes[name]}
    runs = packed_runs(layout)
    numbers = whole_numbers(step)
    one = MACHINE.bytes // (4 if dtype == "float32" else 8)
    # Rendered from the verified nodes: the text a cell was read from may hold comments, and so anything.
    text = _HEAD.format(
        equations="\n".join(f"    {e.name} = {render(e.value)}" for e in step.equations), dtype=dtype, one=one
    )
    lines = [
        f"def {'backward' if reverse else 'forward'}(part, numbers, arrays):",
        *(f"    {name} = numbers[{place}]" for place, name in enumerate(numbers)),
        *(f"    {name} = arrays[{place}]" for place, name in enumerate(arrays_of(step, reverse))),
        *(f"    {size} = (n_{size} + one - 1) // one * one" for size in sizes_of(step)),
        *_places(runs, reverse),
        f"    first = numbers[{len(numbers)} + part]",
        f"    for t in {'range(time - 1, -1, -1)' if reverse else 'range(time)'}:",
        f"        rows = numbers[{len(numbers) + 1} + parts + t * parts + part]",
        "        if rows == 0:",
        "            continue",
        *_Rows(step, layout, arrays, reverse).write(runs),
    ]
    return text + "\n".join(lines) + "\n"
