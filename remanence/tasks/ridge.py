"""Ridge regression of every future step on the context, from normal equations gathered batch by batch.

    minimise over W, b   Σ_windows |y − b − W u|² + λ s |W|²,   s the mean of the inputs' squared deviations

*u* holds the targets and observed features of the context and what is known of the future; targets either as they are
or relative to the window like the model's own. Which of the two, and λ, is chosen on the validation part by the
verdict's metric. Only sums of products are kept: memory grows with the square of the inputs, which are cut to the
latest steps where there would be more than 1,500 of them.

References:
    Hoerl & Kennard 1970, Ridge regression, doi:10.1080/00401706.1970.10488634, eq. 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import ForecastEncoders
from remanence.data.examples import Batch, Part
from remanence.errors import SettingError
from remanence.nn.window import InputLayout, denormalise, normalise, window_state
from remanence.tasks.sample import thinned

__all__ = ["Ridge"]

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
MOST_INPUTS = 1_500
MOST_WINDOWS = 20_000


@dataclass(frozen=True)
class _Fit:
    """One candidate: how windows are made relative, λ, and the coefficients."""

    normalise: str
    penalty: float
    weights: np.ndarray
    bias: np.ndarray


class Ridge:
    """Fit and predict; `fit` sets `weights` `[input, horizon × target]`, `bias`, `penalty` and `normalise`."""

    def __init__(self, encoders: ForecastEncoders, layout: InputLayout, normalise: str) -> None:
        self.encoders, self.layout = encoders, layout
        self._ways = tuple(dict.fromkeys((normalise, "none")))
        known = set(layout.known)
        self._columns = [column for column in range(layout.features) if column not in known]
        room = MOST_INPUTS - encoders.horizon * len(layout.known)
        self.lags = max(1, min(encoders.context, room // len(self._columns)))
        self._use(_Fit(normalise, PENALTIES[0], np.zeros((0, 0)), np.zeros(0)))

    def fit(self, train: Part, valid: Part) -> None:
        """Gather the sums over the training part, solve for every λ, keep the best on the validation part.

        Without a validation part the last fifth of the training windows chooses.

        Raises:
            SettingError: no training window has all its values.
        """
        fitted = np.arange(len(train))
        chooser, chosen_by = valid, np.arange(len(valid))
        if not len(valid):
            fifth = len(train) // 5
            chooser, fitted, chosen_by = train, fitted[: -fifth or None], fitted[-max(1, fifth) :]
        candidates = [candidate for way in self._ways for candidate in self._solve(way, train, fitted)]
        errors = self._errors(chooser, chosen_by, candidates)
        self._use(candidates[int(np.argmin(errors))])

    def _use(self, chosen: _Fit) -> None:
        self.normalise, self.penalty = chosen.normalise, chosen.penalty
        self.weights, self.bias = chosen.weights, chosen.bias

    def _solve(self, way: str, train: Part, index: np.ndarray) -> list[_Fit]:
        """The coefficients for every λ, from one eigendecomposition of the inputs' squares."""
        self.normalise = way
        mean_u, mean_y, squares, products = self._sums(train, index)
        values, vectors = np.linalg.eigh(squares)
        projected = vectors.T @ products
        scale = max(float(np.trace(squares)) / len(squares), 1e-12)
        found = []
        for penalty in PENALTIES:
            weights = vectors @ (projected / (np.maximum(values, 0.0) + penalty * scale)[:, None])
            found.append(_Fit(way, penalty, weights, mean_y - mean_u @ weights))
        return found

    def predict(self, batch: Batch) -> Tensor:
        """Forecast `[batch, horizon, target]` in scaled units."""
        inputs, state = self._inputs(batch)
        flat = torch.from_numpy(inputs @ self.weights + self.bias)
        shaped = flat.reshape(len(flat), self.encoders.horizon, self.layout.targets).to(batch.inputs.data)
        return denormalise(shaped, state)

    def _inputs(self, batch: Batch) -> tuple[np.ndarray, dict[str, Tensor]]:
        """The regressors of each window `[batch, input]`, zeros where a window is short, and its level."""
        state = window_state(self.normalise, batch.inputs, self.layout)
        relative = normalise(batch.inputs, state, self.layout)
        steps = relative.lengths[:, None] - self.lags + torch.arange(self.lags)
        there = (steps >= 0).to(relative.data.device)[..., None]
        at = steps.clamp(min=0).to(relative.data.device)[..., None].expand(-1, -1, len(self._columns))
        past = torch.where(there, relative.data[..., self._columns].gather(1, at), 0.0).flatten(1)
        parts = [past] if batch.future is None else [past, batch.future.flatten(1)]
        return torch.cat(parts, dim=1).double().cpu().numpy(), state

    def _pairs(self, part: Part, index: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Regressors and relative truths of the windows that have all their values."""
        for batch in thinned(part, MOST_WINDOWS, index):
            assert batch.target is not None
            inputs, state = self._inputs(batch)
            target = batch.target.double()
            if "window.level" in state:
                target = target - state["window.level"][0][:, None].to(target)
            if "window.spread" in state:
                target = target / state["window.spread"][0][:, None].to(target)
            target = target.flatten(1).cpu().numpy()
            whole = ~np.isnan(target).any(1)
            yield inputs[whole], target[whole]

    def _sums(self, part: Part, index: np.ndarray) -> tuple[np.ndarray, ...]:
        """Means of regressors and truths, and their centred sums of products."""
        count, sum_u, sum_y, squares, products = 0, 0.0, 0.0, 0.0, 0.0
        for inputs, target in self._pairs(part, index):
            count += len(inputs)
            sum_u, sum_y = sum_u + inputs.sum(0), sum_y + target.sum(0)
            squares, products = squares + inputs.T @ inputs, products + inputs.T @ target
        if count == 0:
            raise SettingError(
                "no training window has a value at every future step", name="missing", remedy="--missing fill"
            )
        mean_u, mean_y = np.asarray(sum_u) / count, np.asarray(sum_y) / count
        return mean_u, mean_y, squares - count * np.outer(mean_u, mean_u), products - count * np.outer(mean_u, mean_y)

    def _errors(self, part: Part, index: np.ndarray, candidates: list[_Fit]) -> np.ndarray:
        """Sum of absolute errors in scaled units of each candidate."""
        sums = np.zeros(len(candidates))
        for batch in thinned(part, MOST_WINDOWS, index):
            assert batch.target is not None
            truth = batch.target.double().cpu().numpy()
            valid = ~np.isnan(truth)
            for position, candidate in enumerate(candidates):
                self._use(candidate)
                error = np.abs(truth - self.predict(batch).double().cpu().numpy())
                sums[position] += error[valid].sum()
        return sums
