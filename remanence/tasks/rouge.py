"""ROUGE: how much of a reference summary stands in a written one, and the other way round, as F1.

    rouge1, rouge2   n-grams of one and two units, each counted as often as it stands in both
    rougeL           the longest common subsequence of units

A unit is a character of Chinese, Japanese or Korean, else a word or number in lower case; marks are left out.

References:
    Lin 2004, ROUGE: a package for automatic evaluation of summaries, https://aclanthology.org/W04-1013, §2–3 (β = 1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from remanence.data.tokens import LETTER

__all__ = ["rouge_l", "rouge_n", "units"]

_UNIT = re.compile(rf"{LETTER}+|\d+|[^\W_]")


def units(text: str) -> list[str]:
    """What a text is counted in.

    Example:
        >>> units("The LSTM, 1997: 长短期记忆")
        ['the', 'lstm', '1997', '长', '短', '期', '记', '忆']
    """
    return _UNIT.findall(text.lower())


def rouge_n(written: Sequence[str], truth: Sequence[str], length: int) -> float:
    """F1 of runs of so many units; 0 where either has none.

    Example:
        >>> rouge_n("the cat sat".split(), "the cat ran off".split(), 1)
        0.5714285714285714
    """
    own, right = (Counter(zip(*(side[at:] for at in range(length)), strict=False)) for side in (written, truth))
    return _f1((own & right).total(), own.total(), right.total())


def rouge_l(written: Sequence[str], truth: Sequence[str]) -> float:
    """F1 of the longest common subsequence.

    Example:
        >>> rouge_l("police kill the gunman".split(), "police killed the gunman".split())
        0.75
    """
    lengths = [0] * (len(truth) + 1)
    for unit in written:
        before = 0
        for at, other in enumerate(truth, 1):
            before, lengths[at] = lengths[at], before + 1 if unit == other else max(lengths[at], lengths[at - 1])
    return _f1(lengths[-1], len(written), len(truth))


def _f1(hits: int, written: int, truth: int) -> float:
    return 2 * hits / (written + truth) if hits else 0.0
