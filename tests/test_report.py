"""Pages: one file, nothing from outside, nothing that data could run, drawn without an error in a real browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from remanence.explain.figures import confusion
from remanence.explain.render import chinese_font
from remanence.explain.words import Words
from remanence.report import (
    Details,
    Figure,
    Page,
    Section,
    Table,
    Text,
    assets,
    page_html,
    pictures,
    save_figures,
    write_page,
)
from remanence.report.comparison_page import comparison_page
from remanence.report.names import number
from remanence.report.sections import learning_section, memory_section, notes_section, settings_section
from tests.explain.helpers import text_model, token_example

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def test_the_drawing_library_is_put_together_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REMANENCE_CACHE", str(tmp_path))
    made = assets.bundle.__wrapped__()
    assert "vegaEmbed" in made and "http" not in made[:200]
    monkeypatch.setattr(assets, "_bundled", lambda: pytest.fail("it is kept"))
    assert assets.bundle.__wrapped__() == made


def attacked() -> Page:
    """A page on which every text of a user's is an attack."""
    hostile = Words(ATTACK, ATTACK + "记忆")
    figure = Figure("confusion", lambda _: confusion(np.array([[2, 1], [0, 3]]), [ATTACK, "b\u2028"]), hostile, hostile)
    table = Table((hostile,), ((ATTACK,), (hostile,)), best=0)
    blocks = (Text((hostile,)), Text((hostile, hostile), "how"), table, Details(hostile, (table,)), figure)
    example = token_example("</script><script>alert(1)</script>")
    return Page(
        ATTACK, hostile, hostile, (Section(hostile, blocks), *memory_section({"lstm": text_model("lstm")}, example))
    )


