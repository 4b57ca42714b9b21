"""The page of a comparison: the verdict, every model with its interval, and what the recurrent ones remember."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from remanence.explain import figures
from remanence.explain.example import Example
from remanence.explain.words import Language, Words
from remanence.report.answers import answers_section
from remanence.report.captions import HOW
from remanence.report.names import metric_title, model_words, number
from remanence.report.page import Figure, Page, Section, Table, write_page
from remanence.report.pictures import save_figures
from remanence.report.run_page import example_sections, typical_example
from remanence.report.sections import learning_section, notes_section, settings_section
from remanence.run import Run

__all__ = ["comparison_page", "write_comparison_report"]

MOST_MODELS = 4
"""Recurrent models whose memories are drawn beside each other."""


def write_comparison_report(
    result: Mapping[str, Any], runs: Mapping[str, Run | str | Path], out: str | Path, *, verdict_zh: str = ""
) -> Path:
    """Write the page of a comparison, and its figures in `figures` beside it where its runs were told to.

    Args:
        result: what `compare` prints as JSON: task, protocol, rows, verdict.
        runs: cell → its run (or its folder), for learning curves, answers and memories; may be empty.
        out: the HTML file.
        verdict_zh: the verdict in Chinese; the English one stands in where it is empty.

    Raises:
        RunError: a run cannot be read.
        MachineError: the page cannot be written.
    """
    loaded = {name: run if isinstance(run, Run) else Run.load(run) for name, run in runs.items()}
    page, out = comparison_page(result, loaded, verdict_zh=verdict_zh), Path(out)
    formats = next((run.settings.train.figures for run in loaded.values()), ())
    if formats:
        save_figures(page, out.with_name("figures"), formats=formats)
    return write_page(page, out)


def comparison_page(
    result: Mapping[str, Any], runs: Mapping[str, Run], *, verdict_zh: str = "", example: Example | None = None
) -> Page:
    """Put the page of a comparison together; `example` as in `run_page`."""
    rows = list(result["rows"])
    metric = next((name for row in rows for name in row.get("metrics") or {}), "")
    sections: list[Section | None] = [_models_section(rows, metric)]
    best = _best(rows, runs, metric)
    if best is not None:
        manifest = best.manifest
        sections.append(notes_section(manifest["notes"], manifest["examples"]))
        sections.append(learning_section([row for run in runs.values() for row in _own_rows(run)]))
        sections.append(answers_section(best))
        example = example or typical_example(best)
        if example is not None:
            sections += example_sections(best, _models(best, runs), example)
    facts: dict[str, Any] = {"protocol": result["protocol"]}
    if best is not None:
        facts |= {"settings": best.manifest["settings"], "versions": best.manifest["versions"]}
    sections.append(settings_section(facts))
    source = Path(best.manifest["data"]["path"]).name if best is not None else str(result["task"])
    english = str(result["verdict"])
    chinese = _in_chinese(verdict_zh or str(result.get("verdict_zh") or english), rows, metric)
    said = Words(_sentence(english, "."), _sentence(chinese, "。"))
    title = Words(f"Does memory help on {source}?", f"记忆对 {source} 有用吗？")
    return Page(source, title, said, tuple(section for section in sections if section))


def _sentence(text: str, stop: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "。", "!", "?")) else text + stop


def _in_chinese(verdict: str, rows: Sequence[Mapping[str, Any]], metric: str) -> str:
    """The Chinese verdict with Chinese names of simple models and of the metric, where it has those of the table."""
    names = {str(row["model"]): model_words(str(row["model"]), recurrent=False).zh for row in rows}
    names[metric] = metric_title(metric).zh
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![A-Za-z-])({known})(?![A-Za-z-])", lambda found: names[found[1]], verdict)


def _own_rows(run: Run) -> list[dict[str, Any]]:
    """Rows of the run's own cell: a companion has a run of its own here."""
    return [row for row in run.metrics_rows if row["model"] == run.settings.model.cell]


def _best(rows: Sequence[Mapping[str, Any]], runs: Mapping[str, Run], metric: str) -> Run | None:
    """The run with the least error among those given."""
    errors = {row["model"]: row["metrics"].get(metric) for row in rows if row["model"] in runs and row.get("metrics")}
    known = {name: error for name, error in errors.items() if error is not None}
    name = min(known, key=lambda key: known[key]) if known else next(iter(runs), None)
    return None if name is None else runs[name]


def _models(best: Run, runs: Mapping[str, Run]) -> dict[str, Any]:
    """The best model first; then a plain RNN, so that there is something to compare with; then the others."""
    cell = str(best.settings.model.cell)
    models: dict[str, Any] = {cell: best.model}
    others = sorted(runs, key=lambda name: (name != "rnn", name != "lstm", name))
    for name in others:
        if runs[name] is not best and len(models) < MOST_MODELS:
            models.setdefault(name, runs[name].model)
    for name, model in best.beside.items():
        if len(models) < 2:
            models.setdefault(name, model)
    return models


def _models_section(rows: Sequence[Mapping[str, Any]], metric: str) -> Section:
    metrics = list(dict.fromkeys(name for row in rows for name in row.get("metrics") or {}))
    scored = [row for row in rows if row.get("metrics")]
    order = sorted(scored, key=lambda row: _or_infinite(row["metrics"].get(metric)))
    order += [row for row in rows if not row.get("metrics")]
    header = (
        Words("model", "模型"), Words("kind", "类别"), *(metric_title(name) for name in metrics),
        Words("95 % interval", "95 % 区间"), Words("seeds", "种子数"), Words("seconds", "秒"),
        Words("parameters", "参数"),
    )  # fmt: skip
    cells = tuple(
        (
            model_words(str(row["model"]), recurrent=row["kind"] == "recurrent"),
            figures.KINDS.get(row["kind"], Words(str(row["kind"]), str(row["kind"]))),
            *(number((row.get("metrics") or {}).get(name)) for name in metrics),
            _interval(row.get("interval")),
            str(len(row["seeds"]) or "–"),
            number(row.get("seconds")),
            number(row.get("parameters")),
        )
        for row in order
    )
    blocks: list[Any] = []
    if len(scored) > 1:
        blocks.append(
            Figure(
                "comparison",
                lambda language: figures.comparison(
                    _named(scored, language),
                    metric=metric,
                    title=metric_title(metric).pick(language),
                    language=language,
                ),
                how=HOW["comparison"],
            )
        )
    blocks.append(Table(header, cells, tuple(range(2, len(header))), 0 if scored else None))
    return Section(Words("Models", "模型"), tuple(blocks))


def _named(rows: Sequence[Mapping[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Rows with the names that people call the models by."""
    return [
        {**row, "model": model_words(str(row["model"]), recurrent=row["kind"] == "recurrent").pick(language)}
        for row in rows
    ]


def _interval(ends: Any) -> str:
    return f"{number(ends[0])} … {number(ends[1])}" if ends else "–"


def _or_infinite(value: Any) -> float:
    return float("inf") if value is None else float(value)
