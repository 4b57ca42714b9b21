"""Who else computes a recurrent layer: a module for each, with `make(problem) -> Contender`.

A peer that is not installed is left out, and the table says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

__all__ = ["PEERS", "Peer"]

MATRIX = ("lstm", "gru", "rnn")


@dataclass(frozen=True)
class Peer:
    """A library, or a way of using one.

    Args:
        title: as the table names it.
        package: what must be installed.
        module: where `make` is.
        cells: what it can compute; empty: every cell that `plain` knows.
        modes: "train", "infer", "lengths".
        pool: whether it brings threads of its own, which need a moment to fall asleep after a call.
    """

    title: str
    package: str
    module: str
    cells: tuple[str, ...]
    modes: tuple[str, ...]
    pool: bool = False

    def installed(self) -> bool:
        """Whether its package can be imported."""
        return find_spec(self.package) is not None

    def computes(self, cell: str, mode: str) -> bool:
        """Whether it knows the cell in this mode."""
        from bench.engine.plain import PLAIN

        return mode in self.modes and cell in (self.cells or PLAIN)

    def load(self) -> Callable[[Any], Any]:
        """Import its `make`."""
        return importlib.import_module(f"bench.engine.peers.{self.module}").make


PEERS = {
    "torch": Peer("torch.nn", "torch", "torch_nn", (*MATRIX, "lstmp"), ("train", "infer", "lengths")),
    "onnxruntime": Peer("ONNX Runtime", "onnxruntime", "onnx_runtime", MATRIX, ("infer",), pool=True),
    "cells": Peer("Python loop over cells", "torch", "cells", (), ("train", "infer")),
    "loop": Peer("loop, product ahead", "torch", "loop", (), ("train", "infer")),
    "jax": Peer("JAX lax.scan", "jax", "jax_scan", (), ("train", "infer"), pool=True),
    "keras": Peer("Keras on JAX", "keras", "keras_layer", MATRIX, ("train", "infer"), pool=True),
}
"""Every peer by the name that `--peers` takes."""
