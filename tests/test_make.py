"""The Makefile: which torch it asks for, and what it says where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

if shutil.which("make") is None:
    pytest.skip("needs make", allow_module_level=True)


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Neither this machine's packages nor the variables of a surrounding make.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS"))}
    own |= {"PIP_CONFIG_FILE": os.devnull, "LC_ALL": "C.UTF-8"}
    command = ["make", "-f", str(REPOSITORY / "Makefile"), f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=own)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every build is for the CPU")
def test_make_asks_for_the_cpu_build_by_name(tmp_path: Path) -> None:
    assert "torch==2.13.0+cpu " in make(tmp_path, "-n", ".venv/torch").stdout
    assert "torch==2.13.0 " in make(tmp_path, "-n", ".venv/torch", "TORCH_INDEX=").stdout


def test_make_says_what_to_do_without_torch(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    pip = tmp_path / "pip.sh"
    pip.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    pip.chmod(0o755)
    done = make(tmp_path, ".venv/torch", "PYTHON=true", f"PIP={pip}")
    assert done.returncode != 0 and not (tmp_path / ".venv" / "torch").exists()
    assert "make TORCH_INDEX= demo" in done.stdout and "could not be had" in done.stdout
