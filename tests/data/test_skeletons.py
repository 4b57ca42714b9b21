"""Key points in NumPy files: sequences, labels, splits, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.data.record_files import read_records
from remanence.data.schema import guess
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

PLAIN = DataSettings(task="classify", label="labels")


def arrays(sequences: int = 12, prefix: str = "", shape: tuple[int, ...] = (2, 3)) -> dict[str, Any]:
    random = np.random.default_rng(sequences)
    lengths = random.integers(1, 6, sequences)
    return {
        f"{prefix}frames": random.standard_normal((int(lengths.sum()), *shape)).astype(np.float32),
        f"{prefix}lengths": lengths,
        f"{prefix}labels": np.arange(sequences) % 2,
        f"{prefix}person": np.array([f"p{place % 4}" for place in range(sequences)]),
    }


def saved(folder: Path, **content: Any) -> Path:
    path = folder / "bodies.npz"
    np.savez(path, **content)
    return path


def test_sequences_are_cut_where_their_lengths_say(tmp_path: Path) -> None:
    content = arrays()
    records = read_records(saved(tmp_path, **content), PLAIN)
    assert records.values is not None and records.offsets is not None
    assert records.columns == ("point0 x", "point0 y", "point0 z", "point1 x", "point1 y", "point1 z")
    ends = np.cumsum(content["lengths"])
    assert records.offsets.tolist() == [0, *ends.tolist()]
    third = content["frames"][ends[1] : ends[2]].reshape(-1, 6)
    np.testing.assert_array_equal(records.values[records.offsets[2] : records.offsets[3]], third)
    assert [records.label_names[code] for code in records.labels] == ["0", "1"] * 6
    assert records.where(2) == "bodies.npz, sequence 3"


def test_flat_frames_and_texts_as_labels(tmp_path: Path) -> None:
    content = arrays(shape=(4,)) | {"labels": np.array(["走", "跑"] * 6)}
    records = read_records(saved(tmp_path, **content), PLAIN)
    assert records.columns == ("dim0", "dim1", "dim2", "dim3") and records.label_names == ("走", "跑")


def test_the_split_of_the_file_is_kept(tmp_path: Path) -> None:
    path = saved(tmp_path, **arrays(8, "train_"), **arrays(4, "valid_"), **arrays(6, "test_"))
    guessed = guess(path, DataSettings())
    assert guessed.settings.task == "classify" and guessed.settings.split_column == "part"
    parts = prepare_classify(path, DataSettings())
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [8, 4, 6]
    assert parts.train.name(0) == "bodies.npz, sequence train_1"
    # As a run reads its own data again: with what was guessed filled in.
    again = prepare_classify(path, parts.data)
    assert [len(part) for part in (again.train, again.valid, again.test)] == [8, 4, 6]
    np.testing.assert_array_equal(
        parts.test.batch(np.arange(6)).inputs.data, again.test.batch(np.arange(6)).inputs.data
    )


def test_a_person_stays_on_one_side(tmp_path: Path) -> None:
    parts = prepare_classify(saved(tmp_path, **arrays(20)), PLAIN.model_copy(update={"group": "person"}))
    owners = [{int(part.name(at).split()[-1]) % 4 for at in range(len(part))} for part in (parts.train, parts.test)]
    assert owners[0] and owners[1] and not owners[0] & owners[1]


def test_a_new_file_needs_no_labels_to_be_answered(tmp_path: Path) -> None:
    parts = prepare_classify(saved(tmp_path, **arrays(20)), PLAIN)
    new = arrays(3)
    del new["labels"]
    path = tmp_path / "new.npz"
    np.savez(path, **new)
    assert len(reopen_classify(path, parts.data, parts.encoders, answers=False)) == 3
    with pytest.raises(DataError, match="labels"):
        reopen_classify(path, parts.data, parts.encoders, answers=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lengths": np.full(12, 2)}, "add up to 24"),
        ({"lengths": np.full(12, -1)}, "whole numbers"),
        ({"lengths": np.full((6, 2), 1)}, "one a sequence"),
        ({"labels": np.zeros(5, int)}, "12 whole numbers or texts"),
        ({"frames": np.zeros(7)}, "point, coordinate"),
        ({"frames": np.array([["a"]])}, "point, coordinate"),
        ({"frames": np.array([[object()]])}, "cannot be read"),
        ({"lengths": None}, "no array 'lengths'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changes: dict, says: str) -> None:
    content = {name: value for name, value in (arrays() | changes).items() if value is not None}
    with pytest.raises(DataError, match=says):
        read_records(saved(tmp_path, **content), PLAIN)


def test_a_sequence_without_frames_and_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    content = arrays()
    content["lengths"] = np.append(content["lengths"], 0)
    content["labels"] = np.append(content["labels"], 0)
    with pytest.raises(DataError, match="sequence 13 has no frame"):
        read_records(saved(tmp_path, **content), PLAIN)
    content = arrays()
    step = int(content["lengths"][0])
    content["frames"][step, 1, 2] = np.nan
    with pytest.raises(DataError, match=r"column 'point1 z': a missing value at step 1 of sequence 2 — use --missing"):
        read_records(saved(tmp_path, **content), PLAIN)
    content["frames"][step, 1, 2] = np.inf
    with pytest.raises(DataError, match="an infinite number"):
        read_records(saved(tmp_path, **content), PLAIN.model_copy(update={"missing": "mask"}))


def test_a_file_cut_short_and_an_unknown_array_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, **arrays())
    with pytest.raises(SettingError, match="no array 'camera'"):
        read_records(path, PLAIN.model_copy(update={"group": "camera"}))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"not a whole \.npz"):
        read_records(path, PLAIN)
