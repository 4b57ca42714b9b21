"""Where an example stands, in both languages: a part names it in English, here stands the Chinese of each name."""

from __future__ import annotations

import re

from remanence.explain.words import Words

__all__ = ["place_words"]

_PLACES = (
    (r"series (.+), (-?\d.*)", r"序列 {}，{}"),
    (r"([^,]+), sequence (.+), steps (\d+)–(\d+)", "{}，序列 {}，第 {}–{} 步"),
    (r"([^,]+), steps (\d+)–(\d+)", "{}，第 {}–{} 步"),
    (r"([^,]+), sequence (.+)", "{}，序列 {}"),
    (r"([^,]+), row ([\d,]+)", "{}，第 {} 行"),
    (r"([^,]+), token ([\d,]+)", "{}，第 {} 个词元"),
    (r"([^,]+), text ([\d,]+)", "{}，第 {} 篇"),
    (r"([^,]+), piece ([\d,]+), moved by ([+-]\d+)", "{}，第 {} 首，移调 {}"),
    (r"([^,]+), piece ([\d,]+)", "{}，第 {} 首"),
)


def place_words(name: str) -> Words:
    """What `Part.name` says, in both languages; a user's own words stay as they are.

    Example:
        >>> place_words("gaze.csv, sequence S1, steps 257–512").zh
        'gaze.csv，序列 S1，第 257–512 步'
    """
    for pattern, chinese in _PLACES:
        if found := re.fullmatch(pattern, name, re.DOTALL):
            return Words(name, chinese.format(*found.groups()))
    return Words(name, name)
