"""A text in English and in Chinese, side by side."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Language", "Words", "has_chinese"]

Language = Literal["en", "zh"]


class Words(NamedTuple):
    """One text in two languages.

    Example:
        >>> Words("step", "步").pick("zh")
        '步'
    """

    en: str
    zh: str

    def pick(self, language: Language) -> str:
        """The text in one language."""
        return self.zh if language == "zh" else self.en


def has_chinese(text: str) -> bool:
    """Tell whether a text needs a font with Chinese (or Japanese, Korean) characters.

    Example:
        >>> has_chinese("memory"), has_chinese("记忆")
        (False, True)
    """
    return any(
        "\u2e80" <= sign <= "\u9fff"
        or "\uac00" <= sign <= "\ud7ff"
        or "\uf900" <= sign <= "\ufaff"
        or "\uff00" <= sign <= "\uffef"
        or sign >= "\U00020000"
        for sign in text
    )
