"""Cells with one gate or without batch normalisation: MGU, JANET, Li-GRU."""

from __future__ import annotations

from remanence.cells.cell import Cell

__all__ = ["CELLS"]

CELLS = (
    Cell(
        name="mgu",
        title="minimal gated unit",
        state=("h",),
        output="h",
        equations="""
            f = sigmoid(W_f @ x + U_f @ h + b_f)
            n = tanh(W_n @ x + U_n @ (f * h) + b_n)
            h = (1 - f) * h + f * n
        """,
        source="Zhou, Wu, Zhang & Zhou 2016, table 1, arXiv:1603.09420",
        additive_memory={"h": ("1 - f", "f * n")},
        candidate="n",
        bounded=True,
        chrono={"b_f": -1},
    ),
    Cell(
        name="janet",
        title="JANET, an LSTM with the forget gate alone",
        state=("c",),
        output="c",
        equations="""
            s = W_f @ x + U_f @ c + b_f
            g = tanh(W_g @ x + U_g @ c + b_g)
            c = sigmoid(s) * c + (1 - sigmoid(s - 1)) * g
        """,
        source="van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate, "
        "arXiv:1804.04849; beta = 1",
        additive_memory={"c": ("sigmoid(s)", "(1 - sigmoid(s - 1)) * g")},
        candidate="g",
        forget_bias=("b_f",),
        chrono={"b_f": 1},
    ),
    Cell(
        name="li-gru",
        title="light GRU, without batch normalisation",
        state=("h",),
        output="h",
        equations="""
            z = sigmoid(W_z @ x + U_z @ h + b_z)
            n = relu(W_n @ x + U_n @ h + b_n)
            h = z * h + (1 - z) * n
        """,
        source="Ravanelli, Brakel, Omologo & Bengio 2018, arXiv:1803.10225; biases in place of batch normalisation",
        additive_memory={"h": ("z", "(1 - z) * n")},
        candidate="n",
        forget_bias=("b_z",),
        chrono={"b_z": 1},
    ),
)
