"""A chart into a file, without a browser: PNG, SVG, or the specification that a page draws.

vl-convert draws with the fonts of this machine. Where a figure holds Chinese and no font has it, the file would
show empty boxes: that is an error here, never a picture.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from remanence.errors import MachineError
from remanence.explain.words import has_chinese

__all__ = ["chinese_font", "font_remedy", "require_font", "save_png", "save_svg", "specification"]

FONT_FILES = (
    "notosanscjk",
    "notoserifcjk",
    "notosanssc",
    "notosanshans",
    "sourcehansans",
    "sourcehanserif",
    "wqy",
    "wenquanyi",
    "droidsansfallback",
    "pingfang",
    "stheiti",
    "hiraginosansgb",
    "songti",
    "msyh",
    "simsun",
    "simhei",
    "simkai",
    "deng",
    "uming",
    "ukai",
    "arplumin",
    "lxgw",
    "unifont",
    "fandol",
    "notoseriffsc",
    "arialunicode",
    "ipaex",
    "ipag",
    "takao",
    "nanum",
    "vlgothic",
)
"""Beginnings of the names of font files that hold Chinese characters, in lower case without dashes."""


def specification(chart: Any, *, checked: bool = True) -> dict[str, Any]:
    """Give the Vega-Lite specification of a chart, without the address of its schema: a page names nothing outside.

    Args:
        chart: of Altair.
        checked: against the schema, which takes longer than all else.
    """
    spec: dict[str, Any] = chart.to_dict(validate=checked)
    spec.pop("$schema", None)
    return spec


def save_png(chart: Any, path: str | Path, *, scale: float = 2.0) -> Path:
    """Draw a chart into a PNG file.

    Args:
        chart: from `explain.figures` or `explain.inside`.
        path: the file; replaced if it is there.
        scale: pixels of the file per pixel of the figure.

    Raises:
        MachineError: the figure holds Chinese and this machine has no font for it, or the file cannot be written.
    """
    import vl_convert

    spec = _drawable(chart)
    return _write(Path(path), vl_convert.vegalite_to_png(spec, scale=scale))


def save_svg(chart: Any, path: str | Path) -> Path:
    """Draw a chart into an SVG file, letters as text.

    Raises:
        MachineError: as in `save_png`: the letters are measured with this machine's fonts.
    """
    import vl_convert

    spec = _drawable(chart)
    return _write(Path(path), vl_convert.vegalite_to_svg(spec).encode())


def _drawable(chart: Any) -> str:
    text = json.dumps(specification(chart), ensure_ascii=False)
    require_font(text)
    return text


def require_font(text: str) -> None:
    """Refuse to draw Chinese without a font that has it.

    Raises:
        MachineError: with the command that installs one.
    """
    # The name of a font in the theme is not text to be drawn, and all of those are in Latin letters.
    if has_chinese(text) and not chinese_font():
        raise MachineError("the figure holds Chinese, and no font on this machine has it", remedy=font_remedy())


def font_remedy() -> str:
    """How to come by a font with Chinese; empty where there is one."""
    if chinese_font():
        return ""
    return (
        "install one (Debian, Ubuntu: apt-get install fonts-noto-cjk; Fedora: dnf install google-noto-sans-cjk-fonts), "
        "or open the HTML report on a machine that has one"
    )


@cache
def chinese_font() -> str:
    """Find a font file with Chinese characters in the usual folders: its path, or empty."""
    for folder in _font_folders():
        for root, _, files in os.walk(folder):
            for name in files:
                plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
                if plain.startswith(FONT_FILES):
                    return os.path.join(root, name)
    return ""


def _font_folders() -> tuple[str, ...]:
    home = os.path.expanduser("~")
    windows = os.environ.get("WINDIR", "")
    return (
        "/usr/share/fonts",
        "/usr/local/share/fonts",
        f"{home}/.fonts",
        f"{home}/.local/share/fonts",
        "/System/Library/Fonts",
        "/Library/Fonts",
        f"{home}/Library/Fonts",
        *((os.path.join(windows, "Fonts"),) if windows else ()),
    )


def _write(path: Path, content: bytes) -> Path:
    """Write beside the place, then rename: nobody sees half a file."""
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise MachineError(f"{path}: cannot be written ({error.strerror})", remedy="choose another place") from None
    return path
