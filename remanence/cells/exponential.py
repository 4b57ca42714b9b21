"""sLSTM: the LSTM with exponential gates, a normaliser, and a running maximum that keeps both in range."""

from __future__ import annotations

from remanence.cells.cell import Cell

__all__ = ["CELLS"]


def _slstm(name: str, title: str, log_f: str, form: str) -> Cell:
    return Cell(
        name=name,
        title=title,
        state=("h", "c", "n", "m"),
        output="h",
        equations=f"""
            z = tanh(W_z @ x + U_z @ h + b_z)
            o = sigmoid(W_o @ x + U_o @ h + b_o)
            log_i = W_i @ x + U_i @ h + b_i
            log_f = {log_f}
            k = log_f + m
            m = max(k, log_i)
            i = exp(log_i - m)
            f = exp(k - m)
            c = f * c + i * z
            n = f * n + i
            h = o * (c / max(n, 1e-30))
        """,
        source="Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter & Hochreiter 2024, xLSTM, "
        f"equations 8–17 with {form} in 13, arXiv:2405.04517; one head, and a normaliser too small for the dtype "
        "(possible at the first steps, where m starts at 0) does not divide",
        additive_memory={"c": ("f", "i * z"), "n": ("f", "i")},
        candidate="z",
        forget_bias=("b_f",),
    )


CELLS = (
    _slstm(
        "slstm",
        "sLSTM, exponential input gate",
        "-softplus(-(W_f @ x + U_f @ h + b_f))",
        "the sigmoid forget gate",
    ),
    _slstm(
        "slstm-exp",
        "sLSTM, exponential input and forget gates",
        "W_f @ x + U_f @ h + b_f",
        "the exponential forget gate",
    ),
)
