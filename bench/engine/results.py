"""What was measured, as one JSON file: written whole after every case, so that a run that was ended goes on.

A result is kept with the key of the engine's own files. Where the engine has changed, its results are measured again;
those of a quick run are measured again by a full one.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Results", "read"]

VERSION = 1


@dataclass
class Results:
    """Every case and finding by its key.

    Args:
        path: the file; None: kept in memory alone.
        machine: where it was measured.
        commit: what was measured, for people.
        engine: what was measured, for resuming.
        quick: whether roughly.
        through: "dropin" or "recurrent": which of our layers ran LSTM, GRU and RNN.
        load: of the machine before it began, as the system counts waiting processes.
    """

    path: Path | None
    machine: dict[str, Any]
    commit: str
    engine: str
    quick: bool
    through: str = "dropin"
    load: float = 0.0
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def resume(self) -> bool:
        """Take over what the file holds of the same engine, machine and care; whether there is nothing else in it.

        Raises:
            ValueError: the file is not one of ours.
        """
        if self.path is None or not self.path.exists():
            return True
        held = read(self.path)
        same = ("machine", "engine", "quick", "through")
        if not all(held[name] == getattr(self, name) for name in same):
            return not (held["cases"] or held["findings"])
        self.cases = {key: case for key, case in held["cases"].items() if "ratio" in case}
        self.findings = {key: found for key, found in held["findings"].items() if "value" in found}
        self.load = max(self.load, held["load"])
        return True

    def write(self) -> None:
        """Write the file beside its place, then rename it."""
        if self.path is None:
            return
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        handle, beside = tempfile.mkstemp(dir=self.path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(beside, 0o644)
            os.replace(beside, self.path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "version": VERSION,
            "commit": self.commit,
            "engine": self.engine,
            "quick": self.quick,
            "through": self.through,
            "load": round(self.load, 1),
            "machine": self.machine,
            "cases": {key: _rounded(case) for key, case in self.cases.items()},
            "findings": {key: _rounded(found) for key, found in self.findings.items()},
        }


def _rounded(held: dict[str, Any]) -> dict[str, Any]:
    """Five digits are more than was measured."""
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in held.items()}


def read(path: Path) -> dict[str, Any]:
    """Read a file of results.

    Raises:
        ValueError: the file is not one of ours.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(held, dict) or held.get("version") != VERSION or not {"cases", "findings"} <= set(held):
        raise ValueError(f"{path}: expected results of version {VERSION}; remove it, or choose another place")
    return held
