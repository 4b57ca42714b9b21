"""The masks of a recurrent layer: the cell as it runs in training and in evaluation, and the draws of its masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from remanence.cells import Cell
from remanence.compiler.ir import SCALAR, Step
from remanence.compiler.masks import drop_candidates, drop_products, zone_out
from remanence.errors import SettingError
from remanence.nn.dropout import below, draws, keep_units
from remanence.nn.options import RecurrentOptions

__all__ = ["Mask", "MaskedCells", "draw", "masked_cells"]


@dataclass(frozen=True)
class Mask:
    """A mask that is drawn at each call in training.

    Args:
        name: the given input that it is.
        size: its size by name.
        rate: probability of dropping a unit; of keeping it, for `kind` "keep".
        kind: "step": dropped anew at each step; "sequence": the same at each step; both are scaled by what is left.
            "keep": zeros and ones, anew at each step.
        together: masks that share a draw; each its own where it is empty.
    """

    name: str
    size: str
    rate: float
    kind: Literal["step", "sequence", "keep"]
    together: str = ""


@dataclass(frozen=True)
class MaskedCells:
    """A cell as it runs.

    Args:
        training: reads the masks as given inputs.
        evaluation: without masks; zoneout stands as its expectation.
        masks: what to draw in training.
    """

    training: Cell
    evaluation: Cell
    masks: tuple[Mask, ...] = ()


def masked_cells(cell: Cell, options: RecurrentOptions) -> MaskedCells:
    """Rewrite a cell under the masks that a layer's options ask for.

    Raises:
        SettingError: the cell has nothing that could be masked so.
    """
    if options.clip_state_gradient is not None:
        cell = replace(cell, clip=options.clip_state_gradient)
    step, evaluation, masks = cell.step, cell, list[Mask]()
    if options.recurrent_dropout:
        done = drop_candidates(step, (cell.candidate,))
        step = done.step
        masks += [Mask(n, step.given[n], options.recurrent_dropout, "step") for n in done.masks.values()]
    if options.variational_dropout:
        done = drop_products(step)
        if not done.masks:
            raise SettingError(
                f"no matrix of cell '{cell.name}' reads a state",
                name="variational_dropout",
                remedy="use recurrent_dropout or zoneout",
            )
        step = done.step
        masks += [Mask(n, step.given[n], options.variational_dropout, "sequence") for n in done.masks.values()]
    if rates := options.zoned(cell):
        done = zone_out(step, dict.fromkeys(rates))
        step = done.step
        evaluation = _cell_of(cell, zone_out(cell.step, rates).step, _kept(cell, rates))
        for state, name in done.masks.items():
            size = step.given[name]
            # States that mean something only together, such as a memory and its normaliser, are kept together.
            group = "" if state == cell.output else size
            masks.append(Mask(name, size, rates[state], "keep", group))
    return MaskedCells(_cell_of(cell, step) if masks else evaluation, evaluation, tuple(masks))


def _cell_of(cell: Cell, step: Step, additive: Mapping[str, tuple[str, str]] | None = None) -> Cell:
    """A cell of rewritten equations; of what its paper claims, only an additive memory that is given holds."""
    sizes = {name: size for name, size in step.sizes.items() if size != SCALAR}
    return Cell(
        name=cell.name,
        state=step.state,
        output=step.output,
        equations=step.text,
        source=cell.source,
        sizes=sizes,
        given=step.given,
        additive_memory=additive or {},
        clip=cell.clip,
    )


def _kept(cell: Cell, rates: Mapping[str, float]) -> dict[str, tuple[str, str]]:
    """Additive memory when states keep a share of their last value: p + (1 - p) a, and (1 - p) b."""
    found = dict(cell.additive_memory)
    for state, (a, b) in cell.additive_memory.items():
        if share := rates.get(state):
            found[state] = (f"{share!r} + {1 - share!r} * ({a})", f"{1 - share!r} * ({b})")
    return found


def draw(masks: tuple[Mask, ...], sizes: Mapping[str, int], like: Tensor) -> dict[str, Tensor]:
    """Draw masks from torch's generator: name → `[time, batch, size]`.

    Args:
        masks: what to draw.
        sizes: size name → number.
        like: `[time, batch, …]`, of the device and dtype.
    """
    time, batch = like.shape[:2]
    drawn: dict[str, Tensor] = {}
    shared: dict[str, Tensor] = {}
    for mask in masks:
        size = sizes[mask.size]
        if mask.kind == "sequence":
            drawn[mask.name] = keep_units(mask.rate, (1, batch, size), like).expand(time, batch, size)
        elif mask.kind == "step":
            drawn[mask.name] = keep_units(mask.rate, (time, batch, size), like)
        else:
            random = shared.get(mask.together)
            if random is None:
                random = draws((time, batch, size), like)
            if mask.together:
                shared[mask.together] = random
            drawn[mask.name] = below(mask.rate, random).to(like.dtype)
    return drawn
