"""The command line: one verb per stage, and each command calls one library function.

    options    flags generated from `remanence.settings`
    look       describe, cells, doctor
    learn      compare, fit
    use        evaluate, predict, explain, generate
    output     tables and JSON on standard output
    program    the verbs together, and errors told in one line

Nothing heavy is imported before a command runs, so that `remanence --help` is quick.
"""

from __future__ import annotations

from remanence.cli.program import main, run

__all__ = ["main", "run"]
