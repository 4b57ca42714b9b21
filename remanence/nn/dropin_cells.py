"""`RNNCell`, `LSTMCell` and `GRUCell`: torch.nn's single steps, with errors that name the axis.

One step of a batch takes torch's own kernel: there is no loop over time to win by. Each is a subclass of its namesake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from remanence.compiler.reading import Reading
from remanence.nn.given import Mismatch
from remanence.nn.namesake import Namesake
from remanence.nn.stacks import CELL_OF, run_stacked, stacked
from remanence.nn.twin import transformed

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Step(Namesake, nn.RNNCellBase):
    """What the three have in common."""

    kind: str
    """As in `CELL_OF`."""

    @property
    def path(self) -> str:
        """ "torch", its own kernel; "eager", the equations, under a transform of torch.func."""
        return "eager" if transformed() else "torch"

    @property
    def path_reason(self) -> str:
        """Why that way."""
        if transformed():
            return "kernels do not run under torch.func transforms"
        return "one step has no loop over time; torch's own kernel is as fast"

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Take one step.

        Args:
            input: `[batch, feature]`, or `[feature]` without a batch.
            hx: the state `[batch, hidden]` or `[hidden]`; a pair (h, c) for the LSTM; zeros where None.

        Raises:
            ShapeError: the axis, what was expected, what came; a RuntimeError and a ValueError, too.
        """
        if torch._C._get_tracing_state() is not None:
            # A tracer would record our checks among the operations.
            return super().forward(input, hx)
        name, cell = type(self).__name__, CELL_OF[self.kind]
        _check(f"{name} input", input, ("batch", "feature")[2 - input.ndim :], self.input_size, self.weight_ih)
        states = () if hx is None else hx if len(cell.state) > 1 else (hx,)
        if hx is not None and len(states) != len(cell.state):
            raise Mismatch(f"{name} hx", axis="state", expected=f"({', '.join(cell.state)})", came=len(states))
        for state, value in zip(cell.state, states, strict=False):
            what = f"{name} hx, state {state}"
            _check(what, value, ("batch", "hidden")[2 - input.ndim :], self.hidden_size, self.weight_ih)
            if input.ndim == 2 and value.shape[0] != input.shape[0]:
                raise Mismatch(what, axis="batch", expected=input.shape[0], came=value.shape[0])
        return self._by_equations(input, states) if transformed() else super().forward(input, hx)

    def _by_equations(self, data: Tensor, states: Sequence[Tensor]) -> Any:
        cell, alone = CELL_OF[self.kind], data.ndim == 1
        rows = data[None] if alone else data
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
        stacks = stacked(self.kind, {name: getattr(self, name) for name in names})
        if states:
            start = {name: value[None] if alone else value for name, value in zip(cell.state, states, strict=True)}
        else:
            start = {name: rows.new_zeros(rows.shape[0], self.hidden_size) for name in cell.state}
        done = run_stacked(cell, stacks, rows[None], start, Reading(), path="eager")
        found = [done.state[name][0] if alone else done.state[name] for name in cell.state]
        return tuple(found) if len(cell.state) > 1 else found[0]


def _check(what: str, data: Tensor, axes: tuple[str, ...], size: int, weight: Tensor) -> None:
    if data.ndim != len(axes) or not axes:
        expected = f"{len(axes)} ({', '.join(axes)})" if axes else "2 (batch, feature), or 1 (feature)"
        raise Mismatch(what, axis="number of axes", expected=expected, came=data.ndim)
    if data.shape[-1] != size:
        raise Mismatch(what, axis=axes[-1], expected=size, came=data.shape[-1])
    if data.dtype != weight.dtype and not torch.is_autocast_enabled(data.device.type):
        remedy = "convert it, or the layer"
        raise Mismatch(what, axis="dtype", expected=weight.dtype, came=data.dtype, remedy=remedy)


class RNNCell(_Step, nn.RNNCell):
    """torch.nn.RNNCell: see its documentation for arguments and shapes.

    Example:
        >>> RNNCell(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])
    """

    @property
    def kind(self) -> str:  # type: ignore[override]
        """By the nonlinearity."""
        return f"RNN_{self.nonlinearity.upper()}"


class LSTMCell(_Step, nn.LSTMCell):
    """torch.nn.LSTMCell: see its documentation for arguments and shapes.

    Example:
        >>> h, c = LSTMCell(3, 5)(torch.zeros(2, 3))
        >>> h.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    kind = "LSTM"


class GRUCell(_Step, nn.GRUCell):
    """torch.nn.GRUCell: see its documentation for arguments and shapes.

    Example:
        >>> GRUCell(3, 5)(torch.zeros(3)).shape
        torch.Size([5])
    """

    kind = "GRU"
