"""Chunks that are computed again on the way back: the same results and gradients, at a fraction of the memory."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

from remanence.compiler.emit_torch import Run
from remanence.errors import SettingError
from remanence.nn import checkpoint
from remanence.nn.recurrent import Recurrent, RecurrentOptions
from remanence.sequences import Sequences

LENGTHS = torch.tensor([23, 0, 1, 12])


def _layer(name: str, checkpoint: int | None, **options: Any) -> Recurrent:
    torch.manual_seed(1)
    made = RecurrentOptions(checkpoint=checkpoint, **options)
    return Recurrent(name, 3, 5, layers=2, bidirectional=True, options=made).double()


@pytest.mark.parametrize("steps", [1, 4, 23, 50])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {}),
        ("lstm", {"path": "eager", "clip_state_gradient": 0.01}),
        ("gru", {"path": "eager", "zoneout": 0.2, "variational_dropout": 0.2}),
        ("gru-before", {"learn_start": True}),
    ],
)
def test_checkpoints_change_no_result_and_no_gradient(name: str, options: dict, steps: int):
    torch.manual_seed(0)
    data = torch.randn(4, 23, 3).double().requires_grad_()
    found = []
    for layer in (_layer(name, None, **options), _layer(name, steps, **options)):
        start = {state: torch.full((4, 4, 5), 0.3).double().requires_grad_() for state in layer.cell.state}
        torch.manual_seed(2)
        done = layer(Sequences(data, LENGTHS), start)
        loss = done.output.sin().sum() + sum(values.cos().sum() for values in done.state.values())
        leaves = [data, *start.values(), *layer.parameters()]
        found.append([loss, *torch.autograd.grad(loss, leaves, materialize_grads=True)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("path", ["eager", "cpu-fused"])
def test_a_loss_of_final_states_alone_makes_no_gradient_of_the_output(path: Any, monkeypatch: pytest.MonkeyPatch):
    data, found, arrived = torch.randn(4, 23, 3).double().requires_grad_(), [], []
    by_chunk = checkpoint._gradients

    def note(done: Run, plan: Any, arriving: Any, asked: Any) -> Any:
        arrived.append(arriving[0])
        return by_chunk(done, plan, arriving, asked)

    monkeypatch.setattr(checkpoint, "_gradients", note)
    for steps in (None, 4):
        torch.manual_seed(1)
        layer = Recurrent("lstm", 3, 5, options=RecurrentOptions(path=path, checkpoint=steps)).double()
        state = layer(Sequences(data, LENGTHS)).state
        found.append(torch.autograd.grad(state["c"].sin().sum(), [data, *layer.parameters()]))
    torch.testing.assert_close(found[1], found[0], atol=1e-10, rtol=1e-9)
    assert arrived == [None] * 6


def test_checkpoints_allow_a_second_derivative_and_frozen_weights():
    layer = _layer("gru", 2, path="eager")
    inputs = torch.randn(1, 5, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x).output, inputs, fast_mode=True)
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    plain = _layer("gru", None, path="eager")
    ours, theirs = (torch.autograd.grad(one(inputs).output.sum(), inputs)[0] for one in (layer, plain))
    torch.testing.assert_close(ours, theirs)
    layer.layer1_reverse.requires_grad_(True)
    assert torch.autograd.grad(
        layer(inputs.detach()).output.sum(), list(layer.get_submodule("layer1_reverse").parameters())
    )[0].any()


def test_checkpoints_hold_one_chunk_alone():
    """Bytes of what backward keeps, counted by the tensors that live after a forward pass."""

    def kept(checkpoint: int | None) -> int:
        layer = Recurrent("gru-before", 4, 32, options=RecurrentOptions(path="eager", checkpoint=checkpoint))
        data = torch.randn(2, 400, 4)
        gc.collect()
        held: list[int] = []

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            held.append(tensor.untyped_storage().nbytes() if tensor.shape[:1] != (400,) else 0)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            layer(data)
        return sum(held)

    assert kept(20) < kept(None) / 20


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_checkpoints_of_no_steps_are_refused(steps: object):
    with pytest.raises(SettingError, match="checkpoint"):
        _layer("gru", steps)  # type: ignore[arg-type]


def test_checkpoints_compute_again_under_the_same_autocast():
    found = []
    for steps in (None, 4):
        layer = _layer("gru", steps, path="eager").float()
        data = torch.linspace(-1, 1, 2 * 9 * 3).view(2, 9, 3)
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(data).output
        found.append([output, *torch.autograd.grad(output.sum(), list(layer.parameters()))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=2e-2, rtol=2e-2)
