"""IR → `staged` Python: one time loop forward and one backward, written as source that can be read. No torch here.

    Layout → products ahead of a few steps
           → for each step, for each level: products by tiles, then a loop over units of each size
           → products behind the steps: adjoints of the input, gradients of matrices

A kernel is a C function of (part, numbers, arrays): the whole time loop over the rows of one thread, called by its
address. Each thread owns its rows of the batch, so no step waits for another thread; it takes as many steps at once as
make `most` rows, few enough to stay in the cache. One dtype is one module, and so is each direction: what is never
used is never compiled.
"""

from __future__ import annotations

from remanence.compiler.derive import Back
from remanence.compiler.divided import divided
from remanence.compiler.ir import SCALAR, Step, render
from remanence.compiler.layout import SUMS, Home, Layout
from remanence.compiler.machine import MACHINE
from remanence.compiler.prefetch import fetched_ahead
from remanence.compiler.rows import HEAD, lists_source
from remanence.compiler.runs import Run, Runs, lanes
from remanence.compiler.schedule import Compute

__all__ = ["arrays_of", "emit", "sizes_of", "whole_numbers"]

_FUNCTIONS = {"abs": "absolute", "max": "maximum", "min": "minimum"}
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_MODULE = '''"""Written by remanence from these equations; the cache key covers them and the compiler.

{equations}
"""

from remanence.compiler.compiling import compiled
from remanence.compiler.linking import call, shifted
from remanence.compiler.pointwise import absolute, exp, fine_sigmoid, log, maximum, minimum, relu, sigmoid, softplus
from remanence.compiler.pointwise import sqrt, tanh
from remanence.compiler.tile import ADD, FRESH, START
from remanence.compiler.values import {dtype}, INT, Pointer
from remanence.compiler.vector import add_at, claim, fetch, lane_sum, lanes_below, load, splat, store, where_positive

one = {one}


@compiled(INT, Pointer.of(INT), Pointer.of(Pointer.of({dtype})))
'''


