"""Sections that several pages share: tables, learning curves, memory of an example, settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from remanence.explain import figures, inside
from remanence.explain.example import Example
from remanence.explain.gates import Gates, gates
from remanence.explain.memory import Memory, memory
from remanence.explain.words import Words
from remanence.report.captions import HOW
from remanence.report.names import model_title
from remanence.report.notes import note_words
from remanence.report.page import Block, Details, Figure, Section, Table, Text
from remanence.report.places import place_words
from remanence.report.settings_words import setting_words

__all__ = ["curves_of", "learning_section", "memory_section", "notes_section", "settings_section", "shorten"]


def shorten(text: str, longest: int = 400) -> str:
    """A text cut to what a page should show."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def notes_section(notes: Sequence[str], examples: Mapping[str, int]) -> Section:
    """What the data are, as `prepare` noticed, and how many examples each part has."""
    counts = Words(
        "Examples: " + ", ".join(f"{count:,} {part}" for part, count in examples.items()),
        "例子数：" + "，".join(f"{_PARTS.get(part, part)} {count:,}" for part, count in examples.items()),
    )
    lines = ([counts] if examples else []) + [note_words(note) for note in notes]
    return Section(Words("The data", "数据"), (Text(tuple(lines)),) if lines else ())


_PARTS = {"train": "训练", "valid": "验证", "test": "测试"}


def curves_of(rows: Iterable[Mapping[str, Any]]) -> list[figures.Curve]:
    """Rows of metrics.jsonl as curves, one a model and seed."""
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((str(row["model"]), int(row["seed"])), []).append(row)
    curves = []
    for (model, seed), own in groups.items():
        best = [row["epoch"] for row in own if row.get("best")]
        curves.append(
            figures.Curve(
                model=model_title(model),
                seed=seed,
                steps=np.array([row["epoch"] for row in own], dtype=float),
                train=_column(own, "train_loss"),
                valid=_column(own, "valid_loss"),
                best=best[-1] if best else None,
            )
        )
    return curves


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if row.get(name) is None else float(row[name]) for row in rows])


def learning_section(rows: Iterable[Mapping[str, Any]]) -> Section | None:
    """Learning curves of every seed and model; None where nothing was written."""
    curves = curves_of(rows)
    if not curves:
        return None
    figure = Figure(
        "learning", lambda language: figures.learning_curves(curves, language=language), how=HOW["learning"]
    )
    return Section(Words("How it learnt", "学习过程"), (figure,))


def memory_section(models: Mapping[str, Any], example: Example, seen: tuple[Block, ...] = ()) -> list[Section]:
    """Gates of the first model and memories of all, on one example.

    Args:
        models: name → `SequenceModel`, the one of interest first.
        example: what they read.
        seen: what shows the example, where it is no text.
    """
    names = list(models)
    traced = gates(models[names[0]], example)
    # A plain network beside a gated one is drawn first: what it lacks is easier to see.
    order = sorted(names, key=lambda name: bool(models[name].recurrent.cell.additive_memory))
    left = [memory(models[name], example, name=name) for name in order]
    sections = [
        Section(
            Words("Inside the model, on one example", "模型内部：一个例子"),
            (*_shown(example), *seen, *_gate_figures(traced)),
        ),
        Section(Words("What it remembers", "它记住了什么"), tuple(_memory_figures(left))),
    ]
    if traced.functions:
        figure = Figure(
            "activations", lambda language: inside.activations(traced, language=language), how=HOW["activations"]
        )
        sections.append(Section(Words("Where the activations stood", "激活值所处的位置"), (figure,)))
    return sections


SHOWN_UNKNOWN = 12
"""Unknown tokens named below an example."""


def _unknown_note(unknown: Sequence[str]) -> Words:
    """Which tokens of an example the model does not know."""
    more = "…" if len(unknown) > SHOWN_UNKNOWN else ""
    shown = [shorten(token, 30) for token in unknown[:SHOWN_UNKNOWN]]
    return Words(
        f"Not in the vocabulary, so all alike to the model: {', '.join(f'“{token}”' for token in shown)}{more}",
        f"不在词表中，对模型来说都一样：{''.join(f'“{token}”' for token in shown)}{more}",
    )


