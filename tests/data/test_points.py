"""Coordinates of points: told from one of them, and scaled alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remanence
from remanence.data.labelled import prepare_classify, reopen_classify
from remanence.data.points import centred, scale_groups
from remanence.data.record_files import read_records
from remanence.errors import SettingError
from remanence.settings import DataSettings

PLAIN = DataSettings(task="classify", label="labels", split=(0.5, 0.25, 0.25))


def bodies(folder: Path, shift: float = 0.0) -> Path:
    """Three points in space that go their ways; `shift` moves whole bodies."""
    random = np.random.default_rng(3)
    frames = random.standard_normal((60, 3, 3)) * [[1], [5], [20]] + shift
    path = folder / f"bodies{shift:g}.npz"
    np.savez(path, frames=frames, lengths=np.full(20, 3), labels=np.arange(20) % 2)
    return path


@pytest.mark.parametrize(
    ("columns", "groups"),
    [
        (("hip x", "hip y", "head x", "head y"), ("x", "y", "x", "y")),
        (("left_hand_x", "hip.x", "hip-y"), ("x", "x", "y")),
        (("point0 x", "speed", "point1 x"), ("x", "speed", "x")),
    ],
)
def test_axes_are_the_ends_of_names(columns: tuple[str, ...], groups: tuple[str, ...]) -> None:
    assert scale_groups(columns, "axis") == groups
    assert scale_groups(columns, "column") is None
    assert len(set(scale_groups(columns, "all") or ())) == 1


def test_names_without_axes_have_none_to_share() -> None:
    with pytest.raises(SettingError, match=r"^--scale: no two columns end in the same axis: dim0, dim1 — --scale all"):
        scale_groups(("dim0", "dim1"), "axis")


def test_points_are_told_from_the_origin_frame_by_frame(tmp_path: Path) -> None:
    frames = np.array([[[1.0, 2.0], [4.0, 6.0]], [[10.0, 20.0], [11.0, 25.0]]])
    path = tmp_path / "two.npz"
    np.savez(path, frames=frames, lengths=[2], labels=[0])
    found = centred(read_records(path, PLAIN), "point0").values
    assert found is not None and found.tolist() == [[0, 0, 3, 4], [0, 0, 1, 5]]
    found = centred(read_records(path, PLAIN), "point1").values
    assert found is not None and found.tolist() == [[-3, -4, 0, 0], [-1, -5, 0, 0]]


def test_columns_that_the_origin_has_no_axis_for_stay(tmp_path: Path) -> None:
    path = tmp_path / "walk.csv"
    path.write_text("id,hip x,head x,head z,pulse,labels\n" + "0,3,5,7,60,a\n0,4,4,8,61,a\n")
    settings = DataSettings(
        task="classify", sequence=("id",), input=("hip x", "head x", "head z", "pulse"), label="labels"
    )
    found = centred(read_records(path, settings), "hip").values
    assert found is not None and found.tolist() == [[0, 2, 7, 60], [0, 0, 8, 61]]


def test_where_a_body_stands_has_no_part_in_what_is_read_and_a_run_remembers(tmp_path: Path) -> None:
    settings = PLAIN.model_copy(update={"origin": "point0"})
    parts = prepare_classify(bodies(tmp_path), settings)
    assert parts.encoders.origin == "point0"
    assert any("'point0 z' is constant" in note for note in parts.notes)
    moved = reopen_classify(bodies(tmp_path, 1000.0), PLAIN, parts.encoders)
    plain = reopen_classify(bodies(tmp_path), PLAIN, parts.encoders)
    every = np.arange(20)
    np.testing.assert_allclose(plain.batch(every).inputs.data, moved.batch(every).inputs.data, atol=1e-5)


def test_what_moves_little_stays_small_where_scales_are_shared(tmp_path: Path) -> None:
    spread: dict[str, Any] = {}
    for scale in ("column", "axis", "all"):
        parts = prepare_classify(bodies(tmp_path), PLAIN.model_copy(update={"scale": scale}))
        data = parts.train.batch(np.arange(len(parts.train))).inputs.data
        spread[scale] = data.reshape(-1, 3, 3).std((0, 2), correction=0).numpy()
    np.testing.assert_allclose(spread["column"], 1, atol=1e-5)
    # 1, 5 and 20 share the root of (1 + 25 + 400) / 3.
    for scale in ("axis", "all"):
        np.testing.assert_allclose(spread[scale], np.array([1, 5, 20]) / np.sqrt(142), rtol=0.3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"origin": "hip"}, r"--origin: no column is a coordinate of 'hip': .* — one of point0, point1, point2"),
        ({"scale": "axes"}, "--scale"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        remanence.fit(bodies(tmp_path), out=tmp_path / "run", label="labels", progress=False, **options)
    assert not (tmp_path / "run").exists()
