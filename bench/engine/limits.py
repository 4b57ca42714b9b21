"""What the measures must show, stated once: key of a finding → its floor or ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LIMITS", "Limit"]


@dataclass(frozen=True)
class Limit:
    """A row of the table.

    Args:
        title: what is measured.
        unit: of the value: "µs", "×", "%", "s", "" for a plain number.
        bound: what it must reach; None: shown without.
        sense: which side of the bound is right.
    """

    title: str
    unit: str
    bound: float | None = None
    sense: Literal["at most", "at least"] = "at most"

    def reached(self, value: float) -> bool | None:
        """Whether a value is on the right side; None without a bound.

        Example:
            >>> Limit("a step", "µs", 2.0).reached(1.9), Limit("a rate", "%", 85, "at least").reached(80)
            (True, False)
        """
        if self.bound is None:
            return None
        return value <= self.bound if self.sense == "at most" else value >= self.bound


LIMITS = {
    "step/32": Limit("One step, batch 1, H 32", "µs", 2.0),
    "step/128": Limit("One step, batch 1, H 128", "µs", 6.0),
    "step/512": Limit("One step, batch 1, H 512", "µs", 80.0),
    "step/onnxruntime/32": Limit("One step, H 32, beside ONNX Runtime", "×", 2.0, "at least"),
    "step/onnxruntime/128": Limit("One step, H 128, beside ONNX Runtime", "×", 2.0, "at least"),
    "step/onnxruntime/512": Limit("One step, H 512, beside ONNX Runtime", "×"),
    "step/torch/32": Limit("One step, H 32, beside nn.LSTMCell", "×"),
    "step/torch/128": Limit("One step, H 128, beside nn.LSTMCell", "×"),
    "step/torch/512": Limit("One step, H 512, beside nn.LSTMCell", "×"),
    "step/sessions": Limit("One step of 1,000 sessions, H 128: share of the tile's peak", "%", 75.0, "at least"),
    "rate/sgemm/256": Limit("LSTM layer, inference, H 256: share of sgemm", "%", 85.0, "at least"),
    "rate/sgemm/512": Limit("LSTM layer, inference, H 512: share of sgemm", "%", 85.0, "at least"),
    "rate/tile/256": Limit("LSTM layer, inference, H 256: share of the tile's peak", "%"),
    "rate/tile/512": Limit("LSTM layer, inference, H 512: share of the tile's peak", "%"),
    "rate/sgemm": Limit("sgemm (the best of torch.mm and NumPy)", "GFLOP/s"),
    "rate/tile": Limit("The tile alone, in cache", "GFLOP/s"),
    "trace/train/128": Limit("A full trace costs, training, LSTM H 128", "%", 5.0),
    "trace/train/256": Limit("A full trace costs, training, LSTM H 256", "%", 5.0),
    "trace/infer/128": Limit("A full trace costs, inference, LSTM H 128", "%", 20.0),
    "trace/infer/256": Limit("A full trace costs, inference, LSTM H 256", "%", 20.0),
    "new-cell/first/10": Limit("A new cell, first use, T 10", "s", 6.0),
    "new-cell/first/10000": Limit("A new cell, first use, T 10,000", "s", 6.0),
    "new-cell/cached/10": Limit("A new cell, from the cache, T 10", "s", 0.5),
    "new-cell/cached/10000": Limit("A new cell, from the cache, T 10,000", "s", 0.5),
    "checkpoint/memory": Limit("Checkpoints, T 20,000 B 8 H 128: peak memory of the layer", "×", 0.125),
    "checkpoint/whole": Limit("Checkpoints, T 20,000 B 8 H 128: peak memory of the whole step", "×"),
    "checkpoint/time": Limit("Checkpoints, T 20,000 B 8 H 128: time", "×", 1.6),
    "numerics/float64": Limit("Every cell against its float64 twin, in float64", "", 1e-10),
    "numerics/float32": Limit("Every cell against its float64 twin, in float32", "", 2e-5),
}
"""Rows of the table, in its order."""
