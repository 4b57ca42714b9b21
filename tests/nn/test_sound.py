"""Parts of a model that hears: masks, stacked frames, a look ahead, beside slow twins."""

from __future__ import annotations

import pytest
import torch

from remanence.nn.encoders import NumberEncoder
from remanence.nn.sound import CTCHead, Masks, SoundEncoder, stacked_lengths
from remanence.sequences import Sequences


def sounds(*lengths: int, size: int = 4) -> Sequences:
    torch.manual_seed(1)
    return Sequences(torch.randn(len(lengths), max(lengths), size), torch.tensor(lengths))


def test_frames_are_stacked_and_the_last_is_filled_up() -> None:
    encoder = SoundEncoder(NumberEncoder(12), stack=3).eval()
    inputs = sounds(7, 3, 0, 1)
    found, _ = encoder(inputs, {})
    assert found.lengths.tolist() == [3, 1, 0, 1] == stacked_lengths(inputs.lengths, 3).tolist()
    assert torch.equal(found.data[0, 0], inputs.data[0, :3].flatten())
    assert torch.equal(found.data[0, 2], torch.cat([inputs.data[0, 6], torch.zeros(8)]))
    assert torch.equal(found.data[3, 0], torch.cat([inputs.data[3, 0], torch.zeros(8)]))


def test_masks_hide_runs_of_frames_and_of_features() -> None:
    torch.manual_seed(2)
    data, lengths = torch.ones(200, 50, 6), torch.tensor([50, 20] * 100)
    hidden = Masks(time=(2, 10), features=(0, 0)).hide(data, lengths)
    per_frame = hidden.sum(2)
    assert set(per_frame.flatten().tolist()) == {0.0, 6.0}
    gone = (per_frame == 0).sum(1)
    assert int(gone[::2].max()) <= 20 and int(gone[1::2].max()) <= 16, "two masks, each at most 10, or 0.4 of a sound"
    assert float(gone[::2].float().mean()) == pytest.approx(9.3, abs=1.5)
    hidden = Masks(time=(0, 0), features=(1, 2), width=3).hide(data, lengths)
    # Deltas, the second three, are hidden with what they are deltas of.
    assert torch.equal(hidden[..., :3], hidden[..., 3:])
    assert {int((row[0] == 0).sum()) for row in hidden} == {0, 2, 4}
    assert torch.equal(Masks().hide(data, lengths), data)


def test_only_training_is_masked() -> None:
    encoder = SoundEncoder(NumberEncoder(4), masks=Masks((2, 5), (2, 3), 4))
    inputs = sounds(30, 30)
    assert not torch.equal(encoder.train()(inputs, {})[0].data, inputs.data)
    assert torch.equal(encoder.eval()(inputs, {})[0].data, inputs.data)


def test_a_look_ahead_beside_a_slow_twin() -> None:
    torch.manual_seed(0)
    head, steps = CTCHead(4, 3, ahead=2).eval(), sounds(6, 2)
    assert head.weights is not None
    torch.nn.init.normal_(head.weights)
    logits, _ = head(steps, {}, ends=True)
    for row, length in enumerate((6, 2)):
        for t in range(length):
            waited = torch.zeros(4)
            for after in range(3):
                if t + after < length:
                    waited += head.weights[after] * steps.data[row, t + after]
            assert torch.allclose(logits[row, t], head.linear(waited), atol=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1, 4), (2, 2, 2), (6,), (5, 1)])
def test_a_look_ahead_in_chunks_is_that_of_the_whole(sizes: tuple[int, ...]) -> None:
    head, steps = CTCHead(4, 3, ahead=2).eval(), sounds(6, 2, 4)
    whole, _ = head(steps, {}, ends=True)
    state, answers, at = {}, [], 0
    for size in sizes:
        answer, state = head(steps.chunk(at, at + size), state, ends=at + size == 6)
        answers.append(answer)
        at += size
    joined = torch.cat(answers, dim=1)
    assert joined.shape == whole.shape
    assert torch.allclose(joined, whole, atol=1e-6)


def test_an_answer_comes_as_soon_as_its_future_is_known() -> None:
    head, steps = CTCHead(4, 3, ahead=2).eval(), sounds(6)
    first, state = head(steps.chunk(0, 1), {}, ends=False)
    assert first.shape[1] == 0
    second, _ = head(steps.chunk(1, 5), state, ends=False)
    assert second.shape[1] == 3
