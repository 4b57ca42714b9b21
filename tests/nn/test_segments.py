"""Resets: a batch with new sequences inside it gives what the sequences give alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from remanence.errors import ShapeError
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.nn.segments import cut
from remanence.sequences import Sequences

TIME = 9
LENGTHS = torch.tensor([9, 0, 1, 6, 9])


def _resets() -> Tensor:
    """One at the first step, none, all, one beyond the length, several."""
    resets = torch.zeros(5, TIME, dtype=torch.bool)
    resets[0, [0, 4]] = True
    resets[2] = True
    resets[3, [2, 3, 7]] = True
    resets[4, [1, 5, 8]] = True
    return resets


def _layer(name: str, path: str = "auto", **options: object) -> Recurrent:
    torch.manual_seed(1)
    options = {"learn_start": True, "path": path} | options
    layer = Recurrent(name, 3, 5, layers=2, bidirectional=True, options=RecurrentOptions(**options)).double()
    with torch.no_grad():
        for key, parameter in layer.named_parameters():
            if key.startswith("start"):
                parameter.normal_()
    return layer


def _alone(layer: Recurrent, data: Tensor, start: dict[str, Tensor], resets: Tensor) -> list[tuple[Tensor, dict]]:
    """Each sequence cut by hand, each piece read on its own: its output and its states."""
    done = []
    for b, length in enumerate(LENGTHS.tolist()):
        cuts = [0, *(t for t in range(1, length) if resets[b, t]), length]
        pieces = [data[b : b + 1, i:j] for i, j in pairwise(cuts)]
        outputs, states = [], []
        for index, piece in enumerate(pieces):
            own = layer._own_start(piece)
            begin = {name: values.clone() for name, values in own.items()}
            given = {name: values[:, b : b + 1] for name, values in start.items()}
            for name, values in begin.items():
                if index == 0 and not (length and resets[b, 0]):
                    values[0::2] = given[name][0::2]
                if index == len(pieces) - 1:
                    values[1::2] = given[name][1::2]
            out = layer(piece, begin)
            outputs.append(out.output[0])
            states.append(out.state)
        last = {}
        for name in start:
            last[name] = states[-1][name][:, 0].clone()
            last[name][1::2] = states[0][name][1::2, 0]
        done.append((torch.cat(outputs), last))
    return done


@pytest.mark.parametrize(
    ("name", "path"), [("lstm", "auto"), ("gru", "eager"), ("lstm-peephole", "auto"), ("lstmp", "eager")]
)
def test_resets_give_what_each_piece_gives_alone(name: str, path: str):
    layer = _layer(name, path)
    torch.manual_seed(2)
    data = torch.randn(5, TIME, 3).double().requires_grad_()
    start = {name: torch.randn_like(values).requires_grad_() for name, values in layer._own_start(data).items()}
    done = layer(Sequences(data, LENGTHS), start, resets=_resets())
    expected = _alone(layer, data, start, _resets())
    losses = [torch.zeros(()).double(), torch.zeros(()).double()]
    for b, (output, last) in enumerate(expected):
        length = int(LENGTHS[b])
        torch.testing.assert_close(done.output[b, :length], output)
        assert not done.output[b, length:].any()
        losses[1] = losses[1] + output.sin().sum()
        for state, values in last.items():
            torch.testing.assert_close(done.state[state][:, b], values)
            losses[1] = losses[1] + values.cos().sum()
    losses[0] = done.output.sin().sum() + sum(values.cos().sum() for values in done.state.values())
    leaves = [data, *start.values(), *layer.parameters()]
    ours, theirs = (torch.autograd.grad(loss, leaves, allow_unused=True) for loss in losses)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_resets_and_padding_never_mix():
    """NaN before a reset or beyond a length reaches nothing after it, nor a gradient of what comes after."""
    layer = Recurrent("gru", 3, 5)
    data = torch.randn(2, 8, 3)
    data[0, :4] = torch.nan
    data[1, 5:] = torch.nan
    resets = torch.zeros(2, 8, dtype=torch.bool)
    resets[0, 4] = True
    done = layer(Sequences(data, torch.tensor([8, 5])), resets=resets)
    assert torch.isfinite(done.output[0, 4:]).all() and torch.isfinite(done.output[1]).all()
    assert done.output[0, :4].isnan().all()
    assert torch.isfinite(done.state["h"]).all()


def test_resets_may_cut_a_stream_anywhere():
    layer = _layer("lstm")
    one_way = Recurrent("lstm", 3, 5, layers=2).double()
    data, resets = torch.randn(5, TIME, 3).double(), _resets()
    whole = one_way(data, resets=resets)
    state, outputs = None, []
    for t in range(TIME):
        done = one_way(data[:, t : t + 1], state, resets=resets[:, t : t + 1])
        state = done.state
        outputs.append(done.output)
    torch.testing.assert_close(torch.cat(outputs, 1), whole.output)
    for name, values in whole.state.items():
        torch.testing.assert_close(state[name], values)
    assert layer(data, resets=torch.zeros_like(resets)).output.equal(layer(data).output)


def test_resets_put_a_trace_and_given_inputs_where_they_stand():
    layer = Recurrent("gru-d", 3, 5)
    torch.manual_seed(0)
    data, resets = torch.randn(5, TIME, 3), _resets()
    given = {
        "m": (torch.rand(5, TIME, 3) > 0.5).float(),
        "delta": torch.rand(5, TIME, 3),
        "last": torch.randn(5, TIME, 3),
    }
    done = layer(Sequences(data, LENGTHS), given=given, resets=resets, trace=("h", "gamma_x"))
    torch.testing.assert_close(done.trace["layer0.forward.h"], done.output)
    alone = layer(data[4:, 5:8], given={name: values[4:, 5:8] for name, values in given.items()}, trace=("gamma_x",))
    torch.testing.assert_close(done.trace["layer0.forward.gamma_x"][4, 5:8], alone.trace["layer0.forward.gamma_x"][0])
    torch.testing.assert_close(done.output[4, 5:8], alone.output[0])


@pytest.mark.parametrize(("batch", "time"), [(0, 4), (3, 0), (0, 0), (1, 1)])
def test_resets_of_empty_axes(batch: int, time: int):
    layer = Recurrent("rnn", 3, 5)
    start = {"h": torch.randn(1, batch, 5)}
    done = layer(torch.zeros(batch, time, 3), start, resets=torch.zeros(batch, time, dtype=torch.bool))
    assert done.output.shape == (batch, time, 5)
    if not time:
        assert torch.equal(done.state["h"], start["h"])


def test_parts_go_back_to_where_they_came_from():
    values = torch.randn(5, TIME, 2)
    parts = cut(_resets(), LENGTHS)
    back = parts.put_back([parts.take(values, group) for group in parts.groups])
    mask = Sequences(values, LENGTHS).mask()
    assert torch.equal(back, values * mask[..., None])
    assert parts.length.sum() == LENGTHS.sum()


def test_many_short_parts_beside_a_long_one_take_little_room():
    resets = torch.zeros(2, 200, dtype=torch.bool)
    resets[1] = True
    resets[1, 50:64] = False
    parts = cut(resets, None)
    sizes = [int(parts.length[group].max()) * len(group) for group in parts.groups]
    assert len(sizes) > 1 and sum(sizes) < 2 * 400 < len(parts.length) * 200
    layer = _layer("gru")
    data = torch.randn(2, 200, 3).double()
    done = layer(data, resets=resets, trace=("z",))
    pieces = [(0, 0, 200), (1, 7, 8), (1, 49, 64), (1, 64, 65), (1, 199, 200)]
    for b, i, j in pieces:
        alone = layer(data[b : b + 1, i:j], trace=("z",))
        torch.testing.assert_close(done.output[b, i:j], alone.output[0])
        for name, values in alone.trace.items():
            torch.testing.assert_close(done.trace[name][b, i:j], values[0])


@pytest.mark.parametrize(
    ("resets", "axis"),
    [
        (torch.zeros(2, 4, dtype=torch.bool), "time"),
        (torch.zeros(3, 5, dtype=torch.bool), "batch"),
        (torch.zeros(2, 5, 1, dtype=torch.bool), "number of axes"),
        (torch.zeros(2, 5), "dtype"),
    ],
)
def test_wrong_resets_name_the_axis(resets: Tensor, axis: str):
    with pytest.raises(ShapeError, match="resets") as caught:
        Recurrent("rnn", 3, 5)(torch.zeros(2, 5, 3), resets=resets)
    assert caught.value.axis == axis
