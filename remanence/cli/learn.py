"""Commands that learn: compare, fit."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from remanence.cli.options import Json, Out, Overwrite, Quiet, with_settings
from remanence.cli.output import metrics_table, print_json
from remanence.errors import SettingError

__all__ = ["add_to"]

Source = Annotated[
    str | None, typer.Argument(metavar="FILE", help="CSV, TSV, JSON lines, Parquet, .ts, .arff or text.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to a program."""
    for command in (compare, fit):
        app.command(rich_help_panel="Learn")(command)


@with_settings("cell")
def compare(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV, TSV, JSON lines, Parquet, .ts, .arff or text.")],
    cells: Annotated[
        str, typer.Option("--cells", metavar="NAME,…", help="Recurrent cells to compare (see `remanence cells`).")
    ] = "rnn,lstm,gru",
    budget: Annotated[
        str, typer.Option("--budget", metavar="parameters|hidden", help="What is alike: parameters, or hidden size.")
    ] = "parameters",
    out: Out = None,
    json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
    **options: Any,
) -> None:
    """Ask whether memory helps: simple models and recurrent cells under one budget, with intervals and a verdict.

    Examples:

      remanence compare weather.csv --target temperature --horizon 7

      remanence compare reviews.tsv --task classify --input text --label sentiment --cells lstm,gru --seeds 5

      remanence compare load.parquet --time hour --target load --horizon 24 --minutes 2 --json
    """
    from remanence.train.compare import compare as judge

    alike: Any = budget  # `compare` itself checks it
    names = tuple(name.strip() for name in cells.split(",") if name.strip())
    found = judge(
        file, cells=names, budget=alike, out=out, overwrite=overwrite, progress=_progress(quiet), **options
    )  # fmt: skip
    if json:
        print_json(found.to_json())
    else:
        print(found.render())
        if options.get("tensorboard"):
            print(f"curves  tensorboard --logdir {found.path}")


@with_settings()
def fit(
    file: Source = None,
    out: Out = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="DIR", help="Go on with the interrupted training of this run.")
    ] = None,
    beside: Annotated[
        str, typer.Option("--beside", metavar="NAME,…|none", help="Cells trained as companions, to look at beside.")
    ] = "rnn",
    json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
    **options: Any,
) -> None:
    """Train a model and write a run: weights, metrics, and a report that opens in any browser.

    After a kill the same command goes on from the last checkpoint. Ctrl-C finishes the step and keeps a usable run.

    Examples:

      remanence fit weather.csv --target temperature --horizon 7 --out runs/weather

      remanence fit reviews.tsv --task classify --input text --label sentiment --cell gru --seeds 3

      remanence fit --resume runs/weather
    """
    from remanence.train.fit import fit as learn
    from remanence.train.fit import resume as go_on

    if (file is None) == (resume is None):
        raise SettingError("give either FILE or --resume DIR", remedy="see `remanence fit --help`")
    if resume is not None:
        given = [name for name, value in options.items() if value is not None]
        if given or out is not None:
            raise SettingError(
                "the options of the training are those it was begun with", name=given[0] if given else "out",
                remedy="leave out all but --resume",
            )  # fmt: skip
        run = go_on(resume, progress=_progress(quiet))
    else:
        companions = () if beside == "none" else tuple(name.strip() for name in beside.split(",") if name.strip())
        run = learn(
            str(file), out=out, overwrite=overwrite, progress=_progress(quiet), beside=companions, **options
        )  # fmt: skip
    _show(run, json)
    if run.manifest["status"] == "interrupted":
        raise typer.Exit(130)


def _progress(quiet: bool) -> bool | None:
    return False if quiet else None


def _show(run: Any, json: bool) -> None:
    manifest = run.manifest
    kept = ("task", "status", "examples", "parameters", "best_seed", "valid", "test", "seeds", "beside", "baselines")
    if json:
        beside = {
            name: {key: value for key, value in facts.items() if key != "settings"}
            for name, facts in manifest["beside"].items()
        }
        print_json({"run": str(run.path)} | {key: manifest[key] for key in kept} | {"beside": beside})
        return
    cell, examples = run.settings.model.cell, manifest["examples"]
    rows = [(f"{cell}, seed {facts['seed']}", facts["test"]) for facts in manifest["seeds"]]
    rows += [(f"{name}, seed {facts['seed']} (beside)", facts["test"]) for name, facts in manifest["beside"].items()]
    rows += [(facts["name"], facts["test"]) for facts in manifest["baselines"]]
    print(f"{manifest['task']}: {examples['train']} examples to train, {examples['valid']} to validate, ", end="")
    print(f"{examples['test']} to test; {manifest['parameters']:,} parameters")
    print(metrics_table(rows))
    print(f"run     {run.path}" + (" (interrupted)" if manifest["status"] == "interrupted" else ""))
    if (run.path / "report.html").exists():
        print(f"report  {run.path / 'report.html'}")
    if (run.path / "tensorboard").exists():
        print(f"curves  tensorboard --logdir {run.path / 'tensorboard'}")
    if manifest["status"] == "interrupted":
        print(f"go on   remanence fit --resume {run.path}")
