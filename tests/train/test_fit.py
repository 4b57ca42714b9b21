"""From a file to a run: published whole, the same twice, and after five kills."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from remanence.errors import DataError, MachineError, RunError, SettingError
from remanence.run import Run
from remanence.storage import sha256
from remanence.train import fit as fitting
from remanence.train import loop
from remanence.train.fit import fit, resume
from remanence.train.interrupt import Interrupt
from remanence.train.progress import Progress
from remanence.train.session import partial_folder
from tests.train.killed import train
from tests.train.made import OPTIONS, load_csv

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_report", lambda *_: None)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return load_csv(tmp_path_factory.mktemp("data") / "load.csv")


def small(file: Path, out: Path, **more: Any) -> Run:
    return fit(file, out=out, progress=False, **({"beside": (), "steps": 6} | OPTIONS | more))


class Interrupting(Progress):
    """Asks to stop after so many updates, as Ctrl-C does."""

    def __init__(self, updates: int) -> None:
        self.left = updates
        self.notes: list[str] = []

    def step(self, used: float, loss: float, seconds: float) -> None:
        import signal

        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_run_holds_what_it_should(file: Path, tmp_path: Path) -> None:
    run = small(file, tmp_path / "run", seeds=2, beside=("rnn",))
    manifest = run.manifest
    assert {"model.safetensors", "metrics.jsonl", "beside/rnn.safetensors"} < set(manifest["files"])
    assert len([name for name in manifest["files"] if name.startswith("seeds/")]) == 1
    assert manifest["status"] == "finished"
    assert [facts["seed"] for facts in manifest["seeds"]] == [0, 1]
    assert all("mae" in facts["test"] for facts in manifest["seeds"])
    best = min(manifest["seeds"], key=lambda facts: facts["valid"]["mae"])
    assert (manifest["best_seed"], manifest["test"]) == (best["seed"], best["test"])
    assert {"naive", "mean"} <= {facts["name"] for facts in manifest["baselines"]}
    assert "sigmoid" in manifest["cell"]["equations"]
    assert manifest["threads"] == 1
    assert {row["seed"] for row in run.metrics_rows} == {0, 1}
    assert not partial_folder(run.path).exists()
    assert run.evaluate().metrics["mae"] == pytest.approx(manifest["test"]["mae"], rel=1e-6)


def test_same_seed_same_hash(file: Path, tmp_path: Path) -> None:
    hashes = [small(file, tmp_path / name).manifest["files"]["model.safetensors"]["sha256"] for name in "ab"]
    assert hashes[0] == hashes[1]
    assert small(file, tmp_path / "c", seed=1).manifest["files"]["model.safetensors"]["sha256"] != hashes[0]


def test_variational_dropout_is_drawn_in_training_and_absent_after(file: Path, tmp_path: Path) -> None:
    hashes = set()
    for rate in (0.0, 0.4, 0.4):
        run = small(file, tmp_path / f"run{len(hashes)}", variational_dropout=rate, overwrite=True)
        assert run.model.recurrent.options.variational_dropout == rate
        assert run.evaluate().metrics["mae"] == pytest.approx(run.manifest["test"]["mae"], rel=1e-6)
        hashes.add(run.manifest["files"]["model.safetensors"]["sha256"])
    assert len(hashes) == 2


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork to kill a child cheaply")
def test_five_kills_give_the_same_hash(file: Path, tmp_path: Path) -> None:
    def seen(name: str) -> tuple[dict[str, str], list[dict]]:
        run = Run.load(tmp_path / name)
        weights = {name: facts["sha256"] for name, facts in run.manifest["files"].items() if "safetensors" in name}
        return weights, [{**row, "seconds": 0} for row in run.metrics_rows]

    train(file, tmp_path / "whole", Progress())
    command = [sys.executable, "-m", "tests.train.killed", str(file), str(tmp_path / "killed"), "5", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert len(facts["told"]) == 6
    assert not facts["published_early"]
    assert seen("killed") == seen("whole")


def test_interrupted_run_is_usable_and_goes_on(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small(file, tmp_path / "whole", steps=12, evaluate_every=2)
    progress = Interrupting(5)
    options = {"beside": (), "steps": 12, "evaluate_every": 2} | OPTIONS
    run = fit(file, out=tmp_path / "run", progress=progress, **options)
    assert run.manifest["status"] == "interrupted"
    assert run.manifest["seeds"][0]["steps"] == 5
    assert run.evaluate(part="valid").metrics["mae"] > 0
    again = resume(tmp_path / "run", progress=Progress())
    assert again.manifest["status"] == "finished"
    assert not (again.path / "checkpoints").exists()
    assert sha256(again.path / "model.safetensors") == sha256(whole.path / "model.safetensors")


def test_training_does_not_load_what_compiles_models(tmp_path: Path) -> None:
    # Of torch: seconds at each start.
    (tmp_path / "texts.csv").write_text("text,label\n" + "good day,a\nbad day,b\n" * 20)
    program = (
        "import sys\nfrom remanence.train.fit import fit\n"
        "fit('texts.csv', label='label', steps=2, hidden=2, progress=False, beside=())\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_second_interrupt_quits_at_once() -> None:
    # A job in a script's background begins with the signal ignored, and ends so.
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_existing_run_is_replaced_only_when_asked(file: Path, tmp_path: Path) -> None:
    first = small(file, tmp_path / "run")
    with pytest.raises(SettingError, match="exists already"):
        small(file, tmp_path / "run", hidden=3)
    assert Run.load(tmp_path / "run").manifest == first.manifest
    assert small(file, tmp_path / "run", hidden=3, overwrite=True).settings.model.hidden == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_folder_that_is_no_run_is_never_replaced(file: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("words")
    with pytest.raises(SettingError, match="not a run"):
        small(file, tmp_path / "precious", overwrite=True)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "words"


def leave_unfinished(file: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill in training leaves: a partial folder."""
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "assemble", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            small(file, out)


