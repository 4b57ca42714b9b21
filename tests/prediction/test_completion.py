"""Drawing: by temperature, from the likeliest, by a seed; a text gone on with is read as training read it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from remanence.data.examples import Batch
from remanence.errors import SettingError
from remanence.prediction.completion import choose, completion, continued
from remanence.sequences import Sequences
from remanence.settings import SamplingSettings, sampling_from, settings_from
from remanence.tasks import task
from tests.tasks import made

LOGITS = torch.tensor([0.0, 1.0, 2.0, 3.0, -torch.inf])


def counts(sampling: SamplingSettings, draws: int = 4000) -> np.ndarray:
    generator = torch.Generator().manual_seed(0)
    return np.bincount([choose(LOGITS, sampling, generator) for _ in range(draws)], minlength=5) / draws


def test_draws_follow_the_temperature() -> None:
    for temperature in (0.5, 1.0, 2.0):
        expected = (LOGITS / temperature).softmax(0).numpy()
        np.testing.assert_allclose(counts(SamplingSettings(temperature=temperature)), expected, atol=0.03)
    assert counts(SamplingSettings(temperature=0), 5).tolist() == [0, 0, 0, 1, 0]


def test_only_the_likeliest_are_drawn() -> None:
    shares = LOGITS.softmax(0).numpy()
    top = counts(SamplingSettings(temperature=1, top_k=2))
    np.testing.assert_allclose(top, [0, 0, *(shares[2:4] / shares[2:4].sum()), 0], atol=0.03)
    # 0.64, 0.24, 0.09, 0.03: the first alone reaches 0.6, two reach 0.8, three 0.9.
    assert [(counts(SamplingSettings(temperature=1, top_p=p), 300) > 0).sum() for p in (0.6, 0.8, 0.9, 1)] == [
        1,
        2,
        3,
        4,
    ]


def model_of(data, **options):
    found = task("generate")
    torch.manual_seed(0)
    return found.model(data.encoders, found.defaults(data, settings_from({"hidden": 8, **options}))).eval()


def test_same_seed_same_text_however_many_samples() -> None:
    data = made.made_stream()
    model = model_of(data)
    sampling = SamplingSettings(length=30, seed=5)
    first, again = (
        ["".join(completion(model, data.encoders, "abc", sampling, sample)) for sample in (0, 1)] for _ in range(2)
    )
    assert first == again and first[0] != first[1]
    assert all(len(text) == 30 and set(text) <= set("abcdefg") for text in first)
    assert "".join(completion(model, data.encoders, "abc", SamplingSettings(length=30, seed=6))) != first[0]


def test_the_likeliest_token_is_that_of_the_whole_text() -> None:
    data = made.made_documents()
    model = model_of(data, layers=2)
    for parameter in model.parameters():
        parameter.data.mul_(3)
    text = "abcdabc"
    for piece in completion(model, data.encoders, text, SamplingSettings(length=12, temperature=0)):
        read = torch.tensor([[2, *data.encoders.symbols.encode(text).tolist()]])
        batch = Batch(Sequences(read, torch.tensor([read.shape[1]])), None, None, torch.tensor([0]))
        logits = model(batch)[0][0, -1]
        logits[:2] = -torch.inf
        assert piece == data.encoders.symbols.name(int(logits.argmax()))
        text += piece


def test_a_document_ends_and_a_stream_does_not() -> None:
    data = made.made_documents()
    model = model_of(data)
    model.head.linear.bias.data[2] = 50.0
    sampling = SamplingSettings(length=9)
    assert list(completion(model, data.encoders, "a", sampling)) == []
    stream = made.generate_encoders(document="file")
    assert len(list(completion(model, stream, "", sampling))) == 9


def test_music_is_refused_and_so_are_unknown_options() -> None:
    data = made.made_music()
    with pytest.raises(SettingError, match="music"):
        completion(model_of(data), data.encoders, "a", SamplingSettings())
    for options in ({"top_k": 0}, {"temperature": -1}, {"top_p": 0}, {"length": 0}, {"heat": 3}):
        with pytest.raises(SettingError, match="--"):
            sampling_from(options)


def test_music_goes_on_by_the_models_own_frames() -> None:
    data = made.made_music()
    model = model_of(data, cell="gru")
    frames = data.test.batch(np.array([0])).inputs.data[0].numpy()
    written = list(continued(model, frames, SamplingSettings(length=4, temperature=0)))
    read = torch.from_numpy(frames)[None]
    for keys in written:
        logits = model(Batch(Sequences(read, torch.tensor([read.shape[1]])), None, None, torch.tensor([0])))[0][0, -1]
        assert keys == [21 + key for key in (logits > 0).nonzero().flatten().tolist()]
        read = torch.cat([read, (logits > 0).float()[None, None]], dim=1)
    wild = SamplingSettings(length=5, temperature=1, top_k=3, seed=2)
    first, again = (list(continued(model, frames, wild, sample=1)) for _ in range(2))
    assert first == again != list(continued(model, frames, wild, sample=2))
    assert all(len(keys) <= 3 and set(keys) <= set(range(21, 109)) for keys in first)
    with pytest.raises(SettingError, match="--top-p"):
        continued(model, frames, SamplingSettings(top_p=0.5))
    with pytest.raises(SettingError, match="no frame"):
        continued(model, frames[:0], wild)
