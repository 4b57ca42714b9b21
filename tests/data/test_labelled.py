"""Labelled sequences: who is in which part, and what a batch holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest
import torch

from remanence.data.encoders import ClassifyEncoders
from remanence.data.label_part import ClassifyPart
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.errors import DataError
from remanence.settings import DataSettings

TEXT = DataSettings(input=("text",), label="label")


def texts(folder: Path, rows: list[tuple[str, str]], name: str = "data.csv", extra: list[str] | None = None) -> Path:
    path = folder / name
    head = "text,label" + (",extra" if extra else "")
    lines = [f'"{text}",{label}' + (f",{extra[at]}" if extra else "") for at, (text, label) in enumerate(rows)]
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def reviews(count: int = 40) -> list[tuple[str, str]]:
    return [
        (f"{'good' if row % 2 else 'bad'} film {'very ' * (row % 5)}number{row}", "np"[row % 2]) for row in range(count)
    ]


def names(part: ClassifyPart) -> set[str]:
    return {part.name(index) for index in range(len(part))}


def test_parts_are_disjoint_complete_and_keep_class_shares(tmp_path: Path) -> None:
    parts = prepare_classify(texts(tmp_path, reviews()), TEXT)
    each = [names(part) for part in (parts.train, parts.valid, parts.test)]
    assert [len(part) for part in each] == [24, 8, 8]
    assert len(set.union(*each)) == 40
    for part in (parts.train, parts.valid, parts.test):
        assert sum(part.label(index) == "p" for index in range(len(part))) * 2 == len(part)


def test_split_is_the_same_every_time(tmp_path: Path) -> None:
    path = texts(tmp_path, reviews())
    first, second = (prepare_classify(path, TEXT) for _ in range(2))
    assert names(first.test) == names(second.test)
    assert first.encoders.model_dump_json() == second.encoders.model_dump_json()


def test_test_texts_change_nothing_that_is_fitted(tmp_path: Path) -> None:
    rows = reviews()
    before = prepare_classify(texts(tmp_path, rows), TEXT)
    line = int(before.test.name(3).split(":")[1])
    rows[line - 2] = ("完全 different 文字 !", rows[line - 2][1])
    after = prepare_classify(texts(tmp_path, rows), TEXT)
    assert before.encoders == after.encoders
    assert torch.equal(before.train.batch(np.arange(24)).inputs.data, after.train.batch(np.arange(24)).inputs.data)
    assert after.test.tokens(3) == ["完", "全", "different", "文", "字", "!"]
    assert after.test.unknown(3) == [True] * 6


@pytest.mark.parametrize("index", [[0], [2, 0, 1]])
def test_batch_is_padded_with_zero_and_neighbours_change_nothing(index: list[int], tmp_path: Path) -> None:
    part = prepare_classify(texts(tmp_path, reviews()), TEXT).train
    batch = part.batch(np.array(index))
    for place, at in enumerate(index):
        length = int(part.lengths[at])
        alone = part.batch(np.array([at]))
        assert torch.equal(alone.inputs.data[0], batch.inputs.data[place, :length])
        assert not batch.inputs.data[place, length:].any()
        assert batch.target is not None
        assert part.encoders.labels[int(batch.target[place])] == part.label(at)


def test_encoders_survive_json_exactly(tmp_path: Path) -> None:
    encoders = prepare_classify(texts(tmp_path, reviews()), TEXT).encoders
    assert ClassifyEncoders.model_validate_json(encoders.model_dump_json()) == encoders


def test_validation_is_carved_where_only_a_test_file_is_given(tmp_path: Path) -> None:
    train, test = texts(tmp_path, reviews()), texts(tmp_path, reviews(10), "test.csv")
    parts = prepare_classify(train, TEXT.model_copy(update={"test_file": str(test)}))
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [32, 8, 10]
    assert any("20% of the training file" in note for note in parts.notes)


def test_groups_stay_on_one_side(tmp_path: Path) -> None:
    people = [f"p{row // 4}" for row in range(40)]
    path = texts(tmp_path, reviews(), extra=people)
    parts = prepare_classify(path, TEXT.model_copy(update={"group": "extra"}))
    sides = [
        {(int(name.split(":")[1]) - 2) // 4 for name in names(part)} for part in (parts.train, parts.valid, parts.test)
    ]
    assert sum(len(side) for side in sides) == 10
    assert [len(side) for side in sides] == [6, 2, 2]


def test_split_column_and_counts(tmp_path: Path) -> None:
    marks = ["train"] * 20 + ["valid"] * 12 + ["test"] * 8
    path = texts(tmp_path, reviews(), extra=marks)
    for change in ({"split_column": "extra"}, {"split": (20.0, 12.0, 8.0)}):
        parts = prepare_classify(path, TEXT.model_copy(update=change))
        assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [20, 12, 8]


def test_longest_keeps_the_start(tmp_path: Path) -> None:
    path = texts(tmp_path, reviews())
    whole, cut = (prepare_classify(path, TEXT.model_copy(update={"longest": longest})) for longest in (None, 2))
    assert cut.train.lengths.max() == 2
    assert cut.train.tokens(0) == whole.train.tokens(0)[:2]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "txt"])
def test_formats_agree(form: str, tmp_path: Path) -> None:
    rows = reviews()
    path = tmp_path / f"data.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    elif form == "parquet":
        papq.write_table(pa.table({"text": [row[0] for row in rows], "label": [row[1] for row in rows]}), path)
    elif form == "txt":
        path.write_text("".join(f"{label}\t{text}\n" for text, label in rows))
    else:
        separator = "," if form == "csv" else "\t"
        path.write_text("".join(separator.join(row) + "\n" for row in [("text", "label"), *rows]))
    parts = prepare_classify(path, DataSettings())
    reference = prepare_classify(texts(tmp_path, rows, "reference.csv"), TEXT)
    assert parts.encoders == reference.encoders
    index = np.arange(len(reference.test))
    assert torch.equal(parts.test.batch(index).inputs.data, reference.test.batch(index).inputs.data)


def test_quotes_in_tab_separated_texts_are_letters(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text('text\tlabel\n"one word\ta\nsay "two"\tb\n' + "x\ta\ny\tb\nz\ta\nw\tb\n")
    parts = prepare_classify(tmp_path / "d.tsv", TEXT.model_copy(update={"tokens": "characters"}))
    assert sum(len(part) for part in (parts.train, parts.valid, parts.test)) == 6


def test_lines_of_a_text_file_stand_for_the_column_that_is_read(tmp_path: Path) -> None:
    old = texts(tmp_path, reviews())
    old.write_text(old.read_text().replace("text,label", "review,label"))
    data = prepare_classify(old, TEXT.model_copy(update={"input": ("review",)}))
    lines, rows = tmp_path / "new.txt", tmp_path / "new.csv"
    lines.write_text("good, new \n\nvery bad\n", encoding="utf-8")
    rows.write_text('review\n"good, new"\nvery bad\n', encoding="utf-8")
    found = [reopen_classify(path, data.data, data.encoders, answers=False) for path in (lines, rows)]
    first, second = (part.batch(np.arange(2)).inputs.data for part in found)
    assert len(found[0]) == 2 and torch.equal(first, second) and found[0].name(1) == "new.txt:3"
    for text, says in (("good\n \n", "new.txt:2, column 'review': an empty text"), ("a\tb\n", "no such column")):
        lines.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=says):
            reopen_classify(lines, data.data, data.encoders, answers=False)


def test_reopened_texts_need_no_label_to_predict(tmp_path: Path) -> None:
    parts = prepare_classify(texts(tmp_path, reviews()), TEXT)
    (tmp_path / "new.csv").write_text("text\ngood new film\nx\n")
    part = reopen_classify(tmp_path / "new.csv", parts.data, parts.encoders, answers=False)
    assert part.tokens(0) == ["good", "new", "film"] and part.unknown(0) == [False, True, False]
    assert part.tokens(1) == ["x"] and part.unknown(1) == [True]
    assert part.batch(np.array([0, 1])).target is None
    with pytest.raises(DataError, match="no such column"):
        reopen_classify(tmp_path / "new.csv", parts.data, parts.encoders)


def steps(folder: Path, order: Any = None, name: str = "steps.csv") -> Path:
    """Twenty sequences of 1 to 5 steps; x counts, y is sometimes empty."""
    lines = [
        f"s{seq},{step},{seq + step},{'' if step == 1 else step * 10},{'ab'[seq % 2]}"
        for seq in range(20)
        for step in range(seq % 5 + 1)
    ]
    if order is not None:
        lines = [lines[place] for place in order(len(lines))]
    path = folder / name
    path.write_text("\n".join(["id,t,x,y,label", *lines]) + "\n")
    return path


LONG = DataSettings(sequence=("id",), time="t", input=("x", "y"), label="label", missing="mask")


def test_rows_become_steps_of_ragged_sequences(tmp_path: Path) -> None:
    parts = prepare_classify(steps(tmp_path), LONG)
    assert parts.encoders.features == ("x", "y", "x missing", "y missing")
    whole = (parts.train, parts.valid, parts.test)
    assert sorted(np.concatenate([part.lengths for part in whole]).tolist()) == sorted(seq % 5 + 1 for seq in range(20))
    index = int(np.argmax(parts.train.lengths))
    data = parts.train.batch(np.array([index])).inputs.data[0]
    assert data[:, 3].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert data[1, 1] == 0
    first = int(parts.train.name(index).split(" s")[-1])
    x = parts.encoders.scaler.unscale(data[:, :1].numpy(), ("x",)) if parts.encoders.scaler else np.zeros(0)
    np.testing.assert_allclose(x[:, 0], first + np.arange(5), atol=1e-5)


def test_order_of_rows_changes_nothing_once_sorted(tmp_path: Path) -> None:
    plain = prepare_classify(steps(tmp_path), LONG)
    mixed = steps(tmp_path, lambda count: np.argsort(np.arange(count) % 5, kind="stable"), "mixed.csv")
    again = prepare_classify(mixed, LONG.model_copy(update={"sort": True}))
    by_name = {again.train.name(at).split(",")[1]: at for at in range(len(again.train))}
    same = [at for at in range(len(plain.train)) if plain.train.name(at).split(",")[1] in by_name]
    assert same
    for at in same:
        other = by_name[plain.train.name(at).split(",")[1]]
        assert plain.train.lengths[at] == again.train.lengths[other]


def test_filled_steps_repeat_the_last_of_their_own_sequence(tmp_path: Path) -> None:
    parts = prepare_classify(steps(tmp_path), LONG.model_copy(update={"missing": "fill"}))
    index = int(np.argmax(parts.train.lengths))
    y = parts.encoders.scaler.unscale(parts.train.batch(np.array([index])).inputs.data[0, :, 1:].numpy(), ("y",))  # type: ignore[union-attr]
    np.testing.assert_allclose(y[:, 0], [0, 0, 20, 30, 40], atol=1e-4)


def test_archive_test_file_is_found_beside(tmp_path: Path) -> None:
    header = "@problemName p\n@timeStamps false\n@classLabel true a b\n@data\n"
    for part, count in (("TRAIN", 10), ("TEST", 6)):
        lines = [f"{n},2,3{',4' * (n % 3)}:{n},5,6{',7' * (n % 3)}:{'ab'[n % 2]}\n" for n in range(count)]
        (tmp_path / f"P_{part}.ts").write_text(header + "".join(lines))
    parts = prepare_classify(tmp_path / "P_TRAIN.ts", DataSettings())
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [8, 2, 6]
    assert parts.test.lengths.tolist() == [3, 4, 5, 3, 4, 5]
    assert any("P_TEST.ts" in note for note in parts.notes)
    assert parts.encoders.input == ("dim0", "dim1")
    part = reopen_classify(tmp_path / "P_TEST.ts", parts.data, parts.encoders)
    assert torch.equal(part.batch(np.arange(6)).inputs.data, parts.test.batch(np.arange(6)).inputs.data)
