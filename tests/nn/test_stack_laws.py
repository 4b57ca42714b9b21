"""Laws of every stack, whatever its options: neighbours, padding, chunks and resets change no result."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.cells import CELLS
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

TIME = 11
# Kernels of these are compiled for other tests too; all others run step by step.
COMPILED = ("lstm", "gru-before", "lstm-peephole")


@st.composite
def stacks(draw: st.DrawFn) -> Recurrent:
    name = draw(st.sampled_from(sorted(CELLS)))
    cell = CELLS[name]
    same = draw(st.booleans())
    widths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=1 if cell.given else 3))
    widths = [widths[0]] * len(widths) if same else widths
    flag = st.booleans()
    options = RecurrentOptions(
        path="auto" if name in COMPILED else "eager",
        zoneout=draw(st.sampled_from([0.0, 0.4])),
        learn_start=draw(flag),
        residual=same and draw(flag),
        skip=draw(flag),
        layer_norm=draw(flag),
        checkpoint=draw(st.sampled_from([None, 1, 4])),
        clip_state_gradient=draw(st.sampled_from([None, 0.5])),
    )
    torch.manual_seed(draw(st.integers(0, 99)))
    layer = Recurrent(cell, 3, widths, bidirectional=draw(flag), options=options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return layer.eval()


def _batch(layer: Recurrent, lengths: list[int]) -> tuple[Sequences, dict, dict, torch.Tensor]:
    count = len(lengths)
    data = Sequences(torch.randn(count, TIME, 3).double(), torch.tensor(lengths))
    outside = {name: torch.rand(count, TIME, 3).double() for name in layer.cell.given}
    start = {name: values + 0.5 * torch.rand_like(values) for name, values in layer._own_start(data.data).items()}
    return data, outside, start, torch.rand(count, TIME) < 0.2


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(layer=stacks(), lengths=st.lists(st.integers(0, TIME), min_size=1, max_size=4), cut=st.integers(0, TIME))
def test_stack_gives_a_sequence_what_it_gives_it_alone(layer: Recurrent, lengths: list[int], cut: int):
    data, outside, start, resets = _batch(layer, lengths)
    done = layer(data, start, given=outside, resets=resets)
    weights = list(layer.parameters())
    for gradient in torch.autograd.grad(done.output.sum(), weights, materialize_grads=True):
        assert torch.isfinite(gradient).all()
    padded = data.data.clone()
    padded[~data.mask()] = torch.nan
    with torch.no_grad():
        filled = layer(Sequences(padded, data.lengths), start, given=outside, resets=resets)
        torch.testing.assert_close(filled.output, done.output)
        for b, length in enumerate(lengths):
            alone = layer(
                data.data[b : b + 1, :length],
                {name: values[:, b : b + 1] for name, values in start.items()},
                given={name: values[b : b + 1, :length] for name, values in outside.items()},
                resets=resets[b : b + 1, :length],
            )
            torch.testing.assert_close(done.output[b, :length], alone.output[0])
            for name, values in alone.state.items():
                torch.testing.assert_close(done.state[name][:, b], values[:, 0])
        if not layer.bidirectional:
            first = layer(data.chunk(0, cut), start, given=_part(outside, 0, cut), resets=resets[:, :cut])
            second = layer(data.chunk(cut, TIME), first.state, given=_part(outside, cut, TIME), resets=resets[:, cut:])
            torch.testing.assert_close(torch.cat([first.output, second.output], 1), done.output)
            for name, values in second.state.items():
                torch.testing.assert_close(values, done.state[name])


def _part(outside: dict[str, torch.Tensor], start: int, stop: int) -> dict[str, torch.Tensor]:
    return {name: values[:, start:stop] for name, values in outside.items()}
