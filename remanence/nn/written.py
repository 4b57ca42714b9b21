"""What a decoder answers, in one tensor: a row a token, so that answers are moved, cut and joined like any other.

while it learns      [batch, time, 3]            cost, spread, twice
while it writes      [batch, time, 5 + source]   the same three, then token, chance, alignment

cost        −log p of the true token, given all true tokens before it; −1 where no truth is known
spread      mean of −log p over the vocabulary (label smoothing needs no more)
twice       Σ_s min(a_ts, k_ts): how much of what was attended to had been before (See et al. 2017, eq. 12)
token       what was written, the sign of the end last, then 0
chance      log p of the token written
alignment   weight of each step of the source when it was written
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["UNKNOWN_COST", "Written", "forced_part", "packed"]

UNKNOWN_COST = -1.0
_FORCED, _COLUMNS = 3, 5


class Written(NamedTuple):
    """What was written for a batch: see the module.

    Args:
        tokens: int64 `[batch, time]`.
        chances: `[batch, time]`.
        alignment: `[batch, time, source]`.
    """

    tokens: Tensor
    chances: Tensor
    alignment: Tensor

    @classmethod
    def read(cls, output: Tensor) -> Written:
        """Take the writing out of an answer.

        Example:
            >>> nothing = torch.zeros(1, 2, 0)
            >>> one = Written(torch.tensor([[7, 2]]), torch.zeros(1, 2), nothing)
            >>> Written.read(packed(None, one)).tokens.tolist()
            [[7, 2]]
        """
        return cls(output[..., 3].long(), output[..., 4], output[..., _COLUMNS:])


def forced_part(output: Tensor, time: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cost, spread and twice of so many true tokens, `[batch, time]` each; costs not told are `UNKNOWN_COST`."""
    short = max(0, time - output.shape[1])
    cost, spread, twice = output[:, :time, :_FORCED].unbind(-1)
    return (
        functional.pad(cost, (0, short), value=UNKNOWN_COST),
        functional.pad(spread, (0, short)),
        functional.pad(twice, (0, short)),
    )


def packed(forced: Tensor | None, written: Written) -> Tensor:
    """Put what the truth cost `[batch, time, 3]`, where it is known, and what was written into one tensor."""
    columns = torch.stack([written.tokens.to(written.chances.dtype), written.chances], dim=-1)
    own = torch.cat([columns, written.alignment], dim=-1)
    if forced is None:
        forced = own.new_zeros(*own.shape[:2], _FORCED)
        forced[..., 0] = UNKNOWN_COST
    time = max(own.shape[1], forced.shape[1])
    sides = [functional.pad(side, (0, 0, 0, time - side.shape[1])) for side in (forced, own)]
    return torch.cat(sides, dim=-1)
