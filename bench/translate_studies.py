"""The published protocols of translation and summaries: their data as files of ours, and what is to be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.protocol import Study, decompressed, extract

__all__ = ["TRANSLATE_STUDIES"]

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
        "epochs": 2,
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
        {"bleu": (0.0, "at least")},
        seeds=1,
        beside=_WITHOUT,
    ),
}
