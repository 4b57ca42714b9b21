"""How much of input s is left at step t, in two readings.

    path     along the additive path of the cell state c_t = f_t ⊙ c_{t-1} + …: the product of f_k over s < k ≤ t.
             Exact, and there only for cells that declare such a path.
    reach    through everything: the Frobenius norm of ∂h_t/∂x_s, divided by its value at t = s. x_s is what enters
             the recurrent layers at step s, h_t what leaves the last of them at step t.

Both are 1 at t = s. `reach` may rise above 1: a later step may hang on an input more than its own step did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from remanence.compiler import emit_torch
from remanence.errors import SettingError
from remanence.explain.example import Example, model_of, step_labels

__all__ = ["Memory", "Sensitivity", "half_life", "kept_along_path", "memory", "sensitivity", "shown_steps"]

STEPS_SHOWN = 64
"""Most steps that a figure of memory shows: more are thinned out evenly, and the figure says so."""

EXACT_BUDGET = 2.0e11
"""Floating-point operations up to which every unit gets a backward pass of its own (some seconds on two cores)."""

PROBES = 16
"""Random directions in place of units where the exact way is too dear: an error of about 1 / sqrt(2 · probes)."""

NUMBERS_AT_ONCE = 2.0e7
"""Roughly how many numbers the copies of the example that run side by side may hold (some 80 MB)."""


@dataclass(frozen=True)
class Sensitivity:
    """Norms of ∂h_t/∂x_s between chosen steps.

    Args:
        norms: `[time s, time t]`; 0 where t < s in one direction.
        method: `exact`, or `probes` where the norm was estimated with random directions.
        probes: how many directions; 0 when exact.
    """

    norms: np.ndarray
    method: str
    probes: int


@dataclass(frozen=True)
class Memory:
    """What is left of each input at each later step, of one example and one model.

    Args:
        model: name of the model, such as `lstm`.
        labels: what stands at each chosen step: a token or a time, `[time]`.
        steps: positions of the chosen steps in the example, from 0, int64 `[time]`.
        length: steps of the whole example.
        reach: ∂h_t/∂x_s over its value at t = s, `[time s, time t]`; NaN where t < s or where the divisor is 0.
        method: `exact` or `probes`, how `reach` was computed; `probes` how many random directions.
        path: product of the forget-like factors, mean over units, `[time s, time t]`; NaN where t < s;
            None where the cell declares no additive path.
        path_units: the same for each unit, `[time s, time t, unit]`, or None.
        path_state: the state that the path belongs to (`c`), or empty.
        layer: the layer that `path` belongs to, from 0. `reach` is through all of them.
        direction: `forward`: both readings follow the forward direction of a bidirectional model.
        bidirectional: whether the model reads from both ends.
        apart: seconds between two steps of the example, whose labels are then seconds; 0 where steps are not of time.
    """

    model: str
    labels: tuple[str, ...]
    steps: np.ndarray
    length: int
    reach: np.ndarray
    method: str
    probes: int
    path: np.ndarray | None = None
    path_units: np.ndarray | None = None
    path_state: str = ""
    layer: int = 0
    direction: str = "forward"
    bidirectional: bool = False
    apart: float = 0.0

    def half_life(self, reading: str = "reach") -> float:
        """Steps until half of an input is left: the median over the inputs of the example's first half.

        Args:
            reading: `reach` or `path`.

        Returns:
            Steps, interpolated; infinity where more than half of the inputs never fell so far within the example.

        Raises:
            SettingError: an unknown reading, or a path that the cell does not have.
        """
        left = {"reach": self.reach, "path": self.path}.get(reading)
        if left is None:
            raise SettingError(
                f"expected 'reach' or 'path' (the latter for cells with an additive state), came '{reading}'",
                name="reading",
                remedy="use 'reach'",
            )
        starts = range(max(1, len(self.steps) // 2))
        lives = [half_life(left[s, s:], self.steps[s:] - self.steps[s]) for s in starts]
        known = [life for life in lives if not np.isnan(life)]
        return float(np.median(known)) if known else float("nan")


def half_life(left: np.ndarray, lags: np.ndarray | None = None) -> float:
    """Compute how many steps pass until half is left.

    Args:
        left: what is left at each lag, 1 at lag 0, `[lag]`.
        lags: the lags in steps, rising; 0, 1, 2, … when None.

    Returns:
        The lag at which `left` first reaches 1/2, interpolated geometrically; infinity where it never does, NaN where
        nothing is known.

    Example:
        >>> half_life(np.array([1.0, 0.5, 0.25]))
        1.0
        >>> round(half_life(0.8 ** np.arange(20)), 3)
        3.106
    """
    left = np.asarray(left, dtype=np.float64)
    steps = np.arange(len(left), dtype=np.float64) if lags is None else np.asarray(lags, dtype=np.float64)
    if not len(left) or np.isnan(left).all():
        return float("nan")
    below = np.flatnonzero(left <= 0.5)
    if not len(below):
        return float("inf")
    k = int(below[0])
    if k == 0:
        return 0.0
    before, after = left[k - 1], left[k]
    if after <= 0 or not np.isfinite(before):
        return float(steps[k])
    share = np.log(before / 0.5) / np.log(before / after)
    return float(steps[k - 1] + share * (steps[k] - steps[k - 1]))


def shown_steps(length: int, most: int = STEPS_SHOWN) -> np.ndarray:
    """Choose at most `most` steps of an example, evenly spread, the first and the last among them.

    Example:
        >>> shown_steps(5).tolist(), shown_steps(100, 4).tolist()
        ([0, 1, 2, 3, 4], [0, 33, 66, 99])
    """
    if length <= most:
        return np.arange(length, dtype=np.int64)
    return np.unique(np.linspace(0, length - 1, most).round().astype(np.int64))


def kept_along_path(factors: np.ndarray, steps: np.ndarray | None = None) -> np.ndarray:
    """Compute the share of c_s that is still in c_t, for c_t = a_t ⊙ c_{t-1} + b_t.

    Args:
        factors: a_t, `[time, unit]`.
        steps: the steps s and t wanted, rising `[step]`; all when None.

    Returns:
        The product of a_k over s < k ≤ t, `[step s, step t, unit]`; 1 at t = s, NaN where t < s.

    Example:
        >>> kept_along_path(np.array([[0.9], [0.5], [0.5]]))[0, :, 0].tolist()
        [1.0, 0.5, 0.25]
    """
    factors = np.asarray(factors, dtype=np.float64)
    chosen = np.arange(len(factors)) if steps is None else np.asarray(steps)
    kept = np.full((len(chosen), len(chosen), factors.shape[1]), np.nan)
    for row, s in enumerate(chosen):
        products = np.cumprod(np.concatenate([np.ones_like(factors[:1]), factors[s + 1 :]]), axis=0)
        kept[row, row:] = products[chosen[row:] - s]
    return kept


def sensitivity(
    states: Callable[[Tensor], Tensor],
    inputs: Tensor,
    steps: np.ndarray | None = None,
    *,
    operations: float = 0.0,
    probes: int | None = None,
    seed: int = 0,
) -> Sensitivity:
    """Compute the Frobenius norm of ∂h_t/∂x_s for all pairs of chosen steps.

    The example is copied once for each pair of a step t and a unit (or a random direction v with entries ±1, where
    E‖vᵀJ‖² = ‖J‖²_F), so that one backward pass gives them all.

    Args:
        states: `[batch, time, feature]` → `[batch, time, unit]`, without mixing rows of the batch.
        inputs: x, `[time, feature]`.
        steps: the steps wanted, rising `[step]`; all when None.
        operations: cost of one row through `states` and back; decides between exact and probes.
        probes: random directions to use; 0 for exact; None to choose by cost.
        seed: of the random directions.

    References:
        Hutchinson 1990, doi:10.1080/03610919008812866 (the random directions).
    """
    chosen = np.arange(len(inputs)) if steps is None else np.asarray(steps, dtype=np.int64)
    inputs = inputs.detach()
    with torch.no_grad():
        units = states(inputs[None]).shape[2]
    if probes is None:
        probes = 0 if operations * len(chosen) * units <= EXACT_BUDGET or units <= PROBES else PROBES
    if probes:
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randint(0, 2, (probes, units), generator=generator).to(inputs) * 2 - 1
    else:
        directions = torch.eye(units, dtype=inputs.dtype, device=inputs.device)
    squares = _squared_gradients(states, inputs, torch.from_numpy(chosen), directions)
    norms = np.sqrt(squares / (probes or 1))
    return Sensitivity(norms, "probes" if probes else "exact", probes)


def _squared_gradients(
    states: Callable[[Tensor], Tensor], inputs: Tensor, steps: Tensor, directions: Tensor
) -> np.ndarray:
    """Sum over directions v of ‖∂(vᵀh_t)/∂x_s‖², `[step s, step t]`, in float64."""
    pairs = torch.cartesian_prod(torch.arange(len(directions)), torch.arange(len(steps)))
    total = torch.zeros(len(steps), len(steps), dtype=torch.float64)
    one_copy = len(inputs) * (inputs.shape[1] + 8 * directions.shape[1])
    for part in pairs.split(max(1, int(NUMBERS_AT_ONCE / one_copy))):
        which, at = part[:, 0], part[:, 1]
        copies = inputs.expand(len(part), *inputs.shape).clone().requires_grad_()
        with torch.enable_grad():
            output = states(copies)
            picked = output[torch.arange(len(part)), steps[at]]
            (slope,) = torch.autograd.grad((picked * directions[which]).sum(), copies)
        squared = slope.detach().double().square().sum(2)[:, steps].cpu()
        total.index_add_(0, at, squared)
    return total.T.numpy()


def memory(
    run: Any, example: Example, *, name: str = "", most: int = STEPS_SHOWN, probes: int | None = None, seed: int = 0
) -> Memory:
    """Compute how much of each input of an example is left at each later step, in both readings.

    Args:
        run: a `Run`, or its `SequenceModel`.
        example: what it reads.
        name: of the model in figures; the cell's when empty.
        most: steps to compute; a longer example is thinned out evenly, its first and last step among those kept.
        probes: random directions for `reach`; 0 for exact; None to choose by cost.
        seed: of the random directions.
    """
    model = model_of(run).eval()
    layers = model.recurrent
    with torch.no_grad():
        encoded = model.encode(example.batch)
    length = int(encoded.lengths[0])
    inputs, steps, labels = encoded.data[0, :length], shown_steps(length, most), step_labels(example.labels, length)
    unit = layers.output_size // len(layers.directions)
    found = sensitivity(
        lambda copies: layers(copies).output[..., :unit],
        inputs,
        steps,
        operations=6.0 * length * sum(weight.numel() for weight in layers.parameters()),
        probes=probes,
        seed=seed,
    )
    own = np.diag(found.norms)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(own > 0, found.norms / own, np.nan)
    reach[np.tril_indices(len(steps), -1)] = np.nan
    state, factors = _path_factors(layers, inputs)
    units = None if factors is None else kept_along_path(factors, steps)
    return Memory(
        model=name or layers.cell.name,
        labels=tuple(labels[step] for step in steps),
        steps=steps,
        length=length,
        reach=reach,
        method=found.method,
        probes=found.probes,
        path=None if units is None else units.mean(2),
        path_units=units,
        path_state=state,
        bidirectional=layers.bidirectional,
        apart=example.seconds_apart(length),
    )


def _path_factors(layers: Any, inputs: Tensor) -> tuple[str, np.ndarray | None]:
    """The state with an additive path in the first layer, and its factor a_t of every unit, `[time, unit]`."""
    declared = layers.running.additive_memory
    if not declared:
        return "", None
    state = next(reversed(declared))
    with torch.no_grad():
        traced = layers(inputs[None], trace=("*",)).trace
        held = {key.rpartition(".")[2]: value[0] for key, value in traced.items() if key.startswith("layer0.forward.")}
        factor = emit_torch.evaluate(layers.running.memory(state)[0], held)
    # A factor may be a plain number, such as the 1 of the first LSTM.
    shape = held[state].shape
    return state, torch.as_tensor(factor, dtype=torch.float64).expand(shape).cpu().numpy()
