"""Where the time of a training step goes, task by task: in kernels and large products, in other operations, in Python.

    python -m bench.profile [TASK | STUDY …] [--write]

Every task learns from the example data with the settings that it chooses itself, on one thread; and so does every study
whose data are here, with its own. After some steps to warm up, steps are timed on the clock, and then run again under
PyTorch's profiler, which tells the seconds of each operation. It costs time itself, and most where operations are
small; so the seconds of the large ones are set against a step on the clock, and what is left of that is shared out over
the rest as under the profiler.

    kernels     time loops of recurrent layers, compiled from their equations or of PyTorch (of fewer than four steps),
                additive attention, dropout, pools over steps, norms of a branch of convolutions, sums over label
                sequences and over places of a text, and AdamW
    products    matrix products and convolutions, forward and backward, with what they need to lay their operands out
    others      what else PyTorch computes: attention's softmax, losses, norms
    python      what is left of the step: calls of operations, and the next batch, which comes on the same thread
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from bench.study import DATA, STUDIES
from remanence.compiler.by_hand import ByHand
from remanence.settings import settings_from
from remanence.train.determinism import reproducible
from remanence.train.job import Job
from remanence.train.opening import Opened, open_data
from remanence.train.update import Updater

__all__ = ["PROFILES", "Shares", "group_of", "measure", "rows"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "profile.md"
ROUNDS, TIMED = 2, 16

PROFILES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "forecast": ("beijing-pm25-2014.csv", {"target": "pm25", "missing": "mask", "horizon": 24, "context": 168}),
    "classify, texts": ("snips-intents.jsonl", {"input": "text", "label": "intent", "split_column": "split"}),
    "classify, numbers": ("JapaneseVowels_TRAIN.ts", {}),
    "classify, videos": ("door/clips.csv", {"label": "action", "split_column": "split"}),
    "regress": ("JapaneseVowels_TRAIN.ts", {"task": "regress"}),
    "tag, tokens": ("snips-slots.jsonl", {"task": "tag", "split_column": "split"}),
    "tag, samples": ("gaze-samples.csv", {"task": "tag"}),
    "tag, sounds": ("digits-when.csv", {"label": "digit", "split_column": "split"}),
    "generate": ("shakespeare.txt", {"task": "generate"}),
    "translate": (
        "tatoeba-zh-en.tsv", {"task": "translate", "input": "chinese", "answer": "english", "group": "english"},
    ),
    "summarise": ("csl-titles.jsonl", {"task": "summarise", "split_column": "split"}),
    "caption": ("door/clips.csv", {"task": "caption", "split_column": "split"}),
    "transcribe": ("spoken-digits.csv", {"task": "transcribe", "split_column": "split"}),
}  # fmt: skip
"""Row → file of the examples, options."""

_GROUPS = (
    (
        "kernels",
        r"remanence::|_(Fused|Short|Chunks|Additive|Pooled|Chain|Dropped|Likely|Normalised)(Backward)?$|"
        r"aten::mkldnn_rnn_layer|MkldnnRnnLayerBackward0$",
    ),
    (
        "products",
        r"aten::(mm|addmm_?|bmm|baddbmm|matmul|linear|einsum|convolution.*|_convolution|mkldnn_convolution.*|"
        r"conv[12]d|slow_conv.*|thnn_conv.*|_slow_conv.*)$|.*onvolutionBackward.*",
    ),
)


HEAD = """\
<!-- Written by python -m bench.profile --write; measure again to change it. -->

# Where a training step spends its time

Steps of each task on the example data, with the settings that the task chooses itself, on one thread (`make profile`).
*Kernels* are the engine's: the time loops of recurrent layers, additive attention, dropout, pools over steps, norms of
a branch of convolutions, sums over label sequences and over the places of a text, and AdamW; *products* matrix products
and convolutions; *others* is what else PyTorch computes (softmax, losses, norms), *Python* what is left of the step:
calls of operations, and the next batch, which is made on the same thread. Batches are those of training, of sequences
of like length. The seconds of kernels and products, as PyTorch's profiler tells them, are set against a step on the
clock without it; *others* and *Python* share what is left as they do under the profiler.

The example data are small, and so are the models that are chosen for them; the studies stand below.

"""
MIDDLE = """
The same of the studies (`make study`), of published data with the settings that their results were reached with:

"""


@dataclass(frozen=True)
class Shares:
    """Of a training step.

    Args:
        milliseconds: on the clock, without the profiler.
        kernels, products, others, python: shares of it, which add up to 1.
        slowest: the operation outside kernels and products that takes the most, and its share.
    """

    milliseconds: float
    kernels: float
    products: float
    others: float
    python: float
    slowest: tuple[str, float]


def group_of(operation: str) -> str:
    """Which group an operation belongs to, by the profiler's name of it.

    Example:
        >>> group_of("aten::addmm"), group_of("remanence::layer_backward"), group_of("aten::tanh")
        ('products', 'kernels', 'others')
    """
    return next((group for group, pattern in _GROUPS if re.match(pattern, operation)), "others")


@contextmanager
def _opened(name: str) -> Iterator[Opened]:
    """The data and settings of a row."""
    if name in PROFILES:
        file, options = PROFILES[name]
        yield open_data(ROOT / "examples" / "data" / file, settings_from(options))
        return
    study = STUDIES[name]
    with tempfile.TemporaryDirectory() as folder:
        options = {"threads": 1} | study.unpack(DATA / study.source, Path(folder))
        yield open_data(options.pop("path"), settings_from(options))


def measure(name: str) -> Shares:
    """Profile the training steps of a row of `PROFILES`, or of a study."""
    with reproducible("cpu", threads=1), _opened(name) as opened:
        return _measured(name, opened)


def _measured(name: str, opened: Opened) -> Shares:
    torch.manual_seed(0)
    updater = Updater(Job(opened.task, opened.prepared, opened.settings, 0, name))
    step, count = _stepper(updater)
    # Batches come round again: those that are timed are those that are profiled.
    for _ in range(ROUNDS * count):
        step()
    began = time.perf_counter()
    for _ in range(count):
        step()
    clock = (time.perf_counter() - began) / count
    with profile(activities=[ProfilerActivity.CPU]) as found, _by_hand_told():
        began = time.perf_counter()
        for _ in range(count):
            step()
        whole = (time.perf_counter() - began) / count
    events = [(event.key, event.self_cpu_time_total / 1e6 / count) for event in found.key_averages()]
    return shares(events, whole, clock)


@contextmanager
def _by_hand_told() -> Iterator[None]:
    """Let the profiler tell kernels that are called outside of operations: those of the optimiser."""
    usual = ByHand.run

    def run(kernels: ByHand, *arguments: Any) -> None:
        with record_function(f"remanence::{kernels.module}"):
            usual(kernels, *arguments)

    ByHand.run = run  # type: ignore[method-assign]
    try:
        yield
    finally:
        ByHand.run = usual  # type: ignore[method-assign]


def shares(events: list[tuple[str, float]], profiled: float, clock: float) -> Shares:
    """Share a step out over the groups.

    Args:
        events: operation → seconds of it in a step, as the profiler tells.
        profiled: seconds of a step under the profiler.
        clock: seconds of a step without it.

    Example:
        >>> found = shares([("aten::mm", 0.3), ("remanence::layer", 0.4), ("aten::tanh", 0.1)], 1.0, 0.9)
        >>> [round(share, 2) for share in (found.products, found.kernels, found.others, found.python)], found.slowest[0]
        ([0.33, 0.44, 0.07, 0.15], 'aten::tanh')
    """
    totals: dict[str, float] = dict.fromkeys(("kernels", "products", "others"), 0.0)
    for operation, spent in events:
        totals[group_of(operation)] += spent
    outside = [(operation, spent) for operation, spent in events if group_of(operation) == "others"]
    slowest = max(outside, key=lambda pair: pair[1], default=("–", 0.0))
    large = totals["kernels"] + totals["products"]
    # No share is more than there is, should operations have run side by side or the clock have been kinder.
    whole = max(clock, large)
    # Seconds of the rest without the profiler, for one with it.
    shrunk = (whole - large) / max(profiled - large, totals["others"], 1e-12)
    parts = {group: spent / whole for group, spent in (totals | {"others": totals["others"] * shrunk}).items()}
    return Shares(
        1000 * clock, **parts, python=1 - sum(parts.values()), slowest=(slowest[0], slowest[1] * shrunk / whole)
    )


def _stepper(updater: Updater) -> tuple[Callable[[], None], int]:
    """A function that learns from batches as in training, made on this thread, and after how many calls they have come
    round, once or a few times."""
    part, options = updater.job.prepared.train, updater.options
    order = part.order(options.batch_size or 32, 0, 0)
    batches, at = min(TIMED, len(order)), 0

    def step() -> None:
        nonlocal at
        at += 1
        updater.update(part.batch(order[(at - 1) % batches]), 1e-3, at)

    return step, TIMED - TIMED % batches


def rows(names: list[str]) -> list[str]:
    """A table in Markdown, one line a name."""
    lines = ["| task | ms a step | kernels | products | both | others | Python | slowest of the others |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name in names:
        if name in STUDIES and not (DATA / STUDIES[name].source).exists():
            print(f"{name}: skipped, {STUDIES[name].source} is absent", file=sys.stderr)
            continue
        found = measure(name)
        numbers = (found.kernels, found.products, found.kernels + found.products, found.others, found.python)
        shown = " | ".join(f"{100 * number:.0f} %" for number in numbers)
        slowest = f"`{found.slowest[0]}` {100 * found.slowest[1]:.0f} %"
        title = STUDIES[name].title if name in STUDIES else name
        lines.append(f"| {title} | {found.milliseconds:.0f} | {shown} | {slowest} |")
        print(lines[-1], flush=True)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Where the time of a training step goes.")
    parser.add_argument("names", nargs="*", metavar="TASK", help="rows or studies; all by default")
    parser.add_argument("--write", action="store_true", help="write docs/profile.md")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - {*PROFILES, *STUDIES}
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join([*PROFILES, *STUDIES])}")
    tables = [rows(chosen.names)] if chosen.names else [rows(list(PROFILES)), rows(list(STUDIES))]
    if chosen.write:
        PAGE.write_text(HEAD + MIDDLE.join("\n".join(table) + "\n" for table in tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
