"""Write a recurrent cell as equations and train it beside an LSTM: which letter came first?

    python examples/own_cell.py

Sequences of letters whose label is their first letter: the cell has to hold it through all later ones.
"""

from __future__ import annotations

import torch
from torch import nn

from remanence.cells import Cell, cell
from remanence.nn.recurrent import Recurrent

LEAKY = Cell(
    name="leaky",
    state=("h",),
    output="h",
    equations="""
        k = sigmoid(W_k @ x + U_k @ h + b_k)
        g = tanh(W @ x + U @ h + b)
        h = k * h + (1 - k) * g
    """,
    source="an example: what to keep is decided by the input and the state",
    additive_memory={"h": ("k", "(1 - k) * g")},
)
LETTERS, TIME = 8, 10


def batch(size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Letters as one-hot vectors `[batch, time, feature]`, and the first letter of each."""
    letters = torch.randint(LETTERS, (size, TIME), generator=generator)
    return nn.functional.one_hot(letters, LETTERS).float(), letters[:, 0]


def accuracy_after(recurrent_cell: Cell, steps: int, seed: int = 0) -> float:
    """Train for so many updates; share of right answers on letters not seen in training."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layer, head = Recurrent(recurrent_cell, LETTERS, 24), nn.Linear(24, LETTERS)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    for _ in range(steps):
        inputs, first = batch(64, generator)
        loss = nn.functional.cross_entropy(head(layer(inputs).output[:, -1]), first)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    inputs, first = batch(1000, torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        return (head(layer(inputs).output[:, -1]).argmax(1) == first).float().mean().item()


def main(steps: int = 600) -> None:
    for one in (LEAKY, cell("lstm"), cell("rnn")):
        print(f"{one.name:6} {accuracy_after(one, steps):.3f} of the first letters, chance {1 / LETTERS:.3f}")


if __name__ == "__main__":
    main()
