"""The command line: quick help, one-line errors, JSON that is nothing but JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import remanence
from remanence.cli import main, program
from remanence.cli.program import app
from remanence.settings import DataSettings, ModelSettings, TrainSettings
from remanence.train import fit as fitting
from tests.train.made import load_csv

COMMANDS = (
    "describe",
    "cells",
    "doctor",
    "problem",
    "cache",
    "compare",
    "fit",
    "evaluate",
    "predict",
    "explain",
    "generate",
)
FIT = ["--target", "load", "--horizon", "3", "--context", "8", "--hidden", "5", "--no-calendar", "--threads", "1"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fitting, "_report", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    load_csv(tmp_path / "load.csv")


def run(*words: str) -> int:
    return main(words)


def fitted(*more: str) -> int:
    return run("fit", "load.csv", *FIT, "--steps", "3", "--beside", "none", "--out", "run", "--quiet", *more)


def one_line(text: str) -> str:
    assert text.startswith("error: ")
    assert text.count("\n") == 1, text
    return text


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "pyarrow", "pandas", "sklearn", "altair", "safetensors")
    code = (
        "import sys\nfrom remanence.cli import main\nsys.argv = ['remanence', '--help']\nmain()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    written, spent = _processor_seconds(code)
    assert written.splitlines()[-1] == "[]"
    # Beside what nobody can do without, for processors differ: 0.1 to 0.4 s.
    assert spent < 3 * _processor_seconds("import pydantic, rich.markdown, typer.rich_utils")[1]


def _processor_seconds(code: str) -> tuple[str, float]:
    """What a process of Python writes, and its seconds of the processor: the same on a busy machine."""
    began = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ended = os.times()
    return done.stdout, ended.children_user + ended.children_system - began.children_user - began.children_system


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    shown = capsys.readouterr().out
    assert shown.count(f"remanence {command}") >= 2


def test_every_setting_is_a_flag_of_fit_and_compare(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    names = {name for part in (DataSettings, ModelSettings, TrainSettings) for name in part.model_fields}
    flags = {name: {param.name for param in commands[name].params} for name in ("fit", "compare")}
    assert names <= flags["fit"]
    assert names - {"cell"} <= flags["compare"]
    assert "cells" in flags["compare"]
    assert "cells" not in flags["fit"]


def test_fit_evaluate_predict_print_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert fitted("--json") == 0
    output = capsys.readouterr()
    shown = json.loads(output.out)
    assert output.err == ""
    assert (shown["task"], shown["status"], shown["run"]) == ("forecast", "finished", "run")
    assert shown["test"]["mae"] > 0
    assert {"naive"} <= {row["name"] for row in shown["baselines"]}

    assert run("evaluate", "run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["mae"] == pytest.approx(shown["test"]["mae"])

    assert run("predict", "run", "load.csv", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3

    assert run("predict", "run", "load.csv") == 0
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["load"]) for row in printed] == [row["load"] for row in rows]

    assert run("predict", "run", "load.csv", "--out", "answers.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"run": "run", "out": "answers.jsonl", "rows": 3}
    assert [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()] == rows
    assert run("predict", "run", "load.csv", "--out", "answers.jsonl") == 2
    assert "--overwrite" in one_line(capsys.readouterr().err)


def test_fit_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert fitted() == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "naive" in output.out
    assert "run     run" in output.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fit", "absent.csv"], "no such file"),
        (["fit"], "FILE"),
        (["fit", "load.csv", "--hiden", "3"], "--hidden"),
        (["fit", "load.csv", "--hidden", "many"], "--hidden"),
        (["fit", "load.csv", "--epochs", "1", "--steps", "1"], "one of epochs"),
        (["fit", "load.csv", "--cell", "lstn"], "lstm"),
        (["fit", "--resume", "absent"], "nothing to continue"),
        (["fit", "--resume", "run", "--hidden", "3"], "--hidden"),
        (["fit", "load.csv", "--target", "laod"], "load"),
        (["compare", "load.csv", "--cells", "lstn"], "--cells: no cell is named 'lstn'"),
        (["evaluate", "absent"], "no such run"),
        (["predict", "absent", "load.csv"], "no such run"),
        (["cells", "lstn"], "lstm"),
        (["fti", "load.csv"], "fit"),
        (["describe", "absent.csv"], "absent.csv"),
    ],
)
def test_mistake_is_one_line_and_status_two(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(*words, *(["--quiet"] if words[0] == "fit" else [])) == 2
    output = capsys.readouterr()
    assert message in one_line(output.err)
    assert output.out == ""
    assert [entry.name for entry in tmp_path.iterdir()] == ["load.csv"]


def test_advice_names_options_that_the_command_has(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import re

    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert fitted() == 0
    lines = (tmp_path / "load.csv").read_text().splitlines()
    broken = {
        "an empty cell": [*lines[:9], lines[9].split(",")[0] + ",", *lines[10:20]],
        "not in order": [lines[0], *lines[10:20], lines[5]],
        "two rows": [*lines[:10], lines[9], *lines[10:20]],
        "a gap": [*lines[:10], *lines[12:20]],
        "no such column": ["hour,lode", *lines[1:20]],
    }
    for says, rows in broken.items():
        (tmp_path / "new.csv").write_text("\n".join(rows) + "\n")
        for command in ("predict", "evaluate"):
            assert run(command, "run", "new.csv") == 2
            shown = one_line(capsys.readouterr().err)
            assert says in shown
            advice = shown.partition(" — ")[2].partition("train the run anew: ")
            has = {flag for param in commands[command].params for flag in param.opts}
            assert set(re.findall(r"--[a-z-]+", shown.replace(advice[2], ""))) <= has
            # What follows is for fit.
            fits = {flag for param in commands["fit"].params for flag in param.opts}
            assert set(re.findall(r"--[a-z-]+", advice[2])) <= fits


def test_cells_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cells") == 0
    assert "lstm-peephole" in capsys.readouterr().out
    assert run("cells", "lstm") == 0
    assert "sigmoid(W_f @ x" in capsys.readouterr().out
    assert run("cells", "gru", "--latex") == 0
    assert r"\sigma" in capsys.readouterr().out
    assert run("cells", "gru", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "gru"


def test_cache_is_told_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REMANENCE_CACHE", str(tmp_path))
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "forward_1.py").write_bytes(b"# 5\n\n")
    assert run("cache", "--json") == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == 5
    assert run("cache", "--clear") == 0
    assert "removed 1 files" in capsys.readouterr().out
    assert not list((tmp_path / "kernels").iterdir())


def test_doctor_finds_this_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json") == 0
    findings = json.loads(capsys.readouterr().out)
    assert {"python", "torch", "torch kernels", "disk", "font for Chinese"} <= {one["name"] for one in findings}
    assert all(one["remedy"] for one in findings if one["state"] == "missing")


def test_doctor_fails_where_something_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from remanence import doctor

    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    assert run("doctor") == 1
    assert "BROKEN   disk" in capsys.readouterr().out


def test_full_disk_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "run")

    monkeypatch.setattr(fitting, "fit", full)
    assert fitted() == 2
    assert "no space left" in one_line(capsys.readouterr().err)


def test_interrupt_is_status_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", interrupted)
    assert fitted() == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    """In a process of its own, as from a shell: SIGINT in training, then `fit --resume`."""
    command = [sys.executable, "-m", "remanence"]
    words = ["fit", "load.csv", *FIT, "--minutes", "5", "--patience", "100000", "--beside", "none", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(Path(remanence.__file__).parents[1])}
    child = subprocess.Popen([*command, *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / ".run.partial" / "metrics.jsonl"
    deadline = time.monotonic() + 100
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=100)
    assert child.returncode == 130, errors
    assert "finishing this step" in errors
    manifest = remanence.Run.load(tmp_path / "run").manifest
    assert manifest["status"] == "interrupted"
    assert not metrics.exists()


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"remanence {remanence.__version__}\n"


def test_public_names_are_exact_and_importable() -> None:
    assert set(remanence.__all__) <= set(dir(remanence))
    for name in remanence.__all__:
        assert getattr(remanence, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        _ = remanence.guess  # type: ignore[attr-defined]


def test_command_leaves_with_the_status_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "main", lambda: 2)
    with pytest.raises(SystemExit) as left:
        program.run()
    assert left.value.code == 2
