"""The published protocols of taggers: their data as files of ours, and what is to be reached."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from bench.protocol import Study, extract

__all__ = ["TAG_STUDIES", "together"]

FOLDS = 5


def _ewt(source: Path, folder: Path) -> dict[str, Any]:
    extract(source, folder)
    return _files(*(next(folder.rglob(f"en_ewt-ud-{part}.conllu")) for part in ("train", "dev", "test"))) | {
        "label": "upos"
    }


def _snips_slots(source: Path, folder: Path) -> dict[str, Any]:
    extract(source, folder)
    files = []
    for part in ("train", "valid", "test"):
        home = next(folder.rglob(f"{part}/seq.in")).parent
        texts, labels = ((home / name).read_text(encoding="utf-8").splitlines() for name in ("seq.in", "seq.out"))
        pairs = (zip(text.split(), label.split(), strict=True) for text, label in zip(texts, labels, strict=True))
        files.append(_written(folder / f"{part}.conll", pairs))
    return _files(*files)


def _wnut(source: Path, folder: Path) -> dict[str, Any]:
    extract(source, folder)
    names = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
    # Most names of the test part are new, and its types come in other shares than in training: little is to be learnt
    # by heart, so how other texts write a word is read, too, and how readily each type is given is left to the
    # validation part. Scores before that say little, so the last weights are kept. All but the epochs was chosen on
    # the whole development part, by networks that had not learnt from it; then most of it is learnt from, for its
    # texts are nearer to those of the test part than the training part's are. The last third chose the epochs.
    options = {
        "characters": "affixes", "unknown": 0.5, "embedding_dropout": 0.3, "embedding": 32, "hidden": 64,
        "weight_decay": 0.1, "epochs": 10, "keep": "last", "calibrate": True,
        "word_texts": str(_texts(source.parent.parent, folder / "texts.txt")),
    }  # fmt: skip
    train, dev, test = (next(folder.rglob(name)) for name in names)
    return _files(*_shared(train, dev, folder), test) | {"format": "conll", "delimiter": "\t"} | options


def _shared(train: Path, dev: Path, folder: Path) -> tuple[Path, Path]:
    """Two thirds of the development part, its first sentences, are learnt from as well; the rest validates."""
    first, second = (_sentences(path) for path in (train, dev))
    cut = 2 * len(second) // 3
    files = folder / "learnt.conll", folder / "validating.conll"
    for path, sentences in zip(files, (first + second[:cut], second[cut:]), strict=True):
        path.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return files


def _sentences(path: Path) -> list[str]:
    """Sentences of a column file, each with its lines; what separates them may hold blanks."""
    lines = (line if line.strip() else "" for line in path.read_text(encoding="utf-8").split("\n"))
    return [sentence for block in "\n".join(lines).split("\n\n") if (sentence := block.strip("\n"))]


def _texts(data: Path, target: Path) -> Path:
    """English texts of the other studies, without their labels: a web treebank, Wikipedia, sentences, a novel."""
    archives = {
        "tag/ud-english-ewt": "*-train.conllu",
        "pronoun/gap": "gap-*.tsv",
        "translate/multi30k-de-en": "train.en",
    }
    found = []
    for name, pattern in archives.items():
        extract(data / f"{name}.tar.xz", target.parent / name)
        found += [path.read_text(encoding="utf-8") for path in sorted((target.parent / name).rglob(pattern))]
    treebank, *pronouns, captions = found
    lines = [line.removeprefix("# text = ") for line in treebank.splitlines() if line.startswith("# text = ")]
    lines += [line.split("\t")[1] for table in pronouns for line in table.splitlines()[1:]]
    pairs = lzma.decompress((data / "translate/tatoeba-cmn-eng.txt.xz").read_bytes()).decode()
    lines += [line.split("\t")[0] for line in pairs.splitlines()]
    novel = lzma.decompress((data / "generate/warpeace_input.txt.xz").read_bytes()).decode()
    target.write_text("\n".join([*lines, captions, novel]), encoding="utf-8")
    return target


def _weibo(source: Path, folder: Path) -> dict[str, Any]:
    """Characters alone: the digit behind each says where in a word it stands, which a segmenter gave."""
    extract(source, folder)
    files = []
    for part in ("train", "dev", "test"):
        text = next(folder.rglob(f"weiboNER_2nd_conll.{part}")).read_text(encoding="utf-8")
        sentences = ([line.split("\t") for line in each.split("\n")] for each in text.strip("\n").split("\n\n"))
        pairs = (((token[0], label) for token, label in sentence) for sentence in sentences)
        files.append(_written(folder / f"{part}.conll", pairs))
    return _files(*files)


def _written(path: Path, sentences: Any) -> Path:
    """A column file of sentences of (token, label)."""
    blocks = ("".join(f"{token}\t{label}\n" for token, label in sentence) for sentence in sentences)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def _files(train: Path, valid: Path, test: Path) -> dict[str, Any]:
    return {"path": train, "valid_file": str(valid), "test_file": str(test), "task": "tag"}


def _gazecom(source: Path, folder: Path) -> dict[str, Any]:
    """All recordings, sorted by name, with a column a fold: contiguous folds, the last tenth of the rest validates."""
    extract(source, folder)
    recordings = sorted(folder.rglob("*.csv"))
    read = pacsv.ParseOptions(delimiter="\t")
    path, writer = folder / "gazecom.parquet", None
    for place, recording in enumerate(recordings):
        samples = pacsv.read_csv(recording, parse_options=read)
        columns = {
            "recording": [recording.stem] * len(samples),
            "x": samples["X_coord"],
            "y": samples["Y_coord"],
            "confidence": samples["Confidence"].cast(pa.float64()),
            "event": samples["Pattern"].cast(pa.string()),
        }
        for fold in range(FOLDS):
            columns[f"fold{fold}"] = [_mark(place, len(recordings), fold)] * len(samples)
        table = pa.table(columns)
        writer = writer or papq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return {
        "path": path, "task": "tag", "label": "event", "sequence": "recording", "position": "x,y",
        "input": "confidence", "sample_rate": 250.0, "epochs": 1,
    }  # fmt: skip


def _mark(place: int, count: int, fold: int) -> str:
    low, high = fold * count // FOLDS, (fold + 1) * count // FOLDS
    if low <= place < high:
        return "test"
    # Its place among the recordings that are not tested.
    rest = place if place < low else place - (high - low)
    return "valid" if rest >= 0.9 * (count - (high - low)) else "train"


def together(fitted: Any) -> dict[str, float]:
    """Test scores of all seeds of a run answering together, named `together_…`."""
    return {f"together_{name}": value for name, value in fitted.evaluate(ensemble=True).metrics.items()}


TAG_STUDIES: dict[str, Study] = {
    "ewt": Study(
        "tag, UD English-EWT, UPOS",
        "given split, gold tokens, no pretrained vectors",
        "tag/ud-english-ewt.tar.xz",
        _ewt,
        "BiLSTM jPTDP 95.48 (UD 2.2), Stanza 95.40 (raw text)",
        {"accuracy": (0.950, "at least")},
        seeds=2,
    ),
    "snips-slots": Study(
        "tag, SNIPS slots",
        "given split, no pretrained vectors",
        "classify/snips.tar.xz",
        _snips_slots,
        "Slot-Gated BiLSTM 88.8 (Goo et al. 2018)",
        {"f1": (0.90, "at least")},
        seeds=2,
    ),
    "wnut17": Study(
        "tag, WNUT-17",
        "no pretrained vectors, no gazetteers; settings chosen on the given development part, of which two thirds were "
        "then learnt from too; the last third validates, and chose the number of epochs; beside each word how often, "
        "and how often with a capital, texts without labels write it (War and Peace, GAP, texts of English-EWT's "
        "training part, English of Tatoeba and of Multi30k's training part); offsets of the types chosen on "
        "validation; `together_f1` where all networks answer together, by their mean scores",
        "tag/wnut17.tar.xz",
        _wnut,
        "with pretrained vectors and gazetteers: UH-RiTUAL 41.86, Drexel 26.30 (Derczynski et al. 2017)",
        {"f1": (0.27, "at least"), "together_f1": (0.0, "")},
        seeds=4,
        together=True,
    ),
    "weibo": Study(
        "tag, Weibo NER",
        "given split, by character, no pretrained vectors",
        "tag/weibo-ner.tar.xz",
        _weibo,
        "character BiLSTM-CRF 52.77 with pretrained characters",
        {"f1": (0.48, "at least")},
        seeds=2,
    ),
    "gazecom": Study(
        "tag, GazeCom",
        "five contiguous folds over the sorted recordings, the last tenth of the rest validates, scores pooled",
        "gaze/gazecom.tar.xz",
        _gazecom,
        "accuracy/macro-F1/event F1: CNN-LSTM .8065/.6676/.7699, CNN-BLSTM .8105/.6707/.7776, TCN .8640/.7320/.8232 "
        "(Elmadjian et al. 2022)",
        {"accuracy": (0.82, "at least"), "macro_f1": (0.69, "at least"), "event_f1": (0.78, "at least")},
        seeds=2,
        folds=FOLDS,
    ),
}
