"""Look this machine over: is all there that Remanence needs, and what would make it better?

A finding is `fine`, `missing` (something optional; says how to get it) or `broken` (something needed).
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from remanence.cores import usable_cores

__all__ = ["Finding", "examine"]

State = Literal["fine", "missing", "broken"]
NEEDED = ("torch", "numpy", "pydantic", "typer", "rich", "pyarrow", "safetensors", "scikit-learn", "altair")
OPTIONAL = {
    "tensorboard": "remanence[tensorboard]: --tensorboard",
    "tokenizers": "remanence[subwords]: --tokens subwords",
}
IMPORTS = {"scikit-learn": "sklearn"}
LEAST_FREE_BYTES = 500_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what.
        state: fine, missing (optional) or broken (needed).
        value: what was found.
        remedy: what to do about it, or empty.
    """

    name: str
    state: State
    value: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = {"fine": "ok     ", "missing": "missing", "broken": "BROKEN "}[self.state]
        return f"{mark}  {self.name}: {self.value}" + (f" — {self.remedy}" if self.remedy else "")


def examine() -> list[Finding]:
    """Look at everything; a check that itself fails is a finding, not an error.

    Example:
        >>> examine()[0].name
        'python'
    """
    findings = [_python()]
    findings += [_needed(name) for name in NEEDED]
    checks: tuple[Callable[[], Finding], ...] = (
        _torch_works, _cpu, _threads, _cuda, _drawing, _chinese, _disk, _cache,
    )  # fmt: skip
    for check in checks:
        try:
            findings.append(check())
        except Exception as error:
            name = check.__name__.strip("_").replace("_", " ")
            findings.append(Finding(name, "broken", f"{type(error).__name__}: {error}"))
    findings += [_optional(name, hint) for name, hint in OPTIONAL.items()]
    return findings


def _python() -> Finding:
    return Finding("python", "fine", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _needed(name: str) -> Finding:
    try:
        found = version(name)
        import_module(IMPORTS.get(name, name))
    except PackageNotFoundError:
        return Finding(name, "broken", "not installed", f"pip install '{_requirement(name)}'")
    except Exception as error:
        return Finding(name, "broken", f"cannot be imported: {error}", f"pip install --force-reinstall '{name}'")
    return Finding(name, "fine", found)


def _requirement(name: str) -> str:
    """The range that Remanence asks for."""
    try:
        wanted = requires("remanence") or []
    except PackageNotFoundError:
        return name
    return next((line.partition(";")[0].strip() for line in wanted if line.lower().startswith(name)), name)


def _optional(name: str, hint: str) -> Finding:
    if find_spec(name) is None:
        extra, _, use = hint.partition(": ")
        return Finding(name, "missing", f"for {use}", f"pip install '{extra}'")
    return Finding(name, "fine", version(name))


def _torch_works() -> Finding:
    """A small LSTM forward and backward: does the arithmetic of this build run on this CPU?"""
    import torch

    layer = torch.nn.LSTM(3, 5, batch_first=True)
    output, _ = layer(torch.ones(2, 4, 3))
    output.sum().backward()
    gradients = [weights.grad for weights in layer.parameters()]
    if not all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients):
        return Finding("torch kernels", "broken", "an LSTM gives numbers that are not finite", "reinstall torch")
    kinds = [name for name, there in (("oneDNN", torch.backends.mkldnn.is_available()),
                                      ("OpenMP", torch.backends.openmp.is_available())) if there]  # fmt: skip
    return Finding("torch kernels", "fine", f"{torch.backends.cpu.get_cpu_capability()}, {', '.join(kinds)}")


def _cpu() -> Finding:
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.exists():
        facts = dict(line.split(":", 1) for line in information.read_text(errors="replace").splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        name = facts.get("model name", name)
        there = set(facts.get("flags", facts.get("Features", "")).split())
        flags = ", ".join(flag for flag in ("avx2", "fma", "avx512f", "asimd", "sve") if flag in there)
    return Finding("cpu", "fine", f"{name}, {os.cpu_count()} threads" + (f" ({flags})" if flags else ""))


def _threads() -> Finding:
    import torch

    usable, used = usable_cores(), torch.get_num_threads()
    hint = "" if used <= usable else "more threads than CPUs: set --threads, or OMP_NUM_THREADS"
    return Finding("threads", "fine", f"torch uses {used} of {usable}", hint)


def _cuda() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("cuda", "missing", "no GPU that torch can use", "not needed: everything runs on the CPU")
    names = ", ".join(torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count()))
    return Finding("cuda", "fine", f"{names}; CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")


def _drawing() -> Finding:
    import altair
    import vl_convert

    chart = altair.Chart(altair.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q")
    size = len(vl_convert.vegalite_to_png(chart.to_json()))
    return Finding("figures", "fine", f"vl-convert {version('vl-convert-python')} drew one of {size} bytes")


def _chinese() -> Finding:
    from remanence.explain.render import chinese_font

    found = chinese_font()
    if found:
        return Finding("font for Chinese", "fine", found)
    return Finding(
        "font for Chinese", "missing", "PNG and SVG figures cannot hold Chinese; HTML pages can",
        "apt-get install fonts-noto-cjk (Debian, Ubuntu), dnf install google-noto-sans-cjk-fonts (Fedora)",
    )  # fmt: skip


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / 1e9:.1f} GB free here"
    if free < LEAST_FREE_BYTES:
        return Finding("disk", "broken", text, "free some space, or work elsewhere")
    return Finding("disk", "fine", text)


def _cache() -> Finding:
    """Whether files may be written where runs and spilled data go."""
    for name, folder in (("this folder", Path.cwd()), ("temporary folder", Path(tempfile.gettempdir()))):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x")
        except OSError as error:
            remedy = "choose another with --out" if name == "this folder" else "set TMPDIR to a folder you may write to"
            return Finding("writing", "broken", f"{name} {folder}: {error.strerror}", remedy)
    return Finding("writing", "fine", f"{Path.cwd()} and {tempfile.gettempdir()}")
