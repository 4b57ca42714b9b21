"""Memory and time of training on very long sequences, with and without `checkpoint=k`.

Time is taken by turns in one process. Memory is that of a process for each: its peak of resident memory beyond what it
held before the tensors of the step were made, with kernels loaded and nothing kept for later calls. So all is counted
that two training steps hold: the input and the gradient of the output, which a program brings, the output and the
gradient of the input, which it asks for, and what the layer needs besides. The former four take the same memory either
way and no layer does without them; `checkpoint/memory` is the peak less these four, `checkpoint/whole` the peak.

    python -m bench.engine.measures.checkpoint 512        prints MB; 0 for no checkpoints
"""

from __future__ import annotations

import ctypes
import gc
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.engine.machine import ROOT
from bench.engine.measures import Asked, Findings

__all__ = ["main", "measure"]

BATCH, STEPS, INPUT, HIDDEN, EVERY = 8, 20_000, 64, 128, 512
TENSORS = 2 * 4e-6 * STEPS * BATCH * (INPUT + HIDDEN)
"""MB of input, output and their gradients."""
_STATUS, _MARK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def measure(asked: Asked) -> Findings:
    """Peak memory and time with checkpoints, as ratios to those without."""
    from bench.engine.timing import interleaved

    plain, small = (_peak(every) for every in (0, EVERY))
    timing = interleaved(_step(0, STEPS), _step(EVERY, STEPS), asked.budget)
    note = f"every {EVERY} steps"

    def memory(besides: float, what: str) -> dict[str, Any]:
        with_, without = small - besides, plain - besides
        return {"value": with_ / without, "note": f"{note}: {with_:.0f} of {without:.0f} MB{what}"}

    return {
        "checkpoint/memory": memory(TENSORS, ""),
        "checkpoint/whole": memory(0, f", {TENSORS:.0f} of them input, output and their gradients"),
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


def _peak_mb(*, afresh: bool = False) -> float:
    """The most that was resident; with `afresh`, what is resident now, from where the peak is counted again."""
    if not _MARK.exists():
        # Elsewhere nothing counts again: the peak until here stands for what is held.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    if afresh:
        _MARK.write_text("5")
    held = dict(line.split(":") for line in _STATUS.read_text().splitlines())
    return int(held["VmHWM"].split()[0]) * 1024 / 1e6


def main(every: int) -> float:
    """Peak MB of a training step."""
    import torch

    from remanence.compiler import arena

    torch.set_num_threads(1)
    # Kernels are loaded before the count begins; what the first step left behind goes back to the system.
    _step(every, 2 * EVERY)()
    arena.release()
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _peak_mb(afresh=True)
    call = _step(every, STEPS)
    for _ in range(2):
        call()
    return _peak_mb() - before


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
