"""Simple models and recurrent cells on one file, under one budget, judged on the same units: does memory help?

    open → baselines fitted → each cell trained with every seed → all scored on validation and test → verdict → report

A comparison is a folder: `comparison.json` (sealed), `report.html`, and a run of its own for each cell, ready for
`predict` and `explain`. It is put together beside its place and published by one rename; the same call after a kill
goes on where it stopped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from remanence.errors import SettingError
from remanence.prediction.outputs import measure
from remanence.run import COMPARISON, Run
from remanence.settings import Settings, settings_from
from remanence.statistics import LEVEL, REPLICATES, mean_interval
from remanence.storage import no_write_errors, publish, write_sealed
from remanence.table import table
from remanence.tasks.task import Baseline, Scores
from remanence.train.determinism import reproducible, threads_for
from remanence.train.fit import train_run
from remanence.train.job import plain_metrics
from remanence.train.manifest import versions
from remanence.train.opening import Opened, open_data, trainable, with_cell, with_starts
from remanence.train.progress import Progress, progress_for
from remanence.train.session import Session, check_target, free_name
from remanence.train.size import TOLERANCE, hidden_for, parameters
from remanence.verdict import Candidate, Verdict, judge

__all__ = ["Comparison", "compare"]

Alike = Literal["parameters", "hidden"]
CELLS = ("rnn", "lstm", "gru")


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Args:
        path: its folder.
        task, protocol, rows: as in `comparison.json`; a row has model, kind (trivial, simple, recurrent), metrics (mean
            over seeds, test part), seeds, interval, seconds and parameters.
        verdict: finding and sentences.
        runs: cell → its run.
    """

    path: Path
    task: str
    protocol: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    verdict: Verdict
    runs: dict[str, Run]

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data."""
        rows = [dict(row) for row in self.rows]
        return {"task": self.task, "protocol": self.protocol, "rows": rows, "verdict": self.verdict.sentence}

    def render(self) -> str:
        """A table of the models, the verdict, and where the report is."""
        metric = self.protocol["metric"]
        shown = [name for name in self.rows[0]["metrics"] if name != metric][:3]
        level = round(100 * LEVEL)
        headers = ["", f"{metric} (test)", f"{level} % interval", *shown, "parameters", "seconds"]
        body = [_cells_of(row, metric, shown) for row in self.rows]
        skipped = [f"{row['model']}: left out, {row['error']}" for row in self.rows if row.get("error")]
        closing = [self.verdict.sentence, self.verdict.sentence_zh, f"report  {self.path / 'report.html'}"]
        return "\n".join([table(headers, body), *skipped, "", *closing])


def compare(
    path: str | Path,
    *,
    cells: Sequence[str] = CELLS,
    out: str | Path | None = None,
    overwrite: bool = False,
    budget: Alike = "parameters",
    progress: bool | Progress | None = None,
    **options: Any,
) -> Comparison:
    """Train baselines and recurrent cells on a file, and judge whether memory helps.

    Args:
        path: CSV, TSV, JSON lines, Parquet, .ts, .arff or text.
        cells: recurrent cells by name; the first of them, or lstm where it is among them, sets the size.
        out: folder of the comparison; by default `runs/<file>-compare`, with a number where that is taken.
        overwrite: replace a comparison that stands there.
        budget: "parameters": each cell gets the hidden size whose model has as many parameters, within 5 %;
            "hidden": all have the same hidden size.
        progress: False for silence, None to fit where stderr goes, or your own `Progress`.
        options: the fields of `remanence.settings`; without `seeds`, three seeds are trained.

    Raises:
        DataError, SettingError: a mistake in the file or the options; nothing is written.
        TrainingError: a loss that is not finite.
        MachineError: the disk is full, or the folder may not be written.
    """
    try:
        names = tuple(dict.fromkeys(trainable(name) for name in cells))
    except SettingError as error:
        raise SettingError(error.message.removeprefix("--cell: "), name="cells", remedy=error.remedy) from None
    if not names:
        raise SettingError("no cell to compare", name="cells", remedy="such as rnn,lstm,gru")
    if budget not in ("parameters", "hidden"):
        raise SettingError(f"expected parameters or hidden, came '{budget}'", name="budget")
    if out is not None:
        check_target(Path(out), overwrite=overwrite)
    reference = "lstm" if "lstm" in names else names[0]
    settings = settings_from({"seeds": 3} | {k: v for k, v in options.items() if v is not None} | {"cell": reference})
    plan = {
        "command": "compare", "path": str(path), "absolute": str(Path(path).absolute()),
        "settings": settings.model_dump(mode="json"), "cells": list(names), "budget": budget, "beside": [],
    }  # fmt: skip
    told = progress_for(progress)
    with reproducible(settings.train.device, None):
        opened = open_data(Path(path), with_cell(settings, reference))
        opened = with_starts(opened, settings.model.initialise, names)
        for note in opened.notes:
            told.note(note)
        _check_parts(opened, path)
        plan |= {"threads": threads_for(opened.settings), "fingerprint": opened.prepared.fingerprint}
    with reproducible(settings.train.device, plan["threads"]):
        with no_write_errors(out or "runs"):
            target = Path(out) if out else free_name(f"{Path(path).name.split('.')[0] or 'data'}-compare", plan)
            target.parent.mkdir(parents=True, exist_ok=True)
        with Session(target, plan, overwrite=overwrite) as session:
            found = _Comparing(opened, session, plan, told).comparison(names, budget)
            folder = _assemble(session, found)
            publish(folder, target)
            session.discard()
    return Comparison(
        target, found.task, found.protocol, found.rows, found.verdict, {name: Run.load(target / name) for name in names}
    )


class _Comparing:
    """The models of one comparison, one after the other."""

    def __init__(self, opened: Opened, session: Session, plan: Mapping[str, Any], progress: Progress) -> None:
        self.opened, self.session, self.plan, self.progress = opened, session, plan, progress
        self.rows: list[dict[str, Any]] = []
        self.candidates: list[Candidate] = []
        self.block = 1

    def comparison(self, names: Sequence[str], budget: Alike) -> Comparison:
        """Fit, train, score and judge."""
        for baseline in self.opened.task.baselines(self.opened.prepared, self.opened.settings):
            self._baseline(baseline)
        runs = {name: self._cell(name, settings) for name, settings in self._sized(names, budget)}
        metric = next(iter(self.rows[0]["metrics"]))
        verdict = judge(self.candidates, metric=metric, block=self.block)
        order = {candidate.name: candidate.errors.mean() for candidate in self.candidates}
        rows = tuple(sorted(self.rows, key=lambda row: order.get(row["model"], np.inf)))
        protocol = self._protocol(metric, budget)
        return Comparison(self.session.folder / "run", self.opened.task.name, protocol, rows, verdict, runs)

    def _baseline(self, baseline: Baseline) -> None:
        opened, began = self.opened, time.perf_counter()
        self.progress.note(f"fitting {baseline.name}")
        kind = "trivial" if baseline.trivial else "simple"
        try:
            baseline.fit(opened.prepared.train, opened.prepared.valid)
        except SettingError as error:
            row = {"model": baseline.name, "kind": kind, "metrics": {}, "seeds": [], "interval": None}
            self.rows.append(row | {"seconds": 0.0, "parameters": 0, "error": str(error)})
            return
        seconds = time.perf_counter() - began
        valid, test = (_scores(opened, baseline, opened.settings, part) for part in ("valid", "test"))
        self._add(baseline.name, kind, [(None, valid, test)], seconds, baseline.parameters)

    def _sized(self, names: Sequence[str], budget: Alike) -> Iterator[tuple[str, Settings]]:
        """Settings for each cell: of the same hidden size, or of as many parameters."""
        opened, encoders = self.opened, self.opened.prepared.encoders
        wanted = parameters(opened.task, encoders, with_cell(opened.settings, opened.settings.model.cell or "lstm"))
        for name in names:
            settings = with_cell(opened.settings, name)
            if budget == "parameters" and name != opened.settings.model.cell:

                def count(hidden: int, name: str = name) -> int:
                    return parameters(opened.task, encoders, with_cell(opened.settings, name, hidden))

                hidden = hidden_for(count, wanted)
                if abs(count(hidden) - wanted) > TOLERANCE * wanted:
                    self.progress.note(f"{name}: {count(hidden):,} parameters is as near as it comes to {wanted:,}")
                settings = with_cell(opened.settings, name, hidden)
            yield name, settings

    def _cell(self, name: str, settings: Settings) -> Run:
        opened = Opened(self.opened.task, self.opened.prepared, settings)
        target = self.session.folder / name
        run = Run.load(target) if target.exists() else None
        if run is None or run.manifest["status"] == "interrupted":
            plan = {**self.plan, "settings": settings.model_dump(mode="json")}
            run = train_run(opened, Path(self.plan["path"]), target, plan, overwrite=False, progress=self.progress)
        if run.manifest["status"] == "interrupted":
            self.progress.note(f"interrupted; what is trained is in {self.session.folder}, the same command goes on")
            raise KeyboardInterrupt
        seeds = [
            (seed, _scores(opened, model, settings, "valid"), _scores(opened, model, settings, "test"))
            for seed, model in run.members.items()
        ]
        seconds = float(np.mean([facts["seconds"] for facts in run.manifest["seeds"]]))
        self._add(name, "recurrent", seeds, seconds, run.manifest["parameters"])
        self.rows[-1]["hidden"] = settings.model.hidden
        return run

    def _add(
        self,
        name: str,
        kind: Literal["trivial", "simple", "recurrent"],
        seeds: Sequence[tuple[int | None, Scores, Scores]],
        seconds: float,
        count: int,
    ) -> None:
        """A row and a candidate from the scores (seed, validation, test) of each seed."""
        valids, tests = [scores for _, scores, _ in seeds], [scores for _, _, scores in seeds]
        metric = next(iter(tests[0].metrics))
        errors = np.stack([scores.errors for scores in tests])
        self.block = tests[0].block
        interval = mean_interval(errors, self.block)
        means = {key: float(np.mean([scores.metrics[key] for scores in tests])) for key in tests[0].metrics}
        self.rows.append(
            {
                "model": name,
                "kind": kind,
                "metrics": plain_metrics(means),
                "seeds": [
                    {"seed": seed, "test": plain_metrics(test.metrics)} for seed, _, test in seeds if seed is not None
                ],
                "interval": [interval.low, interval.high],
                "seconds": round(seconds, 3),
                "parameters": count,
            }
        )
        valid = float(np.mean([scores.metrics[metric] for scores in valids]))
        self.candidates.append(Candidate(name, kind, valid, errors))

    def _protocol(self, metric: str, budget: Alike) -> dict[str, Any]:
        opened, train = self.opened, self.opened.settings.train
        return {
            "data": {"path": self.plan["path"], "fingerprint": opened.prepared.fingerprint},
            "examples": {part: len(getattr(opened.prepared, part)) for part in ("train", "valid", "test")},
            "metric": metric,
            "chosen_on": "validation part",
            "scored_on": "test part",
            "seeds": list(range(train.seed, train.seed + train.seeds)),
            "alike": f"parameters within {TOLERANCE:.0%}" if budget == "parameters" else "hidden size",
            "bootstrap": {"replicates": REPLICATES, "level": LEVEL, "block": self.block},
            "threads": self.plan["threads"],
            "notes": list(opened.prepared.notes),
            "settings": opened.settings.model_dump(mode="json"),
            "versions": versions(),
        }


def _scores(opened: Opened, model: Any, settings: Settings, part: str) -> Scores:
    prepared = opened.prepared
    return measure(opened.task, model, getattr(prepared, part), prepared.encoders, settings)[0]


def _check_parts(opened: Opened, path: str | Path) -> None:
    for part, why in (("valid", "models are chosen on it"), ("test", "the verdict rests on it")):
        if not len(getattr(opened.prepared, part)):
            raise SettingError(f"{path}: the {part} part is empty ({why})", name="split", remedy="such as 0.6,0.2,0.2")


def _assemble(session: Session, found: Comparison) -> Path:
    """Lay the comparison out in the session's folder; the folder, ready to be published."""
    from remanence.report import write_comparison_report

    folder = session.folder / "run"
    with no_write_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in found.runs:
            shutil.copytree(session.folder / name, folder / name)
        runs = {name: Run.load(folder / name) for name in found.runs}
        write_sealed(folder / COMPARISON, found.to_json())
        write_comparison_report(found.to_json(), runs, folder / "report.html", verdict_zh=found.verdict.sentence_zh)
    return folder


def _cells_of(row: Mapping[str, Any], metric: str, shown: Sequence[str]) -> list[str]:
    """One line of the table."""
    metrics, interval = row["metrics"], row["interval"]
    numbers = [metrics.get(name) for name in (metric, *shown)]
    texts = ["" if number is None else f"{number:.4g}" for number in numbers]
    span = f"[{interval[0]:.4g}, {interval[1]:.4g}]" if interval else ""
    return [row["model"], texts[0], span, *texts[1:], f"{row['parameters']:,}", f"{row['seconds']:.1f}"]
