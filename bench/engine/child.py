"""One process for one peer and one number of threads: `python -m bench.engine.child`, its work as JSON on stdin.

Results leave on stdout, a line of JSON each, as soon as they are known. A case that fails is a result too.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

__all__ = ["environment", "main"]


def environment(threads: int) -> dict[str, str]:
    """What a child must find set before it imports anything."""
    # NPROC is what XLA sizes its pool by.
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"), str(threads))
    # NumPy's threads wait for more work in a loop that keeps a core busy, long into the turn of who comes next: 2^4
    # cycles are enough of that.
    quiet = {"OPENBLAS_THREAD_TIMEOUT": "4"}
    return {**os.environ, **counts, **quiet, "JAX_PLATFORMS": "cpu"}


def _pin(threads: int) -> None:
    """Keep to as many cores as threads: the last ones, which serve fewer interrupts."""
    if hasattr(os, "sched_setaffinity"):
        here = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, here[-threads:])


def _work(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    import torch

    from bench.engine.compare import WrongResultError, compare
    from bench.engine.measures import MEASURES, Asked
    from bench.engine.plan import Case
    from bench.engine.timing import Budget

    torch.set_num_threads(job["threads"])
    budget = Budget(**job["budget"])
    asked = Asked(job["threads"], budget, job["quick"])
    for held in job["cases"]:
        case = Case.from_json(held)
        try:
            yield {"case": case.key, **compare(case, budget, job["through"])}
        except WrongResultError as error:
            yield {"case": case.key, "wrong": str(error)}
        except Exception as error:
            yield {"case": case.key, "failed": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"}
    for name in job["measures"]:
        try:
            yield {"measure": name, "findings": MEASURES[name].load()(asked)}
        except Exception as error:
            yield {"measure": name, "failed": f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"}


def main() -> int:
    """Read the work, do it."""
    job = json.load(sys.stdin)
    _pin(job["threads"])
    # What libraries print must not come between the lines of results.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    with suppress(KeyboardInterrupt):
        for answer in _work(job):
            print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
