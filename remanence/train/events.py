"""TensorBoard events, where they are asked for: the rows of metrics.jsonl once more, in TensorBoard's own format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from remanence.errors import MachineError

__all__ = ["Events", "require_tensorboard"]

_SCALARS = ("train_loss", "valid_loss", "learning_rate", "gradient_norm")


def require_tensorboard() -> None:
    """Refuse to begin what could not be written.

    Raises:
        MachineError: tensorboard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MachineError(
            "--tensorboard: the package tensorboard is not installed", remedy="pip install 'remanence[tensorboard]'"
        )


class Events:
    """Writes one model's events into a folder."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row of metrics."""
        scalars = {name: row[name] for name in _SCALARS} | {f"valid/{n}": v for n, v in row["valid"].items()}
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()
