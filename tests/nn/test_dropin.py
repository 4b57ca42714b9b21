"""The drop-in layers beside torch.nn's own: outputs, states, every gradient, and everything a program may look at."""

from __future__ import annotations

import copy
import io
import warnings
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import remanence.nn as ours
from remanence.errors import SettingError, ShapeError
from remanence.sequences import Sequences

TIME, FEATURES, HIDDEN = 9, 3, 5
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", {}),
    "lstmp": ("LSTM", {"proj_size": 2}),
    "gru": ("GRU", {}),
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
}
GRID = [
    {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    for layers, both, (bias, first) in product((1, 2), (False, True), ((True, False), (False, True)))
]
TOLERANCE = {torch.float64: {"rtol": 1e-9, "atol": 1e-11}, torch.float32: {"rtol": 2e-5, "atol": 2e-5}}

every_kind = pytest.mark.parametrize("kind", KINDS)
# Of a projection in float32 torch says that it has no fast kernel.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")


def twins(kind: str, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[nn.RNNBase, Any]:
    """Torch's layer and ours from one seed."""
    name, special = KINDS[kind]
    made = []
    for home in (nn, ours):
        torch.manual_seed(0)
        made.append(getattr(home, name)(FEATURES, HIDDEN, dtype=dtype, **special, **options))
    return made[0], made[1]


def state_of(layer: nn.RNNBase, *batch: int) -> Any:
    """A state to start from that is not zero."""
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    dtype = next(layer.parameters()).dtype
    h = torch.randn(rows, *batch, layer.proj_size or HIDDEN, dtype=dtype)
    return (h, torch.randn(rows, *batch, HIDDEN, dtype=dtype)) if layer.mode == "LSTM" else h


def leaves(found: Any) -> list[Tensor]:
    """All floating tensors inside an output."""
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, Sequences | PackedSequence):
        return [found.data]
    return [leaf for part in found or () for leaf in leaves(part)]


def results(layer: nn.RNNBase, inputs: Any, hx: Any) -> list[Tensor]:
    """Outputs, final states, and the gradients of a loss that depends on all of them."""
    layer.zero_grad()
    asked = [leaf.detach().requires_grad_() for leaf in (*leaves(inputs), *leaves(hx))]
    rest = iter(asked[1:])
    start = tuple(rest) if isinstance(hx, tuple) else next(rest, None)
    if isinstance(inputs, PackedSequence):
        read: Any = PackedSequence(asked[0], *inputs[1:])
    else:
        read = Sequences(asked[0], inputs.lengths) if isinstance(inputs, Sequences) else asked[0]
    found = leaves(layer(read, start))
    torch.manual_seed(3)
    sum((leaf * torch.randn_like(leaf)).sum() for leaf in found).backward()  # type: ignore[union-attr]
    gradients = [leaf.grad for leaf in (*asked, *layer.parameters())]
    assert all(gradient is not None for gradient in gradients)
    return [*found, *gradients]  # type: ignore[list-item]


def assert_twins_agree(theirs: nn.RNNBase, layer: Any, inputs: Any, hx: Any) -> None:
    dtype = next(layer.parameters()).dtype
    expected, came = results(theirs, inputs, hx), results(layer, inputs, hx)
    assert len(came) == len(expected)
    for ours_, theirs_ in zip(came, expected, strict=True):
        assert ours_.shape == theirs_.shape and ours_.dtype == theirs_.dtype
        torch.testing.assert_close(ours_, theirs_, **TOLERANCE[dtype])


@every_kind
@pytest.mark.parametrize("number", range(len(GRID)))
def test_layer_gives_what_torch_gives(kind: str, number: int) -> None:
    options = GRID[number]
    theirs, layer = twins(kind, **options)
    shape = (3, TIME, FEATURES) if options["batch_first"] else (TIME, 3, FEATURES)
    inputs = torch.randn(shape, dtype=torch.float64)
    assert_twins_agree(theirs, layer, inputs, None)
    assert_twins_agree(theirs, layer, inputs, state_of(theirs, 3))
    assert_twins_agree(theirs, layer, inputs.select(0 if options["batch_first"] else 1, 1), state_of(theirs))
    assert_twins_agree(theirs, layer, inputs.select(0 if options["batch_first"] else 1, 1), None)
    parts = [torch.randn(length, FEATURES, dtype=torch.float64) for length in (2, 9, 1, 9)]
    packed = pack_sequence(parts, enforce_sorted=False)
    assert_twins_agree(theirs, layer, packed, None)
    assert_twins_agree(theirs, layer, packed, state_of(theirs, 4))


@every_kind
def test_layer_gives_what_torch_gives_in_single_precision(kind: str) -> None:
    theirs, layer = twins(kind, torch.float32, num_layers=2, bidirectional=True)
    for time, batch in ((1, 1), (2, 3), (63, 3)):
        assert_twins_agree(theirs, layer, torch.randn(time, batch, FEATURES), state_of(theirs, batch))
    parts = [torch.randn(length, FEATURES) for length in (63, 12, 1)]
    assert_twins_agree(theirs, layer, pack_sequence(parts), None)


@every_kind
def test_packed_output_keeps_its_order(kind: str) -> None:
    theirs, layer = twins(kind)
    parts = [torch.randn(length, FEATURES, dtype=torch.float64) for length in (4, 9, 1)]
    whole = pack_sequence([parts[1], parts[1] + 1])
    for packed in (
        pack_sequence(parts, enforce_sorted=False),
        pack_sequence(sorted(parts, key=len, reverse=True)),
        whole,
    ):
        expected, came = theirs(packed)[0], layer(packed)[0]
        assert isinstance(came, PackedSequence)
        torch.testing.assert_close(came.data, expected.data)
        for one, other in zip(came[1:], expected[1:], strict=True):
            assert (one is None and other is None) or torch.equal(one, other)


@every_kind
@pytest.mark.parametrize("path", ["fused", "torch"])
def test_sequences_are_read_to_their_own_ends(kind: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "torch":
        monkeypatch.setattr("remanence.nn.dropin.route", lambda *_, **__: ("torch", ""))
    theirs, layer = twins(kind, num_layers=2, bidirectional=True)
    lengths = torch.tensor([4, 0, 9, 1])
    data = torch.randn(4, TIME, FEATURES, dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        data[row, length:] = torch.nan
    start = state_of(theirs, 4)
    for hx in (None, start):
        output, last = layer(Sequences(data, lengths), hx)
        assert isinstance(output, Sequences) and torch.equal(output.lengths, lengths)
        assert not output.data[~output.mask()].any()
        for row, length in enumerate(lengths.tolist()):
            each = [leaf[:, row] for leaf in leaves(hx)]
            if not length:
                expected = each or [torch.zeros_like(leaf[:, row]) for leaf in leaves(last)]
            else:
                given = tuple(each) if len(each) == 2 else each[0] if each else None
                alone, state = theirs(data[row, :length], given)
                torch.testing.assert_close(output.data[row, :length], alone)
                expected = leaves(state)
            torch.testing.assert_close([leaf[:, row] for leaf in leaves(last)], expected)
    whole = Sequences(torch.nan_to_num(data), torch.full((4,), TIME))
    torch.testing.assert_close(
        layer(whole, start)[0].data, theirs(whole.data.transpose(0, 1), start)[0].transpose(0, 1)
    )
    assert all(gradient.isfinite().all() for gradient in results(layer, Sequences(data, lengths), start))


@every_kind
@pytest.mark.parametrize("ragged", [False, True])
def test_dropout_draws_what_torch_draws(kind: str, ragged: bool) -> None:
    theirs, layer = twins(kind, num_layers=3, dropout=0.5, bidirectional=True)
    parts = [torch.randn(length, FEATURES, dtype=torch.float64) for length in (9, 4, 3)]
    inputs = pack_sequence(parts) if ragged else torch.randn(TIME, 3, FEATURES, dtype=torch.float64)
    for training in (True, False):
        found = []
        for one in (theirs.train(training), layer.train(training)):
            torch.manual_seed(5)
            found.append(leaves(one(inputs)))
        torch.testing.assert_close(*found)


@every_kind
def test_layer_is_told_from_torch_by_nothing_but_its_module(kind: str) -> None:
    for options in ({}, {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.1, "bidirectional": True}):
        theirs, layer = twins(kind, **options)
        assert isinstance(layer, type(theirs)) and repr(layer) == repr(theirs)
        assert {**layer.state_dict()}.keys() == {**theirs.state_dict()}.keys()
        for (name, ours_), (other, theirs_) in zip(layer.named_parameters(), theirs.named_parameters(), strict=True):
            assert name == other and torch.equal(ours_, theirs_)
        assert [len(part) for part in layer.all_weights] == [len(part) for part in theirs.all_weights]
        hidden = {"_flat_weights", "_flat_weight_refs", "_parameters", "training"}
        for name in {*vars(theirs)} - hidden:
            assert getattr(layer, name) == getattr(theirs, name), name
        assert layer.flatten_parameters() is None
        layer.load_state_dict(theirs.state_dict())


def test_arguments_go_by_place_as_in_torch() -> None:
    assert repr(ours.RNN(3, 5, 2, "relu", False, True)) == repr(nn.RNN(3, 5, 2, "relu", False, True))
    assert ours.RNN(3, 5, 2, "relu", False, True).mode == "RNN_RELU"
    assert repr(ours.LSTM(3, 5, 2, False, True, 0.1, True, 2)) == repr(nn.LSTM(3, 5, 2, False, True, 0.1, True, 2))
    assert repr(ours.GRU(3, 5, 2, False, True, 0.1, True)) == repr(nn.GRU(3, 5, 2, False, True, 0.1, True))


@every_kind
def test_layer_travels_as_a_module_does(kind: str) -> None:
    _, layer = twins(kind, num_layers=2)
    inputs = torch.randn(TIME, 2, FEATURES, dtype=torch.float64)
    expected = leaves(layer(inputs))
    stored = io.BytesIO()
    torch.save(layer, stored)
    stored.seek(0)
    for other in (copy.deepcopy(layer), torch.load(stored, weights_only=False)):
        assert type(other) is type(layer)
        torch.testing.assert_close(leaves(other(inputs)), expected, rtol=0, atol=0)
    single = copy.deepcopy(layer).float()
    torch.testing.assert_close(
        leaves(single(inputs.float())), [leaf.float() for leaf in expected], rtol=1e-4, atol=1e-5
    )
    assert single.double().weight_ih_l0.dtype == torch.float64
    half = layer.bfloat16()
    assert half.path == "torch" and half(inputs.bfloat16())[0].dtype == torch.bfloat16
    assert layer.to("meta")(inputs.bfloat16().to("meta"))[0].device.type == "meta"


MISTAKES = {
    "number of axes": (torch.zeros(2), None),
    "feature": (torch.zeros(9, 2, 4), None),
    "dtype": (torch.zeros(9, 2, 3, dtype=torch.float64), None),
    "layers × directions": (torch.zeros(9, 2, 3), torch.zeros(2, 2, 5)),
    "batch": (torch.zeros(9, 2, 3), torch.zeros(1, 3, 5)),
    "hidden": (torch.zeros(9, 2, 3), torch.zeros(1, 2, 4)),
    "state": (torch.zeros(9, 2, 3), torch.zeros(1, 2, 5)),
    "device": (torch.zeros(9, 2, 3, device="meta"), None),
}


@pytest.mark.parametrize("axis", MISTAKES)
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_wrong_shapes_name_the_axis(axis: str, name: str) -> None:
    inputs, hx = MISTAKES[axis]
    if name == "LSTM" and hx is not None and axis != "state":
        hx = (hx, torch.zeros(1, 2, 5))
    if name == "GRU" and axis == "state":
        hx = (hx, hx)
    layer = getattr(ours, name)(3, 5)
    with pytest.raises(ShapeError) as found:
        layer(inputs, hx)
    assert found.value.axis == axis and isinstance(found.value, RuntimeError) and isinstance(found.value, ValueError)
    if axis == "number of axes":
        assert "3 (time, batch, feature), or 2 (time, feature)" in str(found.value)


@every_kind
def test_weights_that_do_not_fit_are_refused(kind: str) -> None:
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_hh_l0"):
        _, layer = twins(kind)
        data = torch.randn(TIME, 2, FEATURES, dtype=torch.float64)
        packed = pack_sequence([data[:, 0], data[:4, 1]])
        weight = getattr(layer, name)
        wrong = [weight[:-1], weight.float(), weight.to("meta")] + ([weight[:, :-1]] if weight.ndim > 1 else [])
        for tensor in wrong:
            setattr(layer, name, nn.Parameter(tensor.detach().clone()))
            with pytest.raises(RuntimeError):
                layer(packed)


def test_wrong_settings_are_what_torch_raises() -> None:
    for wrong in ({"hidden_size": 0}, {"dropout": 2.0}, {"proj_size": 9}):
        with pytest.raises(ValueError, match=r"\S") as found:
            ours.LSTM(**{"input_size": 3, "hidden_size": 5, **wrong})  # type: ignore[arg-type]
        assert isinstance(found.value, SettingError)
    with pytest.raises(TypeError) as refused:
        ours.GRU(3, 5, layers=2)
    assert isinstance(refused.value, SettingError)
    with pytest.raises(ValueError, match="nonlinearity"):
        ours.RNN(3, 5, nonlinearity="sine")


@every_kind
def test_empty_axes_are_what_torch_makes_of_them(kind: str) -> None:
    theirs, layer = twins(kind)
    nobody = torch.zeros(TIME, 0, FEATURES, dtype=torch.float64)
    torch.testing.assert_close(leaves(layer(nobody)), leaves(theirs(nobody)))
    never = torch.zeros(0, 2, FEATURES, dtype=torch.float64)
    for one in (theirs, layer):
        with pytest.raises(RuntimeError):
            one(never)


def test_layer_says_which_way_it_goes() -> None:
    assert (ours.GRU(3, 5).path, ours.GRU(3, 5).half().path) == ("cpu-fused", "torch")
    assert ours.LSTM(3, 5).path == "cpu-fused"
    assert "float16" in ours.GRU(3, 5).half().path_reason


def test_what_the_user_can_mend_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError("No module named 'llvmlite'")

    from remanence.nn import fused, quick, route

    monkeypatch.setattr(fused.importlib, "import_module", missing)
    found = (fused._missing, quick._loops, route._warn)
    for known in found:
        known.cache_clear()
    try:
        theirs, layer = twins("gru")
        data = torch.randn(TIME, 2, FEATURES, dtype=torch.float64)
        with pytest.warns(RuntimeWarning, match="torch's own kernels.*llvmlite"):
            output = layer(data)[0]
        assert torch.equal(output, theirs(data)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            layer(data)
            assert (layer.path, layer.path_reason[:19]) == ("torch", "llvmlite is missing")
    finally:
        for known in found:
            known.cache_clear()


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cell_gives_what_torch_gives(name: str) -> None:
    for options in ({}, {"bias": False}, {"dtype": torch.float64}):
        made = []
        for home in (nn, ours):
            torch.manual_seed(0)
            made.append(getattr(home, name)(FEATURES, HIDDEN, **options))
        assert repr(made[0]) == repr(made[1]) and isinstance(made[1], type(made[0]))
        torch.testing.assert_close(dict(made[1].state_dict()), dict(made[0].state_dict()), rtol=0, atol=0)
        dtype = made[0].weight_ih.dtype
        for batch in ((3,), ()):
            data, h = torch.randn(*batch, FEATURES, dtype=dtype), torch.randn(*batch, HIDDEN, dtype=dtype)
            for hx in (None, (h, 2 * h) if name == "LSTMCell" else h):
                torch.testing.assert_close(leaves(made[1](data, hx)), leaves(made[0](data, hx)), rtol=0, atol=0)


def test_cell_names_the_axis() -> None:
    cell = ours.GRUCell(3, 5)
    wrong = {
        "number of axes": (torch.zeros(1, 1, 3), None),
        "feature": (torch.zeros(2, 4), None),
        "batch": (torch.zeros(2, 3), torch.zeros(3, 5)),
        "hidden": (torch.zeros(3), torch.zeros(4)),
        "dtype": (torch.zeros(3).double(), None),
    }
    for axis, (data, hx) in wrong.items():
        with pytest.raises(ShapeError) as found:
            cell(data, hx)
        assert found.value.axis == axis
    with pytest.raises(RuntimeError, match="state"):
        ours.LSTMCell(3, 5)(torch.zeros(2, 3), (torch.zeros(2, 5),))
