"""A machine in the way: no space, no permission, nowhere to write. One line, and nothing half-written."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest
from helpers import Outcome, command
from spoiled import CSV, FIT, check_line, contents, daily, run_folder, train_runs, write


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    train_runs(tmp_path_factory.mktemp("runs"))


def child(folder: Path, limit: int, *words: str) -> Outcome:
    """Run a command in a fork that can write only so many bytes to a file, or (0) as a user without rights."""
    with (folder.parent / "out").open("w+") as out, (folder.parent / "err").open("w+") as err:
        number = os.fork()
        if not number:
            status = 99
            try:
                status = restricted(folder, limit, words, out, err)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        out.seek(0)
        err.seek(0)
        return Outcome(status, out.read(), err.read())


def restricted(folder: Path, limit: int, words: Sequence[str], out: IO[str], err: IO[str]) -> int:
    os.chdir(folder)
    done = Outcome(99, "", "")
    try:
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            done = command(*words)
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        else:
            os.setgid(65534)
            os.setuid(65534)
            done = command(*words)
    except BaseException:
        resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
        done = Outcome(98, "", traceback.format_exc())
    out.write(done.out)
    err.write(done.err)
    out.flush()
    err.flush()
    return done.status


@pytest.mark.skipif(sys.platform != "linux", reason="needs limits of a process")
@pytest.mark.parametrize("limit", [1, 3000])
def test_full_disk_leaves_nothing(limit: int, tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "old": run_folder("forecast")})
    before = contents(tmp_path)
    done = child(tmp_path, limit, *FIT, "--overwrite", "--out", "old")
    assert (done.status, done.out) == (2, ""), done.err
    check_line(done.err, ("--out",))
    after = contents(tmp_path)
    assert {name: digest for name, digest in after.items() if not name.startswith(".old.partial")} == before


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a superuser to become another")
def test_no_permission_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "secret.csv": daily()})
    (tmp_path / "secret.csv").chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    before = contents(tmp_path)
    for words, says in (
        (["describe", "secret.csv"], ("secret.csv", "permission", "chmod")),
        (FIT, ("cannot write", "permission", "--out")),
    ):
        done = child(tmp_path, 0, *words)
        assert (done.status, done.out) == (2, ""), done.err
        check_line(done.err, says)
        assert contents(tmp_path) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {CSV: daily(), "old": run_folder("forecast")})
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "remanence", "predict", str(tmp_path / "old"), str(tmp_path / CSV)],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    check_line(done.stderr, ("standard output",))
