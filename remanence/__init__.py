"""Remanence: does memory help on your sequence data, what is remembered, and the model put to work.

    compare     simple models and recurrent cells on one file → a verdict with intervals
    fit         a file → a run on disk; `resume` goes on with an interrupted one
    Run         a run: `Run.load(folder)`, `run.evaluate()`, `run.predict(file)`
    describe    what a file holds
    Cell        a recurrent cell, by its equations

Names are imported when they are first used, so that `import remanence` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remanence.cells import CELLS, Cell
    from remanence.data.describe import describe
    from remanence.errors import RemanenceError
    from remanence.nn.recurrent import Recurrent
    from remanence.run import Run, evaluate, predict
    from remanence.sequences import Sequences
    from remanence.train.compare import compare
    from remanence.train.fit import fit, resume

__version__ = "0.1.0"

__all__ = [
    "CELLS",
    "Cell",
    "Recurrent",
    "RemanenceError",
    "Run",
    "Sequences",
    "compare",
    "describe",
    "evaluate",
    "fit",
    "predict",
    "resume",
]

_HOMES = {
    "CELLS": "remanence.cells",
    "Cell": "remanence.cells",
    "Recurrent": "remanence.nn.recurrent",
    "RemanenceError": "remanence.errors",
    "Run": "remanence.run",
    "Sequences": "remanence.sequences",
    "compare": "remanence.train.compare",
    "describe": "remanence.data.describe",
    "evaluate": "remanence.run",
    "fit": "remanence.train.fit",
    "predict": "remanence.run",
    "resume": "remanence.train.fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'remanence' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
