"""The state between batches whose examples go on from each other, as the windows of a long text do."""

from __future__ import annotations

import torch
from torch import Tensor

from remanence.nn.pool import State

__all__ = ["Carried"]


class Carried:
    """Hands each example the state in which the one before it in the part was left.

    Rows are found by their index, wherever they stood in the batch before; an example whose forerunner was not in it
    begins afresh.

    Example:
        >>> carried = Carried()
        >>> carried.after(torch.tensor([4, 7]), {"h": torch.tensor([[[1.0], [2.0]]])})
        >>> carried.before(torch.tensor([8, 5, 9]))["h"].flatten().tolist()
        [2.0, 1.0, 0.0]
    """

    def __init__(self) -> None:
        self._index = torch.zeros(0, dtype=torch.int64)
        self._state: State = {}

    def before(self, index: Tensor) -> State:
        """The state to begin the examples at these positions with; empty where none of them goes on."""
        match = index[:, None] - 1 == self._index[None]
        goes_on = match.any(1)
        if not self._state or not goes_on.any():
            return {}
        rows = match.to(torch.int8).argmax(1)
        found: State = {}
        for name, value in self._state.items():
            shape = (1, len(index)) + (1,) * (value.ndim - 2)
            kept = goes_on.to(value.device).reshape(shape)
            found[name] = torch.where(kept, value[:, rows.to(value.device)], torch.zeros_like(value[:, :1]))
        return found

    def after(self, index: Tensor, state: State) -> None:
        """Take in the state after a batch; no gradient goes through it."""
        self._index = index.cpu()
        self._state = {name: value.detach() for name, value in state.items()}

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of it."""
        return {"index": self._index} | {f"state.{name}": value for name, value in self._state.items()}

    def load(self, held: dict[str, Tensor], device: torch.device) -> None:
        """Take back what `tensors` gave."""
        self._index = held.get("index", self._index)
        self._state = {
            name.removeprefix("state."): value.to(device) for name, value in held.items() if name.startswith("state.")
        }
