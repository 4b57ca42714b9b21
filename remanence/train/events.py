"""TensorBoard events, where they are asked for: the rows of metrics.jsonl once more, in TensorBoard's own format."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from remanence.errors import MachineError
from remanence.train.job import Hooks

__all__ = ["Events", "require_tensorboard"]

_TAGS = {
    "loss/train": "train_loss",
    "loss/valid": "valid_loss",
    "updates/gradient_norm": "gradient_norm",
    "updates/learning_rate": "learning_rate",
}
"""TensorBoard groups its cards by what stands before the slash."""

Row = Mapping[str, Any]


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
    """One model's events in a folder; a context manager that closes their file.

    A training that goes on after a kill first forgets the rows after its last checkpoint. So events are written anew
    from the rows that are left, instead of being added to what the killed training wrote.

    Args:
        folder: where TensorBoard's file is written; what stands there is removed.
        rows: the model's rows of metrics.jsonl as they stand when it is called.
    """

    def __init__(self, folder: Path, rows: Callable[[], Iterable[Row]]) -> None:
        self._folder, self._rows = folder, rows
        self._writer: Any = None
        self.rewrite()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._writer.close()

    def rewrite(self) -> None:
        """Write every row there is into a new file."""
        from torch.utils.tensorboard.writer import SummaryWriter

        if self._writer is not None:
            self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self._folder))
        for row in self._rows():
            self.add(row)

    def add(self, row: Row) -> None:
        """Write a row of metrics."""
        scalars = {tag: row[name] for tag, name in _TAGS.items()} | {f"valid/{n}": v for n, v in row["valid"].items()}
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()

    def told_by(self, hooks: Hooks) -> Hooks:
        """The same hooks, which tell of each row here too."""

        def log(row: dict[str, Any]) -> None:
            hooks.log(row)
            self.add(row)

        def rewind(mark: int) -> None:
            hooks.rewind(mark)
            self.rewrite()

        return replace(hooks, log=log, rewind=rewind)
