"""The page of `remanence explain`: one example, looked into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from remanence.explain.example import Example
from remanence.explain.memory import memory
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.page import Page, write_page
from remanence.report.run_page import models_of
from remanence.report.sections import memory_section, model_title, number, settings_section
from remanence.run import Run

__all__ = ["explanation_page", "write_explanation"]


def write_explanation(run: Run | str | Path, example: Example, out: str | Path) -> Path:
    """Write the page that shows what a run does with one example, its companions beside it.

    Args:
        run: a run, or its folder.
        example: see `explain.example_of` and `explain.example_from`.
        out: the HTML file.

    Raises:
        RunError: the run cannot be read.
        MachineError: the page cannot be written.
    """
    return write_page(explanation_page(run if isinstance(run, Run) else Run.load(run), example), out)


def explanation_page(run: Run, example: Example) -> Page:
    """Put the page together."""
    models = models_of(run)
    cell = model_title(str(run.settings.model.cell))
    title = Words(f"What {cell} does with this example", f"{cell} 如何处理这个例子")
    sections = memory_section(models, example)
    sections.append(
        settings_section({"equations": run.manifest["cell"]["equations"], "settings": run.manifest["settings"]})
    )
    return Page(run.path.name, title, _verdict(run, models, example), tuple(sections))


def _verdict(run: Run, models: dict[str, Any], example: Example) -> Words:
    """The answer, and how long half of an input stays."""
    lives = {model_title(name): memory(model, example, name=name).half_life() for name, model in models.items()}

    def said(life: float) -> Words:
        if not np.isfinite(life):
            return Words("more than half is left to the end", "到最后仍剩一半以上")
        return Words(f"half is left after {life:.1f} steps", f"{life:.1f} 步后剩下一半")

    memories = Words(
        "; ".join(f"{name}: {said(life).en}" for name, life in lives.items()),
        "；".join(f"{name}：{said(life).zh}" for name, life in lives.items()),
    )
    if run.task.name != "classify":
        return Words(f"Of an input, {memories.en}.", f"一个输入的留存，{memories.zh}。")
    shares = torch.softmax(forward(run.model, example.batch, run.settings.train.truncate)[0].double(), 0)
    best = int(shares.argmax())
    label = run.encoders.labels[best]  # type: ignore[attr-defined]
    sure = number(float(shares[best]) * 100)
    return Words(
        f"The answer is “{label}” ({sure} %). Of an input, {memories.en}.",
        f"回答是“{label}”（{sure} %）。一个输入的留存，{memories.zh}。",
    )
