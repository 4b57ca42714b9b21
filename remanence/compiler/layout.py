"""Where every slot of a time loop lives, and in which order products and loops over units follow. No torch here.

Arrays, all of one dtype; a lane is one slot's units, padded to whole registers:

    x        input, of any layout      read by products alone
    u, q     [time, batch, lanes]      x and what is given, where a step reads them; their adjoints
    g        [rows, lanes]             products ahead of a few steps; a part of its own for each thread
    d        [rows, lanes]             adjoints of g's lanes and of products, for the same few steps
    s        [time, batch, lanes]      values saved for backward, and what is traced
    k        [batch, lanes]            what one step needs to remember between its own loops, across a product
    l        [threads, lanes]          the same where no product comes between: one row is done before the next
    x_NAME   [time + 1, batch, units]  a state; a step starts from one entry and leaves the next (reversed: the last);
                                       [2, batch, units], by parity of the step, where nobody looks back (`passing`)
    y_NAME   [2, batch, units]         its adjoint, by parity of the step
    v, a     [lanes], [threads, lanes] parameter vectors, and sums of their adjoints
    e        output's gradient         of any layout

A level is a number of products and reductions that must come before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from remanence.compiler.derive import Back, Leaf, Loop, reads, writes
from remanence.compiler.ir import REDUCTIONS, SCALAR
from remanence.compiler.schedule import Compute, Multiply

__all__ = ["SUMS", "Home", "Layout", "lay_out_backward", "lay_out_forward"]

SUMS = REDUCTIONS | {"sum"}


@dataclass(frozen=True)
class Home:
    """A place in memory: an array, the names of the sizes of the lanes before, and the step (0, or 1 for the next)."""

    array: str
    before: tuple[str, ...] = ()
    step: int = 0


@dataclass
class Layout:
    """The plan of one loop: `homes` of slots, `levels`, `merged` sums (sum → product whose tile adds in place),
    `extra` stores (slot → homes), `stored` slots, `origin` of slots, `lanes` (array → sizes of its lanes),
    states `passing`, `saved` slots and `copies` of those that also live elsewhere, `homes_of_d` of adjoints."""

    loop: Loop
    homes: dict[int, Home] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)
    merged: dict[int, tuple[int, int]] = field(default_factory=dict)
    extra: list[tuple[int, Home, str]] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)
    origin: dict[int, Compute | Multiply | Back] = field(default_factory=dict)
    lanes: dict[str, list[str]] = field(default_factory=dict)
    saved: dict[int, None] = field(default_factory=dict)
    copies: dict[int, Home] = field(default_factory=dict)
    passing: frozenset[str] = frozenset()
    homes_of_d: dict[int, Home] = field(default_factory=dict)

    def lane(self, array: str, slot: int) -> Home:
        """A new lane of an array for a slot."""
        known = self.lanes.setdefault(array, [])
        home = Home(array, tuple(known))
        known.append(self.loop.sizes[slot])
        return home

    def uses(self) -> dict[int, list[object]]:
        """Who reads a slot: instructions and results."""
        found: dict[int, list[object]] = {}
        for instruction in self.loop.instructions:
            for slot in reads(instruction):
                found.setdefault(slot, []).append(instruction)
        for leaf, slot in self.loop.results.items():
            if leaf[0] not in ("product", "hoist"):
                found.setdefault(slot, []).append(leaf)
        return found

    def level(self, slot: int) -> int:
        """Products and reductions that come before a slot is known; 0 for what is in memory at the start."""
        if slot not in self.levels:
            instruction = self.origin.get(slot)
            if instruction is None or (slot in self.homes and slot not in self.stored):
                self.levels[slot] = 0
            else:
                before = max(self.level(operand) for operand in reads(instruction))
                apart = not isinstance(instruction, Compute) or instruction.op in SUMS
                self.levels[slot] = before + apart
        return self.levels[slot]

    def place(self, slot: int, home: Home, size: str) -> None:
        """Let a result live at a home, or be copied there if it lives elsewhere (or is a leaf)."""
        if slot in self.homes or slot in self.loop.numbers or slot in self.loop.leaves:
            self.extra.append((slot, home, size))
        else:
            self.homes[slot] = home
            self.stored.add(slot)

    def keep_between_loops(self) -> None:
        """Give a scratch lane to values that another loop or a product reads."""
        for instruction in self.loop.instructions:
            for slot in writes(instruction):
                if not isinstance(instruction, Compute) and slot not in self.homes:
                    self.homes[slot] = self.lane("k", slot)
                    self.stored.add(slot)
            for slot in reads(instruction):
                if self._crosses(slot, instruction) and slot not in self.homes:
                    self.homes[slot] = self.lane("k", slot)
                    self.stored.add(slot)
        for slot, _, size in self.extra:
            if slot in self.origin and slot not in self.homes and self.loop.sizes[slot] != size:
                self.homes[slot] = self.lane("k", slot)
                self.stored.add(slot)

    def keep_near(self) -> None:
        """Let what no product parts from its readers live in the lanes of one row."""
        met = self._met()
        moved: dict[Home, Home] = {}
        lanes: dict[str, list[str]] = {"k": [], "l": []}
        homes = {home: slot for slot, home in self.homes.items() if home.array == "k"}
        for home in sorted(homes, key=lambda home: len(home.before)):
            slots = [slot for slot, known in self.homes.items() if known == home]
            near = all(slot in self.origin and self._is_near(slot, met) for slot in slots)
            array = "l" if near else "k"
            moved[home] = Home(array, tuple(lanes[array]))
            lanes[array].append(self.lanes["k"][len(home.before)])
        self.homes = {slot: moved.get(home, home) for slot, home in self.homes.items()}
        self.extra = [(slot, moved.get(home, home), size) for slot, home, size in self.extra]
        self.lanes |= {array: sizes for array, sizes in lanes.items() if sizes or array in self.lanes}

    def _is_near(self, slot: int, met: Mapping[int, set[int]]) -> bool:
        instruction = self.origin[slot]
        if not isinstance(instruction, Compute) or slot in self.merged:
            return False
        return met.get(slot, set()) <= {self._stretch(self.level(slot) - (instruction.op in SUMS))}

    def _stretch(self, level: int) -> int:
        """Which of the loops over rows a level belongs to: products come between them."""
        products = {self.level(s) for i in self.loop.instructions if not isinstance(i, Compute) for s in writes(i)}
        return sum(known <= level for known in products)

    def _met(self) -> dict[int, set[int]]:
        """The loops over rows that read a slot, -1 for a product; also through what they compute again."""
        found: dict[int, set[int]] = {}

        def meet(slot: int, stretch: int) -> None:
            if stretch in found.setdefault(slot, set()):
                return
            found[slot].add(stretch)
            instruction = self.origin.get(slot)
            if slot not in self.homes and isinstance(instruction, Compute):
                for operand in instruction.operands:
                    meet(operand, stretch)

        def write(slot: int) -> None:
            instruction = self.origin.get(slot)
            if isinstance(instruction, Compute):
                stretch = self._stretch(self.level(slot) - (instruction.op in SUMS))
                for operand in instruction.operands:
                    meet(operand, stretch)

        for instruction in self.loop.instructions:
            for slot in writes(instruction) if isinstance(instruction, Compute) else ():
                write(slot)
            for slot in reads(instruction) if not isinstance(instruction, Compute) else ():
                meet(slot, -1)
        for slot in self.stored:
            write(slot)
        for slot, _, _ in self.extra:
            meet(slot, self._stretch(self.level(slot)))
        return found

    def _crosses(self, slot: int, reader: object) -> bool:
        instruction = self.origin.get(slot)
        if instruction is None or slot in self.merged:
            return False
        if isinstance(reader, Multiply | Back):
            return True
        if self.loop.sizes[slot] == SCALAR:
            # A reduction ends with the loop that sums; what reads it may come after a product.
            summed = isinstance(instruction, Compute) and instruction.op in SUMS
            return summed or self.level(slot) != max(self.level(out) for out in writes(reader))  # type: ignore[arg-type]
        assert isinstance(reader, Compute)
        here = self.level(reader.out) - (reader.op in SUMS)
        size = self.loop.sizes[slot if reader.op in SUMS else reader.out]
        return (self.level(slot), self.loop.sizes[slot]) != (here, size)

    def merge_sums(self, overwritable: Iterable[int]) -> None:
        """Let a product's tile add to what is in memory already, where a sum is all that reads both."""
        uses = self.uses()
        free = set(overwritable)
        for instruction in self.loop.instructions:
            if not isinstance(instruction, Compute) or instruction.op != "add":
                continue
            for rest, product in (instruction.operands, instruction.operands[::-1]):
                if not self.is_product(product) or len(uses[product]) != 1 or product in self.homes:
                    continue
                if len(uses[rest]) != 1:
                    continue
                known = rest in self.homes and (rest in free or rest in self.merged)
                later = isinstance(self.origin.get(rest), Compute) and self.level(rest) < self.level(product)
                if not known and (rest in self.homes or not later):
                    continue
                self._merge(instruction.out, rest, product, known)
                break

    def is_product(self, slot: int) -> bool:
        return isinstance(self.origin.get(slot), Multiply | Back)

    def _merge(self, total: int, rest: int, product: int, known: bool) -> None:
        if known:
            home = self.homes[rest]
            if total in self.homes:
                self.extra.append((total, self.homes[total], self.loop.sizes[total]))
        else:
            home = self.homes.get(total) or self.lane("k", total)
            self.stored.add(rest)
        for slot in (total, rest, product):
            self.homes[slot] = home
        self.stored |= {total, product}
        self.merged[total] = (rest, product)


