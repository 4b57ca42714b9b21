"""What joins the layers of a stack, learnt states, clipped gradients, packed sequences, and given inputs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from remanence.cells import CELLS, Cell
from remanence.errors import SettingError, ShapeError
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

LENGTHS = torch.tensor([7, 2, 1, 4])


def _layer(name: str, hidden: int | tuple[int, ...] = 5, bidirectional: bool = False, **options: object) -> Recurrent:
    torch.manual_seed(1)
    layers = 1 if isinstance(hidden, tuple) else 3
    made = Recurrent(
        name, 3, hidden, layers=layers, bidirectional=bidirectional, options=RecurrentOptions(**options)
    ).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def _data() -> Sequences:
    torch.manual_seed(3)
    return Sequences(torch.randn(4, 7, 3).double(), LENGTHS)


def _single(layer: Recurrent, index: int) -> Recurrent:
    """One layer of a stack as a layer of its own."""
    sizes = layer.layer_sizes[index]
    options = RecurrentOptions(proj_size=sizes.get("proj"))
    alone = Recurrent(layer.cell, sizes["input"], sizes["hidden"], bidirectional=layer.bidirectional, options=options)
    for direction in layer.directions:
        setattr(alone, f"layer0_{direction}", getattr(layer, f"layer{index}_{direction}"))
    return alone


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru-before", "lstmp"])
@pytest.mark.parametrize(
    "joined",
    [
        {},
        {"residual": True},
        {"skip": True},
        {"layer_norm": True},
        {"residual": True, "skip": True, "layer_norm": True},
    ],
)
def test_stack_is_its_layers_joined_by_hand(name: str, joined: dict[str, bool], bidirectional: bool):
    layer, data = _layer(name, bidirectional=bidirectional, **joined), _data()
    done = layer(data)
    first = flow = data.data
    for index in range(3):
        read = flow
        if index and joined.get("layer_norm"):
            norm = getattr(layer, f"norm{index}")
            mean, variance = read.mean(-1, keepdim=True), read.var(-1, correction=0, keepdim=True)
            read = (read - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias
        if index and joined.get("skip"):
            read = torch.cat([read, first], -1)
        alone = _single(layer, index)(Sequences(read, LENGTHS))
        rows = len(layer.directions)
        for state, values in alone.state.items():
            torch.testing.assert_close(done.state[state][index * rows : (index + 1) * rows], values)
        flow = alone.output + flow if index and joined.get("residual") else alone.output
    torch.testing.assert_close(done.output, flow)
    assert not done.output[1, 2:].any()


def test_widths_differ_from_layer_to_layer():
    layer, data = _layer("lstm", (4, 6, 1), bidirectional=True), _data()
    done = layer(data)
    flow, finals = data.data, []
    for index in range(3):
        alone = _single(layer, index)(Sequences(flow, LENGTHS))
        flow = alone.output
        finals.append(alone.state["c"])
    torch.testing.assert_close(done.output, flow)
    assert done.state["c"].shape == (6, 4, 6)
    for index, width in enumerate((4, 6, 1)):
        mine = done.state["c"][2 * index : 2 * index + 2]
        torch.testing.assert_close(mine[..., :width], finals[index])
        assert not mine[..., width:].any()
    assert (layer.output_size, layer.hidden_size, layer.layers) == (2, 1, 3)
    again = layer(data, done.state)
    assert again.state["h"].shape == done.state["h"].shape
    # What stands beyond a narrow layer's size is not read.
    spoiled = {name: values.clone() for name, values in done.state.items()}
    spoiled["h"][4:, :, 1:] = torch.nan
    assert torch.equal(layer(data, spoiled).output, again.output)


def test_a_stream_of_differing_widths_may_be_split():
    layer, data = _layer("gru", (2, 5), residual=False, skip=True), _data()
    first = layer(data.chunk(0, 3))
    second = layer(data.chunk(3, 7), first.state)
    torch.testing.assert_close(torch.cat([first.output, second.output], 1), layer(data).output)


@pytest.mark.parametrize("name", ["lstm", "rnn", "lstmp"])
def test_learnt_states_begin_at_zero_and_learn(name: str):
    plain = Recurrent(name, 3, 5, layers=2, bidirectional=True).double()
    layer = Recurrent(name, 3, 5, layers=2, bidirectional=True, options=RecurrentOptions(learn_start=True)).double()
    missing = layer.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert len(missing) == 4 * len(layer.cell.state)
    torch.testing.assert_close(layer(_data()).output, plain(_data()).output)
    gradients = torch.autograd.grad(layer(_data()).output.sum(), [layer.get_parameter(key) for key in missing])
    assert all(gradient.any() for gradient in gradients)
    with torch.no_grad():
        for key in missing:
            layer.get_parameter(key).normal_()
    sizes = plain._own_start(_data().data)
    names = [f"start{n}_{way}" for n in range(2) for way in ("forward", "reverse")]
    start = {
        state: torch.stack([layer.get_submodule(one)[state] for one in names])[:, None].expand_as(values)  # type: ignore[index]
        for state, values in sizes.items()
    }
    torch.testing.assert_close(layer(_data()).output, plain(_data(), start).output)
    assert torch.equal(copy.deepcopy(layer)(_data()).output, layer(_data()).output)


def test_clipped_state_gradients_are_clamped_at_every_step():
    """h = 3 h + x: the gradient grows threefold a step back, until the clip holds it."""
    cell = Cell("grow", ("h",), "h", "h = u * h + W @ x", "worked by hand", start={"u": 3.0, "W": 1.0})
    layer = Recurrent(cell, 1, 1, options=RecurrentOptions(clip_state_gradient=5.0))
    inputs, start = torch.zeros(1, 5, 1, requires_grad=True), torch.zeros(1, 1, 1, requires_grad=True)
    last = layer(inputs, {"h": start}).output[0, -1].sum()
    by_inputs, by_start = torch.autograd.grad(last, [inputs, start])
    assert by_inputs.flatten().tolist() == [5.0, 5.0, 5.0, 3.0, 1.0]
    assert by_start.item() == 5.0
    plain = Recurrent(cell, 1, 1, options=RecurrentOptions(path="eager"))
    free = torch.autograd.grad(plain(inputs).output[0, -1].sum(), inputs)[0]
    assert free.flatten().tolist() == [81.0, 27.0, 9.0, 3.0, 1.0]


def test_clipped_gradients_are_the_same_compiled_and_step_by_step():
    found, lengths = [], torch.tensor([9, 0, 1, 4])
    for path, clip in (("cpu-fused", 0.05), ("eager", 0.05), ("eager", None)):
        torch.manual_seed(0)
        options = RecurrentOptions(path=path, clip_state_gradient=clip)
        layer = Recurrent("mgu", 3, 5, bidirectional=True, options=options).double()
        assert layer.path == path
        data, start = torch.randn(4, 9, 3).double().requires_grad_(), torch.randn(2, 4, 5).double().requires_grad_()
        done = layer(Sequences(data, lengths), {"h": start})
        loss = done.output.sin().sum() + done.state["h"].cos().sum()
        found.append(torch.autograd.grad(loss, [data, start, *layer.parameters()]))
    for one, other in zip(*found[:2], strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-9)
    ours, free = found[0][1], found[2][1]
    assert ours[:, [0, 2, 3]].abs().max() == 0.05 < free[:, [0, 2, 3]].abs().max()
    # A sequence without steps hands its gradient on as it came.
    torch.testing.assert_close(ours[:, 1], free[:, 1])


def test_a_wide_clip_changes_nothing_and_a_second_derivative_exists():
    layer, plain = _layer("lstm", clip_state_gradient=1e6), _layer("lstm", path="eager")
    data = torch.randn(2, 4, 3).double().requires_grad_()
    ours, theirs = (torch.autograd.grad(one(data).output.sin().sum(), data)[0] for one in (layer, plain))
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradgradcheck(lambda x: layer(x).output, data, fast_mode=True)
    jacobian = torch.func.jacrev(lambda x: layer(x).output.sum())(data.detach())
    torch.testing.assert_close(jacobian, torch.autograd.grad(plain(data).output.sum(), data)[0])
    with torch.no_grad():
        assert layer.path == "cpu-fused"


@pytest.mark.parametrize("lengths", [[7, 2, 1, 4], [7, 7, 7, 7], [3, 3, 5, 1]])
def test_packed_sequences_go_in_and_come_out(lengths: list[int]):
    layer, data = _layer("gru", bidirectional=True), _data().data
    packed = pack_padded_sequence(data, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    done, plain = layer(packed), layer(Sequences(data, torch.tensor(lengths)))
    assert isinstance(done.output, PackedSequence)
    output, came = pad_packed_sequence(done.output, batch_first=True)
    assert came.tolist() == lengths
    torch.testing.assert_close(output, plain.output[:, : max(lengths)])
    torch.testing.assert_close(done.state["h"], plain.state["h"])


def test_packed_sequences_of_sorted_lengths_keep_their_order():
    layer, data = _layer("gru"), _data().data
    packed = pack_padded_sequence(data, torch.tensor([7, 4, 2, 1]), batch_first=True)
    theirs = torch.nn.GRU(3, 5, batch_first=True).double()(packed)[0]
    mine = layer(packed).output
    assert isinstance(mine, PackedSequence)
    assert torch.equal(mine.batch_sizes, theirs.batch_sizes)
    assert mine.data.shape == theirs.data.shape


def test_given_inputs_are_read_where_they_stand_in_both_directions():
    layer = Recurrent("gru-d", 3, 5, bidirectional=True).double()
    data = _data()
    given = {name: torch.rand(4, 7, 3).double() for name in CELLS["gru-d"].given}
    done = layer(data, given=given)
    for b, length in enumerate(LENGTHS.tolist()):
        alone = layer(data.data[b : b + 1, :length], given={k: v[b : b + 1, :length] for k, v in given.items()})
        torch.testing.assert_close(done.output[b, :length], alone.output[0])
    turned = {name: values.flip(1) for name, values in given.items()}
    swapped = copy.deepcopy(layer)
    swapped.layer0_forward, swapped.layer0_reverse = layer.layer0_reverse, layer.layer0_forward
    back = swapped(data.data.flip(1), given=turned).output.flip(1)
    torch.testing.assert_close(back.roll(5, 2), layer(data.data, given=given).output)


def test_given_inputs_of_every_size_are_compiled_with_their_gradients():
    equations = "a = exp(-relu(v * d))\nh = a * tanh(W @ (m * x) + U @ h) + k * h"
    cell = Cell("outside", ("h",), "h", equations, "none", given={"m": "input", "d": "hidden", "k": "1"})
    sizes, found = {"m": 3, "d": 5, "k": 1}, []
    for path in ("cpu-fused", "eager"):
        torch.manual_seed(0)
        layer = Recurrent(cell, 3, 5, bidirectional=True, options=RecurrentOptions(path=path)).double()
        assert layer.path == path
        data = torch.randn(4, 9, 3).double().requires_grad_()
        given = {name: torch.rand(4, 9, size).double().requires_grad_() for name, size in sizes.items()}
        done = layer(Sequences(data, torch.tensor([9, 0, 1, 4])), given=given)
        loss = done.output.sin().sum() + done.state["h"].cos().sum()
        leaves = [data, *given.values(), *layer.parameters()]
        found.append([done.output, *torch.autograd.grad(loss, leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-9)


def test_masked_layers_compile_without_a_break():
    torch.manual_seed(0)
    # The kernel of these masks is compiled for their own tests too.
    options = RecurrentOptions(recurrent_dropout=0.2, zoneout=0.2, variational_dropout=0.2, learn_start=True)
    layer = Recurrent("mgu", 3, 5, options=options).double()
    compiled, data = torch.compile(layer, fullgraph=True, backend="eager"), torch.randn(2, 9, 3).double()
    torch.manual_seed(1)
    ours = compiled(data).output
    torch.manual_seed(1)
    torch.testing.assert_close(ours, layer(data).output)


def test_the_layer_describes_what_was_added():
    layer = _layer("lstm", (4, 5), zoneout=0.1, skip=True, clip_state_gradient=2.0)
    assert "options     zoneout 0.1; skip; clip state gradient 2.0" in layer.describe()
    assert "options" not in Recurrent("lstm", 3, 5).describe()


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        (None, "given"),
        ({"m": torch.zeros(2, 4, 3), "delta": torch.zeros(2, 4, 3)}, "given"),
        (dict.fromkeys(("m", "delta", "last"), torch.zeros(2, 4, 2)), "input"),
        (dict.fromkeys(("m", "delta", "last"), torch.zeros(2, 5, 3)), "time"),
        (dict.fromkeys(("m", "delta", "last"), torch.zeros(3, 4, 3)), "batch"),
        (dict.fromkeys(("m", "delta", "last"), torch.zeros(2, 4)), "number of axes"),
        (dict.fromkeys(("m", "delta", "last"), torch.zeros(2, 4, 3).double()), "dtype"),
    ],
)
def test_wrong_given_inputs_name_the_axis(given, axis: str):
    with pytest.raises(ShapeError, match="given") as caught:
        Recurrent("gru-d", 3, 5)(torch.zeros(2, 4, 3), given=given)
    assert caught.value.axis == axis
    with pytest.raises(ShapeError, match="should be none, came"):
        Recurrent("gru", 3, 5)(torch.zeros(2, 4, 3), given={"m": torch.zeros(2, 4, 3)})


@pytest.mark.parametrize(
    ("hidden", "layers", "options", "name"),
    [
        ((4, 5), 3, {}, "hidden-size"),
        ((), 1, {}, "hidden-size"),
        ((4, 0), 1, {}, "hidden-size"),
        ("45", 1, {}, "hidden-size"),
        (4.0, 1, {}, "hidden-size"),
        ((4, 5), 2, {"residual": True}, "residual"),
        (4, 1, {"clip_state_gradient": 0.0}, "clip-state-gradient"),
        (4, 1, {"clip_state_gradient": "no"}, "clip-state-gradient"),
        (4, 1, {"path": "fast"}, "path"),
        (4, 1, {"recurrent_init": "zeros"}, "recurrent-init"),
    ],
)
def test_wrong_stacks_are_refused(hidden, layers: int, options: dict, name: str):
    with pytest.raises(SettingError, match=f"--{name}: "):
        Recurrent("lstm", 3, hidden, layers=layers, options=RecurrentOptions(**options))
    with pytest.raises(SettingError, match=r"--layers: .*of the input's size"):
        Recurrent("gru-d", 3, 4, layers=2)


@pytest.mark.parametrize(
    ("call", "axis", "expected"),
    [
        (
            lambda layer, x: layer(x, (torch.zeros(1, 2, 5),) * 2),
            "type",
            r"a dictionary \{'h': …, 'c': …\}, came tuple",
        ),
        (lambda layer, x: layer(x, {"h": [0.0], "c": [0.0]}), "type", "torch.Tensor, came list"),
        (lambda layer, x: layer(x.numpy()), "type", "torch.Tensor, came ndarray"),
        (lambda layer, x: layer(x, given=[x]), "type", "came list"),
        (lambda layer, x: layer(x, resets=[True]), "type", "came list"),
        (
            lambda layer, x: layer.bfloat16()(x.bfloat16()),
            "dtype",
            "torch.float32 or torch.float64, came torch.bfloat16",
        ),
    ],
)
def test_what_is_no_tensor_or_has_no_kernel_is_told(call, axis: str, expected: str):
    with pytest.raises(ShapeError, match=expected) as caught:
        call(Recurrent("lstm", 3, 5, options=RecurrentOptions(path="cpu-fused")), torch.zeros(2, 4, 3))
    assert caught.value.axis == axis


@pytest.mark.parametrize("path", ["auto", "eager"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_told_by_name_and_place(path: str, value: float):
    layer = Recurrent("lstm", 3, 5, layers=2, options=RecurrentOptions(path=path))
    with torch.no_grad():
        layer.layer0_forward.get_parameter("U_g")[2, 4] = value
        layer.layer0_forward.get_parameter("U_i")[2, 4] = value
    start = {name: torch.rand(2, 4, 5) for name in "hc"}
    if value != value:
        with pytest.raises(ShapeError, match=r"'layer0_forward.U_i'.*should be finite, came nan at \[2, 4\]"):
            layer(torch.randn(4, 7, 3), start)
    # An infinity that saturates is a result like any other; NaN in the data is the data's.
    assert torch.isnan(Recurrent("lstm", 3, 5)(torch.full((1, 2, 3), torch.nan)).output).all()
