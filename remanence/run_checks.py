"""What must hold of a run's folder before anything in it is used: its manifest, its files, its cell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ValidationError

from remanence.cells import CELLS, Cell
from remanence.errors import CellError, RunError
from remanence.storage import sha256
from remanence.validation import first_mistake

__all__ = ["MANIFEST", "OTHER_VERSION", "TRAIN_AGAIN", "check_cell", "check_file", "check_keys", "validated"]

MANIFEST = "manifest.json"
TRAIN_AGAIN = "copy the run again, or train it anew with `remanence fit`"
OTHER_VERSION = "use the version of remanence that wrote it, or train it anew"
_KEYS = (
    "task", "status", "data", "settings", "encoders", "cell", "parameters", "best_seed", "seeds", "beside", "baselines",
    "files",
)  # fmt: skip


def check_keys(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Everything that is read later is there, and lists its files."""
    absent = [key for key in _KEYS if key not in manifest]
    if absent:
        raise RunError(f"{folder / MANIFEST}: holds no '{absent[0]}'", remedy=TRAIN_AGAIN)
    shapes = {"files": dict, "beside": dict, "seeds": list, "data": dict, "parameters": int}
    wrong = [key for key, kind in shapes.items() if not isinstance(manifest[key], kind)]
    records = [] if wrong else [*manifest["seeds"], *manifest["beside"].values(), *manifest["files"].values()]
    if wrong or not all(isinstance(record, dict) for record in records):
        raise RunError(f"{folder / MANIFEST}: '{(wrong or ['files'])[0]}' is of another kind", remedy=TRAIN_AGAIN)
    models = [*manifest["seeds"], *manifest["beside"].values()]
    for name in ["model.safetensors", "metrics.jsonl", *(facts.get("file") for facts in models)]:
        if name not in manifest["files"]:
            raise RunError(f"{folder / MANIFEST}: does not list {name}", remedy=TRAIN_AGAIN)


def check_file(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
        raise RunError(f"{folder / MANIFEST}: lists a file outside the run: {name!r}", remedy="do not use this run")
    file = folder / name
    if file.is_symlink():
        raise RunError(f"{file}: a link, not a file", remedy=TRAIN_AGAIN)
    if not file.is_file():
        raise RunError(f"{file}: missing", remedy=TRAIN_AGAIN)
    if file.stat().st_size != facts.get("size"):
        raise RunError(f"{file}: {file.stat().st_size} bytes, expected {facts.get('size')}", remedy=TRAIN_AGAIN)
    if sha256(file) != facts.get("sha256"):
        raise RunError(f"{file}: changed or damaged since it was written", remedy=TRAIN_AGAIN)


def check_cell(folder: Path, manifest: Mapping[str, Any]) -> None:
    """The equations of the run are those that its model will be made from."""
    try:
        cell = Cell.from_json(json.dumps(manifest["cell"]))
    except (CellError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / MANIFEST}: its cell cannot be read ({error})", remedy=TRAIN_AGAIN) from error
    if cell.name not in CELLS or CELLS[cell.name].equations != cell.equations:
        raise RunError(
            f"{folder / MANIFEST}: the equations of cell '{cell.name}' are not those of this version",
            remedy=OTHER_VERSION,
        )


def validated(kind: type[BaseModel], content: Any, folder: Path) -> Any:
    try:
        return kind.model_validate_json(json.dumps(content))
    except ValidationError as error:
        where, mistake = first_mistake(error)
        raise RunError(
            f"{folder / MANIFEST}: {'.'.join((kind.__name__, *where))}: {mistake}",
            remedy=OTHER_VERSION,
        ) from error