def _start(loop: Loop) -> Layout:
    layout = Layout(loop)
    for instruction in loop.instructions:
        for slot in writes(instruction):
            layout.origin[slot] = instruction
    for slot, (kind, name) in loop.leaves.items():
        match kind:
            case "previous":
                layout.homes[slot] = Home(f"x_{name}")
            case "carry":
                layout.homes[slot] = Home(f"y_{name}", (), 1)
            case "arrive":
                layout.homes[slot] = Home("e")
            case "vector":
                layout.homes[slot] = layout.lane("v", slot)
            case "input" | "given":
                layout.homes[slot] = layout.lane("u", slot)
    return layout


def lay_out_forward(loop: Loop, back: Loop | None, output: str, kept: Iterable[int] = ()) -> Layout:
    """Plan the forward loop.

    Args:
        loop: of the step.
        back: its backward loop, whose needs are saved; None: nothing is.
        output: the state that is returned of every step.
        kept: slots that are saved because someone wants to see them.
    """
    layout = _start(loop)
    uses = layout.uses()
    sliced = [slot for slot, leaf in loop.leaves.items() if leaf[0] == "sliced"]
    order = {out: i for i, out in enumerate(o for m in loop.instructions if isinstance(m, Multiply) for o in m.outs)}

    def partner(slot: int) -> int:
        """The place among products of the one that is added to a slot, or -1."""
        for user in uses.get(slot, []):
            if isinstance(user, Compute) and user.op == "add" and len(uses[slot]) == 1:
                return max((order.get(operand, -1) for operand in user.operands), default=-1)
        return -1

    for slot in sorted(sliced, key=partner):
        layout.homes[slot] = layout.lane("g", slot)
    for leaf, slot in loop.results.items():
        layout.place(slot, Home(f"x_{leaf[1]}", (), 1), loop.sizes[slot])
    if back is not None:
        _save(layout, back)
    inside = {*layout.origin, *sliced}
    layout.saved |= dict.fromkeys(slot for slot in kept if slot in inside and not _is_state(layout, slot))
    layout.merge_sums(slot for slot in sliced if slot not in layout.saved)
    # Products side by side are one call of the tile.
    for slot in sorted(layout.saved, key=lambda slot: not layout.is_product(slot)):
        if slot not in layout.homes:
            layout.homes[slot] = layout.lane("s", slot)
            layout.stored.add(slot)
        elif layout.homes[slot].array in ("g", "k"):
            # What a later step overwrites is copied.
            layout.copies[slot] = layout.lane("s", slot)
            layout.extra.append((slot, layout.copies[slot], loop.sizes[slot]))
    if back is None:
        seen = {layout.homes[slot].array for slot in kept if slot in layout.homes}
        states = {f"x_{leaf[1]}": str(leaf[1]) for leaf in loop.results}
        layout.passing = frozenset(name for array, name in states.items() if name != output and array not in seen)
    layout.levels.clear()
    layout.keep_between_loops()
    layout.keep_near()
    return layout


