"""Idx files: pixels in order, classes from the file beside, one order for all sequences; and what is refused."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from remanence.data.idx import labels_beside, read_images
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.data.orders import drawn_order
from remanence.data.sources import file_format
from remanence.errors import DataError, RemanenceError
from remanence.settings import DataSettings

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(values: np.ndarray) -> bytes:
    """The bytes of an idx file, written from its description."""
    kind = values.dtype.str[1:]
    head = bytes([0, 0, TYPES[kind], values.ndim]) + b"".join(struct.pack(">i", size) for size in values.shape)
    return head + values.astype(f">{kind}").tobytes()


def pictures(count: int, start: int = 0) -> np.ndarray:
    """Images of 2 rows and 3 columns: image n holds n, n + 1, … n + 5."""
    return (np.arange(count)[:, None] + np.arange(6) + start).astype(np.uint8).reshape(count, 2, 3)


def pair(folder: Path, part: str = "train", count: int = 20, ending: str = "") -> Path:
    path = folder / f"{part}-images-idx3-ubyte{ending}"
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending]
    path.write_bytes(pack(idx(pictures(count))))
    labels_beside(path).write_bytes(pack(idx((np.arange(count) % 2 + 7).astype(np.uint8))))
    return path


@pytest.mark.parametrize("ending", ["", ".gz", ".xz"])
def test_images_become_sequences_of_pixels_row_by_row(ending: str, tmp_path: Path) -> None:
    found = read_images(pair(tmp_path, ending=ending), answers=True)
    assert found.offsets.tolist() == [6 * place for place in range(21)]
    assert found.values[6 * 4 : 6 * 5, 0].tolist() == [4, 5, 6, 7, 8, 9]
    assert found.labels[:3] == ("7", "8", "7") and found.names[4] == "5"


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_number_is_read_big_endian(kind: str, tmp_path: Path) -> None:
    values = np.array([[1, 2, 100], [-3 if kind != "u1" else 3, 4, 5]], kind)
    (tmp_path / "a-images-idx2").write_bytes(idx(values))
    found = read_images(tmp_path / "a-images-idx2", answers=False)
    assert found.values[:, 0].tolist() == values.ravel().tolist() and found.labels == ()


def test_test_images_are_found_beside_the_training_images(tmp_path: Path) -> None:
    path = pair(tmp_path)
    pair(tmp_path, "t10k", 8)
    parts = prepare_classify(path, DataSettings())
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [16, 4, 8]
    assert any("t10k-images" in note for note in parts.notes)
    assert parts.encoders.labels == ("7", "8")
    again = reopen_classify(path, parts.data, parts.encoders)
    assert again.name(4) == f"{path.name}, sequence 5" and again.label(4) == "7"


def test_permuted_steps_are_the_same_steps_in_one_other_order(tmp_path: Path) -> None:
    path = pair(tmp_path)
    plain = prepare_classify(path, DataSettings())
    mixed, other = (prepare_classify(path, DataSettings(permute=seed)) for seed in (3, 4))
    order = np.array(mixed.encoders.order)
    assert sorted(order.tolist()) == list(range(6)) and mixed.encoders.order == drawn_order(3, 6)
    assert mixed.encoders.order != other.encoders.order
    index = np.arange(4)
    for part in ("train", "test"):
        before, after = (getattr(parts, part).batch(index) for parts in (plain, mixed))
        assert torch.equal(before.inputs.data[:, order], after.inputs.data)
        assert torch.equal(before.target, after.target)
    # A new file is read in the order that is kept with the run, whatever the settings say.
    again = reopen_classify(path, plain.data, mixed.encoders)
    known = reopen_classify(path, plain.data, plain.encoders)
    assert torch.equal(again.batch(index).inputs.data, known.batch(index).inputs.data[:, order])


def test_a_longest_length_is_cut_before_it_is_permuted(tmp_path: Path) -> None:
    parts = prepare_classify(pair(tmp_path), DataSettings(permute=0, longest=4))
    assert sorted(parts.encoders.order) == [0, 1, 2, 3]
    assert parts.train.batch(np.arange(2)).inputs.data.shape == (2, 4, 1)


def test_unequal_lengths_and_texts_cannot_be_permuted(tmp_path: Path) -> None:
    rows = "".join(f"{n},{step},{'ab'[n % 2]}\n" for n in range(20) for step in range(2 + n // 19))
    (tmp_path / "d.csv").write_text("id,x,label\n" + rows)
    settings = DataSettings(sequence=("id",), input=("x",), label="label", permute=0)
    with pytest.raises(DataError, match="one length: 2 steps, but number 20 has 3"):
        prepare_classify(tmp_path / "d.csv", settings)
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"word{n},{'ab'[n % 2]}\n" for n in range(20)))
    with pytest.raises(RemanenceError, match="--permute: permutes sequences of numbers, not texts"):
        prepare_classify(tmp_path / "t.csv", DataSettings(input=("text",), label="label", permute=0))


def test_names_of_idx_files_tell_their_format() -> None:
    for name in ("train-images-idx3-ubyte", "t10k-labels.idx1-ubyte.gz", "a-images-idx3-ubyte.xz"):
        assert file_format(Path(name), None) == "idx"
    assert file_format(Path("my-idx3-ubyte.csv"), None) == "csv"


GOOD = idx(pictures(4))
SPOILED = {
    "empty": (b"", "file is empty"),
    "another file": (b"PK\x03\x04" + bytes(40), "begins with 50 4b 03 04"),
    "no such type": (b"\0\0\x0a\3" + GOOD[4:], "begins with 00 00 0a 03"),
    "no axis": (b"\0\0\x08\0", "begins with 00 00 08 00"),
    "header cut short": (GOOD[:9], "header is cut short"),
    "an empty axis": (idx(pictures(0)), "length 0: 0 × 2 × 3"),
    "pixels cut short": (GOOD[:-1], "expected 24 bytes more, came 23"),
    "more than announced": (GOOD + b"\0", "more bytes than the header says"),
    "huge images": (b"\0\0\x08\3" + struct.pack(">3i", 4, 2**30, 2**30), "images of"),
    "classes": (idx(np.zeros(4, np.uint8)), "these are classes, expected images"),
    "an infinity": (idx(np.array([[1, np.inf]], "f4")), "infinite number"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_images_are_refused(name: str, tmp_path: Path) -> None:
    content, says = SPOILED[name]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    labels_beside(path).write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=says) as caught:
        prepare_classify(path, DataSettings())
    assert caught.value.remedy and "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "no file of classes beside"),
        (idx(np.zeros(3, np.uint8)), "expected 4 classes.*came 3"),
        (idx(pictures(4)), "came 4 × 2 × 3"),
        (idx(np.zeros(4, np.uint8))[:-2], "cut short after the classes begins"),
    ],
)
def test_spoiled_classes_are_refused(labels: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(GOOD)
    if labels is not None:
        labels_beside(path).write_bytes(labels)
    with pytest.raises(DataError, match=says):
        prepare_classify(path, DataSettings())
