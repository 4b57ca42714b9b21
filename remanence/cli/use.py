"""Commands that use a run: evaluate, predict, explain, generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from remanence.cli.options import SAMPLING, Json, Overwrite, Quiet, with_settings
from remanence.cli.output import metrics_table, print_json, print_json_rows, print_note
from remanence.errors import SettingError, printable

__all__ = ["add_to"]

Together = Annotated[
    bool, typer.Option("--ensemble", help="Answer by the mean of all seeds, not by the best one alone.")
]
RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="Folder that `remanence fit` wrote.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to a program."""
    for command in (evaluate, predict, explain, generate):
        app.command(rich_help_panel="Use")(command)


def evaluate(
    run: RunFolder,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="File with answers; by default the data of the training.")
    ] = None,
    part: Annotated[
        str, typer.Option("--part", metavar="train|valid|test", help="Part of the training's data.")
    ] = "test",
    dynamic: Annotated[
        float | None,
        typer.Option(
            "--dynamic",
            metavar="X",
            help="Go on learning from what was scored, in steps of this size, such as 5e-4 (generate).",
        ),
    ] = None,
    ensemble: Together = False,
    json: Json = False,
) -> None:
    """Score a run on the test part of its data, or on a new file that holds the answers.

    Examples:

      remanence evaluate runs/weather

      remanence evaluate runs/weather newer.csv

      remanence evaluate runs/weather --part valid --json
    """
    from remanence.run import Run

    loaded = Run.load(run)
    scores = loaded.evaluate(file, part=part, dynamic=dynamic, ensemble=ensemble, note=print_note)
    where = (file or part) + ("" if dynamic is None else f", learning on by {dynamic:g}")
    where += f", {len(loaded.members)} seeds together" if ensemble else ""
    if json:
        print_json({"run": run, "on": where, "metrics": dict(scores.metrics), "examples": len(scores.errors)})
    else:
        print(metrics_table([(f"{loaded.settings.model.cell} on {where}", scores.metrics)]))


def predict(
    run: RunFolder,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="New data, with the columns of the training file.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Answer this text, instead of a file.")
    ] = None,
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Also say which step of the source each piece came from (translate).")
    ] = False,
    ensemble: Together = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write .csv, .jsonl or .parquet; without: CSV here.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Answer a new file: forecasts after its last row, or the class of each sequence, with probabilities.

    Examples:

      remanence predict runs/weather weather.csv

      remanence predict runs/reviews new.tsv --out answers.parquet

      remanence predict runs/reviews new.tsv --json

      remanence predict runs/translator --text 我明天去北京 --alignment
    """
    from remanence.prediction.writers import check_suffix, write_rows, write_rows_to_stdout
    from remanence.run import Run

    if out is not None and Path(out).exists() and not overwrite:
        raise SettingError(f"{out} exists already", name="out", remedy="--overwrite replaces it, or choose another")
    loaded = Run.load(run)
    note = None if quiet else print_note
    rows = loaded.predict(file, text=text, alignment=alignment, ensemble=ensemble, note=note)
    if out is None and text is not None and alignment and not json:
        _show_alignment(next(rows))
        return
    if out is None:
        print_json_rows(rows) if json else write_rows_to_stdout(rows)
        return
    check_suffix(Path(out))
    count = write_rows(rows, Path(out))
    if json:
        print_json({"run": run, "out": out, "rows": count})
    elif not quiet:
        print(f"{count} rows in {out}")


def _show_alignment(row: dict[str, Any]) -> None:
    """Print a text that was written, and from which steps of the source each piece of it came."""
    from remanence.tasks.alignment import Alignment

    _, text, *_ = row.values()
    print("\n".join(map(printable, [str(text), *Alignment.from_json(row["alignment"]).lines()])))


def explain(
    run: RunFolder,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="A text to read.")] = None,
    row: Annotated[int | None, typer.Option("--row", metavar="N", help="An example of the test part, from 0.")] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="Take --row from this file.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="The page to write (without: explain.html, made anew).")
    ] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Show what a run remembers of an example: its gates, and what is left of each input at each later step.

    Examples:

      remanence explain runs/reviews --text "this film was not good"

      remanence explain runs/weather --row 3 --out memory.html

      remanence explain runs/reviews --file new.tsv --row 0
    """
    from remanence.report import explain_run, explained_answers
    from remanence.run import Run

    if out is not None and Path(out).exists() and not overwrite:
        raise SettingError(f"{out} exists already", name="out", remedy="--overwrite replaces it, or choose another")
    loaded = Run.load(run)
    page = explain_run(loaded, Path(out or "explain.html"), text=text, row=row, file=file)
    if json:
        answers = explained_answers(loaded, text=text, row=row, file=file)
        print_json({"run": run, "page": str(page), "answers": answers})
    else:
        print(f"page  {page}")


@with_settings(of=SAMPLING)
def generate(
    run: RunFolder,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="A text to go on with.")] = None,
    row: Annotated[
        int | None, typer.Option("--row", metavar="N", help="Music: the piece whose first half to go on with, from 0.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Take --row from this file, not from the test part.")
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Go on with a text, as a run of the task generate has learnt to; what is written appears as it comes.

    Music comes as JSON lines of MIDI numbers, frame by frame.

    Examples:

      remanence generate runs/poems --text 白日依山

      remanence generate runs/novel --text "Sea is" --length 300 --temperature 0.7 --seed 3

      remanence generate runs/novel --samples 5 --top-p 0.9 --json
    """
    from remanence.run import Run
    from remanence.settings import sampling_from

    loaded, sampling = Run.load(run), sampling_from(options)
    if row is not None or file is not None:
        if text is not None:
            raise SettingError("goes without --row and --file", name="text", remedy="give one or the other")
        pieces = [{"notes": piece} for piece in loaded.play(row or 0, file, **sampling.model_dump())]
        print_json({"run": run, "row": row or 0, "samples": pieces}) if json else _print_lines(pieces)
        return
    text = text or ""
    if strange := loaded.unknown_in(text):
        print_note(f"never seen in training: {strange}")
    if json:
        print_json({"run": run, "text": text, "samples": loaded.generate(text, **sampling.model_dump())})
        return
    for sample in range(sampling.samples):
        written = loaded.completion(text, sampling, sample)
        if sampling.samples > 1:
            print(f"[{sample + 1}] ", end="")
        print(text, end="", flush=True)
        for piece in written:
            print(printable(piece), end="", flush=True)
        print()


def _print_lines(rows: list[dict[str, Any]]) -> None:
    """Print JSON lines, as `fit` reads them."""
    from json import dumps

    for row in rows:
        print(dumps(row))
