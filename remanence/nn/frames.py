"""A frame of a video as a vector: a small convolutional network, trained along with what reads the vectors.

References:
    Donahue et al. 2015, Long-term recurrent convolutional networks, arXiv:1411.4389 (a convolutional network on each
    frame, a recurrent one over them); Wu & He 2018, Group normalization, arXiv:1803.08494.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remanence.data.clips import Clip
from remanence.nn.dropout import Dropout
from remanence.nn.pool import State
from remanence.sequences import Sequences

__all__ = ["FrameEncoder"]

_GROUP = 8
"""Channels that are normalised together: of one frame, so that no frame depends on its neighbours in the batch."""


class FrameEncoder(nn.Module):
    """Convolutions of stride 2, each followed by group normalisation and ReLU, then one linear layer a frame.

    Args:
        clip: size and colours of the frames, mean and scale of their pixels.
        channels: of the first convolution; the others have twice as many.
        size: features that a frame gives.
        noise: standard deviation of Gaussian noise on scaled pixels, in training.
        dropout: rate of dropout of what it gives, in training.

    As many convolutions as it takes to bring the longer side down to 4 points or fewer; the linear layer reads every
    point, so that it knows where in the frame something stands.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        clip: Clip,
        *,
        channels: int,
        size: int,
        noise: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, self.noise, self.output_size = clip.shape, noise, size
        # What follows from the encoders is no part of the weights.
        self.register_buffer("mean", torch.tensor(clip.mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(clip.scale).reshape(1, -1, 1, 1), persistent=False)
        before, height, width = clip.shape
        layers: list[nn.Module] = []
        while not layers or max(height, width) > 4:
            after = 2 * channels if layers else channels
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1),
                nn.GroupNorm(after // _GROUP if after % _GROUP == 0 else 1, after),
                nn.ReLU(),
            ]
            before, height, width = after, -(-height // 2), -(-width // 2)
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(before * height * width, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode frames, uint8 `[batch, time, channel × height × width]`; every frame of the batch is read at once."""
        mask = inputs.mask()
        read = self.read(inputs.data[mask])
        data = read.new_zeros(inputs.batch, inputs.time, self.output_size)
        data[mask] = read
        return Sequences(data, inputs.lengths), {}

    def read(self, frames: Tensor) -> Tensor:
        """Frames `[frame, channel × height × width]` → `[frame, size]`."""
        pixels = (frames.reshape(-1, *self.shape).to(self.linear.weight) / 255 - self.mean) / self.scale
        if self.training and self.noise > 0:
            pixels = pixels + self.noise * torch.randn_like(pixels)
        read = self.linear(self.convolutions(pixels).flatten(1))
        return self.dropout(torch.relu(self.norm(read)))
