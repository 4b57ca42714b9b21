"""`python -m remanence` is the command `remanence`."""

from __future__ import annotations

from remanence.cli import run

run()
