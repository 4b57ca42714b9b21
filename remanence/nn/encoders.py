"""From what a batch holds to what a recurrent layer reads: numbers, convolved if asked; tokens, with runs of them.

An encoder carries what the next chunk of a sequence needs to know of this one in the model's state (`encoder.…`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from remanence.data.runs import Runs, follow
from remanence.nn.convolution import surround
from remanence.nn.pool import State, latest
from remanence.sequences import Sequences

__all__ = ["NumberEncoder", "TokenEncoder"]

_DIFFERENCE_SCALE = 3.0
_APART = 7919
"""A prime that keeps the rows that runs share out apart from the places of the mask."""


class NumberEncoder(nn.Module):
    """Scaled numbers, optionally through a convolution over time, layer normalisation and ReLU.

    Args:
        features: numbers of one step.
        convolution: channels of the convolution; 0 passes the numbers on as they are.
        width: steps that the convolution sees.
        causal: it sees only steps up to the present one; otherwise as many after as before.
        differences: read each step's change beside its numbers, three times as large (neighbours are much alike).
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
        noise: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.width, self.causal, self.differences, self.noise = width, causal, differences, noise
        self.features = features = 2 * features if differences else features
        self.convolution = nn.Conv1d(features, convolution, width) if convolution else None
        self.norm = nn.LayerNorm(convolution) if convolution else None
        self.dropout = nn.Dropout(dropout)
        self.output_size = convolution or self.features

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode `[batch, time, features]`; the state holds the last `width - 1` steps of a causal convolution."""
        mask = inputs.mask()[..., None]
        data = torch.where(mask, inputs.data, 0.0)
        if self.training and self.noise > 0:
            data = data + self.noise * torch.randn_like(data) * mask
        carried: State = {}
        if self.differences:
            data, carried = _with_differences(Sequences(data, inputs.lengths), state)
            data = torch.where(mask, data, 0.0)
        if self.convolution is not None and self.norm is not None:
            past = state["encoder.past"].transpose(0, 1) if state and self.causal else None
            padded, past = surround(Sequences(data, inputs.lengths), self.width, self.causal, past)
            if past is not None:
                carried["encoder.past"] = past.transpose(0, 1)
            data = torch.relu(self.norm(self.convolution(padded.transpose(1, 2)).transpose(1, 2)))
            data = torch.where(mask, data, 0.0)
        return Sequences(self.dropout(data), inputs.lengths), carried


def _with_differences(inputs: Sequences, state: State) -> tuple[Tensor, State]:
    """The numbers and their changes `[batch, time, 2 × feature]`; a sequence's first change is 0."""
    data = inputs.data
    if state:
        before, began = state["encoder.numbers"][0], state["encoder.began"][0]
    else:
        before, began = data.new_zeros(inputs.batch, data.shape[2]), data.new_zeros(inputs.batch, 1)
    moves = data - torch.cat([before[:, None], data[:, :-1]], dim=1)[:, : inputs.time]
    if inputs.time:
        moves = torch.cat([moves[:, :1] * began[:, None], moves[:, 1:]], dim=1)
    began = torch.maximum(began, (inputs.lengths > 0).to(data)[:, None])
    carried = {"encoder.numbers": latest(inputs, before)[None], "encoder.began": began[None]}
    return torch.cat([data, _DIFFERENCE_SCALE * moves], dim=-1), carried


class TokenEncoder(nn.Module):
    """A learnt vector for each token; whole tokens dropped in training; optionally vectors of runs of tokens added.

    Args:
        vocabulary: tokens known, those for padding and unknown tokens included.
        size: features of a token's vector.
        token_dropout: rate at which a token's own vector is dropped whole in training.
        runs: which runs, ending at the token, have a vector too; None for none.
        rows: rows of the table of each length of run, which a hash of the run shares out.
        dropout: rate of dropout of single features, in training.
        locked: a dropped token is dropped wherever it stands in a batch.

    References:
        Tokens dropped wherever they stand: Gal & Ghahramani 2016, arXiv:1512.05287, §4.
        Runs shared out by a hash: Joulin, Grave, Bojanowski & Mikolov 2017, arXiv:1607.01759, §2.2.
    """

    known: Tensor

    def __init__(
        self,
        vocabulary: int,
        size: int,
        *,
        token_dropout: float = 0.0,
        runs: Runs | None = None,
        rows: int = 2**15,
        dropout: float = 0.0,
        locked: bool = False,
    ) -> None:
        super().__init__()
        self.token_dropout, self.rows, self.locked = token_dropout, rows, locked
        self.vectors = nn.Embedding(vocabulary, size)
        self.run_vectors = nn.ModuleList(nn.Embedding(rows, size) for _ in range(runs.longest - 1 if runs else 0))
        # Follows from the encoders, so it is no part of the weights.
        self.register_buffer("known", torch.from_numpy(runs.known.copy()) if runs else None, persistent=False)
        nn.init.normal_(self.vectors.weight, std=0.1)
        for table in self.run_vectors:
            nn.init.normal_(table.weight, std=0.05)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(dropout)
        self.output_size = size

    def forward(self, inputs: Sequences, state: State) -> tuple[Sequences, State]:
        """Encode tokens `[batch, time]`; the state holds the last tokens where runs are used."""
        mask = inputs.mask()
        tokens = torch.where(mask, inputs.data, 0)
        data = self.vectors(tokens)
        if self.training and self.token_dropout > 0:
            shape = (len(self.vectors.weight),) if self.locked else tokens.shape
            kept = torch.rand(shape, device=tokens.device) >= self.token_dropout
            kept = kept[tokens] if self.locked else kept
            data = data * (kept[..., None] / (1 - self.token_dropout))
        carried: State = {}
        reach = len(self.run_vectors)
        if reach:
            past = state["encoder.tokens"].transpose(0, 1)[..., None] if state else None
            padded, past = surround(Sequences(tokens[..., None], inputs.lengths), reach + 1, True, past)
            assert past is not None
            carried["encoder.tokens"] = past[..., 0].transpose(0, 1)
            code = tokens
            for back, table in enumerate(self.run_vectors, start=1):
                code = follow(code, padded[:, reach - back : reach - back + inputs.time, 0])
                known = self.known[code % len(self.known)][..., None]
                data = data + table(code // _APART % self.rows) * known
        data = torch.where(mask[..., None], self.dropout(data), 0.0)
        return Sequences(data, inputs.lengths), carried
