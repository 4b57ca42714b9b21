"""Memory and time of training on very long sequences, with and without `checkpoint=k`.

Time is taken by turns in one process, memory in a process for each: the peak beyond what it held before the step, less
the output and the gradient of the input, which both must make.

    python -m bench.engine.measures.checkpoint 128        prints MB; 0 for no checkpoints
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bench.engine.machine import ROOT
from bench.engine.measures import Asked, Findings

__all__ = ["main", "measure"]

BATCH, STEPS, INPUT, HIDDEN, EVERY = 8, 20_000, 64, 128, 128


def measure(asked: Asked) -> Findings:
    """Peak memory and time with checkpoints, as ratios to those without."""
    from bench.engine.timing import interleaved

    plain, small = (_peak(every) for every in (0, EVERY))
    timing = interleaved(_step(0, STEPS), _step(EVERY, STEPS), asked.budget)
    note = f"every {EVERY} steps"
    return {
        "checkpoint/memory": {"value": small / plain, "note": f"{note}: {small:.0f} of {plain:.0f} MB"},
        "checkpoint/time": {
            "value": timing.ratio,
            "low": timing.low,
            "high": timing.high,
            "note": f"{note}: {timing.theirs:.2f} beside {timing.ours:.2f} s",
        },
    }


def _peak(every: int) -> float:
    command = [sys.executable, "-m", "bench.engine.measures.checkpoint", str(every)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _step(every: int, steps: int) -> Callable[[], Any]:
    """A training step; its tensors are made here."""
    import torch

    from remanence.nn.recurrent import Recurrent, RecurrentOptions

    options = RecurrentOptions(path="cpu-fused", checkpoint=every or None)
    layer = Recurrent("lstm", INPUT, HIDDEN, options=options)
    inputs = torch.randn(steps, BATCH, INPUT).requires_grad_()
    gradient = torch.randn(steps, BATCH, HIDDEN).transpose(0, 1)

    def call() -> None:
        inputs.grad = None
        layer(inputs.transpose(0, 1)).output.backward(gradient)

    return call


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(every: int) -> float:
    """Peak MB of a training step."""
    import torch

    torch.set_num_threads(1)
    # The kernels are loaded, and their memory is held, before the count begins.
    _step(every, 2 * EVERY)()
    call = _step(every, STEPS)
    before = _peak_mb()
    for _ in range(2):
        call()
    made = 4e-6 * STEPS * BATCH * (HIDDEN + INPUT)
    return _peak_mb() - before - made


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
