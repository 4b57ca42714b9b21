"""Cross-validation: a run a fold, all test parts scored together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import remanence
from remanence.prediction.outputs import outputs
from remanence.train.job import plain_metrics

__all__ = ["pooled"]


def pooled(path: Path, folder: Path, options: dict[str, Any], folds: int) -> tuple[Any, list[dict[str, Any]]]:
    """Train every fold with every seed; the last run, and a row a seed: metrics of all test parts as if they were one.

    Args:
        path: the file, with columns `fold0` … that say train, valid or test.
        folder: for the runs.
        options: of `remanence.fit`.
        folds: how many, 1 at least.
    """
    alone = {**options, "seeds": 1}
    rows = [_row(path, folder / f"seed{seed}", {**alone, "seed": seed}, folds) for seed in range(int(options["seeds"]))]
    return remanence.Run.load(folder / f"seed{len(rows) - 1}" / f"fold{folds - 1}"), rows


def _row(path: Path, folder: Path, options: dict[str, Any], folds: int) -> dict[str, Any]:
    meter, offset, each = None, 0, []
    for fold in range(folds):
        run = remanence.fit(path, out=folder / f"fold{fold}", beside=(), split_column=f"fold{fold}", **options)
        each.append(run.manifest["test"])
        print(f"seed {options['seed']}, fold {fold}: {run.manifest['test']}", flush=True)
        if meter is None:
            meter = run.task.meter(run.encoders, run.settings)
        part = run.prepared.test
        for output, batch in outputs(run.model, part, run.settings):
            meter.update(output, replace(batch, index=batch.index + offset))
        offset += len(part) + 1
    assert meter is not None
    return {"seed": options["seed"], "test": plain_metrics(meter.scores().metrics), "folds": each}
