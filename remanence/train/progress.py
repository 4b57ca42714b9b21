"""What a person sees while training runs: one line on stderr where it is a terminal, nothing elsewhere.

Progress     the interface, and silence
Terminal     rich: model, loss, validation, time left
"""

from __future__ import annotations

import sys
import time

from remanence.errors import printable

__all__ = ["Notes", "Progress", "Terminal", "progress_for"]


_TELLING, _LONG = 10.0, 60.0
"""Seconds of training after which it can be told how long it takes, and seconds that are worth telling."""


class Progress:
    """Told of what happens; this one keeps silent.

    Example:
        >>> Progress().note("not shown")
    """

    def begin(self, title: str) -> None:
        """A model begins to train."""

    def step(self, used: float, loss: float, seconds: float) -> None:
        """An update: fraction of the budget used, training loss, seconds since the beginning."""

    def evaluated(self, name: str, value: float, best: bool) -> None:
        """An evaluation on the validation part: its metric and value, and whether it is the best so far."""

    def end(self) -> None:
        """The model is trained."""

    def note(self, text: str) -> None:
        """Something a person should know."""


class Notes(Progress):
    """Notes alone, a line each on stderr: where stderr is a file or a pipe."""

    def __init__(self) -> None:
        self._title, self._told = "", False

    def begin(self, title: str) -> None:
        self._title, self._told = title, False
        self.note(f"training {title}")

    def step(self, used: float, loss: float, seconds: float) -> None:
        if self._told or seconds < _TELLING or used <= 0:
            return
        self._told = True
        if (left := seconds * (1 - used) / used) > _LONG:
            self.note(f"{self._title}: {_clock(left)} left at most (--minutes or --steps end it earlier)")

    def note(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)


class Terminal(Progress):
    """A live line on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[facts]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, facts="", visible=False)
        self._valid = ""
        self._drawn = 0.0

    def begin(self, title: str) -> None:
        self._valid = ""
        self._bar.reset(self._task, total=1.0, description=printable(title), facts="", visible=True)
        self._bar.start()

    def step(self, used: float, loss: float, seconds: float) -> None:
        now = time.monotonic()
        if now - self._drawn < 0.2 and used < 1:
            return
        self._drawn = now
        left = _clock(seconds * (1 - used) / used) if used > 0 else "?"
        self._bar.update(self._task, completed=used, facts=f"loss {loss:.4g}{self._valid}  {left} left at most")

    def evaluated(self, name: str, value: float, best: bool) -> None:
        self._valid = f"  {name} {value:.4g}{' *' if best else ''}"

    def end(self) -> None:
        self._bar.stop()
        self._bar.update(self._task, visible=False)

    def note(self, text: str) -> None:
        self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def progress_for(choice: bool | Progress | None) -> Progress:
    """The progress to tell: `False` is silence, `None` or `True` fit where stderr goes, a `Progress` is itself."""
    if isinstance(choice, Progress):
        return choice
    if choice is False:
        return Progress()
    return Terminal() if sys.stderr.isatty() else Notes()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
