"""The sequence model's parts against plain twins: encoders, windows, heads, and state across chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remanence.data.examples import Batch
from remanence.data.runs import learn_runs
from remanence.errors import SettingError
from remanence.nn.convolution import MaskedNorm
from remanence.nn.encoders import NumberEncoder, TokenDropout, TokenEncoder
from remanence.nn.heads import ClassifyHead, ForecastHead, StepHead
from remanence.nn.model import SequenceModel
from remanence.nn.options import RecurrentOptions
from remanence.nn.recurrent import Recurrent
from remanence.nn.window import InputLayout, denormalise, normalise, window_state
from remanence.sequences import Sequences

LENGTHS = torch.tensor([4, 0, 1, 3])


def _numbers(features: int = 2, seed: int = 0) -> Sequences:
    torch.manual_seed(seed)
    return Sequences(torch.randn(4, 4, features), LENGTHS)


def _batch(inputs: Sequences, future: torch.Tensor | None = None) -> Batch:
    return Batch(inputs, None, future, torch.arange(inputs.batch))


def test_causal_convolution_reads_no_future_step() -> None:
    encoder = NumberEncoder(2, convolution=3, width=3).eval()
    inputs = _numbers()
    encoded, _ = encoder(inputs, {})
    changed = inputs.data.clone()
    changed[:, 2:] += 1
    again, _ = encoder(Sequences(changed, LENGTHS), {})
    assert torch.equal(encoded.data[:, :2], again.data[:, :2])
    assert not torch.equal(encoded.data[0, 2:], again.data[0, 2:])


def test_causal_convolution_carries_its_past() -> None:
    encoder = NumberEncoder(2, convolution=3, width=5).eval()
    inputs = _numbers()
    whole, _ = encoder(inputs, {})
    for size in (1, 3):
        parts, state = [], {}
        for start in range(0, 4, size):
            encoded, state = encoder(inputs.chunk(start, start + size), state)
            parts.append(encoded.data)
        torch.testing.assert_close(torch.cat(parts, 1), whole.data, rtol=0, atol=1e-6)


def test_noise_and_token_dropout_act_in_training_only() -> None:
    inputs = _numbers()
    noisy = NumberEncoder(2, noise=0.5)
    assert torch.equal(noisy.eval()(inputs, {})[0].data, inputs.data * inputs.mask()[..., None])
    found = noisy.train()(inputs, {})[0].data
    assert not torch.equal(found[0], inputs.data[0]) and found[1].abs().sum() == 0
    tokens = Sequences(torch.full((4, 400), 3), torch.full((4,), 400))
    words = TokenEncoder(9, 5, TokenDropout(whole=0.25))
    assert torch.equal(words.eval()(tokens, {})[0].data[0, 0], words.vectors.weight[3])
    dropped = words.train()(tokens, {})[0].data
    gone = (dropped == 0).all(-1)
    assert 0.2 < gone.float().mean() < 0.3
    torch.testing.assert_close(dropped[~gone][0], words.vectors.weight[3] / 0.75)


def test_tokens_seen_once_are_unknown_at_times_in_training() -> None:
    torch.manual_seed(0)
    words = TokenEncoder(9, 5, TokenDropout(singles=2, unknown=0.25))
    vectors = words.vectors.weight
    tokens = Sequences(torch.tensor([6, 7, 8]).repeat_interleave(400).reshape(3, 400), torch.full((3,), 400))
    assert torch.equal(words.eval()(tokens, {})[0].data[:, 0], vectors[6:])
    found = words.train()(tokens, {})[0].data
    assert torch.equal(found[0], vectors[6].expand(400, -1))
    for row in (1, 2):
        unknown = (found[row] == vectors[1]).all(-1)
        assert 0.2 < unknown.float().mean() < 0.3
        assert torch.equal(found[row][~unknown][0], vectors[6 + row])


@pytest.mark.parametrize("ngrams", [2, 3])
def test_runs_tell_orders_apart_and_are_carried(ngrams: int) -> None:
    texts = torch.tensor([[2, 3, 4, 5], [4, 3, 2, 5], [2, 3, 5, 0], [4, 3, 5, 0]] * 2)
    runs = learn_runs([(texts.flatten().numpy(), np.repeat(np.arange(8), 4))], ngrams)
    encoder = TokenEncoder(9, 5, runs=runs, rows=64).eval()
    tokens = Sequences(torch.tensor([[2, 3, 4, 5], [4, 3, 2, 5], [2, 3, 0, 0]]), torch.tensor([4, 4, 2]))
    whole = encoder(tokens, {})[0].data
    assert not torch.allclose(whole[0, 1], whole[1, 1])
    # Two tokens back differ: a run of three sees it, a run of two does not.
    alike = encoder(Sequences(torch.tensor([[2, 3, 5], [4, 3, 5]]), torch.tensor([3, 3])), {})[0].data
    assert torch.equal(alike[0, 2], alike[1, 2]) == (ngrams == 2)
    first, state = encoder(tokens.chunk(0, 1), {})
    rest, _ = encoder(tokens.chunk(1, 4), state)
    assert torch.equal(torch.cat([first.data, rest.data], 1), whole)


def test_a_run_that_is_not_known_adds_nothing_and_learns_nothing() -> None:
    texts = np.array([2, 3, 4, 2, 3, 5])
    runs = learn_runs([(texts, np.repeat([0, 1], 3))], 2)
    # 2 at the beginning, and 2 3.
    encoder = TokenEncoder(9, 4, runs=runs)
    assert encoder.run_vectors.weight.shape == (3, 4)
    found = encoder(Sequences(torch.tensor([[2, 3, 4]]), torch.tensor([3])), {})[0].data[0]
    added = found - encoder.vectors.weight[[2, 3, 4]]
    known = encoder.run_vectors.weight[1:]
    assert all((known - added[step]).abs().amax(1).min() < 1e-6 for step in (0, 1))
    assert torch.equal(added[2], torch.zeros(4))
    found.sum().backward()
    assert encoder.run_vectors.weight.grad is not None
    assert encoder.run_vectors.weight.grad.tolist() == [[0.0] * 4, [1.0] * 4, [1.0] * 4]


def test_texts_that_share_no_run_need_no_table() -> None:
    encoder = TokenEncoder(9, 4, runs=learn_runs([(np.array([2, 3, 4]), np.arange(3))], 3))
    assert encoder.run_vectors.weight.tolist() == [[0.0] * 4]
    found = encoder(Sequences(torch.tensor([[2, 3]]), torch.tensor([2])), {})[0].data[0]
    assert torch.equal(found, encoder.vectors.weight[[2, 3]])


def test_window_level_and_spread_by_hand() -> None:
    # Targets 1, 3, (missing), of a window of three steps; a second of no step.
    data = torch.tensor([[[1.0, 0], [3.0, 0], [0.0, 1], [9.0, 0]], [[9.0, 0]] * 4])
    inputs, layout = Sequences(data, torch.tensor([3, 0])), InputLayout(2, 1, flags=(1,))
    last = window_state("last", inputs, layout)
    assert last["window.level"][0, :, 0].tolist() == [3, 0]
    assert normalise(inputs, last, layout).data[0, :3, 0].tolist() == [-2, 0, 0]
    window = window_state("window", inputs, layout)
    assert window["window.level"][0, :, 0].tolist() == [2, 0]
    assert window["window.spread"][0, :, 0].tolist() == [1, 1]
    assert normalise(inputs, window, layout).data[0, :3, 0].tolist() == [-1, 1, 0]


@pytest.mark.parametrize("kind", ["none", "last", "window"])
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 2, 3)])
def test_denormalise_undoes_normalise(kind: str, shape: tuple[int, ...]) -> None:
    inputs, layout = Sequences(torch.randn(4, 5, 3) * 4 + 7, torch.full((4,), 5)), InputLayout(3, 2)
    state = window_state(kind, inputs, layout)
    back = denormalise(normalise(inputs, state, layout).data[..., :2], state)
    torch.testing.assert_close(back, inputs.data[..., :2], rtol=0, atol=1e-5)
    assert denormalise(torch.zeros(shape), state).shape == shape


def test_a_constant_window_stays_finite() -> None:
    inputs, layout = Sequences(torch.full((1, 5, 1), 3.0), torch.tensor([5])), InputLayout(1, 1)
    state = window_state("window", inputs, layout)
    assert normalise(inputs, state, layout).data.abs().max() == 0
    assert state["window.spread"].item() == pytest.approx(0.01)


def _forecaster(head: ForecastHead | StepHead, kind: str = "last") -> SequenceModel:
    layout = InputLayout(3, 1, known=(2,))
    return SequenceModel(NumberEncoder(3), Recurrent("lstm", 3, 5), head, layout=layout, normalise=kind).eval()


def test_a_shifted_window_shifts_its_forecast() -> None:
    model = _forecaster(ForecastHead(5, 3, 1, known=1))
    inputs, future = _numbers(3), torch.randn(4, 3, 1)
    shifted = inputs.data.clone()
    shifted[..., 0] += 100
    plain, _ = model(_batch(inputs, future))
    moved, _ = model(_batch(Sequences(shifted, LENGTHS), future))
    torch.testing.assert_close(moved[[0, 2, 3]], plain[[0, 2, 3]] + 100, rtol=0, atol=1e-4)


def test_quantiles_never_cross() -> None:
    for head in (ForecastHead(5, 3, 1, quantiles=4, known=1), StepHead(5, 3, 1, quantiles=4, known=1)):
        answer, _ = _forecaster(head)(_batch(_numbers(3), torch.randn(4, 3, 1)))
        assert answer.shape == (4, 3, 1, 5)
        assert (answer[..., 1:].diff(dim=-1) >= 0).all()


def test_a_point_lies_between_the_quantiles_it_is_told_to() -> None:
    torch.manual_seed(1)
    batch = _batch(_numbers(3), torch.randn(4, 3, 1))
    outside = 0
    for kind in (ForecastHead, StepHead):
        for between in ((0, 2), (1, 1), (None, 0), (2, None)):
            model = _forecaster(kind(5, 3, 1, quantiles=3, known=1, between=between))
            point, quantiles = model(batch)[0].split([1, 3], dim=-1)
            low, high = between
            assert low is None or (point >= quantiles[..., low : low + 1]).all()
            assert high is None or (point <= quantiles[..., high : high + 1]).all()
            free, quantiles = model.train()(batch)[0].split([1, 3], dim=-1)
            outside += int((free < quantiles[..., :1]).sum() + (free > quantiles[..., -1:]).sum())
    assert outside


def test_recursive_forecast_matches_a_loop_by_hand() -> None:
    torch.manual_seed(3)
    model = _forecaster(StepHead(5, 3, 1, known=1), kind="none")
    assert isinstance(model.head, StepHead)
    data, future = torch.randn(2, 4, 3), torch.randn(2, 3, 1)
    answer, _ = model(_batch(Sequences(data, torch.tensor([4, 4])), future))
    seen = data
    for step in range(3):
        output = model.recurrent(seen).output[:, -1]
        expected = model.head.values.linear(torch.cat([output, future[:, step]], dim=1))
        torch.testing.assert_close(answer[:, step], expected, rtol=0, atol=1e-5)
        following = torch.cat([expected, seen[:, -1, 1:2], future[:, step]], dim=1)
        seen = torch.cat([seen, following[:, None]], dim=1)


def test_known_future_changes_only_its_own_step_of_a_direct_forecast() -> None:
    model = _forecaster(ForecastHead(5, 3, 1, known=1))
    inputs, future = _numbers(3), torch.randn(4, 3, 1)
    changed = future.clone()
    changed[:, 1] += 3
    difference = model(_batch(inputs, future))[0] - model(_batch(inputs, changed))[0]
    assert difference[:, [0, 2]].abs().max() == 0 and difference[:, 1].abs().max() > 0


def test_a_recursive_forecast_refuses_both_ends() -> None:
    with pytest.raises(SettingError, match="bidirectional"):
        SequenceModel(NumberEncoder(2), Recurrent("gru", 2, 5, bidirectional=True), StepHead(10, 3, 1))


def test_layers_that_read_from_both_ends_refuse_chunks() -> None:
    model = SequenceModel(NumberEncoder(2), Recurrent("gru", 2, 5, bidirectional=True), ClassifyHead(10, 3))
    batch = _batch(_numbers())
    first, second = model.chunks(batch, 2)
    _, state = model(first)
    with pytest.raises(SettingError, match="both ends"):
        model(second, state)


def test_trace_and_encode_show_what_the_layers_read() -> None:
    model = _forecaster(ForecastHead(5, 3, 1, known=1))
    batch = _batch(_numbers(3), torch.randn(4, 3, 1))
    assert model.encode(batch).data.shape == (4, 4, 3)
    traced = model.trace(batch, ("f", "c"))
    assert set(traced.trace) == {"layer0.forward.f", "layer0.forward.c"}
    torch.testing.assert_close(traced.output, model.recurrent(model.encode(batch)).output, rtol=0, atol=1e-5)


def test_masked_norm_matches_torch_on_the_valid_steps() -> None:
    torch.manual_seed(0)
    ours, theirs = MaskedNorm(3), torch.nn.BatchNorm1d(3)
    inputs = _numbers(3)
    mask = inputs.mask()
    channels, relu = inputs.data.transpose(1, 2), torch.relu
    for _ in range(2):
        found = ours(channels, inputs.lengths).transpose(1, 2)
        torch.testing.assert_close(found[mask], relu(theirs(inputs.data[mask])), rtol=0, atol=1e-5)
        assert found[~mask].abs().sum() == 0
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)
    found = ours.eval()(channels, inputs.lengths).transpose(1, 2)
    torch.testing.assert_close(found[mask], relu(theirs.eval()(inputs.data[mask])), rtol=0, atol=1e-5)


def test_differences_are_steps_and_begin_at_zero() -> None:
    encoder = NumberEncoder(1, differences=True).eval()
    inputs = Sequences(torch.tensor([[[5.0], [7.0], [4.0]]]), torch.tensor([3]))
    assert encoder(inputs, {})[0].data[0].tolist() == [[5, 0], [7, 6], [4, -9]]


@pytest.mark.parametrize("joined", ["one", "both ends", "two layers", "narrower above", "added up"])
@pytest.mark.parametrize("cell", ["lstm", "lstmp"])
def test_the_last_step_is_what_the_final_states_say(cell: str, joined: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    options = RecurrentOptions(residual=joined == "added up", proj_size=3 if cell == "lstmp" else None)
    wide = {"narrower above": [7, 5], "one": 5, "both ends": 5}.get(joined, [5, 5])
    recurrent = Recurrent(cell, 2, wide, bidirectional=joined == "both ends", options=options).double()
    head = ClassifyHead(recurrent.output_size, 3, backward=recurrent.unit_size * recurrent.bidirectional)
    model = SequenceModel(NumberEncoder(2), recurrent, head).double()
    inputs = Sequences(torch.randn(4, 9, 2, dtype=torch.float64), torch.tensor([9, 0, 1, 5]))
    more = Sequences(torch.ones(4, 3, 2, dtype=torch.float64), torch.tensor([3, 2, 0, 1]))
    known = []
    for picked in (False, True):
        if picked:
            monkeypatch.setattr(SequenceModel, "_last", lambda *_: None)
        answer, state = model(_batch(inputs))
        known.append((answer, state["pool.last"], *torch.autograd.grad(answer.square().sum(), [*model.parameters()])))
        if not recurrent.bidirectional:
            known[-1] += (model(_batch(more), state)[0],)
    for one, other in zip(*known, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
