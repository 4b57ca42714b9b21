"""Frames of a video as vectors: beside a twin written out in loops, and one frame at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from remanence.data.clips import Clip
from remanence.nn.frames import FrameEncoder
from remanence.sequences import Sequences


def clip(height: int = 6, width: int = 9, colour: Any = "rgb") -> Clip:
    channels = 3 if colour == "rgb" else 1
    return Clip(rate=5.0, height=height, width=width, colour=colour, mean=(0.5,) * channels, scale=(0.25,) * channels)


def encoder(made: Clip, **options) -> FrameEncoder:
    torch.manual_seed(0)
    return FrameEncoder(made, **{"channels": 3, "size": 5} | options).double().eval()


def frames(made: Clip, *lengths: int) -> Sequences:
    random = np.random.default_rng(1)
    shape = (len(lengths), max(lengths), int(np.prod(made.shape)))
    return Sequences(torch.from_numpy(random.integers(0, 256, shape).astype(np.uint8)), torch.tensor(lengths))


def twin(model: FrameEncoder, frame: np.ndarray, made: Clip) -> np.ndarray:
    """One frame by loops over places: convolution of stride 2, normalisation over all channels, ReLU, linear."""
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    data = (frame.reshape(made.shape) / 255 - 0.5) / 0.25
    layers = sorted({name.split(".")[1] for name in weights if name.startswith("convolutions")}, key=int)
    for kernel_at, norm_at in zip(layers[::2], layers[1::2], strict=True):
        kernel, bias = weights[f"convolutions.{kernel_at}.weight"], weights[f"convolutions.{kernel_at}.bias"]
        padded = np.pad(data, ((0, 0), (1, 1), (1, 1)))
        height, width = -(-data.shape[1] // 2), -(-data.shape[2] // 2)
        found = np.zeros((len(kernel), height, width))
        for row in range(height):
            for column in range(width):
                seen = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
                found[:, row, column] = (kernel * seen).sum((1, 2, 3)) + bias
        found = (found - found.mean()) / np.sqrt(found.var() + 1e-5)
        scale, shift = weights[f"convolutions.{norm_at}.weight"], weights[f"convolutions.{norm_at}.bias"]
        data = np.maximum(found * scale[:, None, None] + shift[:, None, None], 0)
    read = weights["linear.weight"] @ data.ravel() + weights["linear.bias"]
    read = (read - read.mean()) / np.sqrt(read.var() + 1e-5)
    return np.maximum(read * weights["norm.weight"] + weights["norm.bias"], 0)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_frame_encoder_is_its_twin_on_every_frame(colour: str) -> None:
    made = clip(colour=colour)
    model, batch = encoder(made), frames(made, 1, 3)
    found, state = model(batch, {})
    assert state == {} and found.data.shape == (2, 3, 5)
    for row, length in enumerate(batch.lengths.tolist()):
        for step in range(length):
            wanted = twin(model, batch.data[row, step].numpy(), made)
            np.testing.assert_allclose(found.data[row, step].detach().numpy(), wanted, atol=1e-10)
    assert not found.data[0, 1:].any(), "padding gives zeros"


@pytest.mark.parametrize(("height", "width", "layers"), [(4, 3, 1), (5, 5, 1), (32, 32, 3), (16, 64, 4)])
def test_convolutions_go_on_until_four_points_are_left(height: int, width: int, layers: int) -> None:
    made = clip(height, width, "grey")
    model = encoder(made)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.convolutions) == layers
    assert model(frames(made, 2), {})[0].data.shape == (1, 2, 5)


def test_a_batch_without_frames_gives_none() -> None:
    made = clip()
    empty = Sequences(torch.zeros(2, 0, 3 * 6 * 9, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    assert encoder(made)(empty, {})[0].data.shape == (2, 0, 5)


def test_noise_comes_in_training_alone() -> None:
    made = clip()
    model, batch = encoder(made, noise=0.5), frames(made, 2)
    assert torch.equal(model(batch, {})[0].data, model(batch, {})[0].data)
    model.train()
    assert not torch.equal(model(batch, {})[0].data, model(batch, {})[0].data)
