"""One case: build both, compare outputs and gradients, and only then time them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from bench.engine import ours
from bench.engine.peers import PEERS
from bench.engine.plan import Case
from bench.engine.problem import flops, problem
from bench.engine.timing import Budget, interleaved

__all__ = ["PAUSE", "TOLERANCE", "WrongResultError", "compare", "differences", "verify"]

TOLERANCE = 2e-5
"""Of float32, relative to the largest value of each tensor."""
PAUSE = 0.002


class WrongResultError(Exception):
    """Two libraries disagree: nothing is timed."""


def differences(mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Largest difference of each tensor, relative to the largest value of its kind (all of W_*, of U_*, of b_*).

    Of its kind, as torch keeps them in one tensor: a gate's gradient may be zero but for rounding (the bias of sLSTM's
    input gate, which cancels between cell and normaliser).

    Raises:
        WrongResultError: a tensor is missing, or has another shape.
    """
    if set(mine) != set(theirs):
        raise WrongResultError(f"tensors {sorted(set(mine) ^ set(theirs))} come from one side only")
    largest: dict[str, float] = {}
    for name, value in theirs.items():
        kind = name.partition("_")[0]
        largest[kind] = max(largest.get(kind, 1e-30), float(np.abs(value).max(initial=0.0)))
    found = {}
    for name, value in mine.items():
        other = theirs[name]
        if value.shape != other.shape:
            raise WrongResultError(f"'{name}' has shape {value.shape} here and {other.shape} there")
        apart = np.abs(value.astype(np.float64) - other).max(initial=0.0)
        found[name] = float(apart / largest[name.partition("_")[0]])
    return found


def verify(mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], tolerance: float = TOLERANCE) -> float:
    """Compare outputs and gradients; the largest difference.

    Raises:
        WrongResultError: one is beyond the tolerance, or not a number.
    """
    found = differences(mine, theirs)
    worst = max(found, key=lambda name: found[name] if found[name] == found[name] else np.inf)
    # Not `>`: a difference that is not a number is no agreement.
    if not found[worst] <= tolerance:
        raise WrongResultError(f"'{worst}' differs by {found[worst]:.1e} of the largest value, allowed {tolerance:.0e}")
    return found[worst]


def compare(case: Case, budget: Budget, through: ours.Through = "dropin") -> dict[str, Any]:
    """Run one case: times, ratio with quartiles, rates in GFLOP/s, the largest difference, the path taken.

    Raises:
        WrongResultError: outputs or gradients disagree.
    """
    asked = problem(case.cell, case.mode, case.shape, case.threads)
    peer = PEERS[case.peer]
    mine, theirs = ours.make(asked, through), peer.load()(asked)
    worst = verify(mine.results(), theirs.results())
    if peer.pool and case.threads > 1:
        budget = replace(budget, pause=PAUSE)
    found = interleaved(mine.call, theirs.call, budget)
    work = flops(asked) / 1e9
    rates = {"ours_gflops": work / found.ours, "theirs_gflops": work / found.theirs}
    return asdict(found) | rates | {"difference": worst, "path": mine.note}
