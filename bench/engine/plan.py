"""What is timed, and what it must show: shapes, cells, modes, peers; the floors, stated once.

A case is one cell in one mode at one shape with some threads, against one peer. A floor speaks of all cases of its
cell, mode and peers: with several peers, each case counts against the fastest of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

__all__ = ["FLOORS", "MODES", "SHAPES", "Case", "Floor", "Mode", "Shape", "cases", "default_pairs"]

Mode = Literal["train", "infer", "lengths"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Shape:
    """Sizes of one case.

    Example:
        >>> Shape.parse("32x100x16x32")
        Shape(batch=32, time=100, input=16, hidden=32)
        >>> str(Shape(1, 2, 3, 4))
        '1x2x3x4'
    """

    batch: int
    time: int
    input: int
    hidden: int

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read `BxTxIxH`.

        Raises:
            ValueError: not four whole numbers of at least 1.
        """
        parts = text.split("x")
        if len(parts) != 4 or not all(part.isdigit() and int(part) > 0 for part in parts):
            raise ValueError(f"shape '{text}': expected batch x time x input x hidden, such as 32x100x16x32")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.batch}x{self.time}x{self.input}x{self.hidden}"


SHAPES = tuple(
    Shape(*sizes)
    for sizes in ((32, 100, 16, 32), (32, 100, 64, 128), (32, 100, 128, 256), (256, 24, 8, 64), (64, 256, 256, 512))
)
"""The shapes of a full run."""


@dataclass(frozen=True)
class Floor:
    """What the cases of a row must reach, as ratios of times: above 1 we are faster.

    Args:
        title: of the row.
        cell: in `remanence.cells.CELLS`.
        mode: of the cases.
        peers: names in `PEERS`.
        mean: least geometric mean over shapes and threads; None: shown without a floor.
        least: least ratio of every single case, or None.
    """

    title: str
    cell: str
    mode: Mode
    peers: tuple[str, ...]
    mean: float | None = None
    least: float | None = None

    @property
    def key(self) -> str:
        """Short name: cell, mode, peers."""
        return f"{self.cell}/{self.mode}/{'+'.join(self.peers)}"


OWN = {
    "lstm-peephole": "Peephole LSTM",
    "lstm-cifg": "CIFG",
    "lstm-layernorm": "Layer-norm LSTM",
    "gru-before": "GRU, reset before",
    "mgu": "MGU",
    "minlstm": "minLSTM",
    "slstm": "sLSTM",
}
"""Cells that no framework has a kernel for."""

FLOORS = (
    Floor("LSTM, training", "lstm", "train", ("torch",), 1.3, 0.95),
    Floor("LSTM, inference", "lstm", "infer", ("torch", "onnxruntime"), 1.1, 0.9),
    Floor("GRU, training", "gru", "train", ("torch",), 2.5, 1.0),
    Floor("RNN, training", "rnn", "train", ("torch",), 2.2, 1.0),
    Floor("LSTM with projection, training", "lstmp", "train", ("torch",), 2.2, 1.0),
    Floor("LSTM, unequal lengths, training", "lstm", "lengths", ("torch",), 4.0),
    *(Floor(f"{title}, training", cell, "train", ("cells",), 6.0) for cell, title in OWN.items()),
    *(Floor(f"{title}, training", cell, "train", ("loop",), 6.0) for cell, title in OWN.items()),
    *(Floor(f"{title}, training", cell, "train", ("jax",), 2.0) for cell, title in OWN.items()),
    Floor("GRU, inference", "gru", "infer", ("torch", "onnxruntime")),
    Floor("RNN, inference", "rnn", "infer", ("torch", "onnxruntime")),
    Floor("LSTM, training", "lstm", "train", ("jax",)),
    Floor("LSTM, training", "lstm", "train", ("keras",)),
)
"""Rows of the table, in its order."""


@dataclass(frozen=True)
class Case:
    """One comparison."""

    cell: str
    mode: Mode
    peer: str
    shape: Shape
    threads: int

    @property
    def key(self) -> str:
        """What the results know it by."""
        return f"{self.cell}/{self.mode}/{self.peer}/{self.shape}/{self.threads}"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: dict[str, Any]) -> Case:
        """The inverse of `to_json`."""
        shape = Shape(**held["shape"])
        return cls(held["cell"], held["mode"], held["peer"], shape, held["threads"])


def default_pairs() -> list[tuple[str, Mode, str]]:
    """Cell, mode and peer of every row, each once."""
    return list(dict.fromkeys((floor.cell, floor.mode, peer) for floor in FLOORS for peer in floor.peers))


def cases(triples: Iterable[tuple[str, Mode, str]], shapes: Iterable[Shape], threads: Iterable[int]) -> Iterator[Case]:
    """Every case of some rows: a peer's cases with the same threads stand together, for one process runs them."""
    shapes, triples = list(shapes), list(triples)
    for peer in dict.fromkeys(peer for _, _, peer in triples):
        for count in threads:
            for cell, mode, whose in triples:
                if whose == peer:
                    yield from (Case(cell, mode, peer, shape, count) for shape in shapes)
