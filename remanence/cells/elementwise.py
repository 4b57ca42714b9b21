"""Cells whose state meets no full matrix: IndRNN, SRU, minLSTM, minGRU. Most of their work is done before the loop."""

from __future__ import annotations

from remanence.cells.cell import Cell

__all__ = ["CELLS"]

_MINIMAL = "Feng, Tung, Ahmed, Bengio & Hajimirsadegh 2024, Were RNNs all we needed?, arXiv:2410.01201"

CELLS = (
    Cell(
        name="indrnn",
        title="independently recurrent network",
        state=("h",),
        output="h",
        equations="h = relu(W @ x + u * h + b)",
        source="Li, Li, Cook, Zhu & Gao 2018, arXiv:1803.04831",
    ),
    Cell(
        name="sru",
        title="simple recurrent unit",
        state=("c", "h"),
        output="h",
        equations="""
            f = sigmoid(W_f @ x + v_f * c + b_f)
            r = sigmoid(W_r @ x + v_r * c + b_r)
            u = W @ x
            c = f * c + (1 - f) * u
            h = r * c + (1 - r) * (W_h @ x)
        """,
        source="Lei, Zhang, Wang, Dai & Artzi 2018, section 3.1, arXiv:1709.02755v5; the highway connection has a "
        "matrix of its own, so that input and hidden may differ",
        additive_memory={"c": ("f", "(1 - f) * u")},
        candidate="u",
        forget_bias=("b_f",),
        chrono={"b_f": 1},
    ),
    Cell(
        name="minlstm",
        title="minimal LSTM",
        state=("h",),
        output="h",
        equations="""
            f = sigmoid(W_f @ x + b_f)
            i = sigmoid(W_i @ x + b_i)
            n = W_n @ x + b_n
            h = f / (f + i) * h + i / (f + i) * n
        """,
        source=f"{_MINIMAL}, section 3.2",
        additive_memory={"h": ("f / (f + i)", "i / (f + i) * n")},
        candidate="n",
        forget_bias=("b_f",),
        chrono={"b_f": 1, "b_i": -1},
    ),
    Cell(
        name="mingru",
        title="minimal GRU",
        state=("h",),
        output="h",
        equations="""
            z = sigmoid(W_z @ x + b_z)
            n = W_n @ x + b_n
            h = (1 - z) * h + z * n
        """,
        source=f"{_MINIMAL}, section 3.1",
        additive_memory={"h": ("1 - z", "z * n")},
        candidate="n",
        chrono={"b_z": -1},
    ),
)
