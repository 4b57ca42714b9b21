"""The weights of torch.nn's layers as the equations name them, and one layer run with them.

torch stacks the parameters of all gates in one tensor: `weight_ih_l0` holds `W_i`, `W_f`, `W_g`, `W_o` one upon
another. A *stack* is such a tensor under the names of its parts, of equally many rows each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from torch import Tensor

from remanence.cells import CELLS, Cell
from remanence.compiler import emit_torch
from remanence.compiler.emit_torch import Run
from remanence.compiler.reading import Reading
from remanence.compiler.schedule import Schedule, schedule
from remanence.nn import fused
from remanence.nn.turn import reversal, turn

__all__ = ["CELL_OF", "Stacks", "run_stacked", "stacked"]

Stacks = Mapping[tuple[str, ...], Tensor]

CELL_OF = {cell.torch_twin.kind: cell for cell in CELLS.values() if cell.torch_twin} | {"LSTMP": CELLS["lstmp"]}
"""Torch's name of a kind of layer → our cell. LSTMP is torch's LSTM with `proj_size`."""


def stacked(kind: str, weights: Mapping[str, Tensor]) -> Stacks:
    """Name the parts of torch's weights of one layer and direction.

    Args:
        kind: as in `CELL_OF`.
        weights: `weight_ih`, `weight_hh`, and where there are any `bias_ih`, `bias_hh`, `weight_hr`.

    Equations have one bias where torch adds two; the GRU's candidate alone has one of its own inside the reset gate.
    """
    twin = CELL_OF["LSTM" if kind == "LSTMP" else kind].torch_twin
    assert twin is not None
    found = {twin.input: weights["weight_ih"], twin.recurrent: weights["weight_hh"]}
    bias, own = weights.get("bias_ih"), weights.get("bias_hh")
    if bias is None or own is None:
        bias = own = weights["weight_ih"].new_zeros(weights["weight_ih"].shape[0])
    one = twin.recurrent_bias.count("")
    if one == len(twin.bias):
        found[twin.bias] = bias + own
    else:
        rows = bias.shape[0] // len(twin.bias) * one
        found[twin.bias[:one]] = bias[:rows] + own[:rows]
        found[twin.bias[one:]], found[twin.recurrent_bias[one:]] = bias[rows:], own[rows:]
    if kind == "LSTMP":
        found[("V",)] = weights["weight_hr"]
    return found


@lru_cache(maxsize=16)
def _plan(cell: Cell) -> Schedule:
    return schedule(cell.step)


def run_stacked(
    cell: Cell, stacks: Stacks, inputs: Tensor, state: Mapping[str, Tensor], reading: Reading, *, path: str
) -> Run:
    """Run one layer in one direction, time-major.

    Args:
        cell: whose equations name the parts of `stacks`.
        stacks: names → tensor whose rows are these parameters, one upon another.
        inputs: `[time, batch, feature]`.
        state: state name → `[batch, size]` before the first step.
        reading: lengths and direction.
        path: "cpu-fused" or "eager".
    """
    if path == "cpu-fused":
        whole = {names[0]: tensor for names, tensor in stacks.items()}
        return fused.run(cell, whole, inputs, state, replace(reading, stacks=tuple(n for n in stacks if len(n) > 1)))
    weights = {
        name: part
        for names, tensor in stacks.items()
        for name, part in zip(names, tensor.chunk(len(names)), strict=True)
    }
    back = reversal(reading.lengths, inputs) if reading.backwards else None
    flow = inputs if back is None else turn(inputs, back)
    done = emit_torch.run(_plan(cell), weights, flow, state, lengths=reading.lengths)
    return done if back is None else replace(done, output=turn(done.output, back))
