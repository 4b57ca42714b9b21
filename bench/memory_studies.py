"""The tests of long memory, as they were published: images pixel by pixel, adding, copying."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.protocol import Study
from remanence.data.problems import problem_rows
from remanence.prediction.writers import write_rows

__all__ = ["MEMORY_STUDIES"]

IMAGES = "long/mnist-train-images-idx3-ubyte.xz"
ONE_LAYER = {
    "bidirectional": False, "hidden": 128, "dropout": 0.0, "weight_decay": 0.0, "initialise": "chrono,orthogonal",
}  # fmt: skip
"""One layer of 128 units, which answers from its memory alone."""
RNN = {"cell": "rnn", "initialise": "orthogonal", "reach": None}
"""The plain RNN beside it: nothing of it is to bridge steps by its biases."""


def _pixels(**options: Any) -> Callable[[Path, Path], dict[str, Any]]:
    """One layer of 128 units, answering after the last pixel; chosen on 2,000 validation images."""

    def unpack(source: Path, folder: Path) -> dict[str, Any]:
        return ONE_LAYER | {
            "path": source, "task": "classify", "split": "55000,5000,0", "pool": "last", "differences": False,
            "convolution": 0, "smoothing": 0.0, "batch_size": 64, "learning_rate": 0.003, "reach": 100,
        } | options  # fmt: skip

    return unpack


def _adding(source: Path, folder: Path) -> dict[str, Any]:
    """Two marked numbers of 600, 8,000 sequences to learn from."""
    path = folder / "adding.parquet"
    if not path.exists():
        write_rows(problem_rows("adding", sequences=10_000, length=600), path)
    return ONE_LAYER | {
        "path": path, "task": "regress", "label": "sum", "split_column": "split", "pool": "last",
        "differences": False, "convolution": 0, "batch_size": 64, "learning_rate": 0.005, "steps": 400,
    }  # fmt: skip


def _copy(source: Path, folder: Path) -> dict[str, Any]:
    """Ten letters of eight, to be written down again after 30 blanks."""
    path = folder / "copy.jsonl"
    if not path.exists():
        write_rows(problem_rows("copy", sequences=10_000, length=30), path)
    return ONE_LAYER | {
        "path": path, "task": "tag", "split_column": "split", "crf": False, "ngrams": 1, "embedding": 16,
        "embedding_dropout": 0.0, "smoothing": 0.0, "batch_size": 32, "learning_rate": 0.005, "epochs": 50,
    }  # fmt: skip


MEMORY_STUDIES: dict[str, Study] = {
    "adding": Study(
        "regress, adding problem",
        "T = 600, one mark in each half, 8,000/1,000/1,000 sequences; always answering 1 has an MSE of 0.167",
        "",
        _adding,
        "LSTM .164, GRU 5.3e-5, RNN .177, TCN 5.8e-5 (Bai et al. 2018)",
        {"mse": (0.001, "at most")},
        seeds=2,
        beside={"RNN": RNN},
    ),
    "copy": Study(
        "tag, copy problem",
        "ten letters of eight, 30 blanks between reading and writing them, 8,000/1,000/1,000 sequences; who writes "
        "blanks and then guesses has an accuracy of 0.825",
        "",
        _copy,
        "–",
        {"accuracy": (0.0, "")},
        seeds=2,
        beside={"RNN": RNN},
    ),
    "seqmnist": Study(
        "classify, sequential MNIST",
        "pixel by pixel, T = 784, read after the last one; 55,000/5,000/10,000 images",
        IMAGES,
        _pixels(epochs=12),
        "LSTM 87.2, GRU 96.2, RNN 21.5, TCN 99.0 (Bai et al. 2018)",
        {"accuracy": (0.985, "at least")},
        seeds=1,
        beside={"RNN": RNN},
    ),
    "permuted-mnist": Study(
        "classify, permuted sequential MNIST",
        "as above, pixels in one random order; read from both ends, 128 units each way",
        IMAGES,
        _pixels(permute=0, bidirectional=True, dropout=0.3, smoothing=0.05, learning_rate=0.006, epochs=9),
        "LSTM 85.7, GRU 87.3, RNN 25.3, TCN 97.2 (Bai et al. 2018)",
        {"accuracy": (0.94, "at least")},
        seeds=1,
        beside={"RNN, 2 epochs": RNN | {"epochs": 2}},
    ),
}
