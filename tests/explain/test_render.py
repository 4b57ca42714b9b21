"""Pictures: whole files, no empty boxes in place of Chinese, no address of anything outside."""

from __future__ import annotations

import json

import numpy as np
import pytest

from remanence.errors import MachineError
from remanence.explain import render
from remanence.explain.figures import confusion
from remanence.explain.render import require_font, save_png, save_svg, specification


def chart(name: str):
    return confusion(np.array([[2, 1], [0, 3]]), [name, "b"])


def test_png_is_a_picture_of_the_asked_scale(tmp_path) -> None:
    small = save_png(chart("a"), tmp_path / "a.png", scale=1.0).read_bytes()
    large = save_png(chart("a"), tmp_path / "a.png", scale=2.0).read_bytes()
    width = [int.from_bytes(picture[16:20], "big") for picture in (small, large)]
    assert small[:8] == b"\x89PNG\r\n\x1a\n"
    assert width[1] == pytest.approx(2 * width[0], abs=2)


def test_svg_holds_the_text_as_text(tmp_path) -> None:
    if not render.chinese_font():
        pytest.skip("no font with Chinese on this machine")
    assert "好评" in save_svg(chart("好评"), tmp_path / "a.svg").read_text(encoding="utf-8")


def test_chinese_without_a_font_is_refused_with_a_remedy(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(render, "chinese_font", lambda: "")
    with pytest.raises(MachineError, match="fonts-noto-cjk"):
        save_png(chart("好评"), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    require_font("no Chinese here, so any font will do — ∂h/∂x")


def test_font_is_found_by_its_file_name(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(render, "_font_folders", lambda: (str(tmp_path),))
    render.chinese_font.cache_clear()
    try:
        assert render.chinese_font() == ""
        render.chinese_font.cache_clear()
        (tmp_path / "NotoSansCJK-Regular.ttc").touch()
        assert render.chinese_font().endswith("NotoSansCJK-Regular.ttc")
    finally:
        render.chinese_font.cache_clear()


def test_a_place_that_cannot_be_written_is_told(tmp_path) -> None:
    with pytest.raises(MachineError, match="missing"):
        save_svg(chart("a"), tmp_path / "missing" / "a.svg")


def test_specification_names_no_address() -> None:
    assert "http" not in json.dumps(specification(chart("a")))
