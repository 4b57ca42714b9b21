"""Torch modules: a recurrent layer of any cell, and what stands before and behind it."""

from __future__ import annotations

from remanence.nn.recurrent import Recurrent, RecurrentOptions, RecurrentOutput

__all__ = ["Recurrent", "RecurrentOptions", "RecurrentOutput"]
