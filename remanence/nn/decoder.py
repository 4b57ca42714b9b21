"""A head that writes: recurrent layers of its own, which read what was written and attend to the source.

    x_t = the vector of token y_{t−1}  (with input feeding: and h̃_{t−1})
    s_t = recurrent layers (x_t, s_{t−1});   s_0 = tanh of a linear layer over the encoder's last states
    a_t = attention (s_t, the encoder's steps);   c_t = Σ_s a_ts m_s
    h̃_t = tanh(W [c_t; s_t]);   p(y_t) = softmax(V h̃_t)

While it learns, the true tokens are read (teacher forcing). Nothing of step t − 1 but the state enters step t then, so
the recurrent layers run over the whole text by one call, and attention and answers are a few large products. Input
feeding, coverage and scheduled sampling need one step after the other; so does writing. Both ways share their parts.

References:
    Luong, Pham & Manning 2015, arXiv:1508.04025, §3 and eq. 5–6 (order of attention, h̃, input feeding).
    See, Liu & Manning 2017, arXiv:1704.04368, eq. 8–9 (copying, from c_t, s_t, x_t) and 10–12 (coverage).
    Bengio, Vinyals, Jaitly & Shazeer 2015, arXiv:1506.03099 (scheduled sampling; here at one rate throughout).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from remanence.data.symbols import END, PADDING, UNKNOWN
from remanence.nn.attention import Attention, Memory
from remanence.nn.beam import Carried, search
from remanence.nn.dropout import Dropout
from remanence.nn.encoders import TokenEncoder
from remanence.nn.pool import State
from remanence.nn.readout import Readout
from remanence.nn.recurrent import Recurrent
from remanence.nn.written import Written, packed
from remanence.sequences import Sequences

__all__ = ["Decoder", "WritingOptions"]

_LEAST = 1e-9
"""Chance of a token that neither vocabulary nor source gives, where both are mixed."""
_BRIDGED = ("h", "c")
"""States that begin as the encoder's end; others, such as sums that must not be negative, begin at zero."""


@dataclass(frozen=True)
class WritingOptions:
    """How a decoder attends, and how it writes.

    Args:
        attention: `none`, `additive` or `multiplicative`.
        input_feeding: h̃ of one step is read again with the next token.
        coverage: scores know what was attended to before.
        copied: the token to write for each token of the source, int64 `[source vocabulary]`; None: nothing is copied.
        sampling: share of tokens, read while learning, that the decoder itself took for likeliest.
        tied: tokens are read and answered by one matrix.
        beam, penalty, longest: see `beam.search`.
    """

    attention: str = "multiplicative"
    input_feeding: bool = False
    coverage: bool = False
    copied: Tensor | None = None
    sampling: float = 0.0
    tied: bool = False
    beam: int = 1
    penalty: float = 0.0
    longest: int = 100


class _Source(NamedTuple):
    """What a decoder knows of a batch: what it attends to, its first states, what each step would be copied as."""

    memory: Memory
    start: Carried
    copied: Tensor | None


class _Spoken(NamedTuple):
    """One or more steps, `[batch, time, …]`: h̃, weights, the chance not to copy, what was covered before."""

    vectors: Tensor
    weights: Tensor
    own: Tensor | None
    covered: Tensor


