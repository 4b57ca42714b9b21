"""The rates of all libraries beside the machine's own matrix product, as one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from bench.engine.peers import PEERS
from remanence.explain.render import save_png
from remanence.explain.style import COLOURS, GREY, styled

__all__ = ["draw", "roofline"]

OURS = "Remanence"
PANELS = {
    "lstm/train": "LSTM, training",
    "lstm/infer": "LSTM, inference",
    "gru/train": "GRU, training",
    "rnn/train": "RNN, training",
    "lstmp/train": "LSTM with projection, training",
    "lstm/lengths": "LSTM, unequal lengths, training",
    "lstm-peephole/train": "Peephole LSTM, training",
    "lstm-layernorm/train": "Layer-norm LSTM, training",
}
"""Cell and mode of each panel, in order."""
ACROSS = 4


def _points(results: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each library in each case of a panel; ours as measured beside the first peer."""
    peak = {
        key.partition("@")[2]: found["value"]
        for key, found in results["findings"].items()
        if key.startswith("rate/sgemm@") and "value" in found
    }
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for key, case in results["cases"].items():
        cell, mode, peer, shape, threads = key.split("/")
        panel = PANELS.get(f"{cell}/{mode}")
        if panel is None or "ratio" not in case:
            continue
        words = f"{threads} thread" + "s" * (threads != "1")
        here = {"panel": panel, "shape": shape.replace("x", " "), "threads": words, "sgemm": peak.get(threads)}
        for who, rate in ((PEERS[peer].title, case["theirs_gflops"]), (OURS, case["ours_gflops"])):
            found.setdefault((panel, shape, threads, who), here | {"who": who, "rate": rate})
    return list(found.values())


def roofline(results: dict[str, Any]) -> alt.VConcatChart | None:
    """Draw GFLOP/s of the matrix products against the shape, a panel for each cell and mode; None without cases."""
    points = _points(results)
    if not points:
        return None
    titles = [title for title in PANELS.values() if any(point["panel"] == title for point in points)]
    shapes = sorted({point["shape"] for point in points}, key=lambda s: [int(part) for part in s.split()][::-1])
    top = 1.05 * max(value for point in points for value in (point["rate"], point["sgemm"] or 0))
    rows = []
    for first in range(0, len(titles), ACROSS):
        some = titles[first : first + ACROSS]
        rows.append(_row([point for point in points if point["panel"] in some], some, shapes, top))
    subtitle = "GFLOP/s of the matrix products, by batch, time, input, hidden; dashed: the machine's own sgemm"
    return alt.vconcat(*rows, title=alt.Title("How fast beside the machine", subtitle=subtitle))


def _row(points: list[dict[str, Any]], titles: list[str], shapes: list[str], top: float) -> alt.FacetChart:
    """Panels beside each other; threads one below the other."""
    names = [OURS, *(peer.title for peer in PEERS.values())]
    # Where a panel has no point, the panels behind it would move into its place.
    known = {(point["panel"], point["threads"]) for point in points}
    grid = [(title, threads) for title in titles for threads in sorted({point["threads"] for point in points})]
    empty = {"shape": shapes[0], "who": OURS, "rate": None, "sgemm": None}
    points = points + [{**empty, "panel": title, "threads": n} for title, n in grid if (title, n) not in known]
    base = alt.Chart(alt.InlineData(values=points))
    shown = alt.Y("rate:Q", title=None, scale=alt.Scale(domain=[0, top], nice=False))
    lines = base.mark_line(point=alt.OverlayMarkDef(size=30), strokeWidth=1.6).encode(
        x=alt.X("shape:N", sort=shapes, title=None, axis=alt.Axis(labelAngle=-40)),
        y=shown,
        color=alt.Color(
            "who:N",
            scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])),
            title=None,
            legend=alt.Legend(orient="top", columns=len(names)),
        ),
    )
    rule = base.mark_rule(strokeDash=[5, 3], color=GREY, strokeWidth=1.4).encode(y=alt.Y("max(sgemm):Q", title=None))
    return (
        alt.layer(rule, lines)
        .properties(width=170, height=110)
        .facet(
            column=alt.Column("panel:N", sort=titles, title=None, header=alt.Header(labelFontSize=11)),
            row=alt.Row("threads:N", title=None),
        )
    )


def draw(results: dict[str, Any], path: Path) -> Path | None:
    """Write the figure as PNG; None where there is nothing to draw."""
    chart = roofline(results)
    return None if chart is None else save_png(styled(chart), path)
