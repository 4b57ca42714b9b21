"""Slow, obvious twins of the cells, in float64, written from the papers and not from the equations of the package.

A twin computes one step of one sequence: `step(p, x, before) -> quantities`, where `p` holds weights by name,
`x` is `[input]`, `before` holds the states of the last step, and the result holds every named quantity and new state.
`run` loops over sequences and steps, one at a time. Gradients come from torch's autograd over these loops.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["TWINS", "run"]

Named = dict[str, Tensor]


def _logistic(a: Tensor) -> Tensor:
    return 1.0 / (1.0 + torch.exp(-a))


def _squash(a: Tensor) -> Tensor:
    return 1.0 - 2.0 / (torch.exp(2.0 * a) + 1.0)


def _affine(p: Named, gate: str, x: Tensor, h: Tensor) -> Tensor:
    return p[f"W_{gate}"].mv(x) + p[f"U_{gate}"].mv(h) + p[f"b_{gate}"]


def elman(p: Named, x: Tensor, before: Named) -> Named:
    return {"h": _squash(p["W"].mv(x) + p["U"].mv(before["h"]) + p["b"])}


def elman_rectified(p: Named, x: Tensor, before: Named) -> Named:
    return {"h": (p["W"].mv(x) + p["U"].mv(before["h"]) + p["b"]).clamp(min=0)}


def lstm(p: Named, x: Tensor, before: Named, peepholes: str = "") -> Named:
    """Gers et al. 2000; with peepholes: Gers & Schmidhuber 2000, the output gate seeing the new cell state."""
    h, c = before["h"], before["c"]
    net = {gate: _affine(p, gate, x, h) for gate in "ifgo"}
    for gate in "if":
        if gate in peepholes:
            net[gate] = net[gate] + p[f"p_{gate}"] * c
    i, f, g = _logistic(net["i"]), _logistic(net["f"]), _squash(net["g"])
    new = c * f + g * i
    if "o" in peepholes:
        net["o"] = net["o"] + p["p_o"] * new
    o = _logistic(net["o"])
    return {"i": i, "f": f, "g": g, "o": o, "c": new, "h": _squash(new) * o}


def lstm_1997(p: Named, x: Tensor, before: Named) -> Named:
    """Hochreiter & Schmidhuber 1997: g ranges over [-2, 2], h over [-1, 1]."""
    i = _logistic(_affine(p, "i", x, before["h"]))
    o = _logistic(_affine(p, "o", x, before["h"]))
    g = 4.0 / (1.0 + torch.exp(-_affine(p, "g", x, before["h"]))) - 2.0
    s = before["c"] + i * g
    return {"i": i, "o": o, "g": g, "c": s, "h": o * (2.0 / (1.0 + torch.exp(-s)) - 1.0)}


def lstm_cifg(p: Named, x: Tensor, before: Named) -> Named:
    f = _logistic(_affine(p, "f", x, before["h"]))
    i = 1.0 - f
    g = _squash(_affine(p, "g", x, before["h"]))
    o = _logistic(_affine(p, "o", x, before["h"]))
    c = f * before["c"] + i * g
    return {"f": f, "g": g, "o": o, "c": c, "h": o * _squash(c)}


def lstm_projected(p: Named, x: Tensor, before: Named) -> Named:
    inner = lstm(p, x, before)
    return {**inner, "h": p["V"].mv(inner["h"])}


def _normalise(a: Tensor, gain: Tensor) -> Tensor:
    mean = sum(a.unbind()) / a.numel()
    variance = sum((a - mean).pow(2).unbind()) / a.numel()
    return gain * (a - mean) / (variance + 1e-5) ** 0.5


def lstm_layernorm(p: Named, x: Tensor, before: Named) -> Named:
    net = {
        gate: _normalise(p[f"W_{gate}"].mv(x), p[f"k_x{gate}"])
        + _normalise(p[f"U_{gate}"].mv(before["h"]), p[f"k_h{gate}"])
        + p[f"b_{gate}"]
        for gate in "ifgo"
    }
    i, f, o = (_logistic(net[gate]) for gate in "ifo")
    g = _squash(net["g"])
    c = f * before["c"] + i * g
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * _squash(_normalise(c, p["k_c"]) + p["b_c"])}


def gru(p: Named, x: Tensor, before: Named) -> Named:
    """torch.nn.GRU's documented form: the reset gate multiplies the recurrent product with its bias."""
    h = before["h"]
    r, z = _logistic(_affine(p, "r", x, h)), _logistic(_affine(p, "z", x, h))
    n = _squash(p["W_n"].mv(x) + p["b_n"] + r * (p["U_n"].mv(h) + p["b_hn"]))
    return {"r": r, "z": z, "n": n, "h": n - z * n + z * h}


