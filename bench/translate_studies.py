"""The published protocols of translation and summaries: their data as files of ours, and what is to be reached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.protocol import Study, decompressed, extract

__all__ = ["TRANSLATE_STUDIES", "shown_sentences", "with_gain"]

_WITHOUT = {"without attention": {"attention": "none"}}


def _multi30k(source: Path, folder: Path) -> dict[str, Any]:
    extract(source, folder)
    # The ending of a file names its language: val.de is read with val.en, and so on.
    return {
        "path": next(folder.rglob("train.de")),
        "valid_file": str(next(folder.rglob("val.de"))),
        "test_file": str(next(folder.rglob("test_2016_flickr.de"))),
        "task": "translate", "answer": "en", "lower": True, "tokens": "subwords", "answer_tokens": "subwords",
        "vocabulary": 4000, "cell": "gru", "hidden": 256, "embedding": 256, "dropout": 0.2, "learning_rate": 3e-3,
        "epochs": 7,
    }  # fmt: skip


def _tatoeba(source: Path, folder: Path) -> dict[str, Any]:
    path = decompressed(source, folder / "cmn-eng.tsv")
    # Two lines have a blank where a tab should stand between the languages.
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.count("\t") == 2), encoding="utf-8")
    return {
        "path": path,
        "task": "translate", "columns": "english,chinese,attribution", "input": "chinese", "answer": "english",
        "group": "english", "split": "0.9,0.05,0.05", "cell": "gru", "hidden": 256, "embedding": 256,
        "dropout": 0.2, "learning_rate": 3e-3, "epochs": 6,
    }  # fmt: skip


def _csl(source: Path, folder: Path) -> dict[str, Any]:
    """The two files of 1,000 abstracts: a tenth of the first validates, the second tests."""
    extract(source, folder)
    parts = {"dev": 900, "test": 0}
    lines = []
    for name, train in parts.items():
        text = next(folder.rglob(f"{name}.tsv")).read_text(encoding="utf-8")
        rows = [line.split("\t") for line in text.split("\n") if line.count("\t") == 2]
        for place, (_, abstract, title) in enumerate(rows):
            part = "test" if name == "test" else "train" if place < train else "valid"
            lines.append(json.dumps({"abstract": abstract, "title": title, "split": part}, ensure_ascii=False))
    path = folder / "csl-titles.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "path": path, "task": "summarise", "input": "abstract", "answer": "title", "split_column": "split",
        "longest": 300, "epochs": 20,
    }  # fmt: skip


def with_gain(seeds: list[dict[str, Any]], other: dict[str, float]) -> None:
    """Add to the test scores of each seed how much its BLEU is above that of the model beside."""
    for facts in seeds:
        if "bleu" in facts["test"] and "bleu" in other:
            facts["test"]["bleu_gain"] = facts["test"]["bleu"] - other["bleu"]


def shown_sentences(fitted: Any, sentences: tuple[str, ...]) -> list[dict[str, Any]]:
    """What a run writes for texts: source, text, log p a token, and a line a piece: where it looked."""
    from remanence.tasks.alignment import Alignment

    found = []
    for sentence in sentences:
        row = next(fitted.predict(text=sentence, alignment=True))
        lines = Alignment.from_json(row["alignment"]).lines()
        found.append({"source": sentence, "text": row[fitted.encoders.answer], "score": row["score"], "lines": lines})
    return found


_SENTENCES = (
    "我明天去北京", "我明天去学校。", "他不喜欢喝咖啡。", "你今天忙吗？", "她昨天没来。", "我能用一下你的电话吗？",
    "这本书很有意思。", "他们住在一个大房子里。", "我不知道他在哪里。", "请把门关上。", "你想吃什么？",
)  # fmt: skip

TRANSLATE_STUDIES: dict[str, Study] = {
    "multi30k": Study(
        "translate, Multi30k de→en",
        "given split, test 2016, lower case, BLEU of sacrebleu (13a), beam of 5",
        "translate/multi30k-de-en.tar.xz",
        _multi30k,
        "LSTM 13.76, GRU 20.61, GRU + attention 28.30 (bentrevett/pytorch-seq2seq, greedy, 10 epochs)",
        {"bleu": (32.0, "at least")},
        seeds=1,
        beside=_WITHOUT,
    ),
    "tatoeba": Study(
        "translate, Tatoeba zh→en",
        "90/5/5 %, pairs of one English sentence kept together, by character and word, BLEU of sacrebleu (13a), beam 5",
        "translate/tatoeba-cmn-eng.txt.xz",
        _tatoeba,
        "another split: with attention .25, without .17 (order only)",
        {"bleu_gain": (5.0, "at least"), "bleu": (0.0, "")},
        seeds=2,
        beside=_WITHOUT,
        sentences=_SENTENCES,
    ),
    "csl": Study(
        "summarise, CSL, title from abstract",
        "900 abstracts to train, 100 to validate, 1,000 to test, at most 300 characters read; ROUGE by character",
        "summarize/csl-title.tar.xz",
        _csl,
        "–",
        {"rouge1": (0.0, ""), "rouge2": (0.0, ""), "rougeL": (0.0, "")},
        seeds=2,
    ),
}