def _is_state(layout: Layout, slot: int) -> bool:
    return slot in layout.homes and layout.homes[slot].array.startswith("x_")


def _save(layout: Layout, back: Loop) -> None:
    """Choose what is saved for backward, which finds states, parameters and what is given where they are."""
    loop = layout.loop
    kept = {slot for (kind, *_), slot in loop.results.items() if kind == "state"}
    kept |= {slot for slot, leaf in loop.leaves.items() if leaf[0] != "sliced"} | set(loop.numbers)

    def reachable(slot: int) -> bool:
        instruction = layout.origin.get(slot)
        if slot in kept or slot in layout.saved:
            return True
        return (
            isinstance(instruction, Compute)
            and instruction.op not in SUMS
            and loop.sizes[slot] != SCALAR
            and all(reachable(operand) for operand in instruction.operands)
        )

    def require(slot: int, in_memory: bool = False) -> None:
        if slot in kept or slot in layout.saved:
            return
        if not in_memory and reachable(slot):
            for operand in reads(layout.origin[slot]):
                require(operand)
        else:
            layout.saved[slot] = None

    needed = {slot for i in back.instructions for slot in reads(i) if slot < len(loop.sizes)}
    for instruction in loop.instructions:
        if isinstance(instruction, Multiply):
            require(instruction.operand, in_memory=True)
    for slot in sorted(needed):
        require(slot)


