"""One step with carried state: a stream, batch 1; and a thousand sessions at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import remanence.nn
from bench.engine import ours
from bench.engine.compare import verify
from bench.engine.measures import Asked, Findings
from bench.engine.peers import PEERS
from bench.engine.plan import Shape
from bench.engine.problem import Problem, problem
from bench.engine.timing import interleaved, summary, turns

__all__ = ["measure"]

HIDDEN = (32, 128, 512)
SESSIONS, WIDE = 1000, 128
CHECKED = 5

Step = Callable[[], Any]


def measure(asked: Asked) -> Findings:
    """Time the object that holds a state, the Python call included, beside nn.LSTMCell and ONNX Runtime."""
    found: Findings = {}
    for hidden in HIDDEN:
        given = problem("lstm", "infer", Shape(1, CHECKED, hidden // 2, hidden), asked.threads)
        for peer, make in (("torch", _cell), ("onnxruntime", _session)):
            if not PEERS[peer].installed():
                found[f"step/{peer}/{hidden}"] = {"skipped": f"{peer} is not installed"}
                continue
            mine, theirs = _ours(given), make(given)
            _agree(given, mine, theirs)
            timing = interleaved(_still(mine, given), _still(theirs, given), asked.budget)
            found.setdefault(f"step/{hidden}", {"value": timing.ours * 1e6})
            found[f"step/{peer}/{hidden}"] = {
                "value": timing.ratio,
                "low": timing.low,
                "high": timing.high,
                "note": f"{timing.theirs * 1e6:.1f} µs there",
            }
    return found | _sessions(asked)


def _ours(given: Problem) -> Callable[[np.ndarray], Any]:
    return remanence.nn.Stepper(ours.layer(given), given.shape.batch).step


def _cell(given: Problem) -> Callable[[np.ndarray], Any]:
    from bench.engine.peers.torch_nn import stacks
    from bench.engine.problem import joined

    cell = torch.nn.LSTMCell(given.shape.input, given.shape.hidden)
    with torch.no_grad():
        for name, weight in joined(given.weights, stacks("lstm")).items():
            getattr(cell, name.removesuffix("_l0")).copy_(torch.from_numpy(weight))
    state = [torch.zeros(given.shape.batch, given.shape.hidden)] * 2

    def step(x: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            state[:] = cell(torch.from_numpy(x), tuple(state))
        return state[0]

    return step


def _session(given: Problem) -> Callable[[np.ndarray], Any]:
    from bench.engine.peers.onnx_runtime import session

    shape = [1, given.shape.batch, given.shape.input]
    run = session("lstm", given.weights, shape, given.threads, carried=True).run
    zero = np.zeros((1, given.shape.batch, given.shape.hidden), np.float32)
    state = {"initial_h": zero, "initial_c": zero}

    def step(x: np.ndarray) -> np.ndarray:
        h, c = run(["Y_h", "Y_c"], {"X": x[None], **state})
        state.update(initial_h=h, initial_c=c)
        return h[0]

    return step


def _agree(given: Problem, *steps: Callable[[np.ndarray], Any]) -> None:
    """All steppers start anew; the same inputs must give the same outputs."""
    rows = [np.stack([_copied(step(x)).reshape(given.shape.batch, -1) for x in given.inputs]) for step in steps]
    for other in rows[1:]:
        verify({"output": rows[0]}, {"output": other})


def _copied(output: Any) -> np.ndarray:
    # The next step may write where this one answered.
    return output.detach().numpy().copy() if isinstance(output, torch.Tensor) else np.array(output)


def _still(step: Callable[[np.ndarray], Any], given: Problem) -> Step:
    x = given.inputs[0]
    return lambda: step(x)


def _sessions(asked: Asked) -> Findings:
    from bench.engine.measures.tile import tile_call

    given = problem("lstm", "infer", Shape(SESSIONS, CHECKED, WIDE // 2, WIDE), asked.threads)
    mine, theirs = _ours(given), _cell(given)
    _agree(given, mine, theirs)
    tile, work = tile_call()
    rounds = turns((_still(mine, given), tile), asked.budget)
    timing = summary(rounds)
    flops = 2.0 * SESSIONS * 4 * WIDE * (WIDE // 2 + WIDE)
    share = 100 * flops / work * timing.ratio
    return {"step/sessions": {"value": share, "note": f"{timing.ours * 1e6:.0f} µs, {asked.threads} thread(s)"}}