def explained() -> Page:
    """The page of a Chinese text, RNN beside LSTM."""
    rows = [
        {"model": "lstm", "seed": seed, "epoch": epoch, "train_loss": 1 / epoch, "valid_loss": None, "best": False}
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    models = {"lstm": text_model("lstm"), "rnn": text_model("rnn")}
    learning = learning_section(rows)
    assert learning is not None
    sections = (
        notes_section(("words: characters",), {"train": 5}),
        learning,
        *memory_section(models, token_example("猫追老鼠，它跑得很快")),
        settings_section({"settings": {"a": {"b": 1}}, "equations": "h = tanh(W @ x)"}),
    )
    return Page("demo", Words("Demo", "演示"), Words("Memory helps.", "记忆有用。"), sections)


class Elements(HTMLParser):
    """Tags with their attributes, and what stands in scripts, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag) -> None:
        self.inside = False

    def handle_data(self, data) -> None:
        if self.inside:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)


@pytest.fixture(scope="module")
def attacked_html() -> str:
    return page_html(attacked())


def test_text_of_users_is_harmless(attacked_html: str) -> None:
    found = Elements(attacked_html)
    assert [kind for kind, _ in found.scripts] == ["application/json", None, None]
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    assert html.escape(ATTACK) in attacked_html


def test_figures_survive_as_data(attacked_html: str) -> None:
    text = next(text for kind, text in Elements(attacked_html).scripts if kind == "application/json")
    held = json.loads(text)["figures"]
    assert ATTACK in json.dumps(held[0]["en"], ensure_ascii=False) or ATTACK in json.dumps(held[0]["datasets"])
    assert not set("<>&\u2028") & set(text)


def test_a_page_names_nothing_outside(attacked_html: str) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'`)]*", attacked_html))
    # Names of XML dialects: identifiers that no browser loads.
    assert {address for address in addresses if address.startswith("http")} <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/xmlns/",
    }
    for tag, attributes in Elements(attacked_html).tags:
        for name in ("src", "href", "action", "poster", "srcset"):
            assert (attributes.get(name) or "data:,") == "data:,", tag


def test_the_policy_allows_these_scripts_and_no_other(attacked_html: str) -> None:
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Elements(attacked_html).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    scripts = [text for kind, text in Elements(attacked_html).scripts if kind is None]
    assert allowed == [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]


@pytest.fixture(scope="module")
def explained_html() -> str:
    return page_html(explained())


def test_every_text_stands_in_both_languages(explained_html: str) -> None:
    text = explained_html
    assert "Memory helps." in text
    assert "记忆有用。" in text
    assert text.count('data-words lang="en"') == text.count('data-words lang="zh-CN"')


def test_figures_share_their_data_between_languages(explained_html: str) -> None:
    content = next(text for kind, text in Elements(explained_html).scripts if kind == "application/json")
    gates = json.loads(content)["figures"][1]
    assert "单元" in json.dumps(gates["zh"], ensure_ascii=False)
    assert "单元" not in json.dumps(gates["en"], ensure_ascii=False)
    assert len(gates["datasets"]) == 6


def test_a_comparison_without_runs_is_still_a_page() -> None:
    rows = [
        {"model": "naive", "kind": "trivial", "metrics": {"mae": 2.0}, "seeds": [0], "interval": [1, 3], "seconds": 0.1,
         "parameters": 0},
        {"model": "lstm", "kind": "recurrent", "metrics": {"mae": 1.0}, "seeds": [0, 1], "interval": None, "seconds": 2,
         "parameters": 1234},
        {"model": "dtw", "kind": "simple", "metrics": {}, "seeds": [], "interval": None, "seconds": None,
         "parameters": None},
    ]  # fmt: skip
    result = {"task": "forecast", "protocol": {"split": [0.6, 0.2, 0.2]}, "rows": rows, "verdict": "memory helps"}
    text = page_html(comparison_page(result, {}, verdict_zh="记忆有用：LSTM 比最好的（naive）小 9 %（mae）"))
    assert "Memory helps." in text
    assert "记忆有用：LSTM 比最好的（朴素（最后一个值））小 9 %（MAE）。" in text
    assert text.index(">LSTM<") < text.index(">naive (last value)<") < text.index(">dtw<")
    assert "1,234" in text


def test_pictures_of_a_page_are_saved(tmp_path: Path) -> None:
    page = attacked()
    page = replace(page, sections=page.sections[:1])
    files = save_figures(page, tmp_path / "figures", formats=("png", "svg"), languages=("en",))
    assert [file.name for file in files] == ["confusion.png", "confusion.svg"]
    assert files[0].read_bytes()[:4] == b"\x89PNG" and files[1].read_text(encoding="utf-8").startswith("<svg")


def test_pictures_in_chinese_need_a_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = explained()
    page = replace(page, sections=page.sections[1:2])
    both = ["learning.svg", "learning.zh.svg"] if chinese_font() else ["learning.svg"]
    assert [file.name for file in save_figures(page, tmp_path, formats=("svg",))] == both
    monkeypatch.setattr(pictures, "chinese_font", lambda: "")
    assert [file.name for file in save_figures(page, tmp_path / "b", formats=("svg",))] == ["learning.svg"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (True, "–"), (0.0, "0"), (1e-7, "1e-07"), (98765.4, "98,765")],
)
def test_number_is_short(value: object, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("make", "language"), [(explained, "zh"), (attacked, "en")])
def test_a_browser_draws_every_figure_without_an_error(make, language: str, tmp_path: Path) -> None:
    path = write_page(make(), tmp_path / "page.html")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", f"--lang={language}",
        f"--accept-lang={language}", "--virtual-time-budget=30000", "--window-size=1200,900",
        "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert f'data-ready="{language}"' in done.stdout
    figures = done.stdout.count('data-figure="')
    assert figures >= 5
    assert done.stdout.count(f'data-drawn="{language}"') == figures
    assert len(re.findall(r"<svg|<canvas", done.stdout)) >= figures
    assert not re.findall(r'class="[^"]*failed', done.stdout)