def lay_out_backward(loop: Loop, forward: Layout) -> Layout:
    """Plan the backward loop over what the forward one left in memory."""
    layout = _start(loop)
    layout.lanes |= {array: list(forward.lanes.get(array, [])) for array in "uv"}
    count = len(forward.loop.sizes)
    for slot, instruction in forward.origin.items():
        layout.origin[slot] = instruction
    for slot, home in (forward.homes | forward.copies).items():
        if home.array in ("u", "v", "s") or home.array.startswith("x_"):
            layout.homes[slot] = home
    layout.levels.update(dict.fromkeys(range(count), 0))
    _place_adjoints(layout, forward)
    for leaf, slot in loop.results.items():
        match leaf[0]:
            case "previous":
                layout.place(slot, Home(f"y_{leaf[1]}"), loop.sizes[_leaf_slot(loop, ("carry", leaf[1]))])
            case "vector":
                layout.extra.append((slot, Home("a", forward.homes[int(leaf[1])].before), loop.sizes[slot]))
            case "input" | "given":
                own = _leaf_slot(loop, leaf)
                layout.place(slot, _adjoint_home(layout, own), loop.sizes[own])
    for back in loop.after:
        _adjoint_home(layout, back.out)
    layout.merge_sums(())
    layout.levels.clear()
    # Forward values that are computed again depend on memory alone, so any loop may do it.
    layout.levels.update(dict.fromkeys(range(count), 0))
    layout.keep_between_loops()
    layout.keep_near()
    return layout


def _adjoint_home(layout: Layout, slot: int) -> Home:
    """Where the adjoint of x (slot 0) or of what is given lives."""
    known = layout.homes_of_d.get(slot)
    if known is None:
        known = layout.homes_of_d[slot] = layout.lane("q", slot)
    return known


def _leaf_slot(loop: Loop, leaf: Leaf) -> int:
    return next(slot for slot, known in loop.leaves.items() if known == leaf)


def _place_adjoints(layout: Layout, forward: Layout) -> None:
    """Lanes of d: of g's lanes alone, of both, of products alone; so that what one matrix needs lies side by side."""
    results = layout.loop.results
    sliced = {results[leaf]: len(forward.homes[leaf[1]].before) for leaf in results if leaf[0] == "sliced"}  # type: ignore[index]
    products = {slot: i for i, (leaf, slot) in enumerate(results.items()) if leaf[0] == "product"}
    both = [slot for slot in sliced if slot in products]
    alone = [slot for slot in sliced if slot not in products]
    rest = [slot for slot in products if slot not in sliced]
    for slot in (*sorted(alone, key=sliced.__getitem__), *sorted(both, key=sliced.__getitem__), *rest):
        home = layout.homes_of_d[slot] = layout.lane("d", slot)
        layout.place(slot, home, layout.loop.sizes[slot])
