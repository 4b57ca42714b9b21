"""The one model: encoder → recurrent layers → head.

A long sequence may come in chunks. All that a later chunk must know of an earlier one is in the state: the recurrent
states (`h`, `c`), the pool's accumulators (`pool.…`), the past of convolutions (`encoder.…`, `branch.…`), and the level
of each window (`window.…`, which `begin` takes from the whole window). Every tensor of it has the batch at axis 1.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor, nn

from remanence.data.examples import Batch
from remanence.errors import SettingError
from remanence.nn.convolution import Branch
from remanence.nn.decoder import Decoder
from remanence.nn.encoders import NumberEncoder, TokenEncoder
from remanence.nn.frames import FrameEncoder
from remanence.nn.heads import ClassifyHead, ForecastHead, StepHead, TagHead
from remanence.nn.pool import State, latest
from remanence.nn.readout import Readout
from remanence.nn.recurrent import Recurrent, RecurrentOutput
from remanence.nn.sound import CTCHead, SoundEncoder, stacked_lengths
from remanence.nn.window import InputLayout, denormalise, normalise, window_state
from remanence.nn.words import WordEncoder
from remanence.sequences import Sequences

__all__ = ["SequenceModel", "State", "Table"]

Table: TypeAlias = nn.Embedding | nn.EmbeddingBag


class SequenceModel(nn.Module):
    """Encoder, recurrent layers and head of one task.

    Args:
        encoder: what turns a batch's inputs into features.
        recurrent: the recurrent layers, as wide as the encoder's output.
        head: what answers.
        branch: convolutions beside encoder and recurrent layers, for a classifier of numbers.
        layout: where the features of a forecast's inputs stand; None for a classifier.
        normalise: `none`, `last` or `window`: what each window of a forecast is made relative to.

    Raises:
        SettingError: a step-by-step forecast with a backward direction, which would have to know the future.
    """

    def __init__(
        self,
        encoder: NumberEncoder | TokenEncoder | WordEncoder | SoundEncoder | FrameEncoder,
        recurrent: Recurrent,
        head: ClassifyHead | ForecastHead | StepHead | TagHead | Readout | Decoder | CTCHead,
        *,
        branch: Branch | None = None,
        layout: InputLayout | None = None,
        normalise: str = "none",
    ) -> None:
        super().__init__()
        self.encoder, self.recurrent, self.head = encoder, recurrent, head
        self.branch, self.layout, self.normalise = branch, layout, normalise
        if recurrent.bidirectional and isinstance(head, StepHead):
            raise SettingError(
                "a recursive forecast cannot read from both ends", name="bidirectional", remedy="--strategy direct"
            )

    @property
    def parameters_count(self) -> int:
        """Trained numbers."""
        return sum(weights.numel() for weights in self.parameters())

    def tables(self) -> dict[str, Table]:
        """Tables of vectors that are read row by row alone, by the name of their weights: none that answers, too."""
        answering = None
        if isinstance(self.head, Readout) and self.head.tied and isinstance(self.encoder, TokenEncoder):
            answering = self.encoder.vectors
        if isinstance(self.head, Decoder) and self.head.readout.tied:
            answering = self.head.tokens.vectors
        return {
            f"{name}.weight": module
            for name, module in self.named_modules()
            if isinstance(module, Table) and module is not answering
        }

    def begin(self, batch: Batch) -> State:
        """The state before the first step: what `forward` must know of a whole window when it comes in chunks."""
        if self.layout is None:
            return {}
        return window_state(self.normalise, batch.inputs, self.layout)

    def encode(self, batch: Batch) -> Sequences:
        """What the recurrent layers read: `[batch, time, feature]`."""
        return self.encoder(self._relative(batch.inputs, self.begin(batch)), {})[0]

    def trace(self, batch: Batch, quantities: tuple[str, ...] = ("*",)) -> RecurrentOutput:
        """Run the recurrent layers and keep quantities of their equations (`("*",)`: all)."""
        return self.recurrent(self.encode(batch), trace=quantities)

    def forward(self, batch: Batch, state: State | None = None) -> tuple[Tensor, State]:
        """Answer a batch, or a chunk of one after `state`.

        Args:
            batch: the inputs; of a chunked sequence, the next steps of each (length 0 where it has ended).
            state: what the chunk before returned; of the first chunk of a forecast, `begin(whole batch)`.

        Returns:
            The answer after all steps so far, and the state: logits `[batch, class]`, or a forecast in scaled units
            `[batch, horizon, target]` (with quantiles `[batch, horizon, target, 1 + quantile]`); of a tagger the
            lattice of these steps alone; of a model that generates, logits of these steps `[batch, time, answer]`; of
            one that writes a text for a whole source, see `nn.written`.

        Raises:
            SettingError: chunks for layers that read from both ends.
        """
        state = self.begin(batch) if state is None else state
        carried = _part(state, "pool.")
        if self.recurrent.bidirectional and any("." not in name for name in state):
            raise SettingError(
                "cannot be carried from chunk to chunk by layers that read from both ends",
                name="truncate",
                remedy="--no-bidirectional, or no --truncate",
            )
        inputs = self._relative(batch.inputs, state)
        read, steps, following = self._read(inputs, state)
        if isinstance(self.head, StepHead):
            pooled, pool = self.head.pool(steps, carried, self._last(following))
            before = state["head.input"][0] if carried else inputs.data.new_zeros(inputs.batch, inputs.data.shape[-1])
            last = latest(inputs, before)
            answer = self._recur(pooled, last, batch.future, following)
            following["head.input"] = last[None]
        elif isinstance(self.head, TagHead):
            answer, pool = self.head(steps), {}
        elif isinstance(self.head, Readout):
            vectors = self.encoder.vectors.weight if isinstance(self.encoder, TokenEncoder) else None
            answer, pool = self.head(steps, vectors), {}
        elif isinstance(self.head, Decoder):
            answer, pool = self.head(steps, following, inputs, batch.target), {}
        elif isinstance(self.head, CTCHead):
            answer, pool = self.head(steps, carried, ends=batch.ends)
            if batch.ends and not state:
                answer = self.head.with_text(answer, steps.lengths)
        elif isinstance(self.head, ForecastHead):
            answer, pool = self.head(steps, carried, batch.future, self._last(following))
        else:
            beside = None
            if self.branch is not None:
                beside, past = self.branch(inputs, _part(state, "branch."))
                following.update(past)
            answer, pool = self.head(steps, carried, read=read, beside=beside, last=self._last(following))
        following.update(pool)
        return (answer if self.layout is None else denormalise(answer, following)), following

    def chunks(self, batch: Batch, size: int) -> list[Batch]:
        """The batch cut along time into chunks of `size` steps; at least one."""
        if isinstance(self.encoder, SoundEncoder):
            size = max(1, size // self.encoder.stack) * self.encoder.stack
        return [batch.chunk(at, at + size) for at in range(0, max(batch.inputs.time, 1), size)]

    @property
    def answers_steps(self) -> bool:
        """Whether a chunk is answered step by step, so that all of its answers must be kept."""
        return isinstance(self.head, Readout | TagHead | CTCHead)

    def joined(self, answers: list[Tensor], batch: Batch) -> Tensor:
        """The answer to a whole batch from those to its chunks: the last one, or every step's."""
        if isinstance(self.head, CTCHead):
            stack = self.encoder.stack if isinstance(self.encoder, SoundEncoder) else 1
            return self.head.with_text(torch.cat(answers, dim=1), stacked_lengths(batch.inputs.lengths, stack))
        if isinstance(self.head, Readout):
            return torch.cat(answers, dim=1)
        if not isinstance(self.head, TagHead):
            return answers[-1]
        rows = 2 + answers[0].shape[2]
        return torch.cat([answers[0], *(answer[:, rows:] for answer in answers[1:])], dim=1)

    def _relative(self, inputs: Sequences, state: State) -> Sequences:
        return inputs if self.layout is None else normalise(inputs, state, self.layout)

    def _read(self, inputs: Sequences, state: State) -> tuple[Sequences, Sequences, State]:
        """Encoder and recurrent layers: what was read and what they give at each step, and the state after it."""
        encoded, following = self.encoder(inputs, _part(state, "encoder."))
        following.update(_part(state, "window."))
        cell_state = {name: value for name, value in state.items() if "." not in name}
        read = self.recurrent(encoded, cell_state or None)
        following.update(read.state)
        return encoded, Sequences(read.output, encoded.lengths), following

    def _last(self, state: State) -> Tensor | None:
        """The last valid step of each sequence: what the last layer's final states say; None where they
        say something else."""
        layers = self.recurrent
        if layers.options.learn_start or (layers.options.residual and layers.layers > 1):
            return None
        finals = state[layers.cell.output][-len(layers.directions) :, :, : layers.unit_size]
        return finals[0] if len(finals) == 1 else torch.cat([*finals], dim=1)

    def _recur(self, vector: Tensor, last: Tensor, future: Tensor | None, state: State) -> Tensor:
        """Forecast one step, feed it back, and so on: `[batch, horizon, …]`."""
        assert isinstance(self.head, StepHead)
        assert self.layout is not None
        answers: list[Tensor] = []
        ones = torch.ones(len(vector), dtype=torch.int64)
        for step in range(self.head.horizon):
            known = None if future is None or not self.layout.known else future[:, step]
            answers.append(self.head(vector, known))
            if step + 1 < self.head.horizon:
                point = answers[-1] if answers[-1].ndim == 2 else answers[-1][..., 0]
                last = self.layout.follow(last, point, known)
                _, steps, state = self._read(Sequences(last[:, None], ones), state)
                vector = steps.data[:, 0]
        return torch.stack(answers, dim=1)


def _part(state: State, prefix: str) -> State:
    return {name: value for name, value in state.items() if name.startswith(prefix)}
