"""How readily each kind of label is given, against offsets worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch
from remanence.nn.crf import lattice_of
from remanence.nn.heads import TagHead
from remanence.sequences import Sequences
from remanence.tasks.calibration import chosen_offsets, kinds_of_labels, shifted
from remanence.tasks.metrics_tag import TagMeter
from tests.tasks import made

LABELS = ("O", "B-x", "B-y", "I-x", "I-y")


def _encoders(scheme: str = "BIO", labels: tuple[str, ...] = LABELS) -> TagEncoders:
    encoders = made.made_spans(labels=labels, scheme=scheme).encoders
    assert isinstance(encoders, TagEncoders)
    return encoders


def _answer(emissions: Tensor, truth: list[list[int]]) -> tuple[Tensor, Batch]:
    """A lattice of emissions `[batch, time, class]` beside its batch."""
    sequences, time, _ = emissions.shape
    inputs = Sequences(torch.zeros(sequences, time, 1), torch.full((sequences,), time))
    scored = torch.ones(sequences, time, dtype=torch.bool)
    return lattice_of(emissions), Batch(
        inputs, torch.tensor(truth), None, torch.arange(sequences), torch.arange(sequences), scored
    )


def _error(answers: list[tuple[Tensor, Batch]], offsets: Tensor, encoders: TagEncoders, *, chain: bool) -> float:
    meter = TagMeter(encoders, chain=chain)
    for lattice, batch in answers:
        meter.update(shifted(lattice, offsets), batch)
    return next(iter(meter.scores().metrics.values()))


def test_the_kind_that_is_given_too_seldom_is_moved_by_hand() -> None:
    # One step a sequence, truth x, y, O. The first is answered y: x lacks 0.4 there, and may gain less than 1.6 before
    # the second is lost, less than 2.2 before the third is.
    emissions = torch.tensor([[-1.0, 0.0, 0.4, -9, -9], [0.0, 0.0, 1.6, -9, -9], [2.2, 0.0, 0.0, -9, -9]])
    answers = [_answer(emissions[:, None], [[1], [2], [0]])]
    offsets = chosen_offsets(answers, _encoders(), chain=False)
    assert offsets.tolist() == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert _error(answers, torch.zeros(5), _encoders(), chain=False) == pytest.approx(0.5)
    assert _error(answers, offsets, _encoders(), chain=False) == 0


def test_all_kinds_move_together_against_what_lies_outside_by_hand() -> None:
    # Both spans are missed by 1.5; no single kind would be right for both.
    emissions = torch.tensor([[1.5, 0.0, -1.0, -9, -9], [1.5, -1.0, 0.0, -9, -9], [2.5, 0.0, 0.0, -9, -9]])
    answers = [_answer(emissions[:, None], [[1], [2], [0]])]
    assert chosen_offsets(answers, _encoders(), chain=False).tolist() == [0.0, 2.0, 2.0, 2.0, 2.0]


def test_what_is_right_already_stays() -> None:
    emissions = 5 * torch.nn.functional.one_hot(torch.tensor([[1, 3, 0], [0, 2, 0]]), 5).float()
    answers = [_answer(emissions, [[1, 3, 0], [0, 2, 0]])]
    assert not chosen_offsets(answers, _encoders(), chain=True).any()


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("scheme", ["BIO", "none"])
def test_no_score_is_worse_than_before(scheme: str, chain: bool) -> None:
    random = torch.Generator().manual_seed(0)
    encoders = _encoders(scheme)
    answers = []
    for _ in range(3):
        truth = torch.randint(0, 5, (7, 4), generator=random)
        emissions = torch.randn(7, 4, 5, generator=random) + torch.nn.functional.one_hot(truth, 5)
        emissions[..., 2] -= 1.5
        answers.append(_answer(emissions, truth.tolist()))
    offsets = chosen_offsets(answers, encoders, chain=chain)
    tried = [torch.zeros(5)] + [offset * torch.tensor([0.0, 1, 1, 1, 1]) for offset in (-1.0, 1.0, 2.0)]
    least = min(_error(answers, each, encoders, chain=chain) for each in tried[: 4 if scheme == "BIO" else 1])
    assert _error(answers, offsets, encoders, chain=chain) <= least
    assert offsets[0] == 0 and offsets.any()


def test_labels_without_spans_move_one_by_one() -> None:
    kinds = kinds_of_labels(_encoders("none", ("a", "b", "c")))
    np.testing.assert_array_equal(kinds, [[False, True, False], [False, False, True]])


def test_a_head_adds_its_offsets_to_each_step() -> None:
    torch.manual_seed(0)
    head, plain = TagHead(3, 5, calibrated=True), TagHead(3, 5)
    plain.load_state_dict({name: value for name, value in head.state_dict().items() if name != "offsets"})
    steps = Sequences(torch.randn(2, 4, 3), torch.tensor([4, 2]))
    assert torch.equal(head(steps), plain(steps))
    assert head.offsets is not None
    head.offsets.copy_(torch.tensor([0.0, 1, -2, 0, 0.5]))
    torch.testing.assert_close(head(steps), shifted(plain(steps), head.offsets))
