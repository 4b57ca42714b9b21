"""Cells for irregular time and missing values: what was not observed decays towards its mean, and so does the state."""

from __future__ import annotations

from remanence.cells.cell import Cell

__all__ = ["CELLS"]

CELLS = (
    Cell(
        name="gru-d",
        title="GRU with decays, for missing values and irregular time",
        state=("h",),
        output="h",
        given={"m": "input", "delta": "input", "last": "input"},
        equations="""
            gamma_x = exp(-relu(w_gamma * delta + b_delta))
            gamma_h = exp(-relu(W_gamma @ delta + b_gamma))
            x_hat = m * x + (1 - m) * (gamma_x * last + (1 - gamma_x) * x_bar)
            h_hat = gamma_h * h
            z = sigmoid(W_z @ x_hat + U_z @ h_hat + V_z @ m + b_z)
            r = sigmoid(W_r @ x_hat + U_r @ h_hat + V_r @ m + b_r)
            n = tanh(W_n @ x_hat + U_n @ (r * h_hat) + V_n @ m + b_n)
            h = (1 - z) * h_hat + z * n
        """,
        source="Che, Purushotham, Cho, Sontag & Liu 2018, Recurrent neural networks for multivariate time series with "
        "missing values, 'GRU-D: Model with trainable decays', doi:10.1038/s41598-018-24271-9; m is 1 where a value "
        "was observed, delta the time since the last observation, last its value; the mean x_bar starts at 0, that of "
        "standardised inputs, and is learnt",
        additive_memory={"h": ("(1 - z) * gamma_h", "z * n")},
        candidate="n",
        bounded=True,
        start={"x_bar": 0.0},
    ),
)
