"""Masks of recurrent layers: drawn as they should be, and computed as loops written from the papers compute them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from remanence.cells import CELLS
from remanence.compiler.emit_torch import evaluate
from remanence.errors import SettingError
from remanence.nn.dropout import keep_units
from remanence.nn.masks import Mask, draw, masked_cells
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

BATCH, TIME = 3, 6


def _layer(name: str, **options: object) -> Recurrent:
    torch.manual_seed(1)
    return Recurrent(name, 2, 4, options=RecurrentOptions(**options)).double()


def _drawn(layer: Recurrent, seed: int) -> dict[str, Tensor]:
    """The masks that the layer draws first after a seed."""
    torch.manual_seed(seed)
    return draw(layer.masked.masks, layer.layer_sizes[0], torch.zeros(TIME, BATCH, 1).double())


def _data() -> Tensor:
    torch.manual_seed(9)
    return torch.randn(BATCH, TIME, 2).double()


def _net(p: dict[str, Tensor], gate: str, x: Tensor, h: Tensor) -> Tensor:
    return x @ p[f"W_{gate}"].T + h @ p[f"U_{gate}"].T + p[f"b_{gate}"]


def _compare(layer: Recurrent, step, states: tuple[str, ...], seed: int = 5):
    """The layer in training against a loop of `step(p, x, states, masks at t) -> states`, gradients too."""
    data, p = _data(), layer.layer0_forward.tensors()
    masks = _drawn(layer, seed)
    torch.manual_seed(seed)
    done = layer(data)
    now = {name: torch.zeros(BATCH, 4).double() for name in states}
    outputs = []
    for t in range(TIME):
        now = step(p, data[:, t], now, {name: mask[t] for name, mask in masks.items()})
        outputs.append(now["h"])
    expected = torch.stack(outputs, 1)
    torch.testing.assert_close(done.output, expected)
    for name in states:
        torch.testing.assert_close(done.state[name][0], now[name])
    weigh = torch.randn_like(expected)
    ours = torch.autograd.grad((done.output * weigh).sum(), list(p.values()), allow_unused=True)
    theirs = torch.autograd.grad((expected * weigh).sum(), list(p.values()), allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    assert not torch.allclose(done.output, copy.deepcopy(layer).eval()(data).output)


def test_recurrent_dropout_drops_what_is_written_into_the_memory():
    def step(p, x, now, masks):
        i, f, o = (torch.sigmoid(_net(p, gate, x, now["h"])) for gate in "ifo")
        g = torch.tanh(_net(p, "g", x, now["h"])) * masks["mask_g"]
        c = f * now["c"] + i * g
        return {"h": o * torch.tanh(c), "c": c}

    _compare(_layer("lstm", recurrent_dropout=0.4), step, ("h", "c"))


def test_variational_dropout_drops_the_same_units_left_of_every_product():
    def step(p, x, now, masks):
        h = now["h"] * masks["mask_h"]
        r, z = (torch.sigmoid(_net(p, gate, x, h)) for gate in "rz")
        n = torch.tanh(_net(p, "n", x, r * h))
        return {"h": z * now["h"] + (1 - z) * n}

    layer = _layer("gru-before", variational_dropout=0.4)
    assert all(torch.equal(mask[0], later) for mask in _drawn(layer, 0).values() for later in mask)
    _compare(layer, step, ("h",))


def test_zoneout_keeps_units_of_both_states_each_with_its_own_mask():
    def step(p, x, now, masks):
        i, f, o = (torch.sigmoid(_net(p, gate, x, now["h"])) for gate in "ifo")
        g = torch.tanh(_net(p, "g", x, now["h"]))
        c = f * now["c"] + i * g
        h = o * torch.tanh(c)
        return {
            "h": torch.where(masks["keep_h"] == 1, now["h"], h),
            "c": torch.where(masks["keep_c"] == 1, now["c"], c),
        }

    layer = _layer("lstm", zoneout={"h": 0.2, "c": 0.5})
    masks = _drawn(layer, 5)
    assert set(masks) == {"keep_h", "keep_c"}
    assert not torch.equal(masks["keep_h"], masks["keep_c"])
    _compare(layer, step, ("h", "c"))


def test_zoneout_in_evaluation_is_its_expectation():
    layer, data = _layer("gru", zoneout=0.3).eval(), _data()
    p, h, outputs = layer.layer0_forward.tensors(), torch.zeros(BATCH, 4).double(), []
    for t in range(TIME):
        r, z = (torch.sigmoid(_net(p, gate, data[:, t], h)) for gate in "rz")
        n = torch.tanh(data[:, t] @ p["W_n"].T + p["b_n"] + r * (h @ p["U_n"].T + p["b_hn"]))
        h = 0.3 * h + 0.7 * ((1 - z) * n + z * h)
        outputs.append(h)
    torch.testing.assert_close(layer(data).output, torch.stack(outputs, 1))


@pytest.mark.parametrize("name", ["lstm", "gru", "gru-before", "slstm"])
def test_zoneout_in_evaluation_leaves_an_additive_memory(name: str):
    """c_T = (prod a) c_0 + sum_s (prod_{k>s} a_k) b_s, with a and b of the cell as it runs."""
    layer = _layer(name, zoneout=0.3).eval()
    start = {state: torch.rand(1, BATCH, 4).double() + 0.5 for state in layer.cell.state}
    done = layer(_data(), start, trace=("*",))
    held = {key.rpartition(".")[2]: values for key, values in done.trace.items()}
    assert set(layer.running.additive_memory) == set(layer.cell.additive_memory)
    for state in layer.running.additive_memory:
        a, b = (torch.as_tensor(evaluate(node, held)) for node in layer.running.memory(state))
        total = a.prod(1) * start[state][0]
        for s in range(TIME):
            total = total + a[:, s + 1 :].prod(1) * b[:, s]
        torch.testing.assert_close(total, done.state[state][0])


def test_all_masks_at_once_and_on_x():
    rate = 0.25
    layer = _layer("lstm", recurrent_dropout=0.3, variational_dropout=0.2, zoneout=0.1, variational_input_dropout=rate)
    masks = _drawn(layer, 3)
    on_x = keep_units(rate, (1, BATCH, 2), torch.empty(0).double())
    assert set(masks) == {"mask_g", "mask_h", "keep_h", "keep_c"}

    def step(p, x, now, masks):
        x, read = x * on_x[0], now["h"] * masks["mask_h"]
        i, f, o = (torch.sigmoid(_net(p, gate, x, read)) for gate in "ifo")
        c = f * now["c"] + i * (torch.tanh(_net(p, "g", x, read)) * masks["mask_g"])
        h = o * torch.tanh(c)
        kept = {state: masks[f"keep_{state}"] for state in "hc"}
        return {"h": kept["h"] * now["h"] + (1 - kept["h"]) * h, "c": kept["c"] * now["c"] + (1 - kept["c"]) * c}

    _compare(layer, step, ("h", "c"), seed=3)


def test_masks_have_the_values_rates_and_sharing_that_are_asked():
    torch.manual_seed(0)
    masks = (
        Mask("a", "hidden", 0.25, "step"),
        Mask("b", "hidden", 0.5, "sequence"),
        Mask("c", "hidden", 0.1, "keep"),
        Mask("d", "hidden", 0.2, "keep", "hidden"),
        Mask("e", "hidden", 0.6, "keep", "hidden"),
    )
    drawn = draw(masks, {"hidden": 50}, torch.zeros(40, 30, 1))
    assert all(mask.shape == (40, 30, 50) for mask in drawn.values())
    assert sorted(drawn["a"].unique().tolist()) == pytest.approx([0, 4 / 3])
    assert set(drawn["b"].unique().tolist()) == {0.0, 2.0}
    assert (drawn["b"] == drawn["b"][:1]).all()
    assert float(drawn["a"].mean()) == pytest.approx(1, abs=0.02)
    for name, rate in {"c": 0.1, "d": 0.2, "e": 0.6}.items():
        assert set(drawn[name].unique().tolist()) == {0.0, 1.0}
        assert float(drawn[name].mean()) == pytest.approx(rate, abs=0.01)
    # One draw for both: what the smaller share keeps, the larger keeps too.
    assert (drawn["e"] >= drawn["d"]).all()
    assert not (drawn["d"] >= drawn["c"]).all()


@pytest.mark.parametrize("rate", [0.0, 1e-7, 1 - 1e-7])
def test_rates_near_never_and_always_keep_nothing_and_everything(rate: float):
    drawn = draw((Mask("a", "hidden", rate, "keep"),), {"hidden": 50}, torch.zeros(40, 30, 1))["a"]
    assert (drawn == round(rate)).all()


def test_memories_of_one_size_are_kept_together():
    cells = masked_cells(CELLS["slstm"], RecurrentOptions(zoneout=0.3))
    drawn = draw(cells.masks, {"hidden": 4}, torch.zeros(5, 2, 1))
    assert torch.equal(drawn["keep_c"], drawn["keep_n"]) and torch.equal(drawn["keep_c"], drawn["keep_m"])
    assert not torch.equal(drawn["keep_c"], drawn["keep_h"])


@pytest.mark.parametrize("name", ["lstm", "gru", "mgu", "lstmp"])
def test_masks_act_in_training_alone_and_follow_the_seed(name: str):
    options = {"recurrent_dropout": 0.5, "variational_dropout": 0.5, "variational_input_dropout": 0.5}
    layer, plain, data = _layer(name, **options), _layer(name), _data()
    torch.manual_seed(0)
    first = layer(data).output
    assert not torch.equal(first, layer(data).output)
    torch.manual_seed(0)
    assert torch.equal(first, layer(data).output)
    layer.eval()
    torch.testing.assert_close(layer(data).output, plain(data).output)
    assert layer.path == plain.path


def test_masks_of_layers_and_directions_differ():
    torch.manual_seed(0)
    options = RecurrentOptions(variational_dropout=0.5, variational_input_dropout=0.5)
    layer = Recurrent("rnn", 2, 33, layers=2, bidirectional=True, options=options)
    done = layer(torch.randn(3, 7, 2), trace=("h",))
    gradients = torch.autograd.grad(done.output.sum(), [layer.layer1_forward.U, layer.layer1_reverse.U])
    dead = [gradient.abs().sum(0) == 0 for gradient in gradients]
    assert not torch.equal(*dead)


@pytest.mark.parametrize(
    ("cell", "options", "what"),
    [
        ("rnn", {"recurrent_dropout": 0.5}, "'rnn' declares no candidate"),
        ("sru", {"variational_dropout": 0.5}, "no matrix of cell 'sru' reads a state"),
        ("lstm", {"zoneout": {"q": 0.5}}, "no state 'q'.*expected some of h, c"),
        ("lstm", {"zoneout": 1.0}, "zoneout: expected a probability"),
        ("lstm", {"zoneout": {"h": -0.1}}, "zoneout: expected a probability"),
        ("lstm", {"variational_dropout": 1.5}, "variational-dropout: expected a probability"),
        ("lstm", {"recurrent_dropout": float("nan")}, "recurrent-dropout: expected a probability"),
    ],
)
def test_masks_that_a_cell_cannot_have_are_refused(cell: str, options: dict, what: str):
    with pytest.raises(SettingError, match=what):
        Recurrent(cell, 2, 4, options=RecurrentOptions(**options))


def test_masked_cells_run_compiled_as_they_run_step_by_step():
    """Same seed, same masks: both directions, unequal lengths, every gradient; then zoneout's expectation."""
    options = {"recurrent_dropout": 0.3, "variational_dropout": 0.2, "zoneout": 0.2, "variational_input_dropout": 0.2}
    found = []
    for path in ("cpu-fused", "eager"):
        torch.manual_seed(1)
        layer = Recurrent("mgu", 2, 5, bidirectional=True, options=RecurrentOptions(path=path, **options)).double()
        assert layer.path == path
        data = torch.linspace(-2, 2, 4 * 12 * 2).view(4, 12, 2).double().requires_grad_()
        torch.manual_seed(2)
        done = layer(Sequences(data, torch.tensor([12, 0, 1, 7])))
        loss = done.output.sin().sum() + done.state["h"].cos().sum()
        gradients = torch.autograd.grad(loss, [data, *layer.parameters()])
        with torch.no_grad():
            found.append([done.output, done.state["h"], *gradients, layer.eval()(data).output])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-9)
