"""Lay out a loop: give every slot its home, choose what is saved, merge sums into products. No torch here.

Loop → leaves at their arrays → results, what is saved → sums that tiles add in place → scratch between loops
"""

from __future__ import annotations

from collections.abc import Iterable

from remanence.compiler.derive import Leaf, Loop, reads, writes
from remanence.compiler.ir import SCALAR
from remanence.compiler.layout import SUMS, Home, Layout
from remanence.compiler.schedule import Compute, Multiply

__all__ = ["lay_out_backward", "lay_out_forward"]


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
    for leaf, slot in loop.results.items():
        if slot in layout.merged:
            # The sum is formed elsewhere, and copied to the state.
            layout.copies.setdefault(slot, Home(f"x_{leaf[1]}", (), 1))
    if back is None:
        seen = {layout.copies.get(slot, layout.homes[slot]).array for slot in kept if slot in layout.homes}
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
