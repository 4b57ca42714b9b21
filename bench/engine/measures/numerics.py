"""How far every cell of the zoo is from its twin: outputs, last states and all gradients.

The twins are those of the tests (`tests/naive.py`): written from the papers, one sequence and one step at a time, in
float64.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import torch

from bench.engine.machine import ROOT
from bench.engine.measures import Asked, Findings
from bench.engine.ours import parameters
from bench.engine.plan import FLOORS
from remanence.cells import CELLS
from remanence.nn.recurrent import Recurrent, RecurrentOptions

__all__ = ["measure"]

BATCH, TIME, INPUT, HIDDEN = 3, 11, 5, 33


def measure(asked: Asked) -> Findings:
    """The largest difference over all cells, relative to the largest value of each tensor."""
    naive = _twins()
    dtypes = (torch.float32,) if asked.quick else (torch.float64, torch.float32)
    found: Findings = {}
    wanted = {floor.cell for floor in FLOORS} if asked.quick else set(CELLS)
    names = [name for name in CELLS if name in naive.TWINS and name in wanted]
    without = sorted(set(CELLS) - set(naive.TWINS))
    for dtype in dtypes:
        apart = {name: difference(name, dtype, naive) for name in names}
        worst = max(apart, key=lambda name: apart[name])
        note = f"{len(names)} cells, worst {worst}" + (f"; no twin: {', '.join(without)}" if without else "")
        found[f"numerics/{str(dtype).removeprefix('torch.')}"] = {"value": apart[worst], "note": note}
    return found


def _twins() -> ModuleType:
    specification = importlib.util.spec_from_file_location("naive", ROOT / "tests" / "naive.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def difference(name: str, dtype: torch.dtype, naive: Any) -> float:
    """The largest relative difference of one cell in one dtype."""
    torch.manual_seed(0)
    layer = Recurrent(name, INPUT, HIDDEN, options=RecurrentOptions(path="cpu-fused")).to(dtype)
    inputs = torch.randn(BATCH, TIME, INPUT, dtype=dtype, requires_grad=True)
    sizes = {"input": INPUT, "hidden": HIDDEN}
    # Zeros and ones: a mask among them (GRU-D's) is one of these.
    given = {key: torch.rand(BATCH, TIME, sizes[size]).round().to(dtype) for key, size in layer.cell.step.given.items()}
    done = layer(inputs, given=given)
    gradient = torch.randn_like(done.output)
    mine = parameters(layer)
    twin = {key: value.detach().double().requires_grad_() for key, value in mine.items()}
    start = {key: torch.zeros(BATCH, value.shape[-1], dtype=torch.float64) for key, value in done.state.items()}
    wide = inputs.detach().double().requires_grad_()
    outside = {key: value.double() for key, value in given.items()}
    output, last, _ = naive.run(name, twin, wide, start, layer.cell.output, given=outside)
    pairs = [(done.output, output), *((done.state[key][0], last[key]) for key in last)]
    # The last states take part in the gradients too.
    for out, states in ((done.output, [value[0] for value in done.state.values()]), (output, list(last.values()))):
        ((out * gradient.to(out.dtype)).sum() + sum(state.sum() for state in states)).backward()
    pairs += [(inputs.grad, wide.grad), *((mine[key].grad, twin[key].grad) for key in mine)]
    return max(_relative(a.detach(), b.detach()) for a, b in pairs if a is not None and b is not None)


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b).abs().max() / b.abs().max().clamp(min=1e-30))