def gru_before(p: Named, x: Tensor, before: Named) -> Named:
    """Cho et al. 2014 v3, equations 5-8."""
    h = before["h"]
    r, z = _logistic(_affine(p, "r", x, h)), _logistic(_affine(p, "z", x, h))
    n = _squash(_affine(p, "n", x, r * h))
    return {"r": r, "z": z, "n": n, "h": z * h + (1 - z) * n}


def mgu(p: Named, x: Tensor, before: Named) -> Named:
    f = _logistic(_affine(p, "f", x, before["h"]))
    n = _squash(_affine(p, "n", x, f * before["h"]))
    return {"f": f, "n": n, "h": (1 - f) * before["h"] + f * n}


def janet(p: Named, x: Tensor, before: Named) -> Named:
    s = _affine(p, "f", x, before["c"])
    g = _squash(_affine(p, "g", x, before["c"]))
    return {"s": s, "g": g, "c": _logistic(s) * before["c"] + (1 - _logistic(s - 1.0)) * g}


def li_gru(p: Named, x: Tensor, before: Named) -> Named:
    z = _logistic(_affine(p, "z", x, before["h"]))
    n = _affine(p, "n", x, before["h"]).clamp(min=0)
    return {"z": z, "n": n, "h": z * before["h"] + (1 - z) * n}


def indrnn(p: Named, x: Tensor, before: Named) -> Named:
    return {"h": (p["W"].mv(x) + p["u"] * before["h"] + p["b"]).clamp(min=0)}


def sru(p: Named, x: Tensor, before: Named) -> Named:
    """Lei et al. 2018, section 3.1: the reset gate sees the last internal state."""
    last = before["c"]
    f = _logistic(p["W_f"].mv(x) + p["v_f"] * last + p["b_f"])
    r = _logistic(p["W_r"].mv(x) + p["v_r"] * last + p["b_r"])
    u = p["W"].mv(x)
    c = f * last + (1 - f) * u
    return {"f": f, "r": r, "u": u, "c": c, "h": r * c + (1 - r) * p["W_h"].mv(x)}


def minlstm(p: Named, x: Tensor, before: Named) -> Named:
    f = _logistic(p["W_f"].mv(x) + p["b_f"])
    i = _logistic(p["W_i"].mv(x) + p["b_i"])
    n = p["W_n"].mv(x) + p["b_n"]
    return {"f": f, "i": i, "n": n, "h": (f * before["h"] + i * n) / (f + i)}


def mingru(p: Named, x: Tensor, before: Named) -> Named:
    z = _logistic(p["W_z"].mv(x) + p["b_z"])
    n = p["W_n"].mv(x) + p["b_n"]
    return {"z": z, "n": n, "h": (1 - z) * before["h"] + z * n}


