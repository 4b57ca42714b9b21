"""What every page carries: its style, and the script that draws the figures in the language chosen."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from remanence.compiler import cache as store

__all__ = ["SCRIPT", "STYLE", "bundle"]

STYLE = """
:root { --ink: #24292f; --grey: #57606a; --line: #e3e7eb; --blue: #0072b2; --wash: #f6f8fa; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink); line-height: 1.6; font-size: 16px;
  font-family: -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, "PingFang SC",
    "Hiragino Sans GB", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei",
    "WenQuanYi Micro Hei", sans-serif; }
main, header { max-width: 1000px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; display: flex; justify-content: space-between; align-items: start; gap: 16px; }
header .name { color: var(--grey); font-size: 14px; }
h1 { font-size: 26px; line-height: 1.3; margin: 4px 0 0; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 6px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 16px; margin: 22px 0 2px; }
p, ul { margin: 8px 0; max-width: 74ch; overflow-wrap: anywhere; }
.verdict { font-size: 19px; line-height: 1.5; margin: 20px 0 6px; padding: 14px 18px; max-width: none;
  border-left: 5px solid var(--blue); background: var(--wash); border-radius: 0 6px 6px 0; }
.how { color: var(--grey); font-size: 15px; }
.example { font-size: 17px; padding: 8px 14px; background: var(--wash); border-radius: 6px; max-width: none;
  max-height: 10em; overflow-y: auto; }
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 14.5px; font-variant-numeric: tabular-nums; min-width: 50%; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; color: var(--grey); white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.best td { font-weight: 600; }
td.wide { white-space: pre-wrap; overflow-wrap: break-word; min-width: 8.5em; }
figure { margin: 14px 0 6px; }
.chart { overflow-x: auto; min-height: 40px; }
.chart.vega-embed { display: block; padding: 0; }
.chart.vega-embed > svg, .chart.vega-embed > canvas { display: block; }
.failed { color: #b00020; }
details { margin: 10px 0; }
summary { cursor: pointer; color: var(--blue); }
nav button { font: inherit; font-size: 14px; padding: 4px 12px; border: 1px solid #c9d1d9; background: #fff;
  color: var(--grey); cursor: pointer; }
nav button:first-child { border-radius: 6px 0 0 6px; }
nav button:last-child { border-radius: 0 6px 6px 0; border-left: 0; }
nav button[aria-pressed=true] { background: var(--ink); border-color: var(--ink); color: #fff; }
nav { white-space: nowrap; }
footer { max-width: 1000px; margin: 40px auto 30px; padding: 12px 20px; color: var(--grey); font-size: 13.5px; }
html[data-shown=en] [data-words]:lang(zh), html[data-shown=zh] [data-words]:lang(en) { display: none; }
html:not([data-shown]) [data-words]:lang(zh)::before { content: " "; }
html:not([data-shown]) nav { visibility: hidden; }
@media (max-width: 640px) {
  body { font-size: 15.5px; } h1 { font-size: 21px; } .verdict { font-size: 17px; padding: 10px 14px; }
  header { flex-direction: column-reverse; } main, header { padding-left: 14px; padding-right: 14px; }
}
@media print { nav { display: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""

SCRIPT = """
"use strict";
(function () {
  const root = document.documentElement;
  const held = JSON.parse(document.getElementById("figures").textContent);
  const places = Array.from(document.querySelectorAll(".chart"));
  let language = (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
  let width = 0;

  // Panels beside each other on a wide page stand below each other on a phone, and none is wider than the page.
  function fitted(spec, room) {
    const copy = structuredClone(spec);
    const panels = copy.concat || [copy];
    const narrow = room < 700;
    if (copy.concat && narrow) copy.columns = 1;
    const beside = Math.min(copy.columns || 1, panels.length);
    const most = Math.max(150, Math.floor(room / beside) - 105);
    for (const panel of panels) {
      if (typeof panel.width !== "number") continue;
      const square = panel.width === panel.height;
      const wanted = square ? panel.width : Math.max(panel.width, Math.min(most, 380 * (3 - beside)));
      panel.width = Math.min(wanted, square && narrow ? most - 25 : most);
      if (square) panel.height = panel.width;
    }
    return copy;
  }

  async function draw() {
    width = root.clientWidth;
    for (const place of places) {
      const figure = held.figures[Number(place.dataset.figure)];
      const spec = fitted(figure[language] || figure.en, place.clientWidth || width - 30);
      spec.datasets = figure.datasets;
      try {
        await vegaEmbed(place, spec, {
          mode: "vega-lite", renderer: figure.renderer, actions: false, ast: true,
        });
        place.dataset.drawn = language;
      } catch (error) {
        place.textContent = "This figure could not be drawn: " + error;
        place.classList.add("failed");
        console.error(error);
      }
    }
    root.dataset.ready = language;
  }

  function choose(chosen) {
    language = chosen;
    root.dataset.shown = chosen;
    root.lang = chosen === "zh" ? "zh-CN" : "en";
    for (const button of document.querySelectorAll("nav button"))
      button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
    return draw();
  }

  for (const button of document.querySelectorAll("nav button"))
    button.addEventListener("click", () => choose(button.dataset.language));
  let waiting = 0;
  window.addEventListener("resize", () => {
    if (Math.abs(root.clientWidth - width) < 40) return;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 200);
  });
  choose(language);
})();
"""


@cache
def bundle() -> str:
    """Give the drawing library (Vega, Vega-Lite, Vega-Embed) as one script that names no address to load from.

    It takes seconds to put together, so it is kept with the compiled kernels.
    """
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    source = f"# The drawing library of pages: vl-convert {version('vl-convert-python')}, by assets.py {own}.\n"
    path = store.written(source, hashlib.sha256(source.encode()).hexdigest(), "drawing")
    return store.product(path, lambda: _bundled().encode()).decode()


def _bundled() -> str:
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # An editor that we do not offer, a schema's name, and a hint in a warning: nothing that is loaded.
    for address in ("https://vega.github.io/", "https://github.com/"):
        text = text.replace(address, "offline:")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")
