"""The plan of a time loop: where every slot lives, in which order products and loops over units follow. No torch here.

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

from remanence.compiler.derive import Back, Loop, reads, writes
from remanence.compiler.ir import REDUCTIONS, SCALAR
from remanence.compiler.schedule import Compute, Multiply

__all__ = ["SUMS", "Home", "Layout"]

SUMS = REDUCTIONS | {"sum"}
CHEAP = {"add", "sub", "mul", "neg"}
"""Operations of one instruction."""
STILL = ("previous", "vector", "input", "given")
"""Leaves that no step writes to before it has read them for the last time."""


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
        if self._is_cheap(slot):
            return False
        if self.loop.sizes[slot] == SCALAR:
            # A reduction ends with the loop that sums; what reads it may come after a product.
            summed = isinstance(instruction, Compute) and instruction.op in SUMS
            return summed or self.level(slot) != max(self.level(out) for out in writes(reader))  # type: ignore[arg-type]
        assert isinstance(reader, Compute)
        here = self.level(reader.out) - (reader.op in SUMS)
        size = self.loop.sizes[slot if reader.op in SUMS else reader.out]
        return (self.level(slot), self.loop.sizes[slot]) != (here, size)

    def _is_cheap(self, slot: int) -> bool:
        """Whether computing it again, of what lies still in memory, costs less than storing and loading it."""
        read = self._again(slot, 2)
        return read is not None and len(read) <= 2

    def _again(self, slot: int, operations: int) -> set[int] | None:
        """What is loaded to compute a slot again in at most so many operations, one upon another; None: it cannot."""
        if self._lies_still(slot):
            return set() if slot in self.loop.numbers else {slot}
        instruction = self.origin.get(slot)
        if not isinstance(instruction, Compute) or instruction.op not in CHEAP or not operations:
            return None
        if self.loop.sizes[slot] == SCALAR or slot in self.homes:
            return None
        parts = [self._again(operand, operations - 1) for operand in instruction.operands]
        return None if any(part is None for part in parts) else set().union(*(part for part in parts if part))

    def _lies_still(self, slot: int) -> bool:
        """Whether no product of this step adds to it: a leaf other than those ahead, a number, what was saved."""
        kind = self.loop.leaves.get(slot, ("",))[0]
        saved = slot in self.homes and self.homes[slot].array in ("s", "u", "v")
        if saved and slot in self.stored:
            saved = isinstance(self.origin[slot], Compute) and slot not in self.merged
        return kind in STILL or slot in self.loop.numbers or saved

    def merge_sums(self, overwritable: Iterable[int]) -> None:
        """Let a product's tile add to what is in memory already, where a sum is all that reads both."""
        uses = self.uses()
        free = set(overwritable)
        for instruction in self.loop.instructions:
            if not isinstance(instruction, Compute) or instruction.op != "add":
                continue
            for rest, product in (instruction.operands, instruction.operands[::-1]):
                # Of a product that is saved no sum may take the place.
                if product in self.homes or product in self.saved:
                    continue
                if not self.is_product(product) or len(uses[product]) != 1:
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
