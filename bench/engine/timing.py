"""Calls timed by turns, until their ratio is known well enough or the budget is over.

A machine that others use is fast and slow by turns; calls that alternate meet the same times. A round times a block of
calls of each, and every second round goes backwards. What is kept are medians over rounds and the quartiles of the
rounds' ratios.

A program calls the same layer step after step. So a block begins with a call that does not count: one that follows
another library's call finds that one's numbers in the caches, which costs a call of 3 ms up to a third of its time, and
one of 15 ms far less. Calls of more than `Budget.long` seconds are spared it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Budget", "Timing", "interleaved", "summary", "turns"]

Call = Callable[[], Any]


@dataclass(frozen=True)
class Budget:
    """How long to measure.

    Args:
        seconds: of one comparison, beyond the rounds that are always made.
        narrow: stop when the median ratio is known to this fraction (1.57 · interquartile range / √rounds: McGill,
            Tukey & Larsen 1978, doi:10.2307/2683468).
        fewest: rounds that are always made; `fewest_slow` where one takes more than `slow` seconds.
        block: least seconds of one block.
        long: seconds of a call that no other need come before.
        pause: seconds between blocks, for threads of another pool to fall asleep; then a call that does not count wakes
            one's own, however long.
    """

    seconds: float = 2.0
    narrow: float = 0.015
    fewest: int = 7
    fewest_slow: int = 2
    slow: float = 1.0
    block: float = 0.02
    long: float = 0.2
    pause: float = 0.0


@dataclass(frozen=True)
class Timing:
    """Seconds of a call of each of two, and the ratio theirs / ours with its quartiles.

    Args:
        ours, theirs: medians over rounds, seconds.
        ratio, low, high: median and quartiles of the rounds' ratios theirs / ours; above 1 we are faster.
        rounds: how many.
    """

    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    rounds: int


def _block(call: Call, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begun


def _count(call: Call, least: float) -> tuple[int, float]:
    """Calls in a block of at least so many seconds, and seconds of one."""
    count = 1
    while True:
        spent = _block(call, count)
        if spent >= least or count >= 1 << 20:
            return count, spent / count
        count = min(max(2 * count, int(1.1 * count * least / max(spent, 1e-9))), 100 * count)


def turns(calls: Sequence[Call], budget: Budget) -> list[tuple[float, ...]]:
    """Time calls that have been made before, by turns: seconds of each, round by round.

    The ratio of the first two decides when it is enough.
    """
    counts, lasting = zip(*(_count(call, budget.block) for call in calls), strict=True)
    rounds: list[tuple[float, ...]] = []
    begun = time.perf_counter()
    while True:
        spent = [0.0] * len(calls)
        order = range(len(calls)) if len(rounds) % 2 == 0 else reversed(range(len(calls)))
        for who in order:
            if budget.pause:
                time.sleep(budget.pause)
            if budget.pause or lasting[who] < budget.long:
                calls[who]()
            spent[who] = _block(calls[who], counts[who]) / counts[who]
        rounds.append(tuple(spent))
        fewest = budget.fewest if sum(spent) < budget.slow else budget.fewest_slow
        over = time.perf_counter() - begun > budget.seconds
        if len(rounds) >= fewest and (over or (len(rounds) > 2 and _unknown(rounds) <= budget.narrow)):
            return rounds


def interleaved(ours: Call, theirs: Call, budget: Budget) -> Timing:
    """Time two calls that have been made before, by turns."""
    return summary(turns((ours, theirs), budget))


def summary(rounds: Sequence[tuple[float, ...]]) -> Timing:
    """Medians of the first two columns, and of their ratio within a round: both met the same noise there."""
    ours, theirs = (statistics.median(found[who] for found in rounds) for who in (0, 1))
    low, middle, high = statistics.quantiles([found[1] / found[0] for found in rounds], n=4, method="inclusive")
    return Timing(ours, theirs, middle, low, high, len(rounds))


def _unknown(rounds: Sequence[tuple[float, ...]]) -> float:
    found = summary(rounds)
    return 1.57 * (found.high - found.low) / len(rounds) ** 0.5 / found.ratio