class _Rows:
    """Writes the time loop that one thread runs over its rows."""

    def __init__(self, step: Step, forward: Layout, layout: Layout) -> None:
        self.step, self.layout, self.loop, self.backward = step, layout, layout.loop, layout is not forward
        self.strides, self.saved = _strides(step, forward, layout), len(forward.lanes.get("s", []))
        self.parity = {f"y_{name}" for name in step.state} | {f"x_{name}" for name in layout.passing}
        self.lines: list[str] = []
        self.scalars: set[int] = set()
        self.inverses: set[int] = set()
        self.fine = divided(forward)
        self.masked = {
            s for i in (*self.loop.instructions, *self.loop.after) if isinstance(i, Back) for s in i.operands
        }

    def stride(self, array: str) -> str:
        return f"({self.strides[array]})"

    def base(self, home: Home) -> str:
        """Where row r of an array begins at this step."""
        array = home.array
        if array in self.parity:
            return f"(((t + {home.step}) & 1) * batch + ids[r]) * {self.stride(array)}"
        if array.startswith("x_"):
            return f"{'following' if home.step else 'starting'}[m + r] * {self.stride(array)}"
        index = {"g": "(m + r)", "d": "(m + r)", "s": "keeping[m + r]", "k": "ids[r]", "u": "places[m + r]"}
        index |= {"q": "places[m + r]", "v": "0", "a": "part", "l": "part"}
        return "arriving[m + r]" if array == "e" else f"{index[array]} * {self.stride(array)}"

    def rows(self, home: Home, offset: str) -> str:
        """The same rows as a place (pointer, list, stride): those of this step, or of all steps if `offset` is 0."""
        array, lane, stride = home.array, lanes(home.before), self.stride(home.array)
        if array == "x":
            return f"(x, shifted(reading, {offset}), 1)"
        if array == "e":
            return f"(e, shifted(arriving, {offset}), 1)"
        if array in self.parity:
            return f"(shifted({array}, ((t + {home.step}) & 1) * batch * {stride}), ids, {stride})"
        if array == "k":
            return f"(shifted(k, {lane}), ids, {stride})"
        named = {"g": "own", "d": "own", "s": "keeping", "u": "places", "q": "places"}
        which = ("following" if home.step else "starting") if array.startswith("x_") else named[array]
        return f"(shifted({array}, {lane}), shifted({which}, {offset}), {stride})"

    def name(self, home: Home) -> str:
        return f"at_{home.array}{home.step or ''}"

    def at(self, home: Home) -> str:
        return f"{self.name(home)} + {lanes(home.before)}" if home.before else self.name(home)

    def spread(self, run: Run, offset: str, rows: str) -> None:
        """A product of the rows of a step, or of all steps at once, with packed matrices."""
        columns = run.other if self.backward else lanes(run.blocks)
        depth = lanes(run.blocks) if self.backward else f"n_{run.other}"
        start = f"shifted(b, {lanes(run.result.before)})" if run.mode == "START" else "w"
        indent = "        " + "    " * (offset != "0")
        self.lines += [
            f"{indent}call(spread, ({self.rows(run.result, offset)},",
            f"{indent}              {self.rows(run.operand, offset)},",
            f"{indent}              shifted(w, w{run.place}), {start}, {rows}, {depth}, {columns}, {run.mode}))",
        ]

    def gather(self, run: Run) -> None:
        """The gradient of matrices from all rows of a few steps."""
        d = self.rows(run.result, "0")
        self.lines += [
            f"        call(gather, (shifted(z, part * z_size + z{run.place}), {lanes(run.blocks)},",
            f"                      {self.rows(run.operand, '0')}, {d}, count, n_{run.other}, {lanes(run.blocks)}))",
        ]

    def step_lines(self, runs: list[Run]) -> list[str]:
        """The body of the time loop."""
        last = max([self.layout.level(s) for s in self.layout.origin if s >= 0] + [0])
        levels: list[int] = []
        for level in range(last + 1):
            products = [run for run in runs if run.level == level]
            if products and levels:
                self.segment(levels)
                levels = []
            for run in products:
                self.spread(run, "m", "rows")
            levels.append(level)
        self.segment(levels)
        return self.taken()

    def taken(self) -> list[str]:
        """The lines written since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def segment(self, levels: list[int]) -> None:
        """One loop over rows: the levels that no product parts."""
        self.scalars, self.inverses = set(), set()
        inner: list[str] = []
        for level in levels:
            inner += self.single_numbers(level)
            for size in sorted({s for s in self.loop.sizes if s and s != SCALAR}):
                inner += self.units(level, size)
        if not inner:
            return
        inner = fetched_ahead(inner, self.saved, self.stride("s"))
        homes = {*self.layout.homes.values(), *(home for _, home, _ in self.layout.extra)}
        text = "\n".join(inner)
        used = sorted({(self.name(h), self.base(h)) for h in homes if f"{self.name(h)} " in text + " "
                       or f"{self.name(h)}," in text})  # fmt: skip
        self.lines.append("            for r in range(rows):")
        self.lines += [f"                {name} = {base}" for name, base in used]
        self.lines += [f"    {line}" for line in inner]

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
        lines = [*(f"            {line}" for line in before), f"            for j in range(0, {size}, one):"]
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
        # What a loop sums is known behind it alone.
        summed = isinstance(instruction, Compute) and instruction.op in SUMS
        mine = self._computed(slot) == here or (single and self.layout.level(slot) == here[0] and not summed)
        fresh = slot not in self.layout.stored or not mine
        if home and (fresh or slot in self.layout.merged or not isinstance(instruction, Compute)):
            text = f"load({home.array}, {self.at(home)} + {'0' if single else 'j'})"
        else:
            assert isinstance(instruction, Compute), f"slot {slot} is nowhere"
            operands = [self._operand(o, instruction.op, here, known, body, before) for o in instruction.operands]
            text = self._operation(instruction, operands)
            below = instruction.operands[-1]
            if instruction.op == "div" and not single and self.loop.sizes[below] == SCALAR:
                # One division for all units of a row.
                text = f"{operands[0]} * {self._inverse(below, operands[1], before)}"
        lines.append(f"v{slot} = {text}")
        if single:
            self.scalars.add(slot)
        else:
            known[slot] = f"v{slot}"
        return f"v{slot}"

    def _inverse(self, slot: int, value: str, before: list[str]) -> str:
        if slot not in self.inverses:
            self.inverses.add(slot)
            before.append(f"r{slot} = 1.0 / {value}")
        return f"r{slot}"

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
            return f"{operands[0]} / n_{self.loop.sizes[instruction.out]}"
        if op == "sigmoid" and instruction.out in self.fine:
            return f"fine_sigmoid({operands[0]})"
        if op == "where":
            return f"where_positive({', '.join(operands)})"
        return f"{_FUNCTIONS.get(op, op)}({', '.join(operands)})"


def sizes_of(step: Step) -> tuple[str, ...]:
    """Names of the sizes that a kernel takes as arguments."""
    return tuple(dict.fromkeys((*step.size_names, *(s for s in step.sizes.values() if s != SCALAR))))


def whole_numbers(step: Step) -> list[str]:
    """Names of a kernel's first integers, in order; behind them stand `bounds`, `counts` and the lists of `rows`."""
    return [*HEAD, *(f"n_{size}" for size in sizes_of(step))]


