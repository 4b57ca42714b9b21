"""Logistic regressions on what stands around a step: tokens and their characters, or numbers.

Tokens: the token, its neighbours at −2 … 2, the pairs that it forms with the next ones, its last and first one to three
characters. Each is hashed into a table of 2**18 weights a label (Weinberger et al. 2009, arXiv:0902.2206), learnt by
averaged stochastic gradient descent. Numbers: those of the step, and their mean and standard deviation over windows of
9 and 33 steps around it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.examples import Batch, Part
from remanence.nn.crf import lattice_of
from remanence.tasks.sample import labels_of, thinned
from remanence.tasks.task import Baseline

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["SampleWindow", "TokenWindow"]

_BITS = 18
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MOST_TOKENS = 400_000
_MOST_SAMPLES = 100_000
_MOST_NUMBERS = 1 << 27
_MOST_SEQUENCES = 40_000


@final
class TokenWindow(Baseline):
    """A regression on the tokens around, and on the characters of the token."""

    name: ClassVar[str] = "token-window"

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._model: Any = None
        self._only = 0

    def fit(self, train: Part, valid: Part) -> None:
        from scipy.sparse import vstack
        from sklearn.linear_model import SGDClassifier

        rows, labels, held = [], [], 0
        for batch in thinned(train, _MOST_SEQUENCES):
            scored, own = labels_of(batch)
            rows.append(_token_features(batch)[scored.ravel()])
            labels.append(own)
            held += len(labels[-1])
            if held >= _MOST_TOKENS:
                break
        known = np.concatenate(labels)
        self._only = int(known[0])
        if (known != self._only).any():
            # No tolerance: eight passes, whatever they bring.
            model: Any = SGDClassifier(loss="log_loss", alpha=1e-6, max_iter=8, average=True, random_state=0)
            model.set_params(tol=None)
            self._model = model.fit(vstack(rows).tocsr(), known)

    def predict(self, batch: Batch) -> Tensor:
        shape = (batch.inputs.batch, batch.inputs.time)
        return _lattice(self._model, _token_features(batch), self._only, self.classes, shape)

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else int(np.count_nonzero(self._model.coef_)) + self.classes


def _token_features(batch: Batch) -> csr_matrix:
    """A row of ones a step, `[batch · time, 2**18]`."""
    from scipy.sparse import csr_matrix

    data = torch.where(batch.inputs.mask().reshape(*batch.inputs.data.shape[:2], *[1] * (batch.inputs.data.ndim - 2)),
                       batch.inputs.data, 0).numpy().astype(np.uint64)  # fmt: skip
    tokens, letters = (data, None) if data.ndim == 2 else (data[..., 0], data[..., 1:])
    around = {shift: _shifted(tokens, shift) for shift in (-2, -1, 0, 1, 2)}
    found = [*around.values(), around[-1] * _ODD + around[0], around[0] * _ODD + around[1]]
    if letters is not None:
        found += _affixes(letters)
    codes = np.stack([_hashed(code, kind) for kind, code in enumerate(found)], -1).reshape(tokens.size, -1)
    count = codes.shape[1]
    ends = np.arange(0, codes.size + 1, count)
    table = csr_matrix((np.ones(codes.size, np.float32), codes.ravel(), ends), shape=(len(codes), 1 << _BITS))
    table.sum_duplicates()
    return table


def _shifted(tokens: np.ndarray, shift: int) -> np.ndarray:
    """The token `shift` steps on, 0 beyond the ends."""
    moved = np.zeros_like(tokens)
    if shift >= 0:
        moved[:, : max(tokens.shape[1] - shift, 0)] = tokens[:, shift:]
    else:
        moved[:, -shift:] = tokens[:, :shift]
    return moved


def _affixes(letters: np.ndarray) -> list[np.ndarray]:
    """Codes of the first and of the last one, two and three characters."""
    shape, most = letters.shape[:2], letters.shape[2]
    sizes = (letters > 0).sum(2)
    found = []
    for count in (1, 2, 3):
        for ending in (False, True):
            code = np.zeros(shape, np.uint64)
            for place in range(count):
                at = sizes - 1 - place if ending else np.full(shape, place)
                inside = (at >= 0) & (at < most)
                letter = np.take_along_axis(letters, np.clip(at, 0, max(most - 1, 0))[..., None], 2)[..., 0]
                code = code * _ODD + np.where(inside, letter, 0).astype(np.uint64)
            found.append(code)
    return found


def _hashed(code: np.ndarray, kind: int) -> np.ndarray:
    # Modulo 2**64, as arrays multiply.
    salt = np.uint64((1 + kind) * 0xD1B54A32D192ED03 % 2**64)
    mixed = (code + salt) * _ODD
    mixed ^= mixed >> np.uint64(29)
    return ((mixed * _ODD) >> np.uint64(64 - _BITS)).astype(np.int32)


@final
class SampleWindow(Baseline):
    """A regression on the numbers of a step, and on their mean and spread around it.

    Args:
        classes: labels to choose from.
        reaches: over how many steps on either side means and spreads are taken.
    """

    name: ClassVar[str] = "sample-window"

    def __init__(self, classes: int, reaches: tuple[int, ...] = (4, 16)) -> None:
        self.classes, self.reaches = classes, reaches
        self._model: Any = None
        self._only = 0

    def fit(self, train: Part, valid: Part) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        width = int(np.prod(train.batch(np.arange(1)).inputs.data.shape[2:])) * (1 + 2 * len(self.reaches))
        thin = max(1, int(train.lengths.sum()) // min(_MOST_SAMPLES, _MOST_NUMBERS // width))
        rows, labels = [], []
        for batch in thinned(train, _MOST_SEQUENCES):
            scored, own = labels_of(batch)
            rows.append(_sample_features(batch, self.reaches)[scored][::thin])
            labels.append(own[::thin])
        known = np.concatenate(labels)
        self._only = int(known[0])
        if (known != self._only).any():
            with warnings.catch_warnings():
                # Iterations that do not quite converge still give a fair rival; the user can do nothing about it.
                warnings.simplefilter("ignore", ConvergenceWarning)
                self._model = LogisticRegression(max_iter=200).fit(np.concatenate(rows), known)

    def predict(self, batch: Batch) -> Tensor:
        features = _sample_features(batch, self.reaches)
        shape = features.shape[:2]
        return _lattice(self._model, features.reshape(-1, features.shape[2]), self._only, self.classes, shape)

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else self._model.coef_.size + self._model.intercept_.size


def _sample_features(batch: Batch, reaches: tuple[int, ...]) -> np.ndarray:
    """Numbers, their means and deviations around each step: float32 `[batch, time, (1 + 2 × reaches) × feature]`."""
    mask = batch.inputs.mask()[..., None]
    pixels = not batch.inputs.data.is_floating_point()
    data = torch.where(mask, batch.inputs.data, 0).double() / (255 if pixels else 1)
    found = [data]
    for reach in reaches:
        count = _around(mask.double(), reach).clamp(min=1)
        mean = _around(data, reach) / count
        spread = (_around(data**2, reach) / count - mean**2).clamp(min=0).sqrt()
        found += [mean, spread]
    return torch.cat(found, dim=-1).float().numpy()


def _around(values: Tensor, reach: int) -> Tensor:
    """Sum over the steps at most `reach` away, `[batch, time, feature]`."""
    total = torch.nn.functional.pad(values.cumsum(1), (0, 0, reach + 1, 0))
    total = torch.cat([total, total[:, -1:].expand(-1, reach, -1)], dim=1)
    time = values.shape[1]
    return total[:, 2 * reach + 1 : 2 * reach + 1 + time] - total[:, :time]


def _lattice(model: Any, rows: Any, only: int, classes: int, shape: tuple[int, ...]) -> Tensor:
    """Log-probabilities of a fitted model as a lattice; one label alone where training had no other."""
    scores = np.full((shape[0] * shape[1], classes), np.log(1e-6), np.float32)
    if model is None:
        scores[:, only] = 0.0
    elif len(scores):
        scores[:, model.classes_] = np.log(np.maximum(model.predict_proba(rows), 1e-6))
    return lattice_of(torch.from_numpy(scores).reshape(*shape, classes))
