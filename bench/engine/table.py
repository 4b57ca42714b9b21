"""The results as Markdown: what must be shown, and whether it is; then every case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

from bench.engine.limits import LIMITS
from bench.engine.peers import PEERS
from bench.engine.plan import FLOORS, Floor

__all__ = ["insert", "judged", "markdown"]

BEGIN, END = "<!-- Written by python -m bench.engine; measure again to change it. -->", "<!-- Until here. -->"
SIGN = {"at most": "≤", "at least": "≥"}


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean of ratios.

    Example:
        >>> geometric_mean([0.5, 2.0, 8.0])
        2.0
    """
    return round(exp(sum(map(log, ratios)) / len(ratios)), 12)


def _of(floor: Floor, results: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Shape and threads → the case that counts: that of the fastest peer."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, case in results["cases"].items():
        if not _concerns(floor, key) or "ratio" not in case:
            continue
        _, _, peer, shape, threads = key.split("/")
        known = found.get((shape, threads))
        if known is None or case["ratio"] < known["ratio"]:
            found[shape, threads] = case | {"peer": peer}
    return found


def _concerns(floor: Floor, key: str) -> bool:
    cell, mode, peer, _, _ = key.split("/")
    return (cell, mode) == (floor.cell, floor.mode) and peer in floor.peers


def judged(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every row with its floor: title, beside, value, floor, reached (None where there is no floor)."""
    for floor in FLOORS:
        cases = _of(floor, results)
        beside = " or ".join(PEERS[peer].title for peer in floor.peers)
        row = {
            "title": floor.title,
            "beside": beside,
            "floor": _floor(floor),
            "reached": None,
            "value": "",
            "note": "",
            "most": "",
        }
        if not cases:
            why = [PEERS[peer].title for peer in floor.peers if not PEERS[peer].installed()]
            yield row | {"value": "–", "note": f"{', '.join(why)} not installed" if why else "not measured"}
            continue
        ratios = [case["ratio"] for case in cases.values()]
        mean, least = geometric_mean(ratios), min(ratios)
        checks = [bound is None or value >= bound for value, bound in ((mean, floor.mean), (least, floor.least))]
        row["value"] = f"mean {mean:.2f}, least {least:.2f} ({len(ratios)} case{'s' * (len(ratios) > 1)})"
        lost = sum(_concerns(floor, key) and "ratio" not in case for key, case in results["cases"].items())
        paths = {f"path {case['path']}" for case in cases.values() if case["path"] not in ("", "cpu-fused")}
        row["note"] = ", ".join([*sorted(paths), *[f"{lost} not timed, see below"] * bool(lost)])
        row["most"] = _most(cases, results["findings"])
        yield row | {"reached": all(checks) and not lost if floor.mean else None}
    for key, found in results["findings"].items():
        name, _, threads = key.partition("@")
        limit = LIMITS.get(name)
        title = limit.title if limit else name
        row = {"title": title, "beside": "", "floor": "", "reached": None, "note": found.get("note", ""), "most": ""}
        if limit is not None and limit.bound is not None:
            row["floor"] = f"{SIGN[limit.sense]} {_number(limit.bound)} {limit.unit}".strip()
        if threads not in ("", "1"):
            row["title"] += f", {threads} threads"
        if "value" not in found:
            yield row | {"value": "–", "note": found.get("skipped") or found.get("failed", "")}
            continue
        unit = limit.unit if limit else ""
        quartiles = f" [{_number(found['low'])}–{_number(found['high'])}]" if "low" in found else ""
        yield row | {
            "value": f"{_number(found['value'])}{quartiles} {unit}".strip(),
            "reached": limit.reached(found["value"]) if limit else None,
        }


def _most(cases: dict[tuple[str, str], dict[str, Any]], findings: dict[str, dict[str, Any]]) -> str:
    """The mean of the ratios if our products ran at the tile's rate and all else took no time."""
    rates = {threads: findings.get(f"rate/tile@{threads}", {}).get("value") for _, threads in cases}
    if not all(rates.values()):
        return ""
    ratios = [float(rates[threads]) / case["theirs_gflops"] for (_, threads), case in cases.items()]  # type: ignore[arg-type]
    return f"{geometric_mean(ratios):.2f}"


def _floor(floor: Floor) -> str:
    bounds = (("mean", floor.mean), ("least", floor.least))
    return ", ".join(f"{word} ≥ {bound:g}" for word, bound in bounds if bound is not None)


def _number(value: float) -> str:
    """Three digits.

    Example:
        >>> _number(1234.5), _number(0.12345), _number(1e-10)
        ('1234', '0.123', '1e-10')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(results: dict[str, Any]) -> str:
    """The whole generated part."""
    machine = results["machine"]
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    parts = [
        f"Measured at commit {results['commit']} on {machine['processor']}, {machine['cores']} cores, "
        f"{machine['vectors']}, {caches}, {machine['memory_gb']:g} GB; {machine['system']}, "
        f"Python {machine['python']}, {versions}. float32. Other work at the beginning: load {results['load']:.1f}."
        + ("" if results["through"] == "dropin" else " LSTM, GRU and RNN through Recurrent, on the compiled path.")
        + (" A quick run: few cases, few repeats; the numbers are rough." if results["quick"] else ""),
        _rows(
            ["measure", "beside", "found", "floor", "reached", "at most", ""],
            [
                [
                    *(row[n] for n in ("title", "beside", "value", "floor")),
                    _mark(row["reached"]),
                    row["most"],
                    row["note"],
                ]
                for row in judged(results)
            ],
        ),
        "*At most* is the mean that a layer would reach whose products run at the rate of the engine's tile alone, in "
        "cache, and whose gates, memory and calls take no time: the arithmetic of this machine and this peer.",
        "Ratios are theirs / ours: above 1 we are faster. Every case, the median with the quartiles of its rounds:",
        _cases(results),
    ]
    wrong = {key: case for key, case in results["cases"].items() if "ratio" not in case}
    if wrong:
        lines = [f"- {key}: {case.get('wrong') or case.get('failed')}" for key, case in wrong.items()]
        parts.append("Not timed:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _mark(reached: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[reached]


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _cases(results: dict[str, Any]) -> str:
    """A row for each cell, mode, peer and number of threads; a column for each shape (B×T×I×H)."""
    grid: dict[tuple[str, ...], dict[str, str]] = {}
    for key, case in results["cases"].items():
        if "ratio" in case:
            cell, mode, peer, shape, threads = key.split("/")
            shown = f"{case['ratio']:.2f} [{case['low']:.2f}–{case['high']:.2f}]"
            grid.setdefault((cell, mode, PEERS[peer].title, threads), {})[shape] = shown
    shapes = list(dict.fromkeys(shape for row in grid.values() for shape in row))
    rows = [[*names, *(row.get(shape, "") for shape in shapes)] for names, row in grid.items()]
    return _rows(["cell", "mode", "beside", "threads", *(shape.replace("x", "×") for shape in shapes)], rows)


def insert(page: Path, text: str) -> None:
    """Put the generated part between its marks.

    Raises:
        ValueError: the page has no marks.
    """
    before = page.read_text(encoding="utf-8")
    after, count = re.subn(
        f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n\n{text}\n\n{END}", before, flags=re.S
    )
    if count != 1:
        raise ValueError(f"{page}: the marks of the generated part are not there")
    page.write_text(after, encoding="utf-8")
