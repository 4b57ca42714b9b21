"""The page of one run: what was trained, how good it is, what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remanence.explain.example import Example, example_of, typical
from remanence.explain.words import Words
from remanence.report.answers import answers_section
from remanence.report.films import film_of
from remanence.report.names import metric_title, model_title, model_words, number
from remanence.report.page import Page, Section, Table, write_page
from remanence.report.pictures import save_figures
from remanence.report.sections import learning_section, memory_section, notes_section, settings_section
from remanence.report.sounds import sound_blocks
from remanence.run import Run

__all__ = ["example_sections", "models_of", "run_page", "typical_example", "write_run_report"]


def write_run_report(run: Run | str | Path, out: str | Path | None = None, *, prepared: Any = None) -> Path:
    """Write the page of a run, and its figures as pictures in `figures` beside it where the run was told to.

    Args:
        run: a run, or its folder.
        out: the file; `report.html` in the run's folder when None.
        prepared: the data, where they are at hand already; read again when None.

    Raises:
        RunError: the run cannot be read.
        DataError: its data are gone or were changed.
        MachineError: the page cannot be written.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    if prepared is not None:
        run.__dict__["prepared"] = prepared
    page, out = run_page(run), run.path / "report.html" if out is None else Path(out)
    if run.settings.train.figures:
        save_figures(page, out.with_name("figures"), formats=run.settings.train.figures)
    return write_page(page, out)


def run_page(run: Run, example: Example | None = None) -> Page:
    """Put the page of a run together; `example` is what is looked into, a typical one of the test part when None."""
    manifest = run.manifest
    sections: list[Section | None] = [
        Section(Words("Models", "模型"), (_models(manifest),)),
        notes_section(manifest["notes"], manifest["examples"]),
        learning_section(run.metrics_rows),
        answers_section(run),
    ]
    if example is None:
        example = typical_example(run)
    if example is not None:
        sections += example_sections(run, models_of(run), example)
    sections.append(
        settings_section(
            {
                "settings": manifest["settings"],
                "versions": manifest["versions"],
                "equations": manifest["cell"]["equations"],
                "data": manifest["data"],
            }
        )
    )
    cell = model_title(str(run.settings.model.cell))
    source = Path(manifest["data"]["path"]).name
    words = {
        "forecast": ("forecasts", "预测"),
        "classify": ("classifies", "分类"),
        "regress": ("measures", "回归"),
        "tag": ("tags", "标注"),
        "generate": ("goes on with", "续写"),
        "translate": ("translates", "翻译"),
        "summarise": ("sums up", "概括"),
        "caption": ("describes", "描述"),
        "transcribe": ("transcribes", "转写"),
    }
    doing = words.get(run.task.name, (run.task.name, run.task.name))
    title = Words(f"{cell} {doing[0]} {source}", f"{cell}：{doing[1]} {source}")
    verdict = Words(*map("".join, zip(_interrupted(manifest), _verdict(manifest), strict=True)))
    return Page(source, title, verdict, tuple(section for section in sections if section))


def _interrupted(manifest: Any) -> Words:
    """What stands before the verdict of a training that was stopped by hand; nothing otherwise."""
    if manifest["status"] != "interrupted":
        return Words("", "")
    steps = manifest["seeds"][-1]["steps"]
    return Words(
        f"Training was interrupted after {steps:,} updates; “remanence fit --resume” goes on. ",
        f"训练在 {steps:,} 次更新后被中断；“remanence fit --resume” 可以继续。",
    )


def models_of(run: Run) -> dict[str, Any]:
    """The run's model, then its companions, by the name of their cell."""
    return {str(run.settings.model.cell): run.model, **run.beside}


def typical_example(run: Run) -> Example | None:
    """A test example of a length that shows well (or a validation one); None where both parts are empty."""
    prepared = run.prepared
    for part in (prepared.test, prepared.valid):
        if len(part):
            return example_of(part, typical(part))
    return None


def example_sections(run: Run, models: Mapping[str, Any], example: Example) -> list[Section]:
    """What a run reads of one example, and what models remember of it.

    Args:
        run: whose encoders read it.
        models: name → model, the one of interest first.
        example: what they read.
    """
    return memory_section(models, example, film_of(run, example) + sound_blocks(run, example))


def _scores(manifest: Any) -> list[dict[str, Any]]:
    """Every model that the manifest has test scores of: the run's seeds, companions, simple models."""
    cell = str(manifest["settings"]["model"]["cell"])
    title = model_title(cell)
    rows = [
        {
            "name": Words(f"{title}, seed {facts['seed']}", f"{title}，种子 {facts['seed']}"),
            "facts": facts,
            "best": facts["seed"] == manifest["best_seed"],
        }
        for facts in manifest["seeds"]
    ]
    rows += [{"name": model_words(name, recurrent=True), "facts": facts} for name, facts in manifest["beside"].items()]
    return rows + [
        {"name": model_words(facts["name"], recurrent=False), "facts": facts} for facts in manifest["baselines"]
    ]


def _models(manifest: Any) -> Table:
    rows = _scores(manifest)
    metrics = list(dict.fromkeys(name for row in rows for name in row["facts"].get("test", {})))
    best = next((at for at, row in enumerate(rows) if row.get("best")), None)
    header = (
        Words("model", "模型"),
        *(metric_title(name) for name in metrics),
        Words("seconds", "秒"),
        Words("parameters", "参数"),
    )
    cells = tuple(
        (
            row["name"],
            *(number(row["facts"].get("test", {}).get(name)) for name in metrics),
            number(row["facts"].get("seconds")),
            number(row["facts"].get("parameters")),
        )
        for row in rows
    )
    return Table(header, cells, tuple(range(1, len(header))), best)


def _verdict(manifest: Any) -> Words:
    """The run's error beside that of the best cheap model, as a sentence without a claim of significance."""
    cell, test = model_title(str(manifest["settings"]["model"]["cell"])), manifest["test"]
    metric = next(iter(test), "")
    own = test.get(metric)
    if own is None:
        return Words(
            f"{cell} is trained; there is no test part to score it on.", f"{cell} 已训练；没有测试部分可供评分。"
        )
    simple = {row["name"]: row["test"][metric] for row in manifest["baselines"] if row["test"].get(metric) is not None}
    title = metric_title(metric)
    here = Words(f"{cell}: {title.en} {number(own)} on the test part", f"{cell}：测试部分的{title.zh} {number(own)}")
    if not simple:
        return Words(here.en + ".", here.zh + "。")
    rival = min(simple, key=lambda key: simple[key])
    name, error = model_words(rival, recurrent=False), simple[rival]
    share = f"{abs(1 - own / error):.0%}" if error else "–"
    less = own < error
    return Words(
        f"{here.en}. The best of the cheap simple models, {name.en}, has {number(error)}: "
        f"{share} {'less' if less else 'more'} error for {cell}. Whether memory is the reason, "
        "“remanence compare” tells.",
        f"{here.zh}。最好的廉价简单模型（{name.zh}）是 {number(error)}：误差比它{'小' if less else '大'} {share}。"
        "是否因为记忆，请用“remanence compare”判断。",
    )
