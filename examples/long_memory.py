"""Does a network remember over a hundred steps? 网络能记住一百步以前的事吗？

    python examples/long_memory.py

Two of a hundred numbers are marked; the answer is their sum. A plain RNN loses the first one on the way, an LSTM whose
gates start as if its state were to last (chrono) keeps it. Under two minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import remanence
from remanence.cli import main as command


def main(out: str = "runs/adding", length: int = 100, sequences: int = 3000, **budget: int) -> None:
    data = Path(out).with_name("adding.csv")
    data.parent.mkdir(parents=True, exist_ok=True)
    options = ["--length", str(length), "--sequences", str(sequences), "--out", str(data), "--overwrite"]
    command(["problem", "adding", *options])
    training: dict[str, Any] = {"steps": 600, "seeds": 1, "hidden": 32} | budget
    found = remanence.compare(
        data, task="regress", label="sum", split_column="split", pool="last", bidirectional=False, convolution=0,
        differences=False, dropout=0.0, weight_decay=0.0, initialise="chrono", learning_rate=0.01,
        cells=("rnn", "lstm"), out=out, overwrite=True, threads=1,
        **training,
    )  # fmt: skip
    print(found.render())


if __name__ == "__main__":
    main()
