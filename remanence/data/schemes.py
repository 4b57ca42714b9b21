"""Spans written as a label a token: BIO, BIOES, BMES; read back as CoNLL's own scorer reads them.

    BIO      B-x begins a span of type x, I-x goes on, O lies outside          (Ramshaw & Marcus 1995; IOB2)
    BIOES    also E-x for the last token, S-x for a span of one
    BMES     the same with M-x for I-x, used for Chinese

A label may be malformed within a text (an I-x that nothing began): the scorer of CoNLL-2000 begins a span there, and so
do we; `allowed` says which neighbours are well-formed, for a model that must not write others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["OUTSIDE", "Scheme", "Span", "allowed", "guess_scheme", "parts", "spans", "spelled"]

Scheme = Literal["none", "BIO", "BIOES", "BMES"]
OUTSIDE = "O"
_INSIDE = {"M": "I", "L": "E", "U": "S", "W": "S"}
"""Letters of other schemes (BMES, BILOU) by the letter of BIOES that means the same."""


class Span(NamedTuple):
    """Tokens `start … stop - 1`, of one type."""

    type: str
    start: int
    stop: int


def parts(label: str) -> tuple[str, str]:
    """Letter and type of a label: `B-loc` and `B_loc` → B, loc; a label without a letter is a span of its own.

    Example:
        >>> parts("B-geo-loc"), parts("O"), parts("M-PER.NAM"), parts("S")
        (('B', 'geo-loc'), ('O', ''), ('I', 'PER.NAM'), ('S', ''))
    """
    if label == OUTSIDE or not label:
        return OUTSIDE, ""
    letter, kind = label[0].upper(), label[2:]
    if len(label) > 1 and label[1] not in "-_":
        return "S", label
    return _INSIDE.get(letter, letter), kind


def guess_scheme(labels: Iterable[str]) -> Scheme:
    """What the labels of a file are written in; `none` where they are classes of single tokens.

    Example:
        >>> guess_scheme(["O", "B-loc", "I-loc"]), guess_scheme(["NOUN", "VERB"]), guess_scheme(["B-x", "M-x", "S-x"])
        ('BIO', 'none', 'BMES')
    """
    present = {label for label in labels if label}
    spanning = {label for label in present if label != OUTSIDE}
    marked = [label for label in spanning if len(label) > 2 and label[1] in "-_" and label[0] in "BIESMLU"]
    bare = {"B", "I", "E", "S", "M"}
    if not spanning or (len(marked) < len(spanning) and not spanning <= bare):
        return "none"
    letters = {label[0] for label in spanning}
    if "B" not in letters and "S" not in letters and "U" not in letters:
        return "none"
    if "M" in letters:
        return "BMES"
    return "BIOES" if letters & set("ESLU") else "BIO"


def spans(labels: Sequence[str]) -> list[Span]:
    """Spans of one sequence, in order, by the rules of the CoNLL-2000 scorer (as seqeval without `strict`).

    A span begins at B and S, at I or E after another type, after O, E or S; it ends before B, S, O or another type, and
    after E and S.

    Example:
        >>> spans(["B-per", "I-per", "O", "I-loc", "B-loc"])
        [Span(type='per', start=0, stop=2), Span(type='loc', start=3, stop=4), Span(type='loc', start=4, stop=5)]
    """
    found: list[Span] = []
    start, before, kind_before = -1, OUTSIDE, ""
    for place, label in enumerate([*labels, OUTSIDE]):
        letter, kind = parts(label)
        broken = kind != kind_before or before in "ESO"
        if start >= 0 and (letter in "BSO" or broken):
            found.append(Span(kind_before, start, place))
            start = -1
        if letter in "BS" or (letter in "IE" and (broken or start < 0)):
            start = place
        before, kind_before = letter, kind
    return found


def spelled(found: Iterable[Span], size: int, scheme: Scheme) -> list[str]:
    """Write spans as labels of `size` tokens.

    Example:
        >>> spelled([Span("x", 0, 3), Span("y", 3, 4)], 5, "BIOES")
        ['B-x', 'I-x', 'E-x', 'S-y', 'O']
    """
    labels = [OUTSIDE] * size
    inner = "M" if scheme == "BMES" else "I"
    for kind, start, stop in found:
        last = "I" if scheme == "BIO" else "E"
        labels[start:stop] = [f"B-{kind}", *[f"{inner}-{kind}"] * (stop - start - 2), f"{last}-{kind}"][: stop - start]
        if stop - start == 1 and scheme != "BIO":
            labels[start] = f"S-{kind}"
    return labels


def allowed(labels: Sequence[str], scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which labels may follow each other, begin, and end a sequence.

    Returns:
        bool `[class before, class]`, bool `[class]` (may begin), bool `[class]` (may end).

    Example:
        >>> follow, begin, end = allowed(["O", "B-x", "I-x"], "BIO")
        >>> follow.astype(int).tolist(), begin.astype(int).tolist(), end.astype(int).tolist()
        ([[1, 1, 0], [1, 1, 1], [1, 1, 1]], [1, 1, 0], [1, 1, 1])
    """
    count = len(labels)
    if scheme == "none":
        return np.ones((count, count), bool), np.ones(count, bool), np.ones(count, bool)
    read = [parts(label) for label in labels]
    # In BIO a span may end anywhere; in the others only E and S close one.
    closes = "BI" if scheme == "BIO" else ""
    follow = np.array([[_follows(one, two, scheme) for two in read] for one in read], bool).reshape(count, count)
    begin = np.array([letter in "OBS" for letter, _ in read], bool)
    end = np.array([letter in "OES" or letter in closes for letter, _ in read], bool)
    return follow, begin, end


def _follows(before: tuple[str, str], now: tuple[str, str], scheme: Scheme) -> bool:
    opened = before[0] in "BI"
    goes_on = now[0] in "IE"
    if goes_on:
        return opened and before[1] == now[1]
    return not opened or scheme == "BIO"
