"""Train a run while a parent kills it: `python -m tests.train.killed FILE OUT KILLS SEED`; prints one JSON line.

The parent imports everything once and forks a child for each sitting. A child tells each update through a pipe; the
parent lets it go on for a random number of them and a random moment more, then sends SIGKILL, which nothing can catch.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from remanence.train import fit as fitting
from remanence.train import loop
from remanence.train.progress import Progress
from tests.train.made import OPTIONS

STEPS = 20


class Telling(Progress):
    """Writes a byte an update."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def step(self, used: float, loss: float, seconds: float) -> None:
        os.write(self.pipe, b".")


def train(path: Path, out: Path, progress: Progress) -> None:
    """What is trained here, killed or not."""
    options = OPTIONS | {"steps": STEPS, "seeds": 2, "average": 0.9, "dropout": 0.2, "evaluate_every": 3}
    fitting.fit(path, out=out, progress=progress, beside=(), **options)


def sitting(path: Path, out: Path, updates: int | None, moment: float) -> int:
    """Train in a child until it ends or was killed; how many updates it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            train(path, out, Telling(writing))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    told = 0
    while (updates is None or told < updates) and os.read(reading, 1):
        told += 1
    if updates is not None:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(reading)
    if updates is None and status:
        raise SystemExit(f"the child failed: {status}")
    return told


def main() -> None:
    path, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(sys.argv[4])
    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS = 0.01
    fitting._report = lambda *_: None  # its seconds are not what is tested
    told = [sitting(path, out, chance.randint(1, 2 * STEPS // (kills + 2)), chance.random() / 50) for _ in range(kills)]
    published_early = out.exists()
    told.append(sitting(path, out, None, 0.0))
    print(json.dumps({"told": told, "published_early": published_early}))


if __name__ == "__main__":
    main()
