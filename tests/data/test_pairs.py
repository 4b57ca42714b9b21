"""Pairs of texts from files to batches: parallel files, tables with and without names, splits, what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from remanence.data.pair_part import PairPart
from remanence.data.paired import prepare_pairs, reopen_pairs
from remanence.data.schema import guess
from remanence.data.symbols import END, UNKNOWN
from remanence.data.text_side import fit_side
from remanence.errors import DataError, SettingError
from remanence.settings import settings_from

GERMAN = [f"Hund {place % 4} läuft {'so ' * (place // 4)}weit" for place in range(20)]
ENGLISH = [f"Dog {place % 4} runs {'so ' * (place // 4)}far" for place in range(20)]


def prepare(path: Path, **options):
    return prepare_pairs(path, settings_from(options).data, "translate")


def parallel(folder: Path, german: list[str] = GERMAN, english: list[str] = ENGLISH, name: str = "train") -> Path:
    for ending, lines in (("de", german), ("en", english)):
        (folder / f"{name}.{ending}").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return folder / f"{name}.de"


def texts(part: PairPart, encoders) -> list[tuple[str, str]]:
    batch = part.batch(np.arange(len(part)))
    assert batch.target is not None
    lengths = batch.inputs.lengths.tolist()
    sources = [
        encoders.source.decode(row[:length]) for row, length in zip(batch.inputs.data.tolist(), lengths, strict=True)
    ]
    return list(zip(sources, map(encoders.target.decode, batch.target.tolist()), strict=True))


def test_parallel_files_pair_line_with_line(tmp_path: Path) -> None:
    found = prepare(parallel(tmp_path), answer="en", split="0.6,0.2,0.2")
    pairs = [pair for part in (found.train, found.valid, found.test) for pair in texts(part, found.encoders)]
    # What training has not seen is spelt, so nothing is lost but its unknown letters.
    assert sorted(pairs) == sorted(zip(GERMAN, ENGLISH, strict=True))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [12, 4, 4]
    assert "line" in found.train.name(0)


def test_files_of_their_own_have_the_same_ending_beside_them(tmp_path: Path) -> None:
    parallel(tmp_path, name="val")
    parallel(tmp_path, GERMAN[:3], ENGLISH[:3], name="test")
    found = prepare(
        parallel(tmp_path), answer=".en", valid_file=str(tmp_path / "val.de"), test_file=str(tmp_path / "test.de")
    )
    assert [len(part) for part in (found.train, found.valid, found.test)] == [20, 20, 3]
    assert texts(found.test, found.encoders) == list(zip(GERMAN[:3], ENGLISH[:3], strict=True))


def test_packed_parallel_files(tmp_path: Path) -> None:
    for ending, lines in (("de", GERMAN), ("en", ENGLISH)):
        (tmp_path / f"t.{ending}.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert len(prepare(tmp_path / "t.de.gz", answer="en", split="1,0,0").train) == 20


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl", "txt", "CSV"])
def test_tables_with_two_columns(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    rows = list(zip(ENGLISH, GERMAN, strict=True))
    if ending == "jsonl":
        path.write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for t, s in rows), encoding="utf-8")
        options = {}
    elif ending == "txt":
        # As Tatoeba's lists come: no line of names, English first, a third column of sources.
        path.write_text("".join(f"{t}\t{s}\tCC-BY\n" for t, s in rows), encoding="utf-8")
        options = {"columns": "english,german,attribution", "input": "german", "answer": "english"}
    else:
        between = "\t" if ending == "tsv" else ","
        path.write_text("".join(f"{t}{between}{s}\n" for t, s in [("target", "source"), *rows]), encoding="utf-8")
        options = {}
    found = prepare(path, split="1,0,0", **options)
    assert texts(found.train, found.encoders) == list(zip(GERMAN, ENGLISH, strict=True))
    assert guess(path, settings_from({"task": "translate", **options}).data).settings.answer == found.data.answer


def test_alike_sides_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    rows = [(f"s{place}", f"answer {place // 4}") for place in range(80)]
    path.write_text("src\ttgt\n" + "".join(f"{s}\t{t}\n" for s, t in rows), encoding="utf-8")
    found = prepare(path, group="tgt")
    sides = [{answer for _, answer in texts(part, found.encoders)} for part in (found.train, found.valid, found.test)]
    assert all(sides) and not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert sum(len(part) for part in (found.train, found.valid, found.test)) == 80


def test_a_column_says_which_part(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    marks = ["train", "valid", "test"]
    path.write_text("src,tgt,part\n" + "".join(f"{'s' * n},t,{marks[n % 3]}\n" for n in range(1, 13)), encoding="utf-8")
    found = prepare(path, split_column="part")
    assert [source for source, _ in texts(found.valid, found.encoders)] == ["s" * n for n in (1, 4, 7, 10)]


def test_only_the_training_part_is_fitted(tmp_path: Path) -> None:
    marks = ["train"] * 10 + ["test"] * 2
    outcomes = []
    for odd in ("plain", "完全 Neues ß"):
        path = tmp_path / "t.csv"
        rows = "".join(f"wort {n % 3},{'word' if mark == 'train' else odd},{mark}\n" for n, mark in enumerate(marks))
        path.write_text("src,tgt,part\n" + rows, encoding="utf-8")
        outcomes.append(prepare(path, split_column="part").encoders)
    assert outcomes[0] == outcomes[1]


def test_batches_end_each_text_and_pad_behind_it(tmp_path: Path) -> None:
    found = prepare(
        parallel(tmp_path, ["a b c", "a"], ["x", "x y z"]), answer="en", split="1,0,0", answer_tokens="words"
    )
    batch = found.train.batch(np.array([1, 0]))
    assert batch.target is not None
    symbols = found.encoders.target.symbols
    assert [symbols.decode(row) for row in batch.target.tolist()] == [" x y z\n", " x\n"]
    assert batch.inputs.lengths.tolist() == sorted(batch.inputs.lengths.tolist())
    assert (batch.target == END).sum(1).tolist() == [1, 1]


def test_characters_for_chinese_words_for_english_unless_told(tmp_path: Path) -> None:
    path = parallel(tmp_path, ["我明天去北京。"] * 5, ["I go to Beijing tomorrow."] * 5)
    found = prepare(path, answer="en", split="1,0,0", lower=True)
    assert (found.data.tokens, found.data.answer_tokens) == ("characters", "words")
    assert found.encoders.source.script == "characters" and found.encoders.target.script == "words"
    assert texts(found.train, found.encoders)[0] == ("我明天去北京。", "i go to beijing tomorrow.")
    assert found.train.tokens(0) == list("我明天去北京。")


def test_new_files_are_read_as_lines_or_as_tables(tmp_path: Path) -> None:
    found = prepare(parallel(tmp_path), answer="en")
    lines = tmp_path / "new.txt"
    lines.write_text("Hund 3 läuft\nKatze\n", encoding="utf-8")
    part = reopen_pairs(lines, found.data, found.encoders, answers=False)
    assert len(part) == 2 and part.batch(np.arange(2)).target is None
    rows = tmp_path / "new.jsonl"
    rows.write_text('{"text": "Hund 3 läuft"}\n', encoding="utf-8")
    again = reopen_pairs(rows, found.data, found.encoders, answers=False)
    assert again.tokens(0) == part.tokens(0)
    assert any(part.unknown(1)) == bool((part.batch(np.array([1])).inputs.data == UNKNOWN).any())


def test_longest_cuts_what_is_read(tmp_path: Path) -> None:
    found = prepare(parallel(tmp_path), answer="en", longest=2)
    assert found.train.lengths.max() == 2 and len(found.train.tokens(0)) == 2


def test_batches_hold_sources_and_texts_of_like_length(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [" ".join("ab"[n % 2] for n in range(random.integers(1, 30))) for _ in range(400)]
    found = prepare(parallel(tmp_path, lines, lines[::-1]), answer="en", split="1,0,0")
    batches = found.train.order(4, 0, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(400))
    padded = sum(len(batch) * int(found.train.lengths[batch].max()) for batch in batches)
    assert padded < 1.1 * found.train.lengths.sum()


@pytest.mark.parametrize("kind", ["words", "characters", "subwords"])
def test_what_a_side_reads_it_can_write(kind) -> None:
    lines = ["Das Haus, 1997!", "naïve Äpfel — ist's so?", "我 明天去 北京"]
    side = fit_side(lambda: iter([lines]), kind, limit=500)
    assert [side.decode(side.encode(line)) for line in lines] == lines


REFUSED = {
    "fewer answers": ("val.de", GERMAN, ENGLISH[:-2], "19", "18 lines, but 20 in train.de"),
    "fewer sources": ("val.de", GERMAN[:-1], ENGLISH, "20", "19 lines, but 20 in train.en"),
    "an empty source": ("val.de", [*GERMAN[:4], "", *GERMAN[5:]], ENGLISH, "5", "an empty line"),
    "an empty answer": ("val.de", GERMAN, [*ENGLISH[:6], "  ", *ENGLISH[7:]], "7", "an empty line"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, name: str) -> None:
    _, german, english, line, says = REFUSED[name]
    with pytest.raises(DataError, match=f":{line}: {says}"):
        prepare(parallel(tmp_path, german, english), answer="en")


def test_columns_are_for_tables(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="files of lines have no columns"):
        prepare(parallel(tmp_path), answer="en", group="en")