def arrays_of(step: Step, backward: bool) -> list[str]:
    """Names of a kernel's arrays, in order."""
    names = ["x", "u", "g", "s", "k", "l", "v", "b", "w", *(f"x_{name}" for name in step.state)]
    return names + ["d", "e", "a", "q", "z", *(f"y_{name}" for name in step.state)] * backward


def _strides(step: Step, forward: Layout, layout: Layout) -> dict[str, str]:
    """From one row of an array to the next, as source."""
    strides = {name: lanes(forward.lanes.get(name, [])) for name in "gsuv"}
    strides |= {name: lanes(layout.lanes.get(name, [])) for name in "kldq"} | {"a": strides["v"]}
    for name in step.state:
        strides |= {f"x_{name}": step.sizes[name], f"y_{name}": step.sizes[name]}
    # Rows that lie a power of two apart would share few lines of the cache.
    return strides | {name: f"{strides[name]} + one" for name in "gd"} | {"x": "1", "e": "1"}


def emit(step: Step, runs: Runs, forward: Layout, layout: Layout, dtype: str) -> str:
    """Write the module of one kernel.

    Args:
        step: the equations.
        runs: the products of this direction.
        forward: the plan of the forward loop.
        layout: the plan of the loop to write: `forward` itself, or the backward one.
        dtype: "float32" or "float64".
    """
    reverse = layout is not forward
    numbers, sizes = whole_numbers(step), sizes_of(step)
    one = MACHINE.bytes // (4 if dtype == "float32" else 8)
    # Rendered from the verified nodes: the text a cell was read from may hold comments, and so anything.
    text = _MODULE.format(
        equations="\n".join(f"    {e.name} = {render(e.value)}" for e in step.equations), dtype=dtype.upper(), one=one
    )
    rows = _Rows(step, forward, layout)
    lines = [
        f"def {'backward' if reverse else 'forward'}(part, numbers, arrays):",
        *(f"    {name} = numbers[{place}]" for place, name in enumerate(numbers)),
        *(f"    {name} = arrays[{place}]" for place, name in enumerate(arrays_of(step, reverse))),
        *(f"    {size} = (n_{size} + one - 1) // one * one" for size in sizes),
        *lists_source(len(sizes)),
        *(f"    {name} = shifted({name}, part * most * {rows.stride(name)})" for name in ("gd" if reverse else "g")),
        *runs.places("w", reverse),
        *runs.places("z", reverse),
        *(_backward(rows, runs) if reverse else _forward(rows, runs)),
    ]
    return text + "\n".join(lines) + "\n"


def _forward(rows: _Rows, runs: Runs) -> list[str]:
    for run in runs.ahead:
        rows.spread(run, "0", "count")
    ahead = rows.taken()
    return [
        "    t1 = 0",
        "    while t1 < time:",
        "        t0, count = t1, 0",
        "        while t1 < time and (count == 0 or count + numbers[counts + t1 * parts + part] <= most):",
        "            count += numbers[counts + t1 * parts + part]",
        "            t1 += 1",
        "        call(fill, (numbers, bounds, part, t0, t1))",
        *ahead,
        "        m = 0",
        "        for t in range(t0, t1):",
        "            rows = numbers[counts + t * parts + part]",
        *rows.step_lines(runs.inside),
        "            m += rows",
    ]


def _backward(rows: _Rows, runs: Runs) -> list[str]:
    inside = rows.step_lines(runs.inside)
    for run in runs.behind:
        rows.spread(run, "0", "count")
        if run.result == rows.layout.homes_of_d.get(0):
            # The input of the first layer is data, and needs no gradient.
            rows.lines[-3:] = ["        if want_x:", *(f"    {line}" for line in rows.lines[-3:])]
    for run in runs.matrices:
        rows.gather(run)
    if runs.biases:
        d = f"d, own, {rows.stride('d')}"
        rows.lines.append(f"        call(sums, (shifted(z, part * z_size + zb), {d}, count, {lanes(runs.biases)}))")
    return [
        "    t0 = time",
        "    while t0 > 0:",
        "        t1, count = t0, 0",
        "        while t0 > 0 and (count == 0 or count + numbers[counts + (t0 - 1) * parts + part] <= most):",
        "            t0 -= 1",
        "            count += numbers[counts + t0 * parts + part]",
        "        call(fill, (numbers, bounds, part, t0, t1))",
        "        m = count",
        "        for t in range(t1 - 1, t0 - 1, -1):",
        "            rows = numbers[counts + t * parts + part]",
        "            m -= rows",
        *inside,
        *rows.taken(),
    ]
