"""From a file to a run: `fit`, and `resume` for what was interrupted or killed.

The work is done in a hidden folder beside the run (see `remanence.train.session`), and published by one rename. The
same call after a kill goes on from the last checkpoint, to the same weights as if nothing had happened.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remanence.errors import MachineError, RunError, SettingError
from remanence.prediction.outputs import measure
from remanence.run import Run, seal
from remanence.settings import Settings, settings_from
from remanence.storage import no_write_errors, publish
from remanence.tasks.task import Prepared
from remanence.train.determinism import reproducible, threads_for
from remanence.train.events import Events, require_tensorboard
from remanence.train.interrupt import Interrupt
from remanence.train.job import Hooks, Job, plain_metrics
from remanence.train.loop import train
from remanence.train.manifest import TENSORBOARD, assemble
from remanence.train.opening import Opened, open_data, with_cell
from remanence.train.progress import Progress, progress_for
from remanence.train.session import Session, check_target, free_name, stored_plan

__all__ = ["fit", "resume", "train_run"]


def fit(
    path: str | Path,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: bool | Progress | None = None,
    beside: tuple[str, ...] = ("rnn",),
    **options: Any,
) -> Run:
    """Train a recurrent model on a file, and write a run.

    Args:
        path: CSV, TSV, JSON lines, Parquet, .ts, .arff or text.
        out: folder of the run; by default `runs/<file>-<cell>`, with a number where that is taken.
        overwrite: replace a run that stands there.
        progress: False for silence, None to fit where stderr goes, or your own `Progress`.
        beside: cells trained as companions under the same settings, for figures that compare memories; () for none.
        options: the fields of `remanence.settings`, such as `target="OT"`, `horizon=24`, `hidden=64`.

    Raises:
        DataError, SettingError: a mistake in the file or the options; nothing is written.
        TrainingError: a loss that is not finite; the last checkpoint is kept.
        MachineError: the disk is full, or the folder may not be written.
    """
    settings = settings_from(options)
    source = Path(path)
    if out is not None:
        check_target(Path(out), overwrite=overwrite)
    plan = {
        "command": "fit", "path": str(path), "absolute": str(source.absolute()),
        # What was not given stays so: it is told from what was, when a task has no use for it.
        "settings": settings.model_dump(mode="json", exclude_unset=True), "beside": list(beside),
    }  # fmt: skip
    return _fit(source, Path(out) if out else None, plan, overwrite, progress_for(progress))


def resume(out: str | Path, *, progress: bool | Progress | None = None) -> Run:
    """Go on with a training that was interrupted or killed, with the options it was begun with.

    Args:
        out: folder of the run, whether it stands already (interrupted) or not (killed).

    Raises:
        RunError: nothing to continue there.
    """
    target = Path(out)
    plan = stored_plan(target)
    if plan is None:
        raise RunError(f"{target}: nothing to continue", remedy="only an interrupted training can be resumed")
    if plan["command"] != "fit":
        raise RunError(f"{target}: an unfinished {plan['command']}", remedy="give the command it was begun with again")
    source = Path(plan["path"])
    return _fit(source if source.exists() else Path(plan["absolute"]), target, plan, False, progress_for(progress))


def _fit(source: Path, out: Path | None, plan: dict[str, Any], overwrite: bool, progress: Progress) -> Run:
    settings = Settings.model_validate(plan["settings"])
    if settings.train.tensorboard:
        require_tensorboard()
    with reproducible(settings.train.device, plan.get("threads")):
        opened = open_data(source, settings)
        for note in opened.notes:
            progress.note(note)
        threads = plan.get("threads") or threads_for(opened.settings)
        plan = {**plan, "threads": threads, "fingerprint": opened.prepared.fingerprint}
    with reproducible(settings.train.device, threads):
        with no_write_errors(out or "runs"):
            target = out or free_name(f"{source.name.split('.')[0] or 'run'}-{opened.settings.model.cell}", plan)
            target.parent.mkdir(parents=True, exist_ok=True)
        return train_run(opened, source, target, plan, overwrite=overwrite, progress=progress)


def train_run(
    opened: Opened, source: Path, target: Path, plan: Mapping[str, Any], *, overwrite: bool, progress: Progress
) -> Run:
    """Train the models of one run on data that are open, and publish it; inside `reproducible`.

    Args:
        opened: task, data and complete settings.
        source: the file they were read from.
        target: folder of the run.
        plan: what identifies this training, so that the same one is continued after a kill.
        overwrite: replace a run that stands there.
        progress: whom to tell.
    """
    began = time.monotonic()
    with Session(target, plan, overwrite=overwrite) as session:
        if session.continued:
            progress.note(f"{target}: continuing an unfinished training")
        fitting = _Fitting(opened, session, progress, plan)
        fitting.train()
        folder = assemble(session, fitting.content(source, time.monotonic() - began), fitting.interrupted)
        # A comparison that is interrupted ends at once: this run is not published.
        if not fitting.interrupted or plan["command"] == "fit":
            _report(folder, opened.prepared, progress)
        publish(folder, target)
        session.discard()
    return Run.load(target)


@dataclass
class _Fitted:
    """One model that is done."""

    label: str
    facts: dict[str, Any]
    settings: Settings

    def content(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {name: value for name, value in self.facts.items() if name != "confusion"} | {"label": self.label}


class _Fitting:
    """The models of one run, trained one after the other."""

    def __init__(self, opened: Opened, session: Session, progress: Progress, plan: Mapping[str, Any]) -> None:
        self.opened, self.session, self.progress, self.plan = opened, session, progress, plan
        self.seeds: list[_Fitted] = []
        self.beside: list[_Fitted] = []
        self.baselines: list[dict[str, Any]] = []
        self.interrupted = False

    def train(self) -> None:
        """Train every seed, then the companions; stop after the one that is interrupted."""
        settings, options = self.opened.settings, self.opened.settings.train
        companions = [with_cell(settings, name) for name in self.plan["beside"] if name != settings.model.cell]
        with Interrupt() as interrupt:
            for seed in range(options.seed, options.seed + options.seeds):
                self.seeds.append(self._one(f"seed-{seed}", settings, seed, interrupt))
                if self.interrupted:
                    return
            for other in companions:
                found = self._one(f"beside-{other.model.cell}", other, options.seed, interrupt)
                if self.interrupted:
                    return
                self.beside.append(found)
        self.baselines = list(_trivial_baselines(self.opened))

    def _one(self, label: str, settings: Settings, seed: int, interrupt: Interrupt) -> _Fitted:
        session = self.session
        done = session.result(label)
        with self._events(label, settings, seed) as events:
            if done is not None:
                return _Fitted(label, done[0], settings)
            opened = self.opened
            hooks = Hooks(self.progress, interrupt, session.log, session.mark, session.rewind)
            job = Job(opened.task, opened.prepared, settings, seed, f"{settings.model.cell}, seed {seed}")
            trained = train(job, session.begin(label), events.told_by(hooks) if events else hooks)
        settled = opened.task.settle(trained.model, opened.prepared, settings)
        facts = trained.facts() | _scored(opened, trained.model, settings)
        if settled:
            facts["valid"] = _validated(opened, trained.model, settings)
        self.interrupted = trained.stopped == "interrupted"
        session.keep(label, facts, trained.model.state_dict(), done=not self.interrupted)
        return _Fitted(label, facts, settings)

    def _events(self, label: str, settings: Settings, seed: int) -> AbstractContextManager[Events | None]:
        """What takes the rows of one model for TensorBoard, where it is asked for."""
        if not settings.train.tensorboard:
            return nullcontext()

        def rows() -> Iterator[dict[str, Any]]:
            own = settings.model.cell, seed
            return (row for row in self.session.rows() if (row["model"], row["seed"]) == own)

        return Events(self.session.folder / TENSORBOARD / label, rows)

    def content(self, source: Path, seconds: float) -> dict[str, Any]:
        """What the manifest says of this run, its files left out."""
        opened, best = self.opened, min(self.seeds, key=_rank)
        return {
            "task": opened.task.name,
            "status": "interrupted" if self.interrupted else "finished",
            "data": {
                "path": self.plan["path"],
                "from_run": os.path.relpath(source.absolute(), self.session.target.absolute()),
                "fingerprint": opened.prepared.fingerprint,
            },
            "examples": {name: len(getattr(opened.prepared, name)) for name in ("train", "valid", "test")},
            "settings": opened.settings.model_dump(mode="json"),
            "encoders": opened.prepared.encoders.model_dump(mode="json"),
            "notes": list(opened.prepared.notes),
            "threads": self.plan["threads"],
            "seconds": round(seconds, 3),
            "parameters": best.facts["parameters"],
            "best_seed": best.facts["seed"],
            "valid": best.facts["valid"],
            "test": best.facts["test"],
            "confusion": best.facts.get("confusion"),
            "seeds": [one.content() for one in self.seeds],
            "beside": {
                str(one.settings.model.cell): one.content() | {"settings": one.settings.model_dump(mode="json")}
                for one in self.beside
            },
            "baselines": self.baselines,
        }


def _rank(one: _Fitted) -> tuple[float, float]:
    """Best first on the validation part: by the verdict's metric, then by the loss."""
    valid = one.facts["valid"]
    values = [value if value is not None else float("inf") for value in valid.values()]
    return (values[0], values[-1]) if values else (0.0, 0.0)


