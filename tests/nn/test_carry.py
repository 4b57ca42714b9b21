"""A state goes on from window to window; weights and whole tokens are dropped only in training."""

from __future__ import annotations

import numpy as np
import torch

from remanence.nn.carry import Carried
from remanence.nn.encoders import TokenDropout, TokenEncoder
from remanence.nn.recurrent import Recurrent
from remanence.nn.weight_drop import drop_recurrent_weights
from remanence.prediction.outputs import outputs
from remanence.sequences import Sequences
from remanence.settings import settings_from
from remanence.tasks import task
from tests.tasks import made


def test_windows_with_a_carried_state_are_the_text_in_one() -> None:
    data, found = made.made_stream(), task("generate")
    settings = found.defaults(data, settings_from({"hidden": 5, "layers": 2}))
    torch.manual_seed(0)
    model = found.model(data.encoders, settings).eval()
    part = data.test
    batch = part.batch(np.arange(len(part)))
    whole = batch.inputs.data[batch.inputs.mask()][None]
    joined = part.batch(np.array([0]))
    joined = type(joined)(Sequences(whole, torch.tensor([whole.shape[1]])), None, None, torch.tensor([0]))
    expected = model(joined)[0][0]
    answers = [output[0, : int(b.inputs.lengths[0])] for output, b in outputs(model, part, settings, in_order=True)]
    torch.testing.assert_close(torch.cat(answers), expected, rtol=0, atol=1e-6)


def test_places_read_side_by_side_are_warmed_up() -> None:
    data, found = made.made_stream(), task("generate")
    settings = found.defaults(data, settings_from({"hidden": 5}))
    model = found.model(data.encoders, settings).eval()
    part = data.train
    one = {int(b.index[0]): o[0] for o, b in outputs(model, part, settings, in_order=True)}
    for output, batch in outputs(model, part, settings):
        assert len(batch.index) <= 2
        for row, index in enumerate(batch.index.tolist()):
            # 28 steps before it are read, which is more than an LSTM of fresh weights remembers.
            torch.testing.assert_close(output[row], one[index], rtol=0, atol=1e-4)
        assert len(one) == 58


def test_an_example_finds_its_forerunner_in_any_row() -> None:
    carried = Carried()
    assert carried.before(torch.tensor([0, 5])) == {}
    state = {"h": torch.arange(6.0).reshape(1, 3, 2).requires_grad_()}
    carried.after(torch.tensor([0, 5, 9]), state)
    again = Carried()
    again.load(carried.tensors(), torch.device("cpu"))
    for one in (carried, again):
        found = one.before(torch.tensor([10, 3, 1]))["h"]
        assert found.tolist() == [[[4.0, 5.0], [0.0, 0.0], [0.0, 1.0]]] and not found.requires_grad
        assert one.before(torch.tensor([3])) == {}


def test_weight_drop_hides_recurrent_weights_in_training_alone() -> None:
    torch.manual_seed(0)
    layers = Recurrent("lstm", 3, 33, layers=2)
    drop_recurrent_weights(layers, 0.5)
    inputs = torch.randn(3, 5, 3)
    still = layers.eval()(inputs).output
    assert torch.equal(layers(inputs).output, still)
    layers.train()
    assert not torch.equal(layers(inputs).output, layers(inputs).output)
    # The first step starts from zeros, so no recurrent weight can matter in the first layer.
    torch.testing.assert_close(layers(inputs[:, :1]).output, still[:, :1])
    weights = layers.layer0_forward()  # type: ignore[operator]
    assert 0.4 < float((weights["U_f"] == 0).float().mean()) < 0.6
    assert not (weights["W_f"] == 0).any()
    kept = weights["U_f"] != 0
    torch.testing.assert_close(weights["U_f"][kept], 2 * layers.layer0_forward.U_f[kept])  # type: ignore[union-attr]


def test_a_dropped_token_is_dropped_wherever_it_stands() -> None:
    torch.manual_seed(0)
    encoder = TokenEncoder(20, 4, TokenDropout(0.5, locked=True)).train()
    tokens = Sequences(torch.arange(20).repeat(3, 2), torch.tensor([40, 40, 40]))
    gone = (encoder(tokens, {})[0].data == 0).all(-1)
    assert 3 < int(gone[0, :20].sum()) < 17
    assert torch.equal(gone, gone[:1, :20].repeat(3, 2))
