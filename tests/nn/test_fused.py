"""Which calls take a compiled kernel, and that the choice changes nothing but the time."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from remanence.compiler import kernel
from remanence.nn import Recurrent, RecurrentOptions, fused, quick
from remanence.sequences import Sequences

CELL = "gru-before"
EAGER = RecurrentOptions(path="eager")


def _pair(**options: object) -> tuple[Recurrent, Recurrent]:
    torch.manual_seed(0)
    layer = Recurrent(CELL, 3, 5, **options).double()  # type: ignore[arg-type]
    eager = Recurrent(CELL, 3, 5, options=EAGER, **options).double()  # type: ignore[arg-type]
    eager.load_state_dict(layer.state_dict())
    return layer, eager


def _taken(layer: Recurrent, data: Tensor) -> str:
    return layer._choose((), data)[0]


def test_kernel_is_the_choice_where_it_can_run() -> None:
    data = torch.zeros(2, 9, 3)
    assert _taken(Recurrent(CELL, 3, 5), data) == "cpu-fused"
    assert _taken(Recurrent("lstm", 3, 5), data) == "cpu-fused"
    assert _taken(Recurrent("lstm", 3, 5), data[:, : fused.SHORTEST - 1]) == "torch"
    assert _taken(Recurrent(CELL, 3, 5, options=EAGER), data) == "eager"
    assert _taken(Recurrent(CELL, 3, 5), data[:, : fused.SHORTEST - 1]) == "eager"
    assert _taken(Recurrent("minlstm", 3, 5), data) == "cpu-fused"
    assert _taken(Recurrent("gru", 3, 5), data) == "cpu-fused"
    assert _taken(Recurrent("gru", 3, 5), data[:, : fused.SHORTEST - 1]) == "torch"
    assert _taken(Recurrent("gru", 3, 5, options=RecurrentOptions(path="torch")), data) == "torch"
    asked = Recurrent(CELL, 3, 5, options=RecurrentOptions(path="cpu-fused"))
    assert _taken(asked, data[:, :1]) == "cpu-fused"
    assert _taken(asked, data[:, :0]) == "eager"
    assert _taken(Recurrent(CELL, 3, 5).bfloat16(), data.bfloat16()) == "eager"
    assert Recurrent(CELL, 3, 5)(data, trace=("r",)).trace["layer0.forward.r"].shape == (2, 9, 5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_choice_changes_no_result(bidirectional: bool) -> None:
    layer, eager = _pair(layers=2, bidirectional=bidirectional)
    data = torch.randn(3, 9, 3, dtype=torch.float64)
    data[0, 4:] = torch.nan
    found = []
    for one in (layer, eager):
        leaf = data.clone().requires_grad_()
        done = one(Sequences(leaf, torch.tensor([4, 0, 9])))
        (done.output.square().sum() + done.state["h"].sum()).backward()
        assert leaf.grad is not None
        found.append([done.output, done.state["h"], leaf.grad, *(p.grad for p in one.parameters())])
    for ours, reference in zip(*found, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12)


# Torch's own forward mode loads parts of torch that warn of other parts.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_other_ways_to_differentiate_take_the_equations() -> None:
    layer, eager = _pair()
    data = torch.randn(2, 8, 3, dtype=torch.float64)

    def total(one: Recurrent, x: Tensor) -> Tensor:
        return one(x).output.square().sum()

    assert torch.equal(
        torch.func.grad(lambda x: total(layer, x))(data), torch.func.grad(lambda x: total(eager, x))(data)
    )
    each = torch.func.vmap(lambda x: layer(x[None]).output[0])(data)
    torch.testing.assert_close(each, layer(data).output)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(data, torch.ones_like(data))
        assert torch.autograd.forward_ad.unpack_dual(layer(dual).output).tangent is not None
    hessians = [torch.autograd.functional.hvp(lambda x, o=one: total(o, x), data, data)[1] for one in (layer, eager)]
    torch.testing.assert_close(*hessians)


def test_output_changed_in_place_is_an_error_and_no_wrong_gradient() -> None:
    layer, _ = _pair()
    output = layer(torch.randn(2, 8, 3, dtype=torch.float64)).output
    loss = output.square().sum()
    with torch.no_grad():
        output.mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def _forget() -> None:
    """What was found of kernels so far."""
    for known in (fused._failure, fused._missing, quick._cell_loops):
        known.cache_clear()


def test_what_cannot_be_built_runs_the_equations_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise NotImplementedError("no such processor\nmore")

    monkeypatch.setattr(kernel, "tiles", broken)
    _forget()
    try:
        layer, eager = _pair()
        data = torch.randn(2, 8, 3, dtype=torch.float64)
        with pytest.warns(RuntimeWarning, match="gru-before.*eager.*NotImplementedError: no such processor"):
            output = layer(data).output
        assert torch.equal(output, eager(data).output)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert layer._choose((), data)[1].startswith("no kernel could be built")
    finally:
        _forget()


def test_without_llvm_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError("No module named 'llvmlite'")

    monkeypatch.setattr(fused.importlib, "import_module", missing)
    _forget()
    try:
        layer, _ = _pair()
        assert layer.path == "eager"
        assert "llvmlite is missing or broken here (ImportError: No module named 'llvmlite')" in layer.path_reason
        assert layer(torch.zeros(1, 9, 3, dtype=torch.float64)).output.shape == (1, 9, 5)
    finally:
        _forget()


def test_default_device_elsewhere_is_no_place_for_kernels() -> None:
    layer, eager = _pair()
    data = torch.randn(2, 9, 3, dtype=torch.float64)
    output = layer(data).output
    with torch.device("meta"):
        assert _taken(layer, data) == "eager"
        for path in ("eager", "cpu-fused"):
            layer = Recurrent(CELL, 3, 5, options=RecurrentOptions(path=path)).to_empty(device="cpu").double()
            layer.load_state_dict(eager.state_dict())
            torch.testing.assert_close(layer(data).output, output)
        output.sum().backward()


def test_gradients_through_a_trace_are_those_of_the_equations() -> None:
    layer, eager = _pair()
    data = torch.randn(3, 9, 3, dtype=torch.float64)
    found = []
    for one in (layer, eager):
        leaf = data.clone().requires_grad_()
        done = one(leaf, trace=("z",))
        (done.trace["layer0.forward.z"].square().sum() + done.output.sum()).backward()
        assert leaf.grad is not None
        found.append([leaf.grad, *(p.grad for p in one.parameters())])
    assert layer._choose(("z",), data.requires_grad_())[0] == "cpu-fused"
    for ours, reference in zip(*found, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12)
