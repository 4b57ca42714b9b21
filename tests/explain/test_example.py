"""What is looked into: a row, a text or a file, with what people call each step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import command

from remanence import fit
from remanence.data.tagged import prepare_tag
from remanence.errors import DataError, SettingError
from remanence.explain.example import example_of, typical
from remanence.explain.inside import half_left, memory_heatmaps
from remanence.explain.memory import Memory
from remanence.report import choose_example, explain_run, explained_answers, write_run_report
from remanence.report.answers import answers_section
from remanence.report.sections import _shown
from remanence.run import Run
from remanence.settings import settings_from
from tests.tasks.made import made_captions, made_sounds
from tests.tasks.made_media import made_seen

ATTACK = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def forecast_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four updates on a wave, beside a column with a hostile name."""
    folder = tmp_path_factory.mktemp("forecast")
    rows = [f"{step},{np.sin(step / 3):.4f},{step % 5}" for step in range(120)]
    (folder / "wave.csv").write_text(f"step,load,{ATTACK}\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return fit(
        folder / "wave.csv", out=folder / "run", task="forecast", time="step", target="load", observed=ATTACK,
        horizon=3, context=8, hidden=3, steps=4, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def text_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four updates on short texts of both languages."""
    folder = tmp_path_factory.mktemp("texts")
    texts = [("猫追老鼠", "animal"), ("它跑得很快", "animal"), ("股票跌了", "money"), ("银行关门了", "money")]
    lines = [
        json.dumps({"text": text + "！" * k, "kind": kind}, ensure_ascii=False)
        for k in range(8)
        for text, kind in texts
    ]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return fit(
        folder / "texts.jsonl", out=folder / "run", task="classify", input="text", label="kind", hidden=3, embedding=3,
        steps=4, progress=False,
    )  # fmt: skip


def test_steps_of_a_forecast_are_counted_back_from_its_origin(forecast_run: Run) -> None:
    example = example_of(forecast_run.part("test"), 0)
    assert example.labels == ("−8", "−7", "−6", "−5", "−4", "−3", "−2", "−1")


def test_steps_of_a_text_are_its_tokens(text_run: Run) -> None:
    example = choose_example(text_run, text="猫跑得很快")
    assert (example.labels, example.title) == (tuple("猫跑得很快"), "猫跑得很快")


def test_steps_of_a_video_are_its_seconds() -> None:
    part = made_captions().train
    example = example_of(part, int(part.lengths.argmax()))
    assert example.labels[:3] == ("0.00", "0.20", "0.40") and not example.tokens
    # Two frames a step, as after a convolution, are twice as far apart.
    assert (example.apart, example.seconds_apart(-(-len(example.labels) // 2))) == (0.2, 0.4)


def test_seconds_of_a_window_count_from_the_beginning_of_its_file() -> None:
    part = made_seen().train
    later = int(np.flatnonzero(part.windows.low)[0])  # type: ignore[attr-defined]
    first = 0.2 * int(part.windows.low[later])  # type: ignore[attr-defined]
    assert example_of(part, later).labels[:2] == (f"{first:.2f}", f"{first + 0.2:.2f}")


def test_samples_of_a_window_are_counted_from_the_beginning_of_their_recording(tmp_path: Path) -> None:
    rows = [f"r{name},{step / 8},{'F' if step % 5 else 'S'}" for name in range(6) for step in range(40)]
    (tmp_path / "a.csv").write_text("recording,x,event\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = settings_from({"task": "tag", "window": 16, "margin": 5, "input": "x"})
    part = prepare_tag(tmp_path / "a.csv", settings.data).train
    example = example_of(part, 1)
    assert part.name(1).endswith(", steps 14–26")
    # Five more are read on either side.
    assert example.labels == tuple(map(str, range(9, 32)))
    read = [text.lines[0].zh for text in _shown(example)]
    assert read[0].endswith("，第 14–26 步") and "另读" in read[1]
    assert len(_shown(example_of(made_sounds().train, 0))) == 1


def test_features_whose_rate_is_not_known_are_counted() -> None:
    example = example_of(made_sounds().train, 0)
    assert example.labels[:2] == ("1", "2") and example.apart == 0


def test_half_of_an_input_is_left_after_so_many_seconds_where_steps_are_of_time() -> None:
    # Halved every step of a fifth of a second.
    reach = np.where(np.tri(4).T > 0, 0.5 ** (np.arange(4) - np.arange(4)[:, None]).clip(0), np.nan)
    memory = Memory("lstm", ("0.00", "0.20", "0.40", "0.60"), np.arange(4), 4, reach, "exact", 0, apart=0.2)
    assert half_left(memory).en == "half is left after 0.2 s (1.0 steps)"
    assert half_left(replace(memory, apart=0.0)).zh == "1.0 步后剩下一半"
    words = json.dumps(memory_heatmaps([memory], language="zh").to_dict(), ensure_ascii=False)
    assert "在第 t 秒" in words and "在第 t 步" not in words


def test_an_unknown_token_is_shown_in_its_own_letters_and_said_to_be_unknown(text_run: Run, tmp_path: Path) -> None:
    example = choose_example(text_run, text="猫Q𠮷Q")
    assert (example.labels, example.unknown) == (("猫", "Q", "𠮷", "Q"), ("Q", "𠮷"))
    page = explain_run(text_run, tmp_path / "a.html", text="猫Q𠮷Q").read_text(encoding="utf-8")
    assert "all alike to the model: “Q”, “𠮷”" in page and "对模型来说都一样：“Q”“𠮷”" in page and "�" not in page
    assert choose_example(text_run, text="猫").unknown == ()


def test_a_typical_example_has_the_median_length(text_run: Run) -> None:
    part = text_run.part("test")
    assert part.lengths[typical(part)] == pytest.approx(np.median(part.lengths), abs=1)


def test_a_text_for_numbers_is_refused(forecast_run: Run) -> None:
    with pytest.raises(SettingError, match="reads numbers"):
        choose_example(forecast_run, text="猫")


def test_a_text_and_a_row_are_refused(text_run: Run) -> None:
    with pytest.raises(SettingError, match="--row"):
        choose_example(text_run, text="猫", row=1)


def test_an_empty_text_is_refused(text_run: Run) -> None:
    with pytest.raises(DataError, match="an empty text"):
        choose_example(text_run, text=" ")


def test_an_alignment_of_a_run_that_writes_nothing_is_refused(text_run: Run, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"text": "老鼠"}\n', encoding="utf-8")
    with pytest.raises(SettingError, match="--alignment: this run writes no texts"):
        list(text_run.predict(tmp_path / "new.jsonl", alignment=True))


@pytest.mark.parametrize("row", [-1, 10_000])
def test_a_row_that_is_not_there_is_refused(forecast_run: Run, row: int) -> None:
    with pytest.raises(SettingError, match="--row"):
        choose_example(forecast_run, row=row)


def test_an_example_of_a_file_is_read_like_those_of_the_training(text_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text('{"text": "老鼠"}\n{"text": "很快的猫"}\n', encoding="utf-8")
    assert choose_example(text_run, file=path, row=1).labels[0] == "很"


def test_answers_for_scripts_are_those_of_predict(text_run: Run, forecast_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text('{"text": "老鼠"}\n{"text": "很快的猫"}\n', encoding="utf-8")
    out = ("--out", tmp_path / "page.html", "--overwrite", "--json")
    for options, row in (
        (("--file", path, "--row", 1), list(text_run.predict(path))[1]),
        (("--text", "很快的猫"), next(iter(text_run.predict(text="很快的猫")))),
    ):
        (answer,) = json.loads(command("explain", text_run.path, *options, *out).out)["answers"]
        assert list(answer) == ["example", "kind", "p_animal", "p_money"]
        assert [answer["example"], answer["kind"]] == [row["example"], row["kind"]]
        assert answer["p_money"] == pytest.approx(row["p_money"])
    assert len(explained_answers(forecast_run, row=0)) == 3


def test_a_hostile_column_is_harmless_in_a_run_page(forecast_run: Run) -> None:
    page = (forecast_run.path / "report.html").read_text(encoding="utf-8")
    assert ATTACK not in page
    assert page.count("<script") == 3


def test_intervals_of_a_forecast_hold_the_forecast_errors_of_validation(forecast_run: Run) -> None:
    section = answers_section(forecast_run)
    assert section is not None
    spec = section.blocks[0].draw("en").to_dict()  # type: ignore[union-attr]
    bands = [rows[0] for rows in spec["datasets"].values() if "lower" in rows[0]]
    assert len(bands) == 4
    assert all(low <= high for band in bands for low, high in zip(band["lower"], band["upper"], strict=True))


def test_pages_of_a_run_and_of_a_text_are_written(text_run: Run, tmp_path: Path) -> None:
    page = explain_run(text_run, tmp_path / "猫.html", text="猫追老鼠").read_text(encoding="utf-8")
    assert "猫追老鼠" in page
    assert "%)" in page
    assert "confusion" in write_run_report(text_run.path, tmp_path / "run.html").read_text(encoding="utf-8")
