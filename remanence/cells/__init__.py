"""The cell zoo: one short file per family, equations and citation only."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from remanence.cells import elementwise, exponential, gru, gru_variants, irregular, lstm, lstm_variants, rnn
from remanence.cells.cell import Cell, TorchTwin, describe
from remanence.errors import SettingError

__all__ = ["CELLS", "Cell", "TorchTwin", "cell", "describe"]

CELLS: Mapping[str, Cell] = MappingProxyType(
    {
        found.name: found
        for family in (rnn, lstm, lstm_variants, gru, gru_variants, elementwise, exponential, irregular)
        for found in family.CELLS
    }
)
"""Every cell of the zoo, by name."""


def cell(name: str) -> Cell:
    """Find a cell by name.

    Raises:
        SettingError: no such cell; names the nearest ones.

    Example:
        >>> cell("lstm").quantities
        ('i', 'f', 'g', 'o', 'c', 'h')
    """
    if name not in CELLS:
        close = get_close_matches(name, CELLS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise SettingError(f"no cell is named '{name}'", name="cell", remedy=f"{hint}see `remanence cells`")
    return CELLS[name]
