"""Real files of shared/data, where they are: sizes, splits and columns as their sources state them."""

from __future__ import annotations

import csv
import lzma
import statistics
import tarfile
from pathlib import Path

import numpy as np
import pytest

from remanence.data.labelled import prepare_classify
from remanence.data.windows import prepare_forecast
from remanence.settings import DataSettings

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data is not beside the repository")


def test_etth1_has_the_windows_of_its_protocol() -> None:
    settings = DataSettings(target=("OT",), horizon=24, context=96, split=(8640, 2880, 2880))
    parts = prepare_forecast(SHARED / "forecast" / "ETTh1.csv.xz", settings)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [8521, 2857, 2857]
    assert parts.data.time == "date"
    assert parts.encoders.frequency.name == "hourly"
    with lzma.open(SHARED / "forecast" / "ETTh1.csv.xz", "rt") as file:
        values = [float(row["OT"]) for row in csv.DictReader(file)][:8640]
    assert parts.encoders.scaler.mean[0] == pytest.approx(statistics.fmean(values))
    assert parts.encoders.scaler.scale[0] == pytest.approx(statistics.pstdev(values))


@pytest.mark.parametrize(
    ("name", "frequency", "series"),
    [("stocks.csv", "monthly", 5), ("iowa-electricity.csv", "yearly", 3), ("seattle-weather.csv", "daily", 1)],
)
def test_small_tables_are_understood_alone(name: str, frequency: str, series: int) -> None:
    parts = prepare_forecast(SHARED / "forecast" / name, DataSettings())
    assert parts.encoders.frequency.name == frequency
    assert len(parts.encoders.series_names) == series
    assert len(parts.test)


def test_beijing_is_masked() -> None:
    settings = DataSettings(target=("pm2.5",), missing="mask")
    parts = prepare_forecast(SHARED / "forecast" / "beijing-pm25.csv.xz", settings)
    batch = parts.train.batch(np.arange(256))
    assert np.isfinite(batch.inputs.data.numpy()).all()
    assert batch.inputs.data[..., 1].unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("name", "form", "sizes", "dimensions", "longest"),
    [
        ("JapaneseVowels", "ts", (216, 54, 370), 12, 29),
        ("ArrowHead", "arff", (30, 6, 175), 1, 251),
        ("BasicMotions", "arff", (32, 8, 40), 6, 100),
        ("BasicMotions", "ts", (32, 8, 40), 6, 100),
    ],
)
def test_archive_sets_have_their_sizes(
    name: str, form: str, sizes: tuple[int, ...], dimensions: int, longest: int, tmp_path: Path
) -> None:
    with tarfile.open(SHARED / "classify" / "uea-ucr.tar.xz") as archive:
        for part in ("TRAIN", "TEST"):
            archive.extract(f"aeon/{name}/{name}_{part}.{form}", tmp_path, filter="data")
    parts = prepare_classify(tmp_path / "aeon" / name / f"{name}_TRAIN.{form}", DataSettings())
    assert tuple(len(part) for part in (parts.train, parts.valid, parts.test)) == sizes
    assert len(parts.encoders.input) == dimensions
    assert parts.test.lengths.max() == longest


def test_chinese_reviews_are_read_by_character(tmp_path: Path) -> None:
    with tarfile.open(SHARED / "classify" / "chnsenticorp.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    settings = DataSettings(valid_file=str(tmp_path / "dev.tsv"), test_file=str(tmp_path / "test.tsv"))
    parts = prepare_classify(tmp_path / "train.tsv", settings)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [9600, 1200, 1200]
    assert parts.encoders.vocabulary is not None
    assert parts.encoders.vocabulary.kind == "characters"
