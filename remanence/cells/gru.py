"""The gated recurrent unit: reset gate after the recurrent product (as cuDNN and torch), or before it."""

from __future__ import annotations

from remanence.cells.cell import Cell, TorchTwin

__all__ = ["CELLS"]

CELLS = (
    Cell(
        name="gru",
        title="GRU (reset after the product)",
        state=("h",),
        output="h",
        equations="""
            r = sigmoid(W_r @ x + U_r @ h + b_r)
            z = sigmoid(W_z @ x + U_z @ h + b_z)
            n = tanh(W_n @ x + b_n + r * (U_n @ h + b_hn))
            h = (1 - z) * n + z * h
        """,
        source="Cho et al. 2014, arXiv:1406.1078v1; "
        "the candidate has a recurrent bias of its own, as in cuDNN and torch",
        additive_memory={"h": ("z", "(1 - z) * n")},
        candidate="n",
        bounded=True,
        forget_bias=("b_z",),
        chrono={"b_z": 1},
        torch_twin=TorchTwin(
            "GRU",
            input=("W_r", "W_z", "W_n"),
            recurrent=("U_r", "U_z", "U_n"),
            bias=("b_r", "b_z", "b_n"),
            recurrent_bias=("", "", "b_hn"),
        ),
    ),
    Cell(
        name="gru-before",
        title="GRU (reset before the product)",
        state=("h",),
        output="h",
        equations="""
            r = sigmoid(W_r @ x + U_r @ h + b_r)
            z = sigmoid(W_z @ x + U_z @ h + b_z)
            n = tanh(W_n @ x + U_n @ (r * h) + b_n)
            h = z * h + (1 - z) * n
        """,
        source="Cho et al. 2014, equations 5–8, arXiv:1406.1078v3; with biases",
        additive_memory={"h": ("z", "(1 - z) * n")},
        candidate="n",
        bounded=True,
        forget_bias=("b_z",),
        chrono={"b_z": 1},
    ),
)
