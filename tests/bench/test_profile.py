"""The profile of a training step: operations by name, shares worked by hand, and that every task has a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import profile
from bench.profile import PROFILES, group_of, rows, shares
from remanence.tasks import TASKS


def test_every_task_is_profiled() -> None:
    assert {name.partition(",")[0] for name in PROFILES} == set(TASKS)


@pytest.mark.parametrize(
    ("operation", "group"),
    [
        ("aten::mm", "products"),
        ("aten::bmm", "products"),
        ("aten::convolution_backward", "products"),
        ("aten::mkldnn_rnn_layer_backward", "kernels"),
        ("remanence::layer", "kernels"),
        ("aten::softmax", "others"),
        ("aten::mm_reduce", "others"),
        ("Optimizer.step#AdamW.step", "others"),
    ],
)
def test_an_operation_is_counted_once_by_its_name(operation: str, group: str) -> None:
    assert group_of(operation) == group


def test_studies_without_their_data_are_skipped_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(profile, "DATA", tmp_path)
    assert len(rows(["snips"])) == 2
    assert "snips: skipped, classify/snips.tar.xz is absent" in capsys.readouterr().err


def test_shares_add_up_to_the_step() -> None:
    events = [("aten::mm", 0.002), ("remanence::layer", 0.005), ("aten::add", 0.0015), ("aten::tanh", 0.0005)]
    found = shares(events, 0.01, 0.01)
    assert (found.products, found.kernels, found.others) == pytest.approx((0.2, 0.5, 0.2))
    assert found.python == pytest.approx(0.1) and found.milliseconds == pytest.approx(10)
    assert found.slowest == ("aten::add", pytest.approx(0.15))
    # Of 8 ms on the clock 7 are kernels and products; the rest, 3 ms under the profiler, two thirds others, is one.
    found = shares(events, 0.01, 0.008)
    assert (found.products, found.kernels) == pytest.approx((0.25, 0.625))
    assert (found.others, found.python) == pytest.approx((2 / 24, 1 / 24))
    assert found.milliseconds == pytest.approx(8) and found.slowest == ("aten::add", pytest.approx(1.5 / 24))


def test_no_share_is_more_than_there_is() -> None:
    more = shares([("aten::mm", 0.03), ("aten::add", 0.01)], 0.02, 0.02)
    assert (more.products, more.others, more.python) == pytest.approx((1, 0, 0))