def _scored(opened: Opened, model: Any, settings: Settings) -> dict[str, Any]:
    """Metrics on the test part, and which classes were taken for which: truth, answer, how often."""
    if not len(opened.prepared.test):
        return {"test": {}, "confusion": None}
    scores = measure(opened.task, model, opened.prepared.test, opened.prepared.encoders, settings)[0]
    pairs = None
    if scores.confusion is not None:
        pairs = [[int(at[0]), int(at[1]), int(scores.confusion[tuple(at)])] for at in np.argwhere(scores.confusion)]
    return {"test": plain_metrics(scores.metrics), "confusion": pairs}


def _validated(opened: Opened, model: Any, settings: Settings) -> dict[str, float | None]:
    """Metrics on the validation part, and the loss behind them."""
    scores, loss = measure(opened.task, model, opened.prepared.valid, opened.prepared.encoders, settings)
    return {**plain_metrics(scores.metrics), "loss": loss}


def _trivial_baselines(opened: Opened) -> Iterator[dict[str, Any]]:
    """What any network has to beat."""
    prepared = opened.prepared
    for baseline in opened.task.baselines(prepared, opened.settings):
        if not baseline.trivial:
            continue
        row: dict[str, Any] = {"name": baseline.name, "test": {}, "parameters": 0, "error": ""}
        try:
            baseline.fit(prepared.train, prepared.valid)
            row["test"] = _scored(opened, baseline, opened.settings)["test"]
            row["parameters"] = baseline.parameters
        except SettingError as error:
            row["error"] = str(error)
        yield row


def _report(folder: Path, prepared: Prepared, progress: Progress) -> None:
    """Write report.html into a run that is complete otherwise, and seal it again."""
    from remanence.report import write_run_report

    run = Run.load(folder)
    try:
        write_run_report(run, folder / "report.html", prepared=prepared)
    except MachineError as error:
        # A page that cannot be drawn here is no reason to lose the weights; it can be drawn later.
        progress.note(f"no report: {error}")
    seal(folder, run.manifest)
