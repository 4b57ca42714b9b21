"""Memory and time of training on very long sequences, with and without `checkpoint=k`.

Each runs in a process of its own. Memory is the process's peak beyond what it held before the step, less the output
and the gradient of the input, which both must make.

    python -m bench.engine.measures.checkpoint 20000 128        prints MB and seconds; 0 for no checkpoints
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import fields
from typing import Any

from bench.engine.machine import ROOT
from bench.engine.measures import Asked, Findings

__all__ = ["main", "measure"]

BATCH, INPUT, HIDDEN, EVERY = 8, 64, 128, 128


def measure(asked: Asked) -> Findings:
    """Peak memory and time with checkpoints, as ratios to those without."""
    from remanence.nn.recurrent import RecurrentOptions

    keys = ("checkpoint/memory", "checkpoint/time")
    if "checkpoint" not in {field.name for field in fields(RecurrentOptions)}:
        return {key: {"skipped": "no option checkpoint yet"} for key in keys}
    steps = 2000 if asked.quick else 20_000
    found = []
    for every in (0, EVERY):
        command = [sys.executable, "-m", "bench.engine.measures.checkpoint", str(steps), str(every)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append([float(word) for word in done.stdout.split()[-2:]])
    (plain, slow), (small, slower) = found
    note = f"T {steps:,}, every {EVERY} steps"
    return {
        keys[0]: {"value": small / plain, "note": f"{note}: {small:.0f} of {plain:.0f} MB"},
        keys[1]: {"value": slower / slow, "note": f"{note}: {slower:.2f} beside {slow:.2f} s"},
    }


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(steps: int, every: int) -> tuple[float, float]:
    """Peak MB and seconds of a training step."""
    import torch

    from remanence.nn.recurrent import Recurrent, RecurrentOptions

    torch.set_num_threads(1)
    wanted: dict[str, Any] = {"checkpoint": every} if every else {}
    options = RecurrentOptions(path="cpu-fused", **wanted)
    layer = Recurrent("lstm", INPUT, HIDDEN, options=options)
    # The kernels are loaded, and their memory is held, before the clock starts.
    layer(torch.randn(BATCH, 64, INPUT)).output.sum().backward()
    inputs = torch.randn(steps, BATCH, INPUT).requires_grad_()
    gradient = torch.randn(steps, BATCH, HIDDEN).transpose(0, 1)
    before, spent = _peak_mb(), []
    for _ in range(2):
        inputs.grad = None
        begun = time.perf_counter()
        layer(inputs.transpose(0, 1)).output.backward(gradient)
        spent.append(time.perf_counter() - begun)
    made = 4e-6 * steps * BATCH * (HIDDEN + INPUT)
    return _peak_mb() - before - made, min(spent)


if __name__ == "__main__":
    print(*main(int(sys.argv[1]), int(sys.argv[2])))
