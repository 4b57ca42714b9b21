"""A training on its way: the hidden folder beside the run that is to be, which survives a kill.

<parent>/.<name>.partial/
    plan.json             sealed: what is trained, from which data; another plan does not continue here
    lock                  held by the process that trains
    metrics.jsonl
    <label>/              seed-0, seed-1, …, beside-rnn
        checkpoint.json, step-<n>.safetensors     while it trains
        result.json, model.safetensors            once it is done
    run/                  the run, put together before it is published by one rename
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from torch import Tensor

from remanence.errors import SettingError
from remanence.run import is_run
from remanence.storage import no_write_errors, read_sealed, read_tensors, write_sealed, write_tensors

__all__ = ["Session", "check_target", "free_name", "partial_folder", "same_plan", "stored_plan"]

_REMEDY = "start again with --overwrite"
PLAN = "plan.json"


def partial_folder(target: Path) -> Path:
    """Where a run works before it is published."""
    return target.with_name(f".{target.name}.partial")


def stored_plan(target: Path) -> dict[str, Any] | None:
    """The plan of an unfinished or interrupted training, or None."""
    for folder in (partial_folder(target), target / "checkpoints"):
        if (folder / PLAN).exists():
            return read_sealed(folder / PLAN, _REMEDY)
    return None


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a place where something stands that must not be replaced, before any work is done.

    Raises:
        SettingError: a folder that is no run, or a run that is neither interrupted nor to be overwritten.
    """
    if not target.exists() or _is_empty(target):
        return
    if not is_run(target):
        raise SettingError(f"{target} is not a run, and is not replaced", name="out", remedy="choose another name")
    # An unfinished training was begun with leave to replace what stands here, or was killed just as it had.
    if not overwrite and stored_plan(target) is None:
        raise SettingError(f"{target} exists already", name="out", remedy="choose another, or --overwrite")


class Session:
    """An open partial folder; a context manager that holds its lock.

    Args:
        target: where the run will stand.
        plan: what is trained, as JSON; kept from an unfinished training where it is equal.
        overwrite: a run that stands there may be replaced, an unfinished training of another plan discarded.

    Raises:
        SettingError: a run or another unfinished training is in the way, or another process trains here.
        MachineError: the folder cannot be written.
    """

    def __init__(self, target: Path, plan: Mapping[str, Any], *, overwrite: bool) -> None:
        self.target, self.folder = target, partial_folder(target)
        before = stored_plan(target)
        self.continued = before is not None and same_plan(before, plan)
        check_target(target, overwrite=overwrite)
        if before is not None and not self.continued and not overwrite:
            where = self.folder if self.folder.exists() else target
            raise SettingError(
                f"an unfinished training stands in {where}, with {_change(before, plan)}", name="out",
                remedy="--overwrite discards it; the command it was begun with continues it",
            )  # fmt: skip
        with no_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            if not self.continued:
                self._clear()
                write_sealed(self.folder / PLAN, dict(plan))
            elif not (self.folder / PLAN).exists():
                self._restore()
        self._metrics: IO[bytes] | None = None
        self._finished = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._metrics:
            self._metrics.close()
        self._lock.close()

    def place(self, label: str) -> Path:
        """The folder of one model's checkpoints and result."""
        return self.folder / label

    def result(self, label: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Facts and weights of a model that is done, or None."""
        folder = self.place(label)
        if not (folder / "result.json").exists():
            return None
        facts = read_sealed(folder / "result.json", _REMEDY)
        self._finished = facts.pop("mark")
        return facts, read_tensors(folder / "model.safetensors", _REMEDY)

    def begin(self, label: str) -> Path:
        """The folder to train a model in; rows that a killed training wrote after its last checkpoint are cut off."""
        folder = self.place(label)
        if not (folder / "checkpoint.json").exists():
            self.rewind(self._finished)
        return folder

    def keep(self, label: str, facts: Mapping[str, Any], weights: Mapping[str, Tensor], *, done: bool) -> None:
        """Write a model's weights, and, where it is done, its facts instead of its checkpoints."""
        folder = self.place(label)
        with no_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_tensors(folder / "model.safetensors", weights)
            if done:
                self._finished = self.mark()
                write_sealed(folder / "result.json", {**facts, "mark": self._finished})
                for file in [folder / "checkpoint.json", *folder.glob("step-*.safetensors")]:
                    file.unlink(missing_ok=True)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to metrics.jsonl."""
        file = self._opened()
        with no_write_errors(self.folder / "metrics.jsonl"):
            file.write((json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode())
            file.flush()

    def rows(self) -> list[dict[str, Any]]:
        """Every row of metrics.jsonl."""
        with no_write_errors(self.folder / "metrics.jsonl"):
            self._opened().flush()
            lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def mark(self) -> int:
        """Length of metrics.jsonl, flushed to the disk."""
        file = self._opened()
        with no_write_errors(self.folder / "metrics.jsonl"):
            os.fsync(file.fileno())
        return file.tell()

    def rewind(self, mark: int) -> None:
        """Cut metrics.jsonl back to what it was at a checkpoint."""
        file = self._opened()
        file.truncate(mark)
        file.seek(mark)

    def discard(self) -> None:
        """Remove the folder: the run is published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _opened(self) -> IO[bytes]:
        if self._metrics is None:
            with no_write_errors(self.folder):
                self._metrics = open(self.folder / "metrics.jsonl", "ab")  # noqa: SIM115 - closed on leaving
        return self._metrics

    def _locked(self) -> IO[bytes]:
        lock = open(self.folder / "lock", "ab")  # noqa: SIM115 - held until the session ends
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: no lock
            pass
        except OSError as error:
            lock.close()
            raise SettingError(
                f"another process is training into {self.target}", name="out", remedy="wait for it, or choose another"
            ) from error
        return lock

    def _clear(self) -> None:
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def _restore(self) -> None:
        """Take the checkpoints of an interrupted run back into work; its plan last, as it makes the folder valid."""
        self._clear()
        kept = self.target / "checkpoints"
        for entry in sorted(kept.iterdir(), key=lambda entry: entry.name == PLAN):
            if entry.is_dir():
                shutil.copytree(entry, self.folder / entry.name)
            else:
                shutil.copyfile(entry, self.folder / entry.name)


def free_name(name: str, plan: Mapping[str, Any]) -> Path:
    """`runs/<name>`, or with the first number at which nothing stands that this plan would not continue."""
    base = Path("runs") / name
    number = 1
    while True:
        target = base if number == 1 else base.with_name(f"{base.name}-{number}")
        taken = target.exists() or partial_folder(target).exists()
        if not taken or same_plan(stored_plan(target) or {}, plan):
            return target
        number += 1


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def same_plan(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two plans train the same; where the file lies does not matter."""
    return all(before.get(name) == now.get(name) for name in {*before, *now} - {"path", "absolute"})


def _change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first difference of two plans, in words."""
    if before.get("fingerprint") != now.get("fingerprint"):
        return "other data: the file was changed since"
    for name in now:
        old, new = before.get(name), now[name]
        if isinstance(old, dict) and isinstance(new, dict):
            inner = {key: value for key, value in new.items() if old.get(key) != value}
            if inner:
                return _change(old, inner)
        elif old != new:
            return f"{name} {old} instead of {new}"
    return "other settings"
