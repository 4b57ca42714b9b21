"""Put a run together from what a session holds: weights in their places, and the manifest over them."""

from __future__ import annotations

import json
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from remanence.cells import CELLS
from remanence.run import seal
from remanence.storage import no_write_errors
from remanence.train.session import Session

__all__ = ["TENSORBOARD", "assemble", "versions"]

TENSORBOARD = "tensorboard"
"""Folder of events, in a session and in a run."""
LIBRARIES = ("remanence", "torch", "numpy", "safetensors", "pyarrow", "pydantic")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that shape a result."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def assemble(session: Session, content: dict[str, Any], interrupted: bool) -> Path:
    """Lay a run out in the session's folder and seal it; the folder, ready to be published.

    Args:
        session: holds the weights of `content["seeds"]` and `content["beside"]` under their labels.
        content: what the manifest says; labels become names of files here.
        interrupted: keep the checkpoints in the run, to go on from.
    """
    folder = session.folder / "run"
    with no_write_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for facts in content["seeds"]:
            best = facts["seed"] == content["best_seed"]
            facts["file"] = "model.safetensors" if best else f"seeds/{facts['seed']}.safetensors"
            _copy(session.place(facts.pop("label")) / "model.safetensors", folder / facts["file"])
        for name, facts in content["beside"].items():
            facts["file"] = f"beside/{name}.safetensors"
            _copy(session.place(facts.pop("label")) / "model.safetensors", folder / facts["file"])
        session.mark()
        _copy(session.folder / "metrics.jsonl", folder / "metrics.jsonl")
        if (session.folder / TENSORBOARD).exists():
            shutil.copytree(session.folder / TENSORBOARD, folder / TENSORBOARD)
        if interrupted:
            # Events are written anew from the metrics when training goes on.
            left_out = shutil.ignore_patterns("run", "lock", TENSORBOARD, ".*")
            shutil.copytree(session.folder, folder / "checkpoints", ignore=left_out)
    cell = CELLS[content["settings"]["model"]["cell"]]
    seal(folder, {**content, "cell": json.loads(cell.to_json()), "versions": versions()})
    return folder


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)
