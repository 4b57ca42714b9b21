"""Ctrl-C in training: the first asks to finish the step and keep what is there, the second quits at once."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

__all__ = ["Interrupt"]


class Interrupt:
    """While entered, remembers the first SIGINT instead of raising; the second raises `KeyboardInterrupt`.

    Outside the main thread, where Python delivers no signals, it does nothing.

    Example:
        >>> with Interrupt() as interrupt:
        ...     interrupt.requested
        False
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: object = None

    def __enter__(self) -> Interrupt:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and before is not None:
            self._before = before
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]
            self._before = None

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        print("\nfinishing this step; Ctrl-C again quits at once", file=sys.stderr, flush=True)
