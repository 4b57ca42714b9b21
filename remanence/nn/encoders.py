"""From what a batch holds to what a recurrent layer reads: numbers, convolved if asked; tokens, with runs of them.

An encoder carries what the next chunk of a sequence needs to know of this one in the model's state (`encoder.…`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from remanence.data.runs import Runs, follow
from remanence.data.tokens import UNKNOWN
from remanence.nn.convolution import surround
from remanence.nn.dropout import Dropout
from remanence.nn.pool import State, latest
from remanence.sequences import Sequences

__all__ = ["NumberEncoder", "TokenDropout", "TokenEncoder"]

_DIFFERENCE_SCALE = 3.0


class NumberEncoder(nn.Module):
    """Scaled numbers, optionally through a convolution over time, layer normalisation and ReLU.

    Args:
        features: numbers of one step.
        convolution: channels of the convolution; 0 passes the numbers on as they are.
        width: steps that the convolution sees.
        causal: it sees only steps up to the present one; otherwise as many after as before.
        differences: read each step's change beside its numbers, three times as large (neighbours are much alike).
        displacement: read beside each step's numbers how far they are from the sequence's first ones.
        noise: standard deviation of Gaussian noise added in training.
        dropout: rate of dropout of what it gives, in training.
    """

    def __init__(
        self,
        features: int,
        *,
        convolution: int = 0,
        width: int = 5,
        causal: bool = True,
        differences: bool = False,
        displacement: bool = False,
        noise: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width, self.causal, self.noise = width, causal, noise
        self.differences, self.displacement = differences, displacement
        self.features = features = (1 + differences + displacement) * features
        self.convolution = nn.Conv1d(features, convolution, width) if convolution else None
        self.norm = nn.LayerNorm(convolution) if convolution else None
        self.dropout = Dropout(dropout)
        self.output_size = convolution or self.features

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode `[batch, time, features]`; the state holds the last `width - 1` steps of a causal convolution."""
        mask = inputs.mask()[..., None]
        data = torch.where(mask, inputs.data, 0.0)
        if self.training and self.noise > 0:
            data = data + self.noise * torch.randn_like(data) * mask
        carried: State = {}
        if self.differences or self.displacement:
            numbers = Sequences(data, inputs.lengths)
            changes, carried = _differences(numbers, state) if self.differences else (data[..., :0], {})
            moved, first = _displacement(numbers, state) if self.displacement else (data[..., :0], {})
            data = torch.where(mask, torch.cat([data, changes, moved], dim=-1), 0.0)
            began = torch.maximum(_began(numbers, state), (inputs.lengths > 0).to(data)[:, None])
            carried |= first | {"encoder.began": began[None]}
        if self.convolution is not None and self.norm is not None:
            past = state["encoder.past"].transpose(0, 1) if state and self.causal else None
            padded, past = surround(Sequences(data, inputs.lengths), self.width, self.causal, past)
            if past is not None:
                carried["encoder.past"] = past.transpose(0, 1)
            data = torch.relu(self.norm(self.convolution(padded.transpose(1, 2)).transpose(1, 2)))
            data = torch.where(mask, data, 0.0)
        return Sequences(self.dropout(data), inputs.lengths), carried


def _began(inputs: Sequences, state: State) -> Tensor:
    """1 for each sequence that began in an earlier chunk, else 0: `[batch, 1]`."""
    return state["encoder.began"][0] if state else inputs.data.new_zeros(inputs.batch, 1)


def _differences(inputs: Sequences, state: State) -> tuple[Tensor, State]:
    """The change from each step to the next `[batch, time, feature]`, scaled; a sequence's first one is 0."""
    data = inputs.data
    before = state["encoder.numbers"][0] if state else data.new_zeros(inputs.batch, data.shape[2])
    moves = data - torch.cat([before[:, None], data[:, :-1]], dim=1)[:, : inputs.time]
    if inputs.time:
        moves = torch.cat([moves[:, :1] * _began(inputs, state)[:, None], moves[:, 1:]], dim=1)
    return _DIFFERENCE_SCALE * moves, {"encoder.numbers": latest(inputs, before)[None]}


