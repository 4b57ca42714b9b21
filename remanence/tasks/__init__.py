"""What people do with sequences, by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from remanence.errors import SettingError
from remanence.tasks.caption import Caption
from remanence.tasks.classify import Classify
from remanence.tasks.forecast import Forecast
from remanence.tasks.generate import Generate
from remanence.tasks.regress import Regress
from remanence.tasks.tag import Tag
from remanence.tasks.task import Task
from remanence.tasks.transcribe import Transcribe
from remanence.tasks.translate import Summarise, Translate

__all__ = ["TASKS", "Task", "task"]

_EVERY: tuple[Task, ...] = (
    Forecast(), Classify(), Regress(), Tag(), Generate(), Translate(), Summarise(), Caption(), Transcribe(),
)  # fmt: skip
TASKS: Mapping[str, Task] = MappingProxyType({each.name: each for each in _EVERY})


def task(name: str) -> Task:
    """Give the task of a name.

    Raises:
        SettingError: there is none.

    Example:
        >>> task("forecast").name
        'forecast'
    """
    if name not in TASKS:
        close = get_close_matches(name, TASKS, n=1)
        raise SettingError(
            f"no such task '{name}'",
            name="task",
            remedy=f"did you mean '{close[0]}'?" if close else f"one of {', '.join(TASKS)}",
        )
    return TASKS[name]
