"""The page of `remanence explain`: one example, looked into."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.errors import SettingError
from remanence.explain.example import Example, example_of, typical
from remanence.explain.inside import half_left
from remanence.explain.memory import memory
from remanence.explain.words import Words
from remanence.prediction.outputs import forward
from remanence.report.names import model_title, number
from remanence.report.page import Page, write_page
from remanence.report.run_page import example_sections, models_of
from remanence.report.sections import settings_section
from remanence.report.tagged import found_words
from remanence.report.writings import next_words
from remanence.report.written import alignment_section, written_words
from remanence.run import Run

__all__ = ["choose_example", "explain_run", "explained_answers", "explanation_page", "write_explanation"]


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


def explain_run(
    run: Run, out: str | Path, *, text: str | None = None, row: int | None = None, file: str | Path | None = None
) -> Path:
    """Choose an example and write its page; arguments as `choose_example` and `write_explanation`."""
    return write_explanation(run, choose_example(run, text=text, row=row, file=file), out)


def choose_example(
    run: Run, *, text: str | None = None, row: int | None = None, file: str | Path | None = None
) -> Example:
    """Find what to look into: a text, an example of a file, or one of the test part.

    Args:
        run: whose encoders read it.
        text: a text, for a run that reads texts.
        row: an example of the file, or of the test part, from 0; one that shows well when None.
        file: a file like that of the training; answers may be absent.

    Raises:
        SettingError: a text for a run that reads numbers; a text and a file or row; no such row.
        DataError: the file cannot be read, or the part is empty.
    """
    with _chosen(run, text, row, file) as (part, place):
        example = example_of(part, place)
    return example if text is None else replace(example, title=text)


def explained_answers(
    run: Run, *, text: str | None = None, row: int | None = None, file: str | Path | None = None
) -> list[dict[str, Any]]:
    """What the model answers to the example that `choose_example` finds: the rows that `Run.predict` gives of it.

    Of a class there is one row, with the probability of every class.

    Raises:
        SettingError, DataError: as `choose_example`.
    """
    with _chosen(run, text, row, file) as (part, place):
        example = example_of(part, place)
        output = forward(run.model, example.batch, run.settings.train.truncate).cpu()
        rows = list(run.task.rows(output, example.batch, part, run.encoders, run.settings))
    named = {} if text is None else {"example": text}
    return [{name: named.get(name, value) for name, value in row.items()} for row in rows]


@contextmanager
def _chosen(run: Run, text: str | None, row: int | None, file: str | Path | None) -> Iterator[tuple[Part, int]]:
    """The part that holds an example, and its place there."""
    if text is not None and (row is not None or file is not None):
        raise SettingError("goes without --row and --file", name="text", remedy="give one or the other")
    if text is not None:
        with run.reading_text(text) as part:
            yield part, 0
        return
    part = run.open(file) if file is not None else _scored_part(run)
    yield part, typical(part) if row is None else row


def _scored_part(run: Run) -> Part:
    """The test part, or the validation part where there is none."""
    return run.prepared.test if len(run.prepared.test) else run.prepared.valid


def explanation_page(run: Run, example: Example) -> Page:
    """Put the page together."""
    models = models_of(run)
    cell = model_title(str(run.settings.model.cell))
    title = Words(f"What {cell} does with this example", f"{cell} 如何处理这个例子")
    aligned = alignment_section(run, example)
    sections = [*([aligned] if aligned else []), *example_sections(run, models, example)]
    sections.append(
        settings_section({"equations": run.manifest["cell"]["equations"], "settings": run.manifest["settings"]})
    )
    return Page(Path(run.manifest["data"]["path"]).name, title, _verdict(run, models, example), tuple(sections))


def _verdict(run: Run, models: dict[str, Any], example: Example) -> Words:
    """The answer, and how long half of an input stays."""
    left = {model_title(name): half_left(memory(model, example, name=name)) for name, model in models.items()}
    memories = Words(
        "; ".join(f"{name}: {said.en}" for name, said in left.items()),
        "；".join(f"{name}：{said.zh}" for name, said in left.items()),
    )
    if run.task.name == "generate":
        ahead = next_words(run, example.batch)
        return Words(f"{ahead.en}Of an input, {memories.en}.", f"{ahead.zh}一个输入的留存，{memories.zh}。")
    if run.task.name == "tag":
        found = found_words(run, example)
        return Words(f"{found.en} Of an input, {memories.en}.", f"{found.zh}一个输入的留存，{memories.zh}。")
    if isinstance(run.encoders, PairEncoders):
        wrote = written_words(run, example)
        return Words(f"{wrote.en}Of an input, {memories.en}.", f"{wrote.zh}一个输入的留存，{memories.zh}。")
    if run.task.name == "regress":
        encoders: Any = run.encoders
        answer = forward(run.model, example.batch, run.settings.train.truncate)[0].double().numpy()
        value = number(float(encoders.answer.unscale(answer, (encoders.label,))[0]))
        return Words(
            f"The answer is {encoders.label} = {value}. Of an input, {memories.en}.",
            f"回答是 {encoders.label} = {value}。一个输入的留存，{memories.zh}。",
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
