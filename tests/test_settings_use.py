"""What a task does not use is refused; and what is said of a task's use is what its code does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import remanence
from remanence.cli import main
from remanence.data.encoders import Encoders
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings, ModelSettings, Settings, TrainSettings, settings_from
from remanence.settings_use import READS, USES
from remanence.tasks import TASKS, task
from remanence.train.opening import open_data
from tests.tasks.test_prepared_files import FILES
from tests.tasks.test_task_laws import CASES, Case

# A value of each setting that some task does not use; never its default.
VALUES: dict[str, Any] = {
    "time": "t", "series": "s", "target": "s", "known": "s", "observed": "s", "horizon": 2, "season": 2, "stride": 2,
    "calendar": True, "gaps": "fill", "duplicates": "first", "context": 9, "input": "q", "label": "q", "answer": "q",
    "sequence": "q", "group": "q", "tokens": "words", "answer_tokens": "words", "lower": True, "ngrams": 2,
    "document": "line", "transpose": 1, "vocabulary": 5, "unknown": 0.5, "word_texts": "a.txt",
    "scheme": "BIO", "window": 6, "margin": 2,
    "position": "x,y", "motion": "speed", "motion_steps": "1,2", "sample_rate": 4000.0, "longest": 4, "permute": 1,
    "origin": "q", "scale": "all", "missing": "mask", "sort": True, "interval": "a,b", "folder": ".", "bad": "skip",
    "longest_seconds": 99.0, "features": "mfcc", "bands": 9, "coefficients": 5, "deltas": 1, "centre": True,
    "frame_ms": 20.0, "hop_ms": 8.0, "frame_rate": 9.0, "frame_size": "9,9", "colour": "rgb", "embedding": 7,
    "embedding_dropout": 0.1, "characters": "recurrent", "character_size": 7, "crf": True, "tied": False,
    "weight_drop": 0.1, "skip": True, "pool": "max", "convolution": 7, "branch": 7, "differences": True,
    "displacement": True, "attention": "additive", "input_feeding": True, "coverage": 0.5, "length_penalty": 2.0,
    "copy_source": True, "beam": 2, "normalise": "last", "strategy": "recursive", "quantiles": "0.1,0.9", "stack": 2,
    "look_ahead": 2, "mask_steps": 2, "mask_features": 2, "language": "words", "language_order": 2, "loss": "mae",
    "recall": 2.0, "calibrate": True, "smoothing": 0.2, "scheduled_sampling": 0.2, "noise": 0.2, "stretch": 0.2,
    "input_dropout": 0.2,
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_a_setting_that_a_task_does_not_use_is_refused_before_the_file_is_read(name: str, tmp_path: Path) -> None:
    assert set(VALUES) == set(USES)
    for setting, value in VALUES.items():
        users = {user for user, _ in USES[setting]}
        with pytest.raises(DataError if name in users else SettingError) as caught:
            remanence.fit(tmp_path / "absent.csv", task=name, progress=False, **{setting: value})
        if name not in users:
            flag = "--" + setting.replace("_", "-")
            assert str(caught.value).startswith(f"{flag}: {name} does not use it — it is for ")
            assert all(user in str(caught.value) for user in users)


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in ("fit", "compare"):
        assert main([command, str(tmp_path / "absent.csv"), "--task", "forecast", "--pool", "max"]) == 2
        told = "error: --pool: forecast does not use it — it is for classify, regress\n"
        assert capsys.readouterr().err == told
    assert main(["describe", *_described(tmp_path), "--stride", "2"]) == 2
    assert capsys.readouterr().err.startswith("error: --stride: classify does not use it — it is for forecast")


def _described(folder: Path) -> list[str]:
    path, options = FILES["texts"](folder, 0.0)
    return [str(path), "--input", options["input"], "--label", options["label"]]


def test_what_is_everybodys_is_never_refused(tmp_path: Path) -> None:
    for name in TASKS:
        with pytest.raises(DataError, match="no such file"):
            remanence.compare(tmp_path / "absent.csv", task=name, hidden=5, dropout=0.1, split="0.8,0.1,0.1", steps=3)


def _reads(case: Case) -> tuple[str, str]:
    encoders = case.make().encoders
    assert isinstance(encoders, Encoders)
    return case.task, encoders.reads


def test_every_kind_of_data_that_a_task_reads_has_a_case() -> None:
    assert set(READS) == set(TASKS)
    told = {(name, read) for name, reads in READS.items() for read in reads}
    # Only texts are translated and summed up in the laws; other sources go through the very same encoders.
    unlike = {(name, read) for name in ("translate", "summarise") for read in ("sounds", "videos")}
    same = {("regress", "sounds"), ("regress", "videos"), ("classify", "sounds")}
    assert {_reads(case) for case in CASES.values()} == told - unlike - same


@contextmanager
def _watched(*parts: type) -> Iterator[set[str]]:
    """Names of the fields of settings that are looked at meanwhile."""
    seen: set[str] = set()
    plain = object.__getattribute__

    def watch(self: Any, name: str) -> Any:
        seen.add(name)
        return plain(self, name)

    with pytest.MonkeyPatch.context() as patch:
        for part in parts:
            patch.setattr(part, "__getattribute__", watch)
        yield seen


def _looked_at(case: Case) -> set[str]:
    """Fields of model and training that a task looks at to build its model, learn one batch, answer and score it."""
    found, data, settings = case.ready()
    with _watched(ModelSettings, TrainSettings) as seen:
        torch.manual_seed(0)
        model = found.model(data.encoders, settings)
        batch = found.vary(data.train.batch(np.arange(5)), settings)
        found.loss(model(batch)[0], batch, settings)
        found.settle(model, data, settings)
        found.baselines(data, settings)
        model.eval()
        output, _ = model(batch)
        meter = found.meter(data.encoders, settings)
        meter.update(output, batch)
        meter.scores()
        list(found.rows(output, batch, data.train, data.encoders, settings))
    return seen & ({*ModelSettings.model_fields} | {*TrainSettings.model_fields})


def test_what_a_task_is_said_to_use_is_what_it_looks_at() -> None:
    looked: dict[tuple[str, str], set[str]] = {}
    for case in CASES.values():
        looked.setdefault(_reads(case), set()).update(_looked_at(case))
    learnt = {*ModelSettings.model_fields} | {*TrainSettings.model_fields}
    for (name, read), seen in looked.items():
        said = {setting for setting, uses in USES.items() if (name, read) in uses} & learnt
        assert sorted(seen & set(USES)) == sorted(said), f"{name} of {read}"


@pytest.mark.parametrize("write", FILES.values(), ids=FILES.keys())
def test_a_setting_of_the_data_that_is_refused_would_change_nothing(write: Any, tmp_path: Path) -> None:
    path, options = write(tmp_path, 0.0)
    found = task(options["task"])

    def prepared(**more: Any) -> tuple[str, list[list[int]]]:
        data = found.prepare(path, settings_from(options | more).data)
        assert isinstance(data.encoders, Encoders)
        reads.add(data.encoders.reads)
        return data.encoders.model_dump_json(), [part.lengths.tolist() for part in (data.train, data.valid, data.test)]

    reads: set[str] = set()
    plain = prepared()
    (read,) = reads
    unused = [name for name in DataSettings.model_fields if name in USES and (found.name, read) not in USES[name]]
    assert len(unused) > 10
    columns = {"time", "series", "target", "known", "observed", "input", "label", "answer", "sequence", "group"}
    alone = columns | {"position", "interval", "longest", "permute"}
    assert prepared(**{name: VALUES[name] for name in unused if name not in alone}) == plain
    for name in alone & set(unused):
        # What cannot be meant is refused by the readers, too, as is a column that is not there.
        with suppress(DataError, SettingError):
            assert prepared(**{name: VALUES[name]}) == plain, name


def test_a_kind_of_data_that_has_no_use_for_a_setting_refuses_it(tmp_path: Path) -> None:
    texts, options = FILES["texts"](tmp_path, 0.0)
    for setting, others in {"branch": "numbers, sounds", "frame_rate": "videos", "bands": "sounds"}.items():
        with pytest.raises(SettingError, match=f"^--{setting.replace('_', '-')}: classify does not use it for texts — "
                           f"it is for {others}$"):  # fmt: skip
            remanence.fit(texts, progress=False, **options, **{setting: VALUES[setting]})
    assert not list(tmp_path.glob("*run*"))


def test_what_was_not_given_is_not_taken_for_given() -> None:
    given = settings_from({"beam": 3})
    again = Settings.model_validate(given.model_dump(mode="json", exclude_unset=True))
    assert again == given and again.model.model_fields_set == {"beam"}


@pytest.mark.parametrize(
    ("kind", "given", "told"),
    [
        ("texts", {"reach": 9}, "--reach: does nothing alone — it goes with --initialise chrono"),
        ("texts", {"initialise": "orthogonal", "reach": 9}, "it goes with --initialise chrono"),
        ("sounds", {"language_order": 2}, "--language-order: does nothing alone — it goes with --language words"),
        ("sounds", {"language": "none", "language_order": 2}, "it goes with --language words"),
        ("sounds", {"coefficients": 5, "features": "mel"}, "it goes with --features mfcc"),
        ("tokens", {"characters": "none", "character_size": 5}, "it goes with --characters convolution"),
        ("samples", {"window": 0, "margin": 3}, "it goes with --window N"),
        ("pairs", {"beam": 1, "length_penalty": 0.5}, "it goes with --beam N"),
        ("pairs", {"attention": "none", "coverage": 1.0}, "--coverage: does nothing alone — it goes with --attention"),
        ("abstracts", {"attention": "none", "copy_source": True}, "--copy-source: does nothing alone"),
    ],
)
def test_a_setting_that_acts_only_with_another_is_refused_alone(
    kind: str, given: dict[str, Any], told: str, tmp_path: Path
) -> None:
    path, options = FILES[kind](tmp_path, 0.0)
    with pytest.raises(SettingError, match=told):
        open_data(path, settings_from({**options, **given}))


def test_a_summary_without_attention_copies_nothing_unasked(tmp_path: Path) -> None:
    path, options = FILES["abstracts"](tmp_path, 0.0)
    given = {"attention": "none", "steps": 1, "hidden": 3, "beside": (), "progress": False}
    run = remanence.fit(path, out=tmp_path / "run", **{**options, **given})
    assert run.model.head.copied is None


def test_motion_is_refused_without_a_point_that_moves(tmp_path: Path) -> None:
    rows = "".join(f"{name},{step},{'ab'[step % 2]}\n" for name in range(8) for step in range(20))
    (tmp_path / "heat.csv").write_text("id,heat,label\n" + rows, encoding="utf-8")
    given = settings_from({"task": "tag", "sequence": "id", "input": "heat", "label": "label", "motion_steps": "1,2"})
    with pytest.raises(SettingError, match="--motion-steps: does nothing alone — it goes with --position x,y"):
        open_data(tmp_path / "heat.csv", given)


def test_what_asks_for_nothing_needs_no_other_setting(tmp_path: Path) -> None:
    path, options = FILES["samples"](tmp_path, 0.0)
    assert open_data(path, settings_from({**options, "window": 0, "margin": 0})).settings.data.margin == 0
