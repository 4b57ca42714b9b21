"""How the weights of a cell start, by name, and which cells each start makes sense for.

    forget-bias     1 more on the biases that `Cell.forget_bias` names: the cell keeps by default
    chrono          the gates' biases as if the state were to last u steps, u uniform in 1 … T − 1, unit by unit:
                    log u where a bias keeps, −log u where it writes (`Cell.chrono` says which is which)
    orthogonal      every matrix that multiplies a state: random, with orthonormal rows or columns
    identity        the one recurrent matrix is the identity, biases are 0, and what multiplies x is drawn with
                    standard deviation 0.001

References:
    forget-bias: Gers, Schmidhuber & Cummins 2000, doi:10.1162/089976600300015015; Jozefowicz, Zaremba & Sutskever 2015.
    chrono: Tallec & Ollivier 2018, equation 16 and section 2, arXiv:1804.11188.
    orthogonal: Saxe, McClelland & Ganguli 2014, arXiv:1312.6120; for recurrent nets Henaff, Szlam & LeCun 2016.
    identity: Le, Jaitly & Hinton 2015, sections 2 and 4, arXiv:1504.00941.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from remanence.cells import Cell
from remanence.compiler.ir import Parameter
from remanence.errors import SettingError

__all__ = ["FORGET_BIAS", "IDENTITY_SPREAD", "Start", "check_start", "options_of", "started", "unsuited"]

FORGET_BIAS = 1.0
"""What `forget-bias` adds."""
IDENTITY_SPREAD = 0.001
"""Standard deviation of what multiplies x, where the recurrent matrix is the identity."""


@dataclass(frozen=True)
class Start:
    """How weights start: fields of `nn.options.RecurrentOptions`, where they are told."""

    recurrent_init: Literal["uniform", "orthogonal", "identity"] = "uniform"
    forget_bias: float = 0.0
    chrono: int | None = None


def unsuited(cell: Cell, name: str) -> str:
    """Why a start makes no sense for a cell; empty where it does.

    Example:
        >>> from remanence.cells import CELLS
        >>> unsuited(CELLS["lstm"], "chrono"), unsuited(CELLS["rnn"], "chrono")
        ('', "cell 'rnn' has no gate that keeps its state")
    """
    recurrent = [matrix for matrix in cell.step.parameters if _multiplies_state(matrix)]
    if name == "forget-bias" and not cell.forget_bias:
        return f"cell '{cell.name}' has no forget bias"
    if name == "chrono" and not cell.chrono:
        return f"cell '{cell.name}' has no gate that keeps its state"
    if name == "orthogonal" and not recurrent:
        return f"cell '{cell.name}' has no matrix that multiplies a state"
    if name == "identity" and not (len(recurrent) == 1 and len(set(recurrent[0].axes)) == 1):
        return f"cell '{cell.name}' has no single square matrix that multiplies its state"
    return ""


def check_start(cell: Cell, start: Start) -> None:
    """Refuse a start that makes no sense for a cell.

    Raises:
        SettingError: which option, and why.
    """
    if start.recurrent_init not in _START:
        raise SettingError(f"expected {' or '.join(_START)}, came {start.recurrent_init!r}", name="recurrent_init")
    asked = {
        "forget_bias": "forget-bias" if start.forget_bias else "",
        "chrono": "" if start.chrono is None else "chrono",
        "recurrent_init": "" if start.recurrent_init == "uniform" else start.recurrent_init,
    }
    for option, name in asked.items():
        if name and (why := unsuited(cell, name)):
            raise SettingError(f"{why}, which {name} needs", name=option, remedy="leave it out, or take another cell")
    if start.chrono is not None and (not isinstance(start.chrono, int) or start.chrono < 2):
        raise SettingError(f"expected a number of steps of at least 2, came {start.chrono!r}", name="chrono")
    if start.chrono is not None and start.forget_bias:
        raise SettingError("chrono sets the forget biases itself", name="forget_bias", remedy="leave one of them out")


def options_of(cell: Cell, names: tuple[str, ...], reach: int) -> dict[str, Any]:
    """The options of a recurrent layer that starts by name stand for.

    Args:
        names: starts, as `--initialise` gives them.
        reach: steps that chrono is to bridge.

    Raises:
        SettingError: a start that makes no sense for the cell.
    """
    found: dict[str, Any] = {}
    for name in names:
        if why := unsuited(cell, name):
            raise SettingError(f"{why}, which {name} needs", name="initialise", remedy="leave it out, or see --cell")
        if name == "forget-bias":
            found["forget_bias"] = FORGET_BIAS
        elif name == "chrono":
            found["chrono"] = max(reach, 2)
        else:
            found["recurrent_init"] = name
    return found


def started(cell: Cell, sizes: Mapping[str, int], start: Start) -> Iterator[tuple[str, Tensor]]:
    """Name and fresh value of each weight of one layer, drawn from torch's global generator."""
    lasting = None
    if start.chrono is not None:
        # One draw for all gates of a unit: what is kept for long is written seldom.
        lasting = torch.empty(sizes["hidden"]).uniform_(1, start.chrono - 1).log_()
    for parameter in cell.step.parameters:
        if lasting is not None and parameter.name in cell.chrono:
            yield parameter.name, cell.chrono[parameter.name] * lasting
            continue
        weight = torch.empty(parameter.shape(sizes))
        if parameter.name in cell.start:
            weight.fill_(cell.start[parameter.name])
        else:
            _START[start.recurrent_init](weight, parameter, sizes)
        yield parameter.name, weight.add_(start.forget_bias) if parameter.name in cell.forget_bias else weight


def _uniform(weight: Tensor, parameter: Parameter, sizes: Mapping[str, int]) -> None:
    bound = 1 / math.sqrt(sizes["hidden"])
    weight.uniform_(-bound, bound)


def _orthogonal(weight: Tensor, parameter: Parameter, sizes: Mapping[str, int]) -> None:
    if _multiplies_state(parameter):
        nn.init.orthogonal_(weight)
    else:
        _uniform(weight, parameter, sizes)


def _identity(weight: Tensor, parameter: Parameter, sizes: Mapping[str, int]) -> None:
    if _multiplies_state(parameter):
        nn.init.eye_(weight)
    elif len(parameter.axes) == 2:
        weight.normal_(std=IDENTITY_SPREAD)
    else:
        weight.zero_()


_START = {"uniform": _uniform, "orthogonal": _orthogonal, "identity": _identity}


def _multiplies_state(parameter: Parameter) -> bool:
    return len(parameter.axes) == 2 and parameter.axes[1] != "input"
