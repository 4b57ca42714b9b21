"""The engine's benchmark on tiny shapes: it compares before it times, refuses what is wrong, and writes its table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import REPOSITORY

import remanence.nn
from bench.engine import compare, ours
from bench.engine.__main__ import main
from bench.engine.figure import roofline
from bench.engine.measures import Asked, step
from bench.engine.measures.tile import tile_call
from bench.engine.peers import PEERS, torch_nn
from bench.engine.plain import PLAIN
from bench.engine.plan import FLOORS, Case, Shape, default_pairs
from bench.engine.problem import Contender, flops, joined, problem, split
from bench.engine.results import Results, read
from bench.engine.table import BEGIN, END, insert, judged, markdown
from bench.engine.timing import Budget, interleaved, turns
from remanence.cells import CELLS

TINY = Shape(3, 2, 5, 4)
BRIEF = Budget(seconds=0.0, fewest=3, block=0.0)


def test_benchmark_writes_results_table_and_figure_and_resumes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    asked = [
        "--cells",
        "rnn",
        "--modes",
        "train",
        "--shapes",
        str(TINY),
        "--threads",
        "1",
        "--quick",
        "--out",
        str(out),
    ]
    assert main(asked) == 0
    told = capfd.readouterr().err
    held = read(out)
    (case,) = held["cases"].values()
    assert case["ratio"] > 0 and case["low"] <= case["ratio"] <= case["high"] and case["path"] == "cpu-fused"
    assert case["difference"] <= compare.TOLERANCE
    assert "rnn/train/torch" in told and (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    assert "| rnn | train | torch.nn | 1 |" in (tmp_path / "results.md").read_text(encoding="utf-8")
    assert main(asked) == 0 and "rnn/train/torch" not in capfd.readouterr().err
    assert read(out)["cases"] == held["cases"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--cells", "lstn"], "no 'lstn'"),
        (["--shapes", "3x2"], "batch x time x input x hidden"),
        (["--threads", "0"], "cores"),
        (["--out", "nowhere/results.json"], "no such folder"),
        (["--cells", "minlstm", "--peers", "torch"], "nothing to measure"),
    ],
)
def test_mistakes_in_the_call_are_told(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and why in capsys.readouterr().err


def _spoilt(spoil: str) -> Any:
    """torch.nn with one number of one tensor changed; its clock must never start."""

    from_torch = torch_nn.make

    def make(asked: Any, *ours: Any) -> Contender:
        right = from_torch(asked, *ours)
        if ours:
            return right

        def results() -> dict[str, np.ndarray]:
            found = {name: value.copy() for name, value in right.results().items()}
            found[spoil].flat[-1] += 1e-3 * np.abs(found[spoil]).max()
            return found

        def call() -> None:
            raise AssertionError("a wrong peer was timed")

        return Contender(call, results)

    return make


@pytest.mark.parametrize("spoil", ["output", "x", "U"])
def test_wrong_peer_is_refused_and_not_timed(spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_nn, "make", _spoilt(spoil))
    with pytest.raises(compare.WrongResultError, match=f"'{spoil}'"):
        compare.compare(Case("rnn", "train", "torch", TINY, 1), BRIEF)


def test_results_that_are_no_numbers_or_missing_are_refused() -> None:
    right = {"output": np.ones(3, np.float32)}
    with pytest.raises(compare.WrongResultError):
        compare.verify({"output": np.array([1, np.nan, 1], np.float32)}, right)
    with pytest.raises(compare.WrongResultError, match="one side"):
        compare.verify(right | {"x": right["output"]}, right)
    with pytest.raises(compare.WrongResultError, match="shape"):
        compare.verify({"output": np.ones((3, 1), np.float32)}, right)
    assert compare.verify(right, right) == 0


@pytest.mark.parametrize("peer", ["cells", "loop"])
@pytest.mark.parametrize("cell", PLAIN)
def test_loops_agree_with_the_equations(cell: str, peer: str) -> None:
    asked = problem(cell, "train", replace(TINY, time=7), 1)
    right = ours.make(asked, "recurrent", path="eager").results()
    assert compare.verify(right, PEERS[peer].load()(asked).results()) < compare.TOLERANCE


def test_ours_is_the_compiled_path() -> None:
    asked = problem("minlstm", "train", TINY, 1)
    mine = ours.make(asked)
    assert mine.note == "cpu-fused"
    assert compare.verify(mine.results(), PEERS["loop"].load()(asked).results()) < compare.TOLERANCE


def test_unequal_lengths_agree_with_packed_torch() -> None:
    asked = problem("rnn", "lengths", replace(TINY, time=7), 1)
    assert asked.lengths is not None and asked.lengths.min() >= 4 and asked.lengths.max() <= 7
    assert compare.verify(ours.make(asked).results(), torch_nn.make(asked).results()) < compare.TOLERANCE


def test_stacks_cover_every_weight_once_and_turn_back() -> None:
    for name, plain in PLAIN.items():
        weights = problem(name, "infer", TINY, 1).weights
        assert sorted(part for parts in plain.stacks.values() for part in parts if part) == sorted(weights), name
        back = split(joined(weights, plain.stacks), plain.stacks)
        assert all((back[key] == value).all() for key, value in weights.items()), name


def test_flops_of_an_lstm_are_those_worked_by_hand() -> None:
    # Four gates of 4 units, 5 inputs and 4 states each: 144 products; 3 sequences of 2 steps.
    assert flops(problem("lstm", "infer", TINY, 1)) == 2 * 144 * 6
    assert flops(problem("lstm", "train", TINY, 1)) == 6 * 144 * 6


def test_tile_is_called_as_it_wants_to_be() -> None:
    call, work = tile_call()  # which compares its result with a number worked by hand
    call()
    assert work > 0


class _Stepper:
    """What `remanence.nn.Stepper` promises, slowly."""

    def __init__(self, layer: Any, batch: int) -> None:
        self.layer, self.state = layer.train(False), None

    def step(self, x: np.ndarray) -> np.ndarray:
        done = self.layer(torch.from_numpy(x)[:, None], self.state)
        self.state = {name: value.detach() for name, value in done.state.items()}
        return done.output[:, 0].detach().numpy()


def test_steps_are_compared_before_they_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "HIDDEN", (4,))
    monkeypatch.setattr(step, "SESSIONS", 3)
    monkeypatch.setattr(remanence.nn, "Stepper", _Stepper, raising=False)
    found = step.measure(Asked(1, BRIEF, True))
    assert {"step/4", "step/torch/4", "step/onnxruntime/4", "step/sessions"} == set(found)
    assert found["step/4"]["value"] > 0 and found["step/sessions"]["value"] > 0

    class Forgetful(_Stepper):
        def step(self, x: np.ndarray) -> np.ndarray:
            self.state = None
            return super().step(x)

    monkeypatch.setattr(remanence.nn, "Stepper", Forgetful, raising=False)
    with pytest.raises(compare.WrongResultError):
        step.measure(Asked(1, BRIEF, True))


def test_ratio_is_theirs_over_ours() -> None:
    found = interleaved(lambda: None, lambda: sum(range(20_000)), Budget(seconds=0.05, fewest=5, block=1e-4))
    assert found.ratio > 10 and found.low <= found.ratio <= found.high and found.theirs > found.ours


def test_a_call_is_timed_behind_one_of_its_own() -> None:
    made: list[str] = []
    short, other, long = (lambda name=name: made.append(name) for name in ("short", "other", "long"))
    turns((short, other), Budget(seconds=0.0, fewest=2, block=0.0))
    # One to see how long it takes, then by turns, the second round backwards.
    assert made == ["short", "other"] + ["short"] * 2 + ["other"] * 4 + ["short"] * 2
    made.clear()
    turns((long, other), Budget(seconds=0.0, fewest=2, block=0.0, long=0.0))
    assert made == ["long", "other", "long", "other", "other", "long"]


def test_plan_names_known_cells_and_peers() -> None:
    for cell, mode, peer in default_pairs():
        assert cell in CELLS and PEERS[peer].computes(cell, mode), (cell, mode, peer)
    assert len({floor.key for floor in FLOORS}) == len(FLOORS)


def made(**cases: float) -> dict[str, Any]:
    """Results of LSTM inference with given ratios, by peer and shape."""
    results = Results(None, {"caches": {}, "versions": {}}, "abc", "key", False)
    for key, ratio in cases.items():
        peer, shape = key.split("_")
        results.cases[f"lstm/infer/{peer}/{shape}/1"] = {
            "ratio": ratio, "low": ratio, "high": ratio, "path": "cpu-fused", "ours_gflops": 1.0, "theirs_gflops": 2.0,
        }  # fmt: skip
    for name in ("processor", "cores", "vectors", "system", "python"):
        results.machine[name] = name
    results.machine["memory_gb"] = 1.0
    results.findings["step/32@1"] = {"value": 2.5}
    results.findings["trace/train/128@2"] = {"skipped": "not there"}
    return results.to_json()


def test_table_counts_each_case_against_the_fastest_peer() -> None:
    held = made(torch_1x1x1x1=4.0, onnxruntime_1x1x1x1=1.0, torch_2x1x1x1=4.0)
    row = next(row for row in judged(held) if row["title"] == "LSTM, inference")
    assert row["value"] == "mean 2.00, least 1.00 (2 cases)" and row["reached"] is True
    slower = made(torch_1x1x1x1=4.0, onnxruntime_1x1x1x1=0.8)
    row = next(row for row in judged(slower) if row["title"] == "LSTM, inference")
    assert row["reached"] is False
    step = next(row for row in judged(held) if row["title"] == "One step, batch 1, H 32")
    assert step["value"] == "2.5 µs" and step["floor"] == "≤ 2 µs" and step["reached"] is False


def test_table_says_what_arithmetic_allows() -> None:
    held = made(torch_1x1x1x1=4.0, torch_2x1x1x1=4.0)
    assert next(row for row in judged(held) if row["title"] == "LSTM, inference")["most"] == ""
    held["findings"]["rate/tile@1"] = {"value": 12.0}
    held["cases"]["lstm/infer/torch/2x1x1x1/1"]["theirs_gflops"] = 3.0
    # Their 2 and 3 GFLOP/s beside the tile's 12: 6 and 4 times.
    row = next(row for row in judged(held) if row["title"] == "LSTM, inference")
    assert row["most"] == f"{24**0.5:.2f}" and f"| yes | {24**0.5:.2f} |" in markdown(held)


def test_floor_is_not_reached_where_a_case_was_refused() -> None:
    held = made(torch_1x1x1x1=4.0, onnxruntime_1x1x1x1=4.0)
    held["cases"]["lstm/infer/torch/2x1x1x1/1"] = {"wrong": "so"}
    row = next(row for row in judged(held) if row["title"] == "LSTM, inference")
    assert row["reached"] is False and "1 not timed" in row["note"]


def test_table_says_what_was_not_measured_and_why() -> None:
    held = made(torch_1x1x1x1=2.0)
    held["cases"]["gru/train/torch/1x1x1x1/1"] = {"wrong": "'x' differs"}
    text = markdown(held)
    assert "not there" in text and "- gru/train/torch/1x1x1x1/1: 'x' differs" in text
    assert "| lstm | infer | torch.nn | 1 | 2.00 [2.00–2.00] |" in text


def test_table_replaces_what_stood_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "engine.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    insert(page, "new \\1")
    insert(page, "newer")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        insert(page, "new")
    assert (REPOSITORY / "docs" / "engine.md").read_text(encoding="utf-8").count(END) == 1


def test_results_of_another_engine_are_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    held = Results(path, {"cores": 2}, "abc", "engine", False)
    held.cases |= {"a": {"ratio": 1.0}, "b": {"wrong": "so"}}
    held.write()
    same = Results(path, {"cores": 2}, "abd", "engine", False)
    assert same.resume() and same.cases == {"a": {"ratio": 1.0}}
    changes: list[dict[str, Any]] = [{"engine": "other"}, {"quick": True}, {"machine": {"cores": 4}}]
    for change in changes:
        other = replace(held, cases={}, **change)
        assert not other.resume() and not other.cases, change
    path.write_text(json.dumps({"version": 0}), encoding="utf-8")
    with pytest.raises(ValueError, match="version"):
        same.resume()


def test_figure_has_a_point_for_each_library_and_none_without_cases() -> None:
    chart = roofline(made(torch_1x1x1x1=2.0, onnxruntime_1x1x1x1=1.0))
    assert chart is not None
    text = json.dumps(chart.to_dict())
    assert text.count('"who": "Remanence"') == 1 and '"who": "torch.nn"' in text and '"who": "ONNX Runtime"' in text
    assert roofline(made()) is None
