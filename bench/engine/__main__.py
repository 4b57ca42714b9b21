"""`python -m bench.engine`: measure, and write the results, the table and the figure."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.engine import machine
from bench.engine.child import environment
from bench.engine.figure import draw
from bench.engine.jobs import Job, jobs, narrowed
from bench.engine.measures import MEASURES
from bench.engine.peers import PEERS
from bench.engine.plain import PLAIN
from bench.engine.plan import MODES, SHAPES
from bench.engine.results import Results
from bench.engine.table import insert, judged, markdown
from bench.engine.timing import Budget

__all__ = ["main"]

OUT = machine.ROOT / "bench" / "results" / "engine.json"
PAGE = machine.ROOT / "docs" / "engine.md"
FIGURE = machine.ROOT / "docs" / "engine.png"
QUICK = Budget(seconds=0.3, fewest=5, narrow=0.05)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.engine", description="Time the engine beside other libraries."
    )

    def listed(text: str) -> list[str]:
        return [part for part in text.split(",") if part]

    known = {"cells": PLAIN, "modes": MODES, "peers": PEERS, "measures": MEASURES}
    for name, values in known.items():
        parser.add_argument(f"--{name}", type=listed, metavar="A,B", help=f"of {', '.join(values)} (default: the plan)")
    parser.add_argument("--shapes", type=listed, metavar="BxTxIxH,…", help=f"default {','.join(map(str, SHAPES))}")
    parser.add_argument("--threads", type=listed, metavar="1,2", help="default 1,2")
    parser.add_argument("--quick", action="store_true", help="two shapes, one thread, few repeats: about two minutes")
    parser.add_argument("--seconds", type=float, help="budget of one case (default 2)")
    parser.add_argument("--fresh", action="store_true", help="measure again what the results hold")
    parser.add_argument(
        "--through",
        choices=("dropin", "recurrent"),
        default="dropin",
        help="LSTM, GRU and RNN as remanence.nn.LSTM and its like, or as Recurrent, the layer of all other cells",
    )
    parser.add_argument("--only", choices=("cases", "measures"), help="leave the other kind out")
    parser.add_argument(
        "--out", type=Path, help="where the results go; table and figure go beside (default bench/results)"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked; the exit status: 1 where a result was wrong or failed, 2 for a mistake in the call."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        work = jobs(asked)
    except ValueError as error:
        parser.error(str(error))
    out = asked.out or (OUT.with_name("engine-quick.json") if asked.quick else OUT)
    if not out.parent.is_dir():
        parser.error(f"--out {out}: no such folder")
    key, load = machine.engine_key(), os.getloadavg()[0]
    results = Results(out, machine.facts(), machine.commit(), key, asked.quick, asked.through, load)
    try:
        resumed = asked.fresh or results.resume()
    except ValueError as error:
        parser.error(str(error))
    if not resumed and out == OUT and narrowed(asked):
        parser.error(f"{out} holds all of another engine; --fresh begins it anew with these few, --out goes elsewhere")
    try:
        bad = _measure(work, results, _budget(asked))
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {out}", file=sys.stderr)
        return 130
    _publish(results, out)
    return 1 if bad else 0


def _budget(asked: Any) -> Budget:
    budget = QUICK if asked.quick else Budget()
    return budget if asked.seconds is None else Budget(**(asdict(budget) | {"seconds": asked.seconds}))


def _measure(every: list[Job], results: Results, budget: Budget) -> int:
    """Run every job that is not done; how many results are wrong or failed."""
    work = [left for job in every if (left := _left(job, results)) is not None]
    total = sum(len(job.cases) + len(job.measures) for job in work)
    console, bad = Console(stderr=True), 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        for job in work:
            bar.update(task, description=job.title)
            if not console.is_terminal:
                print(f"{job.title}: {len(job.cases) + len(job.measures)} to measure", file=sys.stderr, flush=True)
            for answer in _answers(job, results, budget):
                bad += _keep(answer, job, results, bar.console)
                results.write()
                bar.advance(task)
    return bad


def _left(job: Job, results: Results) -> Job | None:
    """What of a job is not in the results."""
    left = tuple(case for case in job.cases if case.key not in results.cases)
    done = {key.partition("/")[0] + "@" + key.partition("@")[2] for key in results.findings}
    measures = tuple(name for name in job.measures if f"{name}@{job.threads}" not in done)
    return Job(job.title, job.threads, left, measures) if left or measures else None


def _answers(job: Job, results: Results, budget: Budget) -> Iterator[dict[str, Any]]:
    """Start a process, give it its work, read its results as they come."""
    told = {
        "threads": job.threads,
        "cases": [case.to_json() for case in job.cases],
        "measures": job.measures,
        "budget": asdict(budget),
        "quick": results.quick,
        "through": results.through,
    }
    command = [sys.executable, "-m", "bench.engine.child"]
    with subprocess.Popen(
        command,
        cwd=machine.ROOT,
        env=environment(job.threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        with child.stdin:
            json.dump(told, child.stdin)
        count = 0
        for line in child.stdout:
            count += 1
            yield json.loads(line)
    names = [*(case.key for case in job.cases), *job.measures]
    for place, name in enumerate(names[count:], count):
        kind = "case" if place < len(job.cases) else "measure"
        yield {kind: name, "failed": f"its process ended with status {child.returncode}"}


def _keep(answer: dict[str, Any], job: Job, results: Results, console: Console) -> int:
    """Put an answer into the results and say so; 1 where it is wrong or failed."""
    why = answer.get("wrong") or answer.get("failed")
    if "case" in answer:
        key = answer.pop("case")
        results.cases[key] = answer
        text = f"{answer['ratio']:.2f} × [{answer['low']:.2f}–{answer['high']:.2f}]" if not why else f"NOT TIMED: {why}"
        console.print(f"{key}: {text}", highlight=False, markup=False, soft_wrap=True)
    else:
        name = answer["measure"]
        for key, found in answer.get("findings", {name: {"failed": why}}).items():
            results.findings[f"{key}@{job.threads}"] = found
            text = f"{found['value']:.4g}" if "value" in found else found.get("skipped") or f"FAILED: {why}"
            console.print(f"{key}, {job.threads} thread(s): {text}", highlight=False, markup=False, soft_wrap=True)
    return 1 if why else 0


def _publish(results: Results, out: Path) -> None:
    """Write the table and the figure, and say what was not reached."""
    held = results.to_json()
    text = markdown(held)
    if out == OUT:
        drawn = draw(held, FIGURE)
        insert(PAGE, f"![Rates of all libraries]({FIGURE.name})\n\n{text}" if drawn else text)
    else:
        out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        draw(held, out.with_suffix(".png"))
    rows = list(judged(held))
    for row in rows:
        if row["reached"] is False:
            beside = f" beside {row['beside']}" if row["beside"] else ""
            print(f"not reached: {row['title']}{beside}: {row['value']}, asked {row['floor']}")
    reached = sum(row["reached"] is True for row in rows)
    print(f"{reached} of {sum(row['reached'] is not None for row in rows)} floors reached; {out}")


if __name__ == "__main__":
    sys.exit(main())
