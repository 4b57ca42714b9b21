"""A moment of training on disk, complete enough to go on from it bit by bit.

    checkpoint.json          the record: sealed JSON; names the tensors' file and its SHA-256
    step-<n>.safetensors     weights, averages, moments, random state, best weights so far

The tensors are written first, the record last and by one rename, so a kill at any moment leaves the checkpoint before
or the one after. The tensors of the checkpoint before are removed once the new record stands.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from remanence.errors import RunError
from remanence.storage import read_sealed, read_tensors, sha256, write_sealed, write_tensors

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

SCHEMA = 3
_REMEDY = "start again with --overwrite"


@dataclass(frozen=True)
class Checkpoint:
    """All that training must hold to go on.

    Args:
        tensors: name → tensor.
        state: everything else, as JSON.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, step: int) -> None:
    """Write a checkpoint into a folder (made where absent), then forget the one before.

    Raises:
        MachineError: the disk is full; the checkpoint before is still whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"step-{step}.safetensors"
    write_tensors(file, checkpoint.tensors)
    record = {"schema": SCHEMA, "tensors": file.name, "sha256": sha256(file), "state": checkpoint.state}
    write_sealed(folder / "checkpoint.json", record)
    for old in folder.glob("step-*.safetensors"):
        if old.name != file.name:
            with suppress(OSError):
                old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The last checkpoint in a folder, or None where there is none.

    Raises:
        RunError: it is damaged, or of another version.
    """
    record_path = folder / "checkpoint.json"
    if not record_path.exists():
        return None
    record = read_sealed(record_path, _REMEDY)
    if record.get("schema") != SCHEMA:
        raise RunError(f"{record_path}: of version {record.get('schema')}, expected {SCHEMA}", remedy=_REMEDY)
    file = folder / Path(record["tensors"]).name
    if not file.exists() or sha256(file) != record["sha256"]:
        raise RunError(f"{file}: missing or damaged", remedy=_REMEDY)
    return Checkpoint(read_tensors(file, _REMEDY), record["state"])
