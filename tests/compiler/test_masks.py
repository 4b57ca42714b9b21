"""Steps rewritten under masks: for every cell, masks that mask nothing change nothing, and texts parse back."""

from __future__ import annotations

import pytest
import torch

from remanence.cells import CELLS, Cell
from remanence.compiler.emit_torch import run
from remanence.compiler.ir import SCALAR
from remanence.compiler.masks import Masked, drop_candidates, drop_products, zone_out
from remanence.compiler.parse import parse
from remanence.compiler.schedule import schedule

every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
SIZES = {"input": 2, "hidden": 3, "proj": 1, "1": 1}


def _rewritten(cell: Cell) -> dict[str, Masked]:
    done = {"products": drop_products(cell.step), "zoned": zone_out(cell.step, dict.fromkeys(cell.state))}
    return done | ({"candidates": drop_candidates(cell.step, (cell.candidate,))} if cell.candidate else {})


@every_cell
def test_masks_that_mask_nothing_change_nothing(cell: Cell):
    torch.manual_seed(0)
    weights = {p.name: torch.randn(p.shape(SIZES)).double() for p in cell.step.parameters}
    inputs = torch.randn(4, 2, 2).double()
    start = {name: torch.rand(2, SIZES[cell.step.sizes[name]]).double() + 0.5 for name in cell.state}
    given = {name: torch.rand(4, 2, SIZES[size]).double() for name, size in cell.step.given.items()}
    plain = run(schedule(cell.step), weights, inputs, start, given=given)
    for kind, masked in _rewritten(cell).items():
        step = masked.step
        nothing = {
            n: torch.full((4, 2, SIZES[step.given[n]]), float(kind != "zoned")).double() for n in masked.masks.values()
        }
        done = run(schedule(step), weights, inputs, start, given=given | nothing)
        torch.testing.assert_close(done.output, plain.output)
        for name in cell.state:
            torch.testing.assert_close(done.state[name], plain.state[name])


@every_cell
def test_text_of_a_rewritten_step_parses_to_the_same_step(cell: Cell):
    for masked in _rewritten(cell).values():
        step = masked.step
        sizes = {name: size for name, size in step.sizes.items() if size != SCALAR}
        again = parse(step.text, step.state, step.output, sizes=sizes, given=step.given)
        assert again.equations == step.equations
        assert dict(again.sizes) == dict(step.sizes)
        assert {p.name: p.axes for p in again.parameters} == {p.name: p.axes for p in cell.step.parameters}


def test_products_are_masked_where_they_read_the_last_state():
    masked = {name: drop_products(cell.step).masks for name, cell in CELLS.items()}
    assert not any(masked[name] for name in ("indrnn", "sru", "minlstm", "mingru"))
    assert masked["lstmp"] == {"h": "mask_h"}
    assert "V @ (o * tanh(c))" in drop_products(CELLS["lstmp"].step).step.text
    assert "U_z @ (mask_h * h_hat)" in drop_products(CELLS["gru-d"].step).step.text
    assert masked["janet"] == {"c": "mask_c"}


def test_zoneout_of_the_output_reads_the_new_memory():
    """Krueger et al. 2017: h is made of the new memory, not of the one that zoneout leaves."""
    text = zone_out(CELLS["lstm"].step, {"h": None, "c": 0.25}).step.text
    assert text.splitlines()[4:] == [
        "c_new = f * c + i * g",
        "h_new = o * tanh(c_new)",
        "h = keep_h * h + (1 - keep_h) * h_new",
        "c = 0.25 * c + 0.75 * c_new",
    ]


def test_names_that_are_taken_get_an_underscore():
    step = parse("h_new = W @ x + keep_h * h\nh = tanh(h_new)", ("h",), "h")
    masked = zone_out(step, {"h": None})
    assert masked.masks == {"h": "keep_h_"}
    assert "h_new_ = tanh(h_new)" in masked.step.text
