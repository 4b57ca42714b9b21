"""The cells as anybody would write them: one product for all gates, then the gates. For a loop in torch, and for JAX.

They are written from the papers, not from the package's equations. A step is `step(o, p, a, state) -> state`: `o` has
the functions of a library, `p` the weights, `a` the input's product with its bias, and the output is the first state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["PLAIN", "Plain"]

State = tuple[Any, ...]
Step = Callable[[Any, Any, Any, State], State]


@dataclass(frozen=True)
class Plain:
    """A cell for the loop.

    Args:
        step: as above.
        stacks: weight of the loop → our names, one upon another; "W" and "b" are the input's.
        states: how many; all begin at zero.
    """

    step: Step
    stacks: dict[str, tuple[str, ...]]
    states: int = 1


def lstm(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = state
    i, f, g, out = o.split(a + o.linear(h, p["U"]), 4)
    c = o.sigmoid(f) * c + o.sigmoid(i) * o.tanh(g)
    return o.sigmoid(out) * o.tanh(c), c


def lstmp(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = lstm(o, p, a, state)
    return o.linear(h, p["V"]), c


def peephole(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = state
    i, f, g, out = o.split(a + o.linear(h, p["U"]), 4)
    c = o.sigmoid(f + p["p_f"] * c) * c + o.sigmoid(i + p["p_i"] * c) * o.tanh(g)
    return o.sigmoid(out + p["p_o"] * c) * o.tanh(c), c


def cifg(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = state
    f, g, out = o.split(a + o.linear(h, p["U"]), 3)
    f = o.sigmoid(f)
    c = f * c + (1 - f) * o.tanh(g)
    return o.sigmoid(out) * o.tanh(c), c


def layernorm(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = state
    from_x, from_h, bias = o.split(a, 4), o.split(o.linear(h, p["U"]), 4), o.split(p["bias"], 4)
    i, f, g, out = (
        o.normalise(from_x[k], p[f"k_x{gate}"]) + o.normalise(from_h[k], p[f"k_h{gate}"]) + bias[k]
        for k, gate in enumerate("ifgo")
    )
    c = o.sigmoid(f) * c + o.sigmoid(i) * o.tanh(g)
    return o.sigmoid(out) * o.tanh(o.normalise(c, p["k_c"]) + p["b_c"]), c


def rnn(o: Any, p: Any, a: Any, state: State) -> State:
    return (o.tanh(a + o.linear(state[0], p["U"])),)


def gru(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    xr, xz, xn = o.split(a, 3)
    hr, hz, hn = o.split(o.linear(h, p["U"]), 3)
    z = o.sigmoid(xz + hz)
    n = o.tanh(xn + o.sigmoid(xr + hr) * (hn + p["b_hn"]))
    return (n + z * (h - n),)


def gru_before(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    xr, xz, xn = o.split(a, 3)
    hr, hz = o.split(o.linear(h, p["U"]), 2)
    z = o.sigmoid(xz + hz)
    n = o.tanh(xn + o.linear(o.sigmoid(xr + hr) * h, p["U_n"]))
    return (n + z * (h - n),)


def mgu(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    xf, xn = o.split(a, 2)
    f = o.sigmoid(xf + o.linear(h, p["U_f"]))
    n = o.tanh(xn + o.linear(f * h, p["U_n"]))
    return (h + f * (n - h),)


def minlstm(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    f, i, n = o.split(a, 3)
    f, i = o.sigmoid(f), o.sigmoid(i)
    return ((f * h + i * n) / (f + i),)


def mingru(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    z, n = o.split(a, 2)
    return (h + o.sigmoid(z) * (n - h),)


def lstm_1997(o: Any, p: Any, a: Any, state: State) -> State:
    h, c = state
    i, g, out = o.split(a + o.linear(h, p["U"]), 3)
    c = c + o.sigmoid(i) * (4 * o.sigmoid(g) - 2)
    return o.sigmoid(out) * (2 * o.sigmoid(c) - 1), c


def janet(o: Any, p: Any, a: Any, state: State) -> State:
    (c,) = state
    s, g = o.split(a + o.linear(c, p["U"]), 2)
    return (o.sigmoid(s) * c + (1 - o.sigmoid(s - 1)) * o.tanh(g),)


def li_gru(o: Any, p: Any, a: Any, state: State) -> State:
    (h,) = state
    z, n = o.split(a + o.linear(h, p["U"]), 2)
    n = o.relu(n)
    return (n + o.sigmoid(z) * (h - n),)


def indrnn(o: Any, p: Any, a: Any, state: State) -> State:
    return (o.relu(a + p["u"] * state[0]),)


def rnn_relu(o: Any, p: Any, a: Any, state: State) -> State:
    return (o.relu(a + o.linear(state[0], p["U"])),)


def sru(o: Any, p: Any, a: Any, state: State) -> State:
    _, c = state
    f, r, u, x = o.split(a, 4)
    f, r = o.sigmoid(f + p["v_f"] * c), o.sigmoid(r + p["v_r"] * c)
    c = u + f * (c - u)
    return x + r * (c - x), c


def slstm(o: Any, p: Any, a: Any, state: State, exponential: bool = False) -> State:
    h, c, n, m = state
    i, f, z, out = o.split(a + o.linear(h, p["U"]), 4)
    kept = (f if exponential else o.log_sigmoid(f)) + m
    m = o.maximum(kept, i)
    i, f = o.exp(i - m), o.exp(kept - m)
    c, n = f * c + i * o.tanh(z), f * n + i
    return o.sigmoid(out) * c / n, c, n, m


def _stacks(gates: str, recurrent: str | None = None, **more: str) -> dict[str, tuple[str, ...]]:
    """W, U and b for some gates, and weights of their own: `name="our names"`."""
    found = {"W": tuple(f"W_{g}" for g in gates), "b": tuple(f"b_{g}" for g in gates)}
    inner = gates if recurrent is None else recurrent
    if inner:
        found["U"] = tuple(f"U_{g}" for g in inner)
    return found | {name: tuple(ours.split()) for name, ours in more.items()}


def _alone(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_GAINS = _alone(*(f"k_{side}{gate}" for gate in "ifgo" for side in "xh"), "k_c", "b_c")
_NORMALISED = {k: v for k, v in _stacks("ifgo", bias="b_i b_f b_g b_o", **_GAINS).items() if k != "b"}

PLAIN: dict[str, Plain] = {
    "lstm": Plain(lstm, _stacks("ifgo"), 2),
    "lstmp": Plain(lstmp, _stacks("ifgo", **_alone("V")), 2),
    "lstm-peephole": Plain(peephole, _stacks("ifgo", **_alone("p_i", "p_f", "p_o")), 2),
    "lstm-cifg": Plain(cifg, _stacks("fgo"), 2),
    "lstm-layernorm": Plain(layernorm, _NORMALISED, 2),
    "rnn": Plain(rnn, {"W": ("W",), "U": ("U",), "b": ("b",)}),
    "gru": Plain(gru, _stacks("rzn", **_alone("b_hn"))),
    "gru-before": Plain(gru_before, _stacks("rzn", "rz", **_alone("U_n"))),
    "mgu": Plain(mgu, _stacks("fn", "", **_alone("U_f", "U_n"))),
    "minlstm": Plain(minlstm, _stacks("fin", "")),
    "slstm": Plain(slstm, _stacks("ifzo"), 4),
    "slstm-exp": Plain(partial(slstm, exponential=True), _stacks("ifzo"), 4),
    "mingru": Plain(mingru, _stacks("zn", "")),
    "lstm-1997": Plain(lstm_1997, _stacks("igo"), 2),
    "janet": Plain(janet, _stacks("fg")),
    "li-gru": Plain(li_gru, _stacks("zn")),
    "indrnn": Plain(indrnn, {"W": ("W",), "b": ("b",), "u": ("u",)}),
    "rnn-relu": Plain(rnn_relu, {"W": ("W",), "U": ("U",), "b": ("b",)}),
    "sru": Plain(
        sru,
        {"W": ("W_f", "W_r", "W", "W_h"), "b": ("b_f", "b_r", "", "")} | {name: (name,) for name in ("v_f", "v_r")},
        2,
    ),
}
"""What the loop and JAX can compute."""
