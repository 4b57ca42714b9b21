"""The engine's own register tile, alone: left rows and packed panels in cache. No time loop can be faster."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["tile_call"]

DEPTH, ROWS = 256, 48
_PLACE, _NUMBER = ctypes.c_void_p, ctypes.c_int64


def tile_call() -> tuple[Callable[[], Any], float]:
    """A call that multiplies two panels' width through the tile in float32, and its operations."""
    from remanence.compiler import kernel
    from remanence.compiler.machine import MACHINE
    from remanence.compiler.tile import FRESH

    columns = 2 * MACHINE.vectors * MACHINE.width(4)
    a = np.ones((ROWS, DEPTH), np.float32)
    packed = np.ones(columns * DEPTH, np.float32)
    c = np.zeros((ROWS, columns), np.float32)
    rows = np.arange(ROWS)
    where = [(c, rows), columns, (a, rows), DEPTH, (packed, c), ROWS, DEPTH, columns, FRESH]
    kinds = [_PLACE, _PLACE, _NUMBER, _PLACE, _PLACE, _NUMBER, _PLACE, _PLACE, *[_NUMBER] * 4]
    multiply = ctypes.CFUNCTYPE(None, *kinds)(kernel.tiles("float32").spread)
    arguments: list[int] = []
    for one in where:
        arguments += [one] if isinstance(one, int) else [array.ctypes.data for array in one]

    def call() -> Any:
        # The arrays are named here so that they live as long as the call.
        return multiply(*arguments), where

    call()
    assert (c == DEPTH).all(), "the tile takes other arguments now: mend this measure"
    return call, 2.0 * ROWS * columns * DEPTH
