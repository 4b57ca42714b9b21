"""How a recurrent layer starts, which way it runs, and what regularises it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from remanence.cells import Cell
from remanence.errors import SettingError
from remanence.nn.start import Start, check_start

__all__ = ["RecurrentOptions", "check_layer", "sizes_of", "widths_of"]


@dataclass(frozen=True)
class RecurrentOptions:
    """How a recurrent layer starts, which way it runs, and what regularises it.

    Args:
        proj_size: units of the output, for cells whose output is a projection; None: half of the hidden size.
        forget_bias: added to the forget gates' biases at the start (1 is usual).
        recurrent_init: how the matrices that multiply a state start (see `nn.start`): "uniform" as in torch.nn,
            "orthogonal", or "identity".
        chrono: steps that gates are to bridge, whose biases start as if each unit's state lasted some share of them.
        path: "auto" takes a time loop compiled from the equations (CPU, float32 or float64, 4 steps or more; 1 to 4
            seconds at the first use ever, then kept on disk), torch's own kernel where that cannot be, else runs
            the equations; "eager" always runs them; "cpu-fused" compiles always; "torch" takes torch's own kernel
            wherever it can.
        recurrent_dropout: probability of dropping a unit of the cell's candidate, drawn anew at each step, in training
            (Semeniuta, Severyn & Barth 2016, arXiv:1603.05118).
        variational_dropout: probability of dropping a unit of the state where a matrix reads it, the same units at
            every step of a sequence, in training (Gal & Ghahramani 2016, arXiv:1512.05287).
        variational_input_dropout: the same for what each layer reads from below.
        zoneout: probability that a unit of a state keeps its last value, in training; in evaluation it keeps this share
            of it (Krueger et al. 2017, arXiv:1606.01305). One number for all states, or state → number.
        learn_start: the states before the first step are learnt, for each layer and direction, beginning at zero.
        residual: each layer above the first adds what it read from below to its output.
        skip: each layer above the first reads the layer's input too, beside what stands below.
        layer_norm: what each layer above the first reads from below is normalised (Ba et al. 2016, arXiv:1607.06450).
        checkpoint: keep for the backward pass only the states every so many steps, and compute what lies between again:
            memory grows with the chunk, not with the sequence, for about a third more time. Not under a trace.
        clip_state_gradient: largest magnitude of each number of a state's gradient as it goes back over a step.

    Masks are drawn from torch's generator, for each layer and direction its own; a sequence that comes in chunks, and
    one that `resets` cuts, meets new ones in each part.
    """

    proj_size: int | None = None
    forget_bias: float = 0.0
    recurrent_init: Literal["uniform", "orthogonal", "identity"] = "uniform"
    chrono: int | None = None
    path: Literal["auto", "eager", "cpu-fused", "torch"] = "auto"
    recurrent_dropout: float = 0.0
    variational_dropout: float = 0.0
    variational_input_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = field(default=0.0)
    learn_start: bool = False
    residual: bool = False
    skip: bool = False
    layer_norm: bool = False
    checkpoint: int | None = None
    clip_state_gradient: float | None = None

    @property
    def start(self) -> Start:
        """How the weights start."""
        return Start(self.recurrent_init, self.forget_bias, self.chrono)

    def zoned(self, cell: Cell) -> dict[str, float]:
        """State → probability of keeping its last value, for the states where it is not 0."""
        rates = self.zoneout if isinstance(self.zoneout, Mapping) else dict.fromkeys(cell.state, self.zoneout)
        return {state: float(rates[state]) for state in cell.state if rates.get(state)}


def widths_of(hidden_size: int | Sequence[int], layers: int) -> tuple[int, ...]:
    """The hidden size of each layer, from below.

    Raises:
        SettingError: not as many sizes as layers, or a number of layers that is none.
    """
    _check_count("layers", layers)
    if isinstance(hidden_size, int) or not isinstance(hidden_size, Sequence):
        return (hidden_size,) * layers
    if not hidden_size or layers not in (1, len(hidden_size)):
        raise SettingError(f"expected one for each of {layers} layers, came {hidden_size!r}", name="hidden_size")
    return tuple(hidden_size)


def sizes_of(
    cell: Cell, input_size: int, widths: Sequence[int], directions: int, options: RecurrentOptions
) -> list[dict[str, int]]:
    """Size name → number, of each layer."""
    found: list[dict[str, int]] = []
    for hidden in widths:
        sizes = {"hidden": hidden}
        if "proj" in cell.step.size_names:
            sizes["proj"] = options.proj_size or max(hidden // 2, 1)
        below = input_size
        if found:
            below = directions * found[-1][cell.step.sizes[cell.output]]
            below += input_size if options.skip else 0
        found.append({"input": below, **sizes})
    return found


def check_layer(cell: Cell, input_size: int, widths: Sequence[int], dropout: float, options: RecurrentOptions) -> None:
    """Refuse sizes and options that no layer of a cell can have.

    Raises:
        SettingError: the option, what was expected, what came.
    """
    _check_count("input_size", input_size)
    for width in widths:
        _check_count("hidden_size", width)
    _check_probability("dropout", dropout)
    if options.residual and len(set(widths)) > 1:
        raise SettingError(
            f"a residual sum needs layers of one size, came {tuple(widths)}", name="residual", remedy="or use skip"
        )
    sized = [name for name, size in cell.step.given.items() if size == "input"]
    if sized and len(widths) > 1:
        raise SettingError(
            f"cell '{cell.name}' reads {', '.join(sized)} of the input's size, which no layer above the first has",
            name="layers",
            remedy="expected 1",
        )
    _check_masks(cell, options)
    clip = options.clip_state_gradient
    if clip is not None and not (isinstance(clip, int | float) and clip > 0):
        raise SettingError(f"expected a number above 0, came {clip!r}", name="clip_state_gradient")
    if options.path not in (known := ("auto", "eager", "cpu-fused", "torch")):
        raise SettingError(f"expected {' or '.join(known)}, came {options.path!r}", name="path")
    check_start(cell, options.start)
    proj = options.proj_size
    if proj is not None and "proj" not in cell.step.size_names:
        raise SettingError(f"cell '{cell.name}' has no projection", name="proj_size", remedy="leave it out")
    for name in ("proj_size", "checkpoint"):
        if getattr(options, name) is not None:
            _check_count(name, getattr(options, name))


def _check_masks(cell: Cell, options: RecurrentOptions) -> None:
    for name in ("recurrent_dropout", "variational_dropout", "variational_input_dropout"):
        _check_probability(name, getattr(options, name))
    if isinstance(options.zoneout, Mapping):
        for state, rate in options.zoneout.items():
            if state not in cell.state:
                raise SettingError(
                    f"cell '{cell.name}' has no state '{state}'",
                    name="zoneout",
                    remedy=f"expected some of {', '.join(cell.state)}",
                )
            _check_probability("zoneout", rate)
    else:
        _check_probability("zoneout", options.zoneout)
    if options.recurrent_dropout and not cell.candidate:
        raise SettingError(
            f"cell '{cell.name}' declares no candidate to drop",
            name="recurrent_dropout",
            remedy="say candidate='…' in the Cell, or use variational_dropout or zoneout",
        )


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingError(f"expected a whole number of at least 1, came {value!r}", name=name)


def _check_probability(name: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise SettingError(f"expected a probability in [0, 1), came {value!r}", name=name)
