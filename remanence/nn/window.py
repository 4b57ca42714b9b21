"""What each input feature of a forecast is, and the normalisation of each window by itself.

    layout      which features are targets, which are known ahead, which flag a missing value
    level       subtract a window's last value (or its mean) from its targets, and add it to the forecast
    spread      divide a window's targets by its standard deviation, and multiply the forecast by it

References:
    Kim et al. 2022, Reversible instance normalization, ICLR (`window`, without the learnt affine part);
    Zeng et al. 2023, Are transformers effective for time series forecasting?, arXiv:2205.13504 §4 (`last`, as NLinear).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from remanence.errors import SettingError
from remanence.nn.pool import State, latest
from remanence.sequences import Sequences

__all__ = ["InputLayout", "denormalise", "normalise", "window_state"]

_LEAST_SPREAD = 1e-2
"""In units of the scaler's standard deviation: a window flatter than this is not blown up."""


@dataclass(frozen=True)
class InputLayout:
    """Where the features of a forecast's inputs stand.

    Args:
        features: how many there are.
        targets: the first so many are the targets.
        known: positions of the features known ahead of time, in the order of `Batch.future`.
        flags: positions of the features that are 1 where a target is missing, one a target, or none.
    """

    features: int
    targets: int
    known: tuple[int, ...] = ()
    flags: tuple[int, ...] = ()

    def valid(self, inputs: Sequences) -> Tensor:
        """True where a target has a value: bool `[batch, time, target]`."""
        mask = inputs.mask()[..., None].expand(-1, -1, self.targets)
        return mask & (inputs.data[..., list(self.flags)] < 0.5) if self.flags else mask

    def follow(self, last: Tensor, target: Tensor, future: Tensor | None) -> Tensor:
        """The input of the next step: `last`, with new targets and known values; observed ones stay as they were."""
        following = last.clone()
        following[:, : self.targets] = target
        if self.known and future is not None:
            following[:, list(self.known)] = future
        if self.flags:
            following[:, list(self.flags)] = 0.0
        return following


def window_state(kind: str, inputs: Sequences, layout: InputLayout) -> State:
    """Level and spread of each window's targets `[1, batch, target]`, of its valid values; 0 and 1 without any."""
    if kind == "none":
        return {}
    data = inputs.data[..., : layout.targets]
    valid = layout.valid(inputs)
    if kind == "last":
        columns = [_last_value(data[..., i], valid[..., i]) for i in range(layout.targets)]
        return {"window.level": torch.stack(columns, dim=-1)[None]}
    if kind != "window":
        raise SettingError(f"no such normalisation '{kind}'", name="normalise", remedy="none, last or window")
    count = valid.sum(1).clamp(min=1)
    mean = torch.where(valid, data, 0.0).sum(1) / count
    variance = torch.where(valid, (data - mean[:, None]) ** 2, 0.0).sum(1) / count
    spread = torch.where(valid.any(1), variance.sqrt().clamp(min=_LEAST_SPREAD), 1.0)
    return {"window.level": mean[None], "window.spread": spread[None]}


def _last_value(values: Tensor, valid: Tensor) -> Tensor:
    """The last valid value of each row `[batch]`, 0 where there is none."""
    steps = torch.arange(1, values.shape[1] + 1, device=values.device)
    length = (valid * steps).amax(1) if values.shape[1] else torch.zeros(len(values), dtype=torch.int64)
    return latest(Sequences(values[..., None], length.cpu()), values.new_zeros(len(values), 1))[:, 0]


def normalise(inputs: Sequences, state: State, layout: InputLayout) -> Sequences:
    """The window with its targets relative to level and spread `[batch, time, feature]`; missing values stay 0."""
    if "window.level" not in state:
        return inputs
    data = inputs.data[..., : layout.targets] - state["window.level"][0][:, None]
    if "window.spread" in state:
        data = data / state["window.spread"][0][:, None]
    data = torch.where(layout.valid(inputs), data, 0.0)
    return Sequences(torch.cat([data, inputs.data[..., layout.targets :]], dim=-1), inputs.lengths)


def denormalise(output: Tensor, state: State) -> Tensor:
    """A forecast `[batch, horizon, target(, value)]` back in scaled units."""
    if "window.level" not in state:
        return output
    shape = (output.shape[0], 1, output.shape[2]) + (1,) * (output.ndim - 3)
    if "window.spread" in state:
        output = output * state["window.spread"][0].reshape(shape)
    return output + state["window.level"][0].reshape(shape)