def slstm(p: Named, x: Tensor, before: Named, exponential_forget: bool = False) -> Named:
    """Beck et al. 2024, equations 8-17: gates stabilised by a running maximum of their logarithms."""
    h = before["h"]
    z, o = _squash(_affine(p, "z", x, h)), _logistic(_affine(p, "o", x, h))
    net_i, net_f = _affine(p, "i", x, h), _affine(p, "f", x, h)
    log_f = net_f if exponential_forget else torch.log(_logistic(net_f))
    m = torch.where(log_f + before["m"] > net_i, log_f + before["m"], net_i)
    i, f = torch.exp(net_i - m), torch.exp(log_f + before["m"] - m)
    c, n = f * before["c"] + i * z, f * before["n"] + i
    return {"z": z, "o": o, "m": m, "i": i, "f": f, "c": c, "n": n, "h": o * c / n}


def gru_d(p: Named, x: Tensor, before: Named) -> Named:
    """Che et al. 2018: each unobserved input decays from its last value to the mean, the state towards zero."""
    m, delta = before["m"], before["delta"]
    rate = torch.stack([w * d + b for w, d, b in zip(p["w_gamma"], delta, p["b_delta"], strict=True)])
    kept = 1.0 / torch.exp(rate.clamp(min=0))
    guess = kept * before["last"] + (1 - kept) * p["x_bar"]
    seen = torch.where(m == 1, x, guess)
    gamma = 1.0 / torch.exp((p["W_gamma"].mv(delta) + p["b_gamma"]).clamp(min=0))
    h = gamma * before["h"]

    def net(gate: str, state: Tensor) -> Tensor:
        return _affine(p, gate, seen, state) + p[f"V_{gate}"].mv(m)

    z, r = _logistic(net("z", h)), _logistic(net("r", h))
    n = _squash(net("n", r * h))
    return {"gamma_x": kept, "gamma_h": gamma, "x_hat": seen, "z": z, "r": r, "n": n, "h": h - z * h + z * n}


def _peephole(gates: str):
    return lambda p, x, before: lstm(p, x, before, gates)


TWINS = {
    "rnn": elman,
    "rnn-relu": elman_rectified,
    "lstm": lstm,
    "lstm-1997": lstm_1997,
    "lstm-peephole": _peephole("ifo"),
    **{f"lstm-peephole-{gates}": _peephole(gates) for gates in ("i", "f", "o", "if", "io", "fo")},
    "lstm-cifg": lstm_cifg,
    "lstmp": lstm_projected,
    "lstm-layernorm": lstm_layernorm,
    "gru": gru,
    "gru-before": gru_before,
    "mgu": mgu,
    "janet": janet,
    "li-gru": li_gru,
    "indrnn": indrnn,
    "sru": sru,
    "slstm": slstm,
    "slstm-exp": lambda p, x, before: slstm(p, x, before, exponential_forget=True),
    "gru-d": gru_d,
    "minlstm": minlstm,
    "mingru": mingru,
}


def run(
    name: str,
    p: Named,
    inputs: Tensor,
    start: Named,
    output: str,
    lengths: list[int] | None = None,
    given: Named | None = None,
) -> tuple[Tensor, Named, Named]:
    """One layer, forward in time: output `[batch, time, size]`, last states `[batch, size]`, quantities."""
    batch, time = inputs.shape[:2]
    lengths = lengths or [time] * batch
    finals: dict[str, list[Tensor]] = {state: [] for state in start}
    rows: dict[str, list[Tensor]] = {}
    for b in range(batch):
        now = {state: values[b] for state, values in start.items()}
        steps: dict[str, list[Tensor]] = {}
        for t in range(lengths[b]):
            outside = {key: value[b, t] for key, value in (given or {}).items()}
            done = TWINS[name](p, inputs[b, t], now | outside)
            now = {state: done[state] for state in start}
            for quantity, value in done.items():
                steps.setdefault(quantity, []).append(value)
        for quantity, values in steps.items():
            padding = [torch.zeros_like(values[0])] * (time - lengths[b])
            rows.setdefault(quantity, []).append(torch.stack([*values, *padding]))
        for state, value in now.items():
            finals[state].append(value)
    quantities = {quantity: torch.stack(values) for quantity, values in rows.items() if len(values) == batch}
    last = {state: torch.stack(values) for state, values in finals.items()}
    return quantities[output], last, quantities
