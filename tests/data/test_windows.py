"""Windows: who sees what, and that nothing of the test period reaches what is fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from remanence.data.encoders import ForecastEncoders
from remanence.data.windows import ForecastPart, prepare_forecast, reopen_forecast
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings


def table(folder: Path, columns: dict[str, list[object]], name: str = "data.csv") -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(str(cell) for cell in row) for row in rows)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def hours(rows: int) -> list[object]:
    return [str(np.datetime64("2024-01-01T00") + row).replace("T", " ") + ":00" for row in range(rows)]


def counting(folder: Path, rows: int = 30) -> Path:
    """A series whose value is its row, with a column known ahead and one observed."""
    return table(
        folder,
        {
            "time": hours(rows),
            "y": list(range(rows)),
            "seen": [row * 10 for row in range(rows)],
            "plan": [row % 4 for row in range(rows)],
        },
    )


SETTINGS = DataSettings(
    time="time",
    target=("y",),
    observed=("seen",),
    known=("plan",),
    horizon=2,
    context=3,
    split=(18, 6, 6),
    calendar=False,
)


def raw(encoders: ForecastEncoders, values: torch.Tensor, column: str) -> np.ndarray:
    return encoders.scaler.unscale(values.numpy()[..., None], (column,))[..., 0]


def test_window_holds_context_target_and_future(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [18 - 3 - 2 + 1, 5, 5]
    assert parts.encoders.features == ("y", "seen", "plan")
    batch = parts.valid.batch(np.array([0, 4]))
    np.testing.assert_allclose(
        raw(parts.encoders, batch.inputs.data[..., 0], "y"), [[15, 16, 17], [19, 20, 21]], atol=1e-5
    )
    np.testing.assert_allclose(raw(parts.encoders, batch.inputs.data[..., 1], "seen")[0], [150, 160, 170], atol=1e-4)
    assert batch.target is not None
    assert batch.future is not None
    np.testing.assert_allclose(raw(parts.encoders, batch.target[..., 0], "y"), [[18, 19], [22, 23]], atol=1e-5)
    np.testing.assert_allclose(raw(parts.encoders, batch.future[..., 0], "plan"), [[2, 3], [2, 3]], atol=1e-5)
    assert parts.valid.times(0) == ["2024-01-01 18:00", "2024-01-01 19:00"]


def test_targets_of_a_part_never_leave_it(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS)
    for part, low, high in ((parts.train, 3, 18), (parts.valid, 18, 24), (parts.test, 24, 30)):
        target = part.batch(np.arange(len(part))).target
        assert target is not None
        values = np.rint(raw(parts.encoders, target[..., 0], "y"))
        assert (values.min(), values.max()) == (low, high - 1)


def test_scaler_is_mean_and_deviation_of_training_rows(tmp_path: Path) -> None:
    scaler = prepare_forecast(counting(tmp_path), SETTINGS).encoders.scaler
    assert scaler.mean[0] == pytest.approx(8.5)
    assert scaler.scale[0] == pytest.approx(np.arange(18).std())


def test_test_values_change_nothing_that_is_fitted(tmp_path: Path) -> None:
    path = counting(tmp_path)
    before = prepare_forecast(path, SETTINGS)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:25], *(line.replace(",", ",9", 2) for line in lines[25:])]) + "\n")
    after = prepare_forecast(path, SETTINGS)
    assert before.encoders.model_dump_json() == after.encoders.model_dump_json()
    assert before.fingerprint != after.fingerprint
    whole = [parts.train.batch(np.arange(len(parts.train))).inputs.data for parts in (before, after)]
    assert torch.equal(*whole)


def test_encoders_survive_json_exactly(tmp_path: Path) -> None:
    encoders = prepare_forecast(counting(tmp_path), SETTINGS).encoders
    assert ForecastEncoders.model_validate_json(encoders.model_dump_json()) == encoders


@pytest.mark.parametrize("order", [[2], [3, 1, 0]])
def test_batch_neighbours_change_nothing(order: list[int], tmp_path: Path) -> None:
    part = prepare_forecast(counting(tmp_path), SETTINGS).train
    together = part.batch(np.array(order))
    for place, index in enumerate(order):
        alone = part.batch(np.array([index]))
        assert torch.equal(alone.inputs.data[0], together.inputs.data[place])


def test_series_keep_apart(tmp_path: Path) -> None:
    rows = 20
    columns = {
        "time": hours(rows) * 2,
        "place": ["A"] * rows + ["B"] * rows,
        "y": [*range(rows), *range(100, 100 + rows)],
    }
    settings = DataSettings(time="time", series=("place",), target=("y",), horizon=2, context=3, calendar=False)
    parts = prepare_forecast(table(tmp_path, columns), settings)
    batch = parts.train.batch(np.arange(len(parts.train)))
    values = raw(parts.encoders, batch.inputs.data[..., 0], "y")
    assert ((values > 50).all(1) | (values < 50).all(1)).all()
    assert batch.series is not None
    assert batch.series.tolist() == [0] * 8 + [1] * 8
    assert parts.train.series(8) == "B"
    # Interleaved rows give the same windows.
    mixed = {
        name: [values[place] for row in range(rows) for place in (row, row + rows)] for name, values in columns.items()
    }
    again = prepare_forecast(table(tmp_path, mixed, "mixed.csv"), settings)
    assert torch.equal(again.train.batch(np.arange(16)).inputs.data, batch.inputs.data)


def test_naive_scale_is_the_mean_seasonal_difference(tmp_path: Path) -> None:
    values = [0, 2, 0, 3, 1, 5, 0, 1, 2, 3]
    path = table(tmp_path, {"time": hours(10), "y": values})
    settings = DataSettings(time="time", target=("y",), horizon=1, context=1, split=(6, 2, 2), season=2)
    encoders = prepare_forecast(path, settings).encoders
    # |0-0| + |3-2| + |1-0| + |5-3| over four differences
    assert encoders.naive_scale == ((1.0,),)


def test_masked_values_are_zero_flagged_and_not_scored(tmp_path: Path) -> None:
    values: list[object] = list(range(30))
    values[19] = values[4] = ""
    path = table(tmp_path, {"time": hours(30), "y": values})
    settings = DataSettings(
        time="time", target=("y",), horizon=2, context=3, split=(18, 6, 6), missing="mask", calendar=False
    )
    parts = prepare_forecast(path, settings)
    assert parts.encoders.features == ("y", "y missing")
    batch = parts.valid.batch(np.array([0, 2]))
    assert batch.target is not None
    assert torch.isnan(batch.target[0, :, 0]).tolist() == [False, True]
    assert batch.inputs.data[1, :, 1].tolist() == [0.0, 0.0, 1.0] or batch.inputs.data[1, 2].tolist() == [0.0, 1.0]
    assert torch.isfinite(batch.inputs.data).all()


def test_filled_values_repeat_the_last_one(tmp_path: Path) -> None:
    values: list[object] = list(range(30))
    values[0] = values[4] = ""
    path = table(tmp_path, {"time": hours(30), "y": values})
    settings = DataSettings(
        time="time", target=("y",), horizon=2, context=6, split=(18, 6, 6), missing="fill", calendar=False
    )
    parts = prepare_forecast(path, settings)
    seen = raw(parts.encoders, parts.train.batch(np.array([0])).inputs.data[0, :, 0], "y")
    np.testing.assert_allclose(seen, [parts.encoders.scaler.mean[0], 1, 2, 3, 3, 5], atol=1e-5)


def test_past_reaches_back_and_ends_with_nan(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS)
    past = parts.encoders.scaler.unscale(parts.train.past(np.array([0, 1]), 4), ("y",))[..., 0]
    np.testing.assert_allclose(past, [[np.nan, 0, 1, 2], [0, 1, 2, 3]], atol=1e-5)


def test_reopened_file_gives_the_windows_of_the_whole(tmp_path: Path) -> None:
    path = counting(tmp_path)
    parts = prepare_forecast(path, SETTINGS)
    part = reopen_forecast(path, parts.data, parts.encoders)
    assert len(part) == 30 - 5 + 1
    assert torch.equal(part.batch(np.array([15])).inputs.data, parts.valid.batch(np.array([0])).inputs.data)


def test_forecast_after_the_end_follows_the_last_row(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"known": ()})
    parts = prepare_forecast(counting(tmp_path), settings)
    short = table(tmp_path, {"time": hours(2), "y": [5, 6], "seen": [1, 2]}, "short.csv")
    for path, length, first in ((short, 2, "2024-01-01 02:00"), (tmp_path / "data.csv", 3, "2024-01-02 06:00")):
        part = reopen_forecast(path, parts.data, parts.encoders, answers=False)
        batch = part.batch(np.array([0]))
        assert batch.target is None
        assert batch.inputs.lengths.tolist() == [length]
        assert part.times(0)[0] == first


def ahead(folder: Path, times: list[object], name: str = "new.csv", **options: object) -> ForecastPart:
    """What follows a file with these times, for a model that was trained on one like it."""
    path = table(folder, {"time": times, "y": [row % 5 for row in range(len(times))]}, name)
    settings = DataSettings(time="time", target=("y",), horizon=3, context=4, calendar=False)
    parts = prepare_forecast(path, settings)
    return reopen_forecast(path, parts.data.model_copy(update=options), parts.encoders, answers=False)


def minutes(rows: int, zone: str = "", first: str = "2024-03-07T23:30") -> list[object]:
    return [f"{np.datetime64(first) + row}{zone}" for row in range(rows)]


def test_midnight_is_written_as_the_other_times_are(tmp_path: Path) -> None:
    assert ahead(tmp_path, minutes(29)).times(0) == ["2024-03-07 23:59", "2024-03-08 00:00", "2024-03-08 00:01"]
    days: list[object] = [str(np.datetime64("2024-03-01") + row) for row in range(29)]
    assert ahead(tmp_path, days).times(0) == ["2024-03-30", "2024-03-31", "2024-04-01"]


def test_times_are_answered_by_the_clock_of_the_file(tmp_path: Path) -> None:
    found = ahead(tmp_path, minutes(29, "+08:00"))
    assert found.times(0) == [f"2024-03-{end}+08:00" for end in ("07 23:59", "08 00:00", "08 00:01")]
    assert not found.notes
    mixed = ahead(tmp_path, [*minutes(14, "+08:00"), *minutes(15, "Z", "2024-03-07T15:44")])
    assert mixed.times(0) == [f"2024-03-07 {end}+00:00" for end in ("15:59", "16:00", "16:01")]
    assert mixed.notes == ("times of 'time' have several offsets from UTC: they are told in UTC",)


@pytest.mark.parametrize(("rows", "given", "noted"), [(12000, None, True), (12000, 600, False), (600, None, False)])
def test_a_long_context_that_nobody_asked_for_is_told_with_a_shorter_one(
    rows: int, given: int | None, noted: bool, tmp_path: Path
) -> None:
    path = table(tmp_path, {"time": minutes(rows), "y": [row % 7 for row in range(rows)]})
    notes = prepare_forecast(path, DataSettings(time="time", target=("y",), context=given)).notes
    assert any("--context 96 is quicker" in note for note in notes) == noted


def test_fewer_rows_than_the_context_are_noted(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS.model_copy(update={"known": ()}))
    columns = {"time": hours(9), "y": list(range(9)), "seen": list(range(9))}
    for rows in (1, 2, 3):
        short = table(tmp_path, {name: cells[:rows] for name, cells in columns.items()}, "short.csv")
        notes = reopen_forecast(short, parts.data, parts.encoders, answers=False).notes
        told = (f"the file has fewer rows ({rows}) than the 3 that the model reads before a forecast",)
        assert notes == (told if rows < 3 else ())


def test_series_with_few_rows_are_named(tmp_path: Path) -> None:
    names = ["A"] * 20 + ["B"] * 20
    columns = {"name": names, "time": hours(20) * 2, "y": list(range(40))}
    settings = DataSettings(time="time", series=("name",), target=("y",), horizon=2, context=3)
    parts = prepare_forecast(table(tmp_path, columns), settings)
    short = table(tmp_path, {name: cells[:22] for name, cells in columns.items()}, "short.csv")
    (note,) = reopen_forecast(short, parts.data, parts.encoders, answers=False).notes
    assert note.startswith("1 of 2 series have fewer rows (B 2) than the 3 that")


def test_known_columns_must_reach_ahead(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS)
    with pytest.raises(DataError, match="needed for 2 steps to come, came 0 rows"):
        reopen_forecast(tmp_path / "data.csv", parts.data, parts.encoders, answers=False)
    ahead = {"time": hours(6), "y": [1, 2, 3, 4, "", ""], "seen": [1, 2, 3, 4, "", ""], "plan": [0, 1, 2, 3, 0, 1]}
    part = reopen_forecast(table(tmp_path, ahead, "ahead.csv"), parts.data, parts.encoders, answers=False)
    batch = part.batch(np.array([0]))
    assert batch.future is not None
    np.testing.assert_allclose(raw(parts.encoders, batch.future[..., 0], "plan"), [[0, 1]], atol=1e-5)
    np.testing.assert_allclose(raw(parts.encoders, batch.inputs.data[..., 0], "y"), [[2, 3, 4]], atol=1e-5)


def test_new_file_of_other_frequency_is_refused(tmp_path: Path) -> None:
    parts = prepare_forecast(counting(tmp_path), SETTINGS)
    daily = {"time": [f"2024-01-{day:02d} 00:00" for day in range(1, 21)]}
    daily |= {name: list(range(20)) for name in ("y", "seen", "plan")}
    with pytest.raises(DataError, match="steps are daily; the model was trained on hourly"):
        reopen_forecast(table(tmp_path, daily, "daily.csv"), parts.data, parts.encoders)


def test_files_of_their_own_are_refused_for_forecasts(tmp_path: Path) -> None:
    path = counting(tmp_path)
    with pytest.raises(
        SettingError, match=r"--test-file: a forecast reads one file.*append that file's rows.*--split-column"
    ):
        prepare_forecast(path, SETTINGS.model_copy(update={"test_file": str(path)}))


def test_split_column_names_the_parts(tmp_path: Path) -> None:
    columns = {
        "time": hours(12),
        "y": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
        "part": ["train"] * 6 + ["dev"] * 3 + ["test"] * 3,
    }
    settings = DataSettings(time="time", target=("y",), horizon=1, context=2, split_column="part")
    parts = prepare_forecast(table(tmp_path, columns), settings)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [4, 3, 3]


def test_spilled_panel_gives_the_same_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = counting(tmp_path, 63)
    settings = SETTINGS.model_copy(update={"split": (0.6, 0.2, 0.2)})
    held = prepare_forecast(path, settings)
    monkeypatch.setattr("remanence.data.spills.THRESHOLD", 100)
    spilled = prepare_forecast(path, settings)
    assert isinstance(spilled.train._steps.inputs, np.memmap)
    assert held.encoders == spilled.encoders
    index = np.arange(len(held.test))
    assert torch.equal(held.test.batch(index).inputs.data, spilled.test.batch(index).inputs.data)