def _displacement(inputs: Sequences, state: State) -> tuple[Tensor, State]:
    """What each step's numbers are more than those of the sequence's first step `[batch, time, feature]`."""
    data = inputs.data
    first = data[:, 0] if inputs.time else data.new_zeros(inputs.batch, data.shape[2])
    if state:
        first = torch.where(_began(inputs, state) > 0, state["encoder.first"][0], first)
    return data - first[:, None], {"encoder.first": first[None]}


@dataclass(frozen=True)
class TokenDropout:
    """What is left out of tokens in training.

    Args:
        whole: rate at which a token's own vector is dropped whole.
        feature: rate at which single features are dropped.
        locked: a token that is dropped whole is dropped wherever it stands in a batch.
        singles: how many of the last tokens training has once.
        unknown: rate at which each of these gets the vector of unknown tokens, so that it is learnt, too.

    References:
        Tokens dropped wherever they stand: Gal & Ghahramani 2016, arXiv:1512.05287, §4.
        Rare tokens unknown at times: Lample et al. 2016, arXiv:1603.01360, §4.1 (singletons, at a rate of 0.5).
    """

    whole: float = 0.0
    feature: float = 0.0
    locked: bool = False
    singles: int = 0
    unknown: float = 0.0


class TokenEncoder(nn.Module):
    """A learnt vector for each token; optionally vectors of runs of tokens added.

    Args:
        vocabulary: tokens known, those for padding and unknown tokens included.
        size: features of a token's vector.
        dropout: what is left out in training; None for nothing.
        runs: which runs, ending at the token, have a vector too; None for none.
        rows: most rows of the table of runs; where more are known, several share one.
        spread: standard deviation of fresh vectors; those of runs have half of it.

    References:
        Vectors of runs added to those of tokens: Joulin, Grave, Bojanowski & Mikolov 2017, arXiv:1607.01759, §2.2.
    """

    rows: Tensor

    def __init__(
        self,
        vocabulary: int,
        size: int,
        dropout: TokenDropout | None = None,
        *,
        runs: Runs | None = None,
        rows: int = 2**16,
        spread: float = 0.1,
    ) -> None:
        super().__init__()
        self.left_out = dropout or TokenDropout()
        self.rare_from = vocabulary - self.left_out.singles
        self.vectors = nn.Embedding(vocabulary, size)
        nn.init.normal_(self.vectors.weight, std=spread)
        self.reach = runs.longest - 1 if runs else 0
        if runs:
            places = runs.rows(rows)
            # Follows from the encoders, so it is no part of the weights.
            self.register_buffer("rows", torch.from_numpy(places), persistent=False)
            self.run_vectors = nn.Embedding(1 + int(places.max()), size, padding_idx=0)
            nn.init.normal_(self.run_vectors.weight[1:], std=spread / 2)
        self.dropout = Dropout(self.left_out.feature)
        self.output_size = size

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode tokens `[batch, time]`; the state holds the last tokens where runs are used."""
        mask = inputs.mask()
        tokens = torch.where(mask, inputs.data, 0)
        data = self.vectors(self._some_unknown(tokens))
        left_out = self.left_out
        if self.training and left_out.whole > 0:
            shape = (len(self.vectors.weight),) if left_out.locked else tokens.shape
            kept = torch.rand(shape, device=tokens.device) >= left_out.whole
            kept = kept[tokens] if left_out.locked else kept
            data = data * (kept[..., None] / (1 - left_out.whole))
        carried: State = {}
        if reach := self.reach:
            past = state["encoder.tokens"].transpose(0, 1)[..., None] if state else None
            padded, past = surround(Sequences(tokens[..., None], inputs.lengths), reach + 1, True, past)
            assert past is not None
            carried["encoder.tokens"] = past[..., 0].transpose(0, 1)
            codes = [tokens]
            for back in range(1, reach + 1):
                codes.append(follow(codes[-1], padded[:, reach - back : reach - back + inputs.time, 0]))
            rows = self.rows[torch.stack(codes[1:]) % len(self.rows)]
            data = data + self.run_vectors(rows).sum(0)
        data = torch.where(mask[..., None], self.dropout(data), 0.0)
        return Sequences(data, inputs.lengths), carried

    def _some_unknown(self, tokens: Tensor) -> Tensor:
        if not self.training or self.left_out.unknown == 0:
            return tokens
        chosen = torch.rand(tokens.shape, device=tokens.device) < self.left_out.unknown
        return torch.where((tokens >= self.rare_from) & chosen, UNKNOWN, tokens)
