"""Candidates scored on the same units → one sentence: is there something to learn, and does memory help?

The recurrent model that stands for memory is chosen on the validation part, so that its interval is not the luckiest of
many. It must beat every simple model on the test part: it meets the simple model with the smallest test error, a choice
that can only work against memory (an intersection-union test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from remanence.statistics import Difference, Interval, difference

__all__ = ["Candidate", "Verdict", "judge"]

WORTH = 0.01
"""Smallest relative gain that is called one: a real but smaller one is of no use to anybody."""

Finding = Literal["nothing to learn", "memory helps", "memory does not help"]


@dataclass(frozen=True)
class Candidate:
    """One model's errors.

    Args:
        name: as shown (`lstm`, `seasonal naive`).
        kind: trivial (knows no pattern), simple (a baseline that learns), or recurrent.
        valid: mean error on the validation part; what a choice is made by.
        errors: errors on the test part, `[seed, unit]`.
    """

    name: str
    kind: Literal["trivial", "simple", "recurrent"]
    valid: float
    errors: np.ndarray

    @property
    def title(self) -> str:
        """`LSTM`, `GRU-before`, `seasonal naive`."""
        if self.kind != "recurrent":
            return self.name
        first, dash, rest = self.name.partition("-")
        return first.upper() + dash + rest


@dataclass(frozen=True)
class Verdict:
    """What was found, in one sentence of English and one of Chinese, with the figures behind it."""

    finding: Finding
    sentence: str
    sentence_zh: str
    best_simple: str
    best_recurrent: str
    gain: Difference

    def __str__(self) -> str:
        return self.sentence


def judge(candidates: Sequence[Candidate], *, metric: str, block: int) -> Verdict:
    """Compare the best simple with the best recurrent model, and the recurrent models with each other.

    Args:
        candidates: at least one trivial or simple, and one recurrent.
        metric: name of the error, as shown (`MAE`, `error rate`).
        block: neighbouring units that share their error (see `statistics.difference`).

    Raises:
        ValueError: one of the two sides is empty.
    """
    simple = _hardest(candidates, ("trivial", "simple"))
    recurrent = _best(candidates, ("recurrent",))
    gain = difference(recurrent.errors, simple.errors, block)
    trivial = [candidate for candidate in candidates if candidate.kind == "trivial"]
    learnt = not trivial or _beats(_best(candidates, ("simple", "recurrent")), _hardest(trivial, ("trivial",)), block)
    if _worth(gain):
        finding: Finding = "memory helps"
        rival = f"the best simple model ({simple.title})"
        words = f"memory helps: {recurrent.title} beats {rival} by {_share(gain)} in {metric}"
        words_zh = f"记忆有用：{recurrent.title} 比最好的简单模型（{simple.title}）误差小 {_share(gain)}（{metric}）"
    elif not learnt:
        finding, words, words_zh = _nothing(trivial, recurrent, block)
    else:
        finding = "memory does not help"
        if gain.worse:
            back = difference(simple.errors, recurrent.errors, block)
            words = f"memory does not help: {simple.title} beats {recurrent.title} by {_share(back)} in {metric}"
            words_zh = f"记忆没有帮助：{simple.title} 比 {recurrent.title} 误差小 {_share(back)}（{metric}）"
        else:
            words = (
                f"memory does not help: {recurrent.title} and the best simple model ({simple.title}) "
                f"cannot be told apart ({_share(gain)} in {metric})"
            )
            rival = f"最好的简单模型（{simple.title}）"
            words_zh = f"记忆没有帮助：{recurrent.title} 与{rival}分不出高下（{_share(gain)}，{metric}）"
    ranking, ranking_zh = _among(candidates, recurrent, block)
    return Verdict(finding, words + ranking, words_zh + ranking_zh, simple.name, recurrent.name, gain)


def _best(candidates: Sequence[Candidate], kinds: tuple[str, ...]) -> Candidate:
    """The candidate of these kinds that the validation part prefers."""
    return min(_side(candidates, kinds), key=lambda c: (not np.isfinite(c.valid), c.valid))


def _hardest(candidates: Sequence[Candidate], kinds: tuple[str, ...]) -> Candidate:
    """The candidate of these kinds that is hardest to beat on the test part."""
    return min(_side(candidates, kinds), key=lambda c: float(c.errors.mean()))


def _side(candidates: Sequence[Candidate], kinds: tuple[str, ...]) -> list[Candidate]:
    side = [c for c in candidates if c.kind in kinds]
    if not side:
        raise ValueError(f"no candidate among {kinds}")
    return side


def _beats(one: Candidate, other: Candidate, block: int) -> bool:
    return _worth(difference(one.errors, other.errors, block))


def _worth(gain: Difference) -> bool:
    return gain.better and gain.relative.estimate >= WORTH


def _nothing(trivial: Sequence[Candidate], recurrent: Candidate, block: int) -> tuple[Finding, str, str]:
    """No model beats those that know no pattern."""
    floor = _hardest(trivial, ("trivial",))
    versus = f"{recurrent.title} {_share(difference(recurrent.errors, floor.errors, block))}"
    last = next((c for c in trivial if c.name == "naive"), None)
    if last is None:
        return (
            "nothing to learn",
            f"there is nothing to learn here, with memory or without: no model beats {floor.title} ({versus})",
            f"这里学不到东西，有没有记忆都一样：没有模型胜过 {floor.title}（{versus}）",
        )
    if floor is last or not _beats(floor, last, block):
        return (
            "memory does not help",
            f"memory does not help: no model beats the last value ({versus}), as on a random walk",
            f"记忆没有帮助：没有模型胜过“沿用最后一个值”（{versus}），如同随机游走",
        )
    return (
        "memory does not help",
        f"memory does not help: no model beats {floor.title} ({versus})",
        f"记忆没有帮助：没有模型胜过 {floor.title}（{versus}）",
    )


def _among(candidates: Sequence[Candidate], best: Candidate, block: int) -> tuple[str, str]:
    """How the other recurrent models stand to the best one."""
    alike, behind = [], []
    for other in (c for c in candidates if c.kind == "recurrent" and c is not best):
        gain = difference(best.errors, other.errors, block)
        if _worth(gain):
            behind.append(f"{other.title} ({_share(gain)})")
        else:
            alike.append(other.title)
    words = words_zh = ""
    if alike:
        words += f"; {_listed([best.title, *alike], 'and')} cannot be told apart"
        words_zh += f"；{'、'.join([best.title, *alike])} 分不出高下"
    if behind:
        words += f"; {best.title} beats {_listed(behind, 'and')}"
        words_zh += f"；{best.title} 胜过 {'、'.join(behind)}"
    return words, words_zh


def _listed(names: Sequence[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def _share(gain: Difference) -> str:
    """`23 % [17, 29]`; where the reference makes no error at all, the plain difference."""
    interval, factor, unit = gain.relative, 100.0, " %"
    if not np.isfinite(interval.low):
        interval, factor, unit = gain.absolute, 1.0, ""
    scaled = Interval(*(factor * part for part in (interval.estimate, interval.low, interval.high)))
    digits = 2 if max(abs(scaled.estimate), abs(scaled.high - scaled.low)) < 2 else 0
    estimate, low, high = (_signed(value, digits) for value in (scaled.estimate, scaled.low, scaled.high))
    return f"{estimate}{unit} [{low}, {high}]"


def _signed(value: float, digits: int) -> str:
    """`−1`, `0` (never `−0`), `0.25`."""
    text = f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")
