"""Which steps of a source each piece of a written text came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.data.symbols import PADDING
from remanence.nn.written import Written

__all__ = ["Alignment", "Answered", "answered", "step_names"]


@dataclass(frozen=True)
class Alignment:
    """How a text was written.

    Args:
        written: its pieces, the sign of the end last where it ended.
        source: the names of the steps that were read.
        weights: how much of each step went into each piece, float64 `[piece, step]`; zeros without attention.
    """

    written: tuple[str, ...]
    source: tuple[str, ...]
    weights: np.ndarray

    def to_json(self) -> str:
        """One line of JSON: the two lists, and the weights row by row, four digits each."""
        weights = [[round(float(weight), 4) for weight in row] for row in self.weights]
        found = {"written": self.written, "source": self.source, "weights": weights}
        return json.dumps(found, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Alignment:
        """Read back what `to_json` wrote."""
        found = json.loads(text)
        weights = np.array(found["weights"], np.float64).reshape(len(found["written"]), len(found["source"]))
        return cls(tuple(found["written"]), tuple(found["source"]), weights)

    def lines(self) -> list[str]:
        """A line a piece: it, and the steps that gave most of it, up to four fifths, at most three.

        Example:
            >>> print(*Alignment(("sea",), ("大", "海"), np.array([[0.1, 0.9]])).lines())
            sea  ← 海 0.90
        """
        width = max(map(len, self.written), default=0)
        found = []
        for piece, row in zip(self.written, self.weights, strict=True):
            chosen: list[int] = []
            for step in np.argsort(-row, kind="stable")[:3].tolist():
                if row[step] > 0 and row[chosen].sum() < 0.8:
                    chosen.append(step)
            steps = ", ".join(f"{self.source[step]} {row[step]:.2f}" for step in chosen)
            found.append(f"{piece:<{width}}  ← {steps}".rstrip(" ←"))
        return found


@dataclass(frozen=True)
class Answered:
    """A text that was written.

    Args:
        text: put together from its pieces.
        score: mean log p of its tokens, the end included.
        alignment: which steps of the source each piece came from.
    """

    text: str
    score: float
    alignment: Alignment


def answered(output: Tensor, steps: Sequence[Sequence[str]], encoders: PairEncoders) -> Iterator[Answered]:
    """Read what was written for each source of a batch.

    Args:
        output: what a decoder gave, `[batch, time, 5 + source]`.
        steps: the names of the steps of each source.
        encoders: say what the tokens written stand for.
    """
    written = Written.read(output.detach().cpu())
    for tokens, chances, weights, names in zip(*written, steps, strict=True):
        count = int((tokens != PADDING).sum())
        alignment = Alignment(
            encoders.target.pieces(tokens[:count].tolist()),
            tuple(names),
            weights[:count, : len(names)].double().numpy(),
        )
        score = float(chances[:count].double().sum()) / max(1, count)
        yield Answered(encoders.target.decode(tokens.tolist()), score, alignment)


def step_names(part: Part, index: int, length: int) -> tuple[str, ...]:
    """What the steps of an example are called: their tokens, their seconds, or where they have neither their numbers.

    A sequence counts its steps from 1, whichever window of it is an example.

    Args:
        part: holds it.
        index: its position there.
        length: its steps.
    """
    if tokens := part.tokens(index)[:length]:
        return tuple(tokens)
    clock, first = part.clock(index), part.first(index) + 1
    return tuple(map(str, range(first, first + length))) if clock is None else clock.names(length)
