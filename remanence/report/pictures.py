"""Figures of a page as picture files, one for each language."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from remanence.explain.render import chinese_font, save_png, save_svg, specification
from remanence.explain.words import Language, has_chinese
from remanence.report.page import Figure, Page
from remanence.storage import no_write_errors

__all__ = ["save_figures"]

_SAVE = {"png": save_png, "svg": save_svg}
_LANGUAGES: tuple[Language, ...] = ("en", "zh")


def save_figures(
    page: Page, folder: str | Path, *, formats: Sequence[str] = ("png",), languages: Sequence[Language] = _LANGUAGES
) -> tuple[Path, ...]:
    """Save every figure of a page: `gates.png` in English, `gates.zh.png` in Chinese.

    A figure that holds Chinese, in its titles or in a user's text, is left out where no font of this machine has it:
    see `explain.render.font_remedy`.

    Args:
        page: a page.
        folder: made where there is none.
        formats: of `png` and `svg`.
        languages: of the titles and captions.

    Returns:
        The files written.

    Raises:
        MachineError: the folder cannot be written.
    """
    folder = Path(folder)
    with no_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    figures = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    saved = []
    for figure in figures:
        for language in languages:
            chart = figure.draw(language)
            if has_chinese(json.dumps(specification(chart), ensure_ascii=False)) and not chinese_font():
                continue
            stem = figure.name if language == "en" else f"{figure.name}.{language}"
            saved += [_SAVE[kind](chart, folder / f"{stem}.{kind}") for kind in formats]
    return tuple(saved)
