"""What a model remembers: its gates, what is left of each input, and the figures that show it."""

from __future__ import annotations

from remanence.explain.example import Example, example_of
from remanence.explain.gates import Gates, gates
from remanence.explain.memory import Memory, half_life, memory

__all__ = ["Example", "Gates", "Memory", "example_of", "gates", "half_life", "memory"]
