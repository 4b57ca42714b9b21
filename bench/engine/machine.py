"""Where it was measured: processor, caches, versions. Nothing that names a machine or a person."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "commit", "engine_key", "facts"]

ROOT = Path(__file__).resolve().parent.parent.parent
LIBRARIES = ("torch", "numpy", "llvmlite", "onnxruntime", "jax", "jaxlib", "keras")


def facts() -> dict[str, Any]:
    """Processor, caches, system and versions."""
    from remanence.compiler.machine import MACHINE

    versions = {name: found for name in LIBRARIES if (found := _version(name))}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "vectors": MACHINE.name,
        "caches": _caches(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """Model name, with family and model number: virtual machines often give a short name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    held = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    numbers = [f"{word} {held[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in held]
    return f"{held.get('model name', platform.machine())} ({', '.join(numbers)})" if numbers else platform.machine()


def _caches() -> dict[str, str]:
    found = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def commit() -> str:
    """The commit that was measured; "+" where the tree has changes to the package."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--", "remanence") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def engine_key() -> str:
    """A hash of the engine's own files: a result that was measured with the same ones need not be measured again."""
    found = hashlib.sha256()
    for part in ("compiler", "cells", "nn"):
        for path in sorted((ROOT / "remanence" / part).rglob("*.py")):
            found.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]
