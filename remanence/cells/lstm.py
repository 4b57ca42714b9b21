"""Long short-term memory with a forget gate, the form most libraries mean by LSTM; and the form of 1997 without one."""

from __future__ import annotations

from remanence.cells.cell import Cell, TorchTwin

__all__ = ["CELLS"]

CELLS = (
    Cell(
        name="lstm",
        title="LSTM",
        state=("h", "c"),
        output="h",
        equations="""
            i = sigmoid(W_i @ x + U_i @ h + b_i)
            f = sigmoid(W_f @ x + U_f @ h + b_f)
            g = tanh(W_g @ x + U_g @ h + b_g)
            o = sigmoid(W_o @ x + U_o @ h + b_o)
            c = f * c + i * g
            h = o * tanh(c)
        """,
        source="Gers, Schmidhuber & Cummins 2000, Learning to forget, doi:10.1162/089976600300015015; "
        "squashing by tanh as in Graves & Schmidhuber 2005, doi:10.1016/j.neunet.2005.06.042",
        additive_memory={"c": ("f", "i * g")},
        candidate="g",
        bounded=True,
        forget_bias=("b_f",),
        chrono={"b_f": 1, "b_i": -1},
        torch_twin=TorchTwin(
            "LSTM",
            input=("W_i", "W_f", "W_g", "W_o"),
            recurrent=("U_i", "U_f", "U_g", "U_o"),
            bias=("b_i", "b_f", "b_g", "b_o"),
            recurrent_bias=("", "", "", ""),
            keep=(-1e4, 1e4, 0.0, 0.0),
        ),
    ),
    Cell(
        name="lstm-1997",
        title="LSTM of 1997, without a forget gate",
        state=("h", "c"),
        output="h",
        equations="""
            i = sigmoid(W_i @ x + U_i @ h + b_i)
            o = sigmoid(W_o @ x + U_o @ h + b_o)
            g = 4 * sigmoid(W_g @ x + U_g @ h + b_g) - 2
            c = c + i * g
            h = o * (2 * sigmoid(c) - 1)
        """,
        source="Hochreiter & Schmidhuber 1997, section 4 and appendix A.1, doi:10.1162/neco.1997.9.8.1735; "
        "one cell a memory block, gradients untruncated",
        additive_memory={"c": ("1", "i * g")},
        candidate="g",
        bounded=True,
    ),
)