def test_unfinished_training_of_other_settings_is_told(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    leave_unfinished(file, out, monkeypatch)
    with pytest.raises(SettingError, match=r"hidden 5 instead of 3.*--overwrite"):
        small(file, out, hidden=3)
    assert small(file, out, hidden=3, overwrite=True).settings.model.hidden == 3


def test_changed_data_do_not_continue(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, copy = tmp_path / "run", tmp_path / "load.csv"
    shutil.copyfile(file, copy)
    leave_unfinished(copy, out, monkeypatch)
    load_csv(copy, seed=1)
    with pytest.raises(SettingError, match="file was changed"):
        small(copy, out)
    with pytest.raises(SettingError, match="file was changed"):
        resume(out, progress=False)


def test_resume_without_anything_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to continue"):
        resume(tmp_path / "run", progress=False)


def test_default_name_is_numbered(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [fit(file, progress=False, beside=(), steps=2, **OPTIONS).path.as_posix() for _ in range(2)]
    assert names == ["runs/load-lstm", "runs/load-lstm-2"]


def test_two_trainings_into_one_folder_are_refused(file: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    folder = partial_folder(tmp_path / "run")
    folder.mkdir()
    with open(folder / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SettingError, match="another process"):
            small(file, tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "lstn"}, SettingError, "lstm"),
        ({"hiden": 3}, SettingError, "hidden"),
        ({"hidden": 0}, SettingError, "--hidden"),
        ({"epochs": 2}, SettingError, "one of epochs, steps and minutes"),
        ({"device": "cuda"}, SettingError, "--device"),
    ],
)
def test_wrong_options_are_told_and_nothing_is_written(
    file: Path, tmp_path: Path, options: dict, error: type[Exception], message: str
) -> None:
    if options.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(error, match=message):
        small(file, tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())


def test_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        small(tmp_path / "nothing.csv", tmp_path / "run")


def test_folder_without_permission_is_told(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        small(file, tmp_path / "file" / "run")


def test_full_disk_is_told_and_the_last_checkpoint_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="no space left"):
            small(file, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    whole = small(file, tmp_path / "whole")
    assert sha256(small(file, tmp_path / "run").path / "model.safetensors") == sha256(whole.path / "model.safetensors")