_MARGIN = Words(
    "Steps before and after those named are read, too; they are answered in the windows that they belong to.",
    "前后的若干步也另读进来，它们在各自所属的窗口中作答。",
)


def _shown(example: Example) -> tuple[Text, ...]:
    title = Text((place_words(example.title),))
    own = example.batch.scored
    if not example.tokens:
        return (title,) if own is None or bool(own.all()) else (title, Text((_MARGIN,), "how"))
    # Signs of Chinese stand close, words apart.
    joint = "" if sum(len(label) <= 1 for label in example.labels) > 0.8 * len(example.labels) else " "
    text = shorten(joint.join(example.labels))
    shown = [] if text == example.title else [title]
    shown.append(Text((Words(text, text),), "example"))
    if example.unknown:
        shown.append(Text((_unknown_note(example.unknown),), "how"))
    return tuple(shown)


def _gate_figures(traced: Gates) -> tuple[Block, ...]:
    layers = traced.layers()
    blocks: list[Block] = []
    for layer in layers[:2]:
        name = _layer_title(traced.model, layer if len(layers) > 1 else "")
        blocks.append(
            Figure(
                "gates" if not blocks else f"gates-{layer}",
                lambda language, layer=layer: inside.gate_heatmaps(traced, layer=layer, language=language),
                Words(
                    f"Gates and states of {name.en}",
                    f"{name.zh}的门与状态" if name.zh.endswith("）") else f"{name.zh} 的门与状态",
                ),
                None if blocks else HOW["gates"],
            )
        )
    between = len(traced.quantities()) - len(traced.telling())
    if between:
        said = Words(
            f"{between} more quantities of the equations lie between these; “gate_heatmaps” draws them by name.",
            f"方程中还有 {between} 个中间量未画出；可用“gate_heatmaps”按名称画出。",
        )
        blocks.append(Text((said,), "how"))
    if len(layers) > 2:
        more = len(layers) - 2
        blocks.append(
            Text((Words(f"{more} more layers and directions are not shown.", f"另有 {more} 个层与方向没有画出。"),))
        )
    return tuple(blocks)


def _layer_title(model: str, layer: str) -> Words:
    """`LSTM, layer 1, forward` for lstm and layer0.forward."""
    title = model_title(model)
    if not layer:
        return Words(title, title)
    place, _, direction = layer.partition(".")
    count = int(place.removeprefix("layer")) + 1
    ways = {"forward": "正向", "reverse": "反向"}
    return Words(f"{title}, layer {count}, {direction}", f"{title}（第 {count} 层，{ways.get(direction, direction)}）")


def _memory_figures(left: Sequence[Memory]) -> list[Block]:
    blocks: list[Block] = [
        Figure(
            "memory",
            lambda language: inside.memory_heatmaps(left, language=language),
            Words("How much of each input is left at each later step", "每个输入到后面各步还剩多少"),
            HOW["reach"],
        ),
        Figure(
            "first-input",
            lambda language: inside.first_input(left, language=language),
            Words("What is left of the first input", "第一个输入还剩多少"),
            HOW["first"],
        ),
    ]
    if any(one.path is not None for one in left):
        blocks.append(
            Figure(
                "memory-path",
                lambda language: inside.memory_heatmaps(left, reading="path", language=language),
                Words("Along the cell's own state only", "只沿单元自身的状态"),
                HOW["path"],
            )
        )
    return blocks


def settings_section(facts: Mapping[str, Any]) -> Section:
    """Settings, versions and fingerprints, folded away.

    Args:
        facts: heading → mapping or text.
    """
    blocks: list[Block] = []
    for heading, content in facts.items():
        title = Words(heading, _HEADINGS.get(heading, heading))
        if isinstance(content, Mapping):
            rows = tuple((setting_words(name), _plain(value)) for name, value in _flat(content) if value is not None)
            blocks.append(Details(title, (Table((Words("name", "名称"), Words("value", "值")), rows),)))
        else:
            blocks.append(Details(title, (Text((Words(str(content), str(content)),)),)))
    return Section(Words("Settings and versions", "设置与版本"), tuple(blocks))


_HEADINGS = {"settings": "设置", "versions": "版本", "equations": "方程", "protocol": "规程", "data": "数据"}


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
