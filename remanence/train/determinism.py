"""Torch's random state, threads and determinism, as training needs them, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from remanence.compiler.arena import give_back, keep_freed
from remanence.errors import SettingError
from remanence.settings import Settings

__all__ = ["reproducible", "threads_for"]

SMALL = 64
"""Units of a layer up to which one thread is as quick as several."""


@contextmanager
def reproducible(device: str, threads: int | None) -> Iterator[None]:
    """Inside, the same seed gives the same numbers: deterministic algorithms on the CPU, a fixed number of threads.

    Memory that is freed stays with the process for the next step (see `arena.keep_freed`), until the end.

    Args:
        device: deterministic algorithms are asked for on the CPU; a GPU's are as quick as they come.
        threads: CPU threads, or None for torch's choice.

    Raises:
        SettingError: no such device.

    Example:
        >>> with reproducible("cpu", threads=1):
        ...     torch.get_num_threads()
        1
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise SettingError(f"no such device here: '{device}'", name="device", remedy="--device cpu")
    keep_freed()
    random, before = torch.get_rng_state(), torch.get_num_threads()
    deterministic = torch.get_deterministic_debug_mode()
    flags = torch.utils.deterministic
    fill = flags.fill_uninitialized_memory  # type: ignore[attr-defined]
    try:
        if threads:
            torch.set_num_threads(threads)
        if torch.device(device).type == "cpu":
            # As `use_deterministic_algorithms`, which at its first call loads torch's compiler for seconds.
            torch.set_deterministic_debug_mode("error")
            # Filling fresh memory with NaN is for finding bugs, and costs time.
            flags.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield
    finally:
        give_back()
        torch.set_rng_state(random)
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(deterministic)
        flags.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def threads_for(settings: Settings) -> int:
    """CPU threads to train with: those asked for; else one for small layers, which lose in waiting what they gain.

    Args:
        settings: complete.
    """
    if settings.train.threads:
        return settings.train.threads
    return 1 if (settings.model.hidden or 1) <= SMALL else torch.get_num_threads()
