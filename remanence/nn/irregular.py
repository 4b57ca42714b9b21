"""Missing values and irregular time, as `gru-d` reads them: what was seen, how long ago, and what it was."""

from __future__ import annotations

import torch
from torch import Tensor

from remanence.errors import ShapeError
from remanence.nn.shapes import check_axes

__all__ = ["observed"]


def observed(values: Tensor, times: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Tell what stands in a batch with gaps from what does not.

    Args:
        values: `[batch, time, feature]`, floating; NaN where nothing was observed. Best standardised: `gru-d` lets a
            value decay towards a mean that starts at 0.
        times: when each step was, `[batch, time]`, in units in which 1 is a usual gap; None: 0, 1, 2, ….

    Returns:
        The values with 0 for NaN, and what `gru-d` is given at each step: `m`, 1 where a value was observed; `delta`,
        the time since the last step before this one where it was (since the first step, where it never was); `last`,
        its value then (0 where there is none). A sequence that comes in chunks should come here whole.

    Raises:
        ShapeError: the axis, what was expected, what came.

    Example:
        >>> nan = float("nan")
        >>> values, given = observed(torch.tensor([[[5.0], [nan], [nan], [7.0]]]), torch.tensor([[0.0, 2.0, 3.0, 7.0]]))
        >>> given["m"].flatten().tolist(), given["delta"].flatten().tolist(), given["last"].flatten().tolist()
        ([1.0, 0.0, 0.0, 1.0], [0.0, 2.0, 3.0, 7.0], [0.0, 5.0, 5.0, 5.0])

    References:
        Che et al. 2018, doi:10.1038/s41598-018-24271-9, section "Notations".
    """
    if values.ndim != 3:
        raise ShapeError(
            "observed values", axis="number of axes", expected="3 (batch, time, feature)", came=values.ndim
        )
    batch, time, features = values.shape
    steps = torch.arange(time, device=values.device)
    times = steps.expand(batch, time) if times is None else times
    check_axes("observed times", times, {"batch": batch, "time": time})
    seen = ~torch.isnan(values)
    clean = torch.where(seen, values, 0.0)
    # The latest step with a value, up to each step; then up to the one before it.
    latest = torch.where(seen, steps[:, None], -1)
    latest = latest.cummax(1).values if time else latest
    before = torch.cat([latest.new_full((batch, min(time, 1), features), -1), latest[:, :-1]], 1)
    known = before.clamp(min=0)
    when = times.to(values.dtype)[..., None].expand(batch, time, features)
    last = torch.where(before >= 0, clean.gather(1, known), 0.0)
    return clean, {"m": seen.to(values.dtype), "delta": when - when.gather(1, known), "last": last}
