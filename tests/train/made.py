"""Small files to train on."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np

__all__ = ["OPTIONS", "load_csv"]

OPTIONS = {
    "task": "forecast", "target": "load", "horizon": 3, "context": 8, "hidden": 5, "calendar": False, "threads": 1,
    "batch_size": 16,
}  # fmt: skip
"""Options of `fit` under which the file of `load_csv` trains in a moment."""


def load_csv(path: Path, rows: int = 160, seed: int = 0) -> Path:
    """An hourly load with a daily rhythm."""
    random = np.random.default_rng(seed)
    start = datetime.datetime(2024, 1, 1)
    lines = ["hour,load"]
    for row in range(rows):
        value = 10 + 3 * np.sin(row * 2 * np.pi / 24) + 0.3 * random.normal()
        lines.append(f"{start + datetime.timedelta(hours=row):%Y-%m-%d %H:%M},{value:.4f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
