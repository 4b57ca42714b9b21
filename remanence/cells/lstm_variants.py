"""Variants of the LSTM: peepholes gate by gate, coupled gates, a projected output, layer normalisation."""

from __future__ import annotations

from itertools import combinations

from remanence.cells.cell import Cell

__all__ = ["CELLS"]


def _peephole(gates: str) -> Cell:
    """The LSTM whose gates among `i`, `f`, `o` see the cell state; the output gate sees the new one."""
    see = {gate: f" + p_{gate} * c" if gate in gates else "" for gate in "ifo"}
    every = gates == "ifo"
    return Cell(
        name="lstm-peephole" if every else f"lstm-peephole-{gates}",
        title="LSTM with peepholes" if every else f"LSTM with peepholes on {', '.join(gates)}",
        state=("h", "c"),
        output="h",
        equations=f"""
            i = sigmoid(W_i @ x + U_i @ h{see["i"]} + b_i)
            f = sigmoid(W_f @ x + U_f @ h{see["f"]} + b_f)
            g = tanh(W_g @ x + U_g @ h + b_g)
            c = f * c + i * g
            o = sigmoid(W_o @ x + U_o @ h{see["o"]} + b_o)
            h = o * tanh(c)
        """,
        source="Gers & Schmidhuber 2000, Recurrent nets that time and count, doi:10.1109/IJCNN.2000.861302; "
        "squashing by tanh as in Greff et al. 2017, section II, arXiv:1503.04069",
        additive_memory={"c": ("f", "i * g")},
        candidate="g",
        bounded=True,
        forget_bias=("b_f",),
        chrono={"b_f": 1, "b_i": -1},
    )


_SUBSETS = tuple("".join(gates) for count in (3, 1, 2) for gates in combinations("ifo", count))

_CIFG = Cell(
    name="lstm-cifg",
    title="LSTM with coupled input and forget gates",
    state=("h", "c"),
    output="h",
    equations="""
        f = sigmoid(W_f @ x + U_f @ h + b_f)
        g = tanh(W_g @ x + U_g @ h + b_g)
        o = sigmoid(W_o @ x + U_o @ h + b_o)
        c = f * c + (1 - f) * g
        h = o * tanh(c)
    """,
    source="Greff et al. 2017, section III (CIFG), arXiv:1503.04069; without peepholes",
    additive_memory={"c": ("f", "(1 - f) * g")},
    candidate="g",
    bounded=True,
    forget_bias=("b_f",),
    chrono={"b_f": 1},
)

_PROJECTED = Cell(
    name="lstmp",
    title="LSTM with a projected output",
    state=("h", "c"),
    output="h",
    equations="""
        i = sigmoid(W_i @ x + U_i @ h + b_i)
        f = sigmoid(W_f @ x + U_f @ h + b_f)
        g = tanh(W_g @ x + U_g @ h + b_g)
        o = sigmoid(W_o @ x + U_o @ h + b_o)
        c = f * c + i * g
        h = V @ (o * tanh(c))
    """,
    source="Sak, Senior & Beaufays 2014, arXiv:1402.1128; without peepholes, as torch's proj_size",
    additive_memory={"c": ("f", "i * g")},
    candidate="g",
    forget_bias=("b_f",),
    chrono={"b_f": 1, "b_i": -1},
)


def _normalised(name: str, argument: str) -> str:
    """Lines that give `name`, the layer norm of an expression with gain and bias of its own."""
    return f"""
        s_{name} = {argument}
        d_{name} = s_{name} - mean(s_{name})
        y_{name} = k_{name} * d_{name} / sqrt(mean(d_{name} * d_{name}) + 1e-5)"""


def _layer_norm() -> Cell:
    lines = ""
    for gate in "ifgo":
        lines += _normalised(f"x{gate}", f"W_{gate} @ x") + _normalised(f"h{gate}", f"U_{gate} @ h")
        squash = "tanh" if gate == "g" else "sigmoid"
        lines += f"\n        {gate} = {squash}(y_x{gate} + y_h{gate} + b_{gate})"
    lines += "\n        c = f * c + i * g" + _normalised("c", "c") + "\n        h = o * tanh(y_c + b_c)"
    gains = [f"k_{side}{gate}" for gate in "ifgo" for side in "xh"]
    return Cell(
        name="lstm-layernorm",
        title="LSTM with layer normalisation",
        state=("h", "c"),
        output="h",
        equations=lines,
        source="Ba, Kiros & Hinton 2016, the LSTM of its supplementary material, arXiv:1607.06450; "
        "each gate is normalised on its own, "
        "and the two biases of a gate are one",
        additive_memory={"c": ("f", "i * g")},
        candidate="g",
        bounded=True,
        forget_bias=("b_f",),
        chrono={"b_f": 1, "b_i": -1},
        start={**dict.fromkeys([*gains, "k_c"], 1.0), **dict.fromkeys([f"b_{g}" for g in "ifgoc"], 0.0)},
    )


CELLS = (*(_peephole(gates) for gates in _SUBSETS), _CIFG, _PROJECTED, _layer_norm())
