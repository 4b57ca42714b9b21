"""How long one waits for a cell that nobody has used: in a process with an empty cache, and in the next one.

python -m bench.engine.measures.new_cell 10        prints the seconds that a first training step takes beyond a second
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from bench.engine.machine import ROOT
from bench.engine.measures import Asked, Findings

__all__ = ["main", "measure"]

LENGTHS = (10, 10_000)
EQUATIONS = """
    i = sigmoid(W_i @ x + U_i @ h + p_i * c + b_i)
    f = sigmoid(W_f @ x + U_f @ h + 0.731 * b_f)
    g = tanh(W_g @ x + U_g @ (f * h) + b_g)
    o = sigmoid(W_o @ x + U_o @ h + b_o)
    c = f * c + i * g
    h = o * tanh(c) + 0.1 * softplus(u * c)
"""


def measure(asked: Asked) -> Findings:
    """First use and use from the cache, short and long sequences."""
    found: Findings = {}
    for time_steps in LENGTHS:
        with tempfile.TemporaryDirectory(prefix="remanence-bench-") as folder:
            for word in ("first", "cached"):
                environment = {**os.environ, "REMANENCE_CACHE": folder}
                command = [sys.executable, "-m", "bench.engine.measures.new_cell", str(time_steps)]
                done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
                spent, used = map(float, done.stdout.split()[-2:])
                found[f"new-cell/{word}/{time_steps}"] = {"value": spent, "note": f"{used:.2f} s of the processor"}
    return found


def main(time_steps: int) -> tuple[float, float]:
    """Seconds of the first training step of a new cell, less those of the second; and of the processor's time."""
    import torch

    from remanence.cells import Cell
    from remanence.nn.recurrent import Recurrent, RecurrentOptions

    torch.set_num_threads(1)
    inputs = torch.randn(2, time_steps, 3)
    spent, used = [], []
    begun, worked = time.perf_counter(), time.process_time()
    cell = Cell("new", ("h", "c"), "h", EQUATIONS, source="made for this measurement")
    layer = Recurrent(cell, 3, 20, options=RecurrentOptions(path="cpu-fused"))
    for _ in range(2):
        layer(inputs).output.sum().backward()
        spent.append(time.perf_counter() - begun)
        used.append(time.process_time() - worked)
        begun, worked = time.perf_counter(), time.process_time()
    assert layer.path == "cpu-fused", layer.path_reason
    return spent[0] - spent[1], used[0] - used[1]


if __name__ == "__main__":
    print(*main(int(sys.argv[1])))