class Decoder(nn.Module):
    """Writes a text for what an encoder read.

    Args:
        encoder: the recurrent layers whose steps are attended to, and whose last states it begins from.
        tokens: gives the vectors of tokens already written.
        recurrent: its own layers; they read a vector, and h̃ beside it where it is fed.
        vocabulary: numbers of the tokens to write.
        dropout: rate of dropout of the source's steps, and of h̃.
        options: see `WritingOptions`.
    """

    copied: Tensor | None

    def __init__(
        self,
        encoder: Recurrent,
        tokens: TokenEncoder,
        recurrent: Recurrent,
        vocabulary: int,
        *,
        dropout: float = 0.0,
        options: WritingOptions | None = None,
    ) -> None:
        super().__init__()
        self.options = chosen = options or WritingOptions()
        self.tokens, self.recurrent, self.vocabulary = tokens, recurrent, vocabulary
        self.layers, size, read = recurrent.layers, recurrent.output_size, encoder.output_size
        self.ways = len(encoder.directions)
        sizes = {name: encoder.sizes[encoder.cell.step.sizes[name]] for name in encoder.cell.state}
        self.bridge = nn.ModuleDict(
            {name: nn.Linear(self.ways * sizes[name], sizes[name]) for name in _BRIDGED if name in sizes}
        )
        self.attention = None
        if chosen.attention != "none":
            # A comparison of half the size tells steps apart as well, and takes half the time.
            compared = max(1, size // 2)
            self.attention = Attention(chosen.attention, size, read, compared, coverage=chosen.coverage)
            self.join = nn.Linear(read + size, size, bias=False)
        self.gate = nn.Linear(read + size + tokens.output_size, 1) if chosen.copied is not None else None
        # Follows from the encoders, so it is no part of the weights.
        self.register_buffer("copied", chosen.copied, persistent=False)
        self.dropout = Dropout(dropout)
        self.readout = Readout(size, vocabulary, dropout=dropout, tied=tokens.output_size if chosen.tied else None)

    @property
    def stepwise(self) -> bool:
        """Whether a step needs more of the one before than the state of the recurrent layers."""
        chosen = self.options
        return chosen.input_feeding or chosen.coverage or (self.training and chosen.sampling > 0)

    def forward(self, steps: Sequences, state: State, inputs: Sequences, target: Tensor | None) -> Tensor:
        """Write a text for each of a batch, or, while it learns, say what the true one costs.

        Args:
            steps: what the encoder's recurrent layers give, `[batch, source, feature]`.
            state: their states after the last step.
            inputs: what was read, for copying.
            target: the true tokens, the sign of the end, then 0: int64 `[batch, time]`; None where not known.

        Returns:
            See `nn.written`.
        """
        source = self._source(steps, state, inputs)
        forced = None if target is None else self._forced(source, target)
        if self.training and forced is not None:
            return forced
        return packed(forced, self._written(source))

    def _source(self, steps: Sequences, state: State, inputs: Sequences) -> _Source:
        mask = steps.mask()[..., None]
        read = Sequences(torch.where(mask, self.dropout(steps.data), 0.0), steps.lengths)
        memory = Memory(read.data, read.data, read.mask()) if self.attention is None else self.attention.remember(read)
        start: Carried = {}
        for name, value in state.items():
            if name in self.recurrent.cell.state:
                joined = value.unflatten(0, (-1, self.ways))[-self.layers :].permute(2, 0, 1, 3).flatten(2)
                if name in self.bridge:
                    start[name] = torch.tanh(self.bridge[name](joined))
                else:
                    start[name] = torch.zeros_like(joined[..., : value.shape[-1]])
        copied = None if self.copied is None else self.copied[torch.where(inputs.mask(), inputs.data, PADDING)]
        return _Source(memory, start, copied)

    def _forced(self, source: _Source, target: Tensor) -> Tensor:
        """What each true token costs, `[batch, time, 3]`."""
        read = torch.cat([torch.full_like(target[:, :1], END), target[:, :-1]], dim=1)
        spoken = self._one_by_one(source, read) if self.stepwise else self._at_once(source, read)
        twice = torch.minimum(spoken.weights, spoken.covered).sum(-1)
        # Answers are the larger part of the work: what is padding gets none.
        inside = target != PADDING
        rows = inside.nonzero()[:, 0]
        copied = None if source.copied is None else source.copied[rows]
        own = None if spoken.own is None else spoken.own[inside][:, None]
        each = _Spoken(spoken.vectors[inside][:, None], spoken.weights[inside][:, None], own, spoken.covered)
        chances = self._chances(copied, each)[:, 0]
        cost = -chances.gather(1, target[inside][:, None])[:, 0]
        told = torch.stack([cost, -chances.mean(-1), twice[inside]], dim=-1)
        return told.new_zeros(*target.shape, told.shape[1]).index_put(inside.nonzero(as_tuple=True), told)

    def _at_once(self, source: _Source, read: Tensor) -> _Spoken:
        """All steps of a text whose tokens are known."""
        vectors = self._vectors(read)
        state = {name: value.transpose(0, 1).contiguous() for name, value in source.start.items()}
        states = self.recurrent(vectors, state).output
        spoken = self._speak(source, vectors, states, None)
        before = spoken.weights.cumsum(1) - spoken.weights
        return spoken._replace(covered=before)

    def _one_by_one(self, source: _Source, read: Tensor) -> _Spoken:
        """The same, one step after the other."""
        carried, spoken = self._begin(source, 1), []
        sampled = self.training and self.options.sampling > 0
        tokens = read[:, :1]
        for at in range(read.shape[1]):
            one, carried = self._step(source, tokens, carried)
            spoken.append(one)
            if at + 1 < read.shape[1]:
                tokens = read[:, at + 1 : at + 2]
                if sampled:
                    with torch.no_grad():
                        likeliest = self._chances(source.copied, one).argmax(-1)
                    own = torch.rand(tokens.shape, device=tokens.device) < self.options.sampling
                    tokens = torch.where(own & (tokens != PADDING), likeliest, tokens)
        own = [one.own for one in spoken if one.own is not None]
        return _Spoken(
            torch.cat([one.vectors for one in spoken], dim=1),
            torch.cat([one.weights for one in spoken], dim=1),
            torch.cat(own, dim=1) if own else None,
            torch.cat([one.covered for one in spoken], dim=1),
        )

    def _vectors(self, tokens: Tensor) -> Tensor:
        """The vectors of tokens `[batch, time]`."""
        lengths = torch.full((len(tokens),), tokens.shape[1], dtype=torch.int64)
        return self.tokens(Sequences(tokens, lengths), {})[0].data

    def _begin(self, source: _Source, width: int) -> Carried:
        """What the first step is carried, for `width` beginnings of each text."""
        batch, steps = source.memory.mask.shape
        size = self.recurrent.output_size
        carried = {name: value[:, None].expand(-1, width, -1, -1) for name, value in source.start.items()}
        some = source.memory.values
        return carried | {"fed": some.new_zeros(batch, width, size), "covered": some.new_zeros(batch, width, steps)}

    def _step(self, source: _Source, tokens: Tensor, carried: Carried) -> tuple[_Spoken, Carried]:
        """One step of several beginnings of each text, `[batch, width]`."""
        vectors = self._vectors(tokens)
        read = torch.cat([vectors, carried["fed"]], dim=-1) if self.options.input_feeding else vectors
        names = [name for name in carried if name in source.start]
        state = {name: carried[name].flatten(0, 1).transpose(0, 1).contiguous() for name in names}
        done = self.recurrent(read.flatten(0, 1)[:, None], state)
        spoken = self._speak(source, vectors, done.output.view(*tokens.shape, -1), carried["covered"])
        following = {name: done.state[name].transpose(0, 1).unflatten(0, tokens.shape) for name in names}
        return spoken, following | {"fed": spoken.vectors, "covered": carried["covered"] + spoken.weights}

    def _speak(self, source: _Source, vectors: Tensor, states: Tensor, covered: Tensor | None) -> _Spoken:
        """From the states of the recurrent layers to h̃."""
        before = states.new_zeros(()) if covered is None else covered
        if self.attention is None:
            weights = states.new_zeros(*states.shape[:2], source.memory.mask.shape[1])
            return _Spoken(states, weights, None, before)
        weights = self.attention(states, source.memory, covered)
        context = weights @ source.memory.values
        own = None
        if self.gate is not None:
            own = torch.sigmoid(self.gate(torch.cat([context, states, vectors], dim=-1)))
        return _Spoken(torch.tanh(self.join(torch.cat([context, states], dim=-1))), weights, own, before)

    def _chances(self, copied: Tensor | None, spoken: _Spoken) -> Tensor:
        """log p of every token at each step, `[batch, time, vocabulary]`."""
        lengths = torch.full((len(spoken.vectors),), spoken.vectors.shape[1], dtype=torch.int64)
        logits = self.readout(Sequences(spoken.vectors, lengths), self.tokens.vectors.weight)
        if spoken.own is None or copied is None:
            return logits.log_softmax(-1)
        shares = spoken.own * logits.softmax(-1)
        places = copied[:, None].expand(-1, shares.shape[1], -1)
        shares = shares.scatter_add(2, places, (1 - spoken.own) * spoken.weights)
        return shares.clamp(min=_LEAST).log()

    def _written(self, source: _Source) -> Written:
        never = torch.tensor([PADDING, UNKNOWN], device=source.memory.values.device)

        def step(tokens: Tensor, carried: Carried) -> tuple[Tensor, Tensor, Carried]:
            spoken, following = self._step(source, tokens, carried)
            chances = self._chances(source.copied, spoken).index_fill(2, never, -torch.inf)
            return chances, spoken.weights, following

        chosen = self.options
        with torch.no_grad():
            return search(
                step, self._begin(source, chosen.beam), width=chosen.beam, longest=chosen.longest,
                penalty=chosen.penalty,
            )  # fmt: skip
