"""Logistic regression on what does not know the order of steps: bags of words, and summary statistics.

scikit-learn and SciPy (90 MB) are imported where they are used: training one recurrent model needs neither.

References:
    Salton & Buckley 1988, Term-weighting approaches, doi:10.1016/0306-4573(88)90021-0 (tf-idf).
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from remanence.data.clips import Clip
from remanence.data.examples import Batch, Part
from remanence.sequences import Sequences
from remanence.tasks.sample import thinned
from remanence.tasks.squares import mean_frame
from remanence.tasks.task import Baseline

if TYPE_CHECKING:
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

__all__ = ["BagOfPairs", "BagOfWords", "MeanFrame", "SummaryStatistics"]

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
MOST_EXAMPLES = 50_000
_FLOOR = 1e-12


class _Logistic(Baseline):
    """Features → logistic regression, its strength C chosen on the validation part by error, then log loss."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._model: LogisticRegression | None = None
        self._only: int = 0

    @abstractmethod
    def learn(self, train: Part) -> None:
        """Fit what makes features of examples."""

    @abstractmethod
    def features(self, batch: Batch) -> Any:
        """Features `[batch, feature]`, dense or sparse."""

    @final
    def fit(self, train: Part, valid: Part) -> None:
        self.learn(train)
        inputs, labels = self.table(train)
        if len(np.unique(labels)) < 2:
            self._only = int(labels[0]) if len(labels) else 0
            return
        if len(valid):
            checked, truth = self.table(valid)
            fitted = [_regression(strength, inputs, labels) for strength in STRENGTHS]
            self._model = min(fitted, key=lambda model: self._badness(model, checked, truth))
        else:
            self._model = _regression(1.0, inputs, labels)

    @final
    def predict(self, batch: Batch) -> Tensor:
        probabilities = np.full((batch.inputs.batch, self.classes), _FLOOR)
        if self._model is None:
            probabilities[:, self._only] = 1.0
        elif len(probabilities):
            probabilities[:, self._model.classes_] += self._model.predict_proba(self.features(batch))
        return torch.from_numpy(np.log(probabilities)).float()

    @property
    def parameters(self) -> int:
        return 0 if self._model is None else np.size(self._model.coef_) + np.size(self._model.intercept_)

    def table(self, part: Part) -> tuple[Any, np.ndarray]:
        """Features of the examples of a part (thinned where it is large), and their answers."""
        from scipy import sparse

        rows, labels = [], []
        for batch in thinned(part, MOST_EXAMPLES):
            assert batch.target is not None
            rows.append(self.features(batch))
            labels.append(batch.target.numpy())
        stack = sparse.vstack if sparse.issparse(rows[0]) else np.concatenate
        return stack(rows), np.concatenate(labels)

    def _badness(self, model: LogisticRegression, inputs: Any, truth: np.ndarray) -> tuple[float, float]:
        probabilities = np.full((len(truth), self.classes), _FLOOR)
        probabilities[:, model.classes_] += model.predict_proba(inputs)
        error = float((probabilities.argmax(1) != truth).mean())
        return error, float(-np.log(probabilities[np.arange(len(truth)), truth]).mean())


class _Bag(_Logistic):
    """What stands in a text, weighted by tf-idf.

    Args:
        classes: labels to choose from.
        vocabulary: tokens known; padding (0) is left out.
    """

    pairs: ClassVar[bool]

    def __init__(self, classes: int, vocabulary: int) -> None:
        super().__init__(classes)
        self.vocabulary = vocabulary
        self._pairs = np.zeros(0, np.int64)
        self._weights: TfidfTransformer | None = None

    def learn(self, train: Part) -> None:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfTransformer

        codes = [np.zeros(0, np.int64)]
        if self.pairs:
            codes += [
                np.unique(_pair_codes(batch.inputs, self.vocabulary)[1]) for batch in thinned(train, MOST_EXAMPLES)
            ]
        self._pairs = np.unique(np.concatenate(codes))
        counts = [self._counts(batch.inputs) for batch in thinned(train, MOST_EXAMPLES)]
        self._weights = TfidfTransformer(sublinear_tf=True).fit(sparse.vstack(counts))

    def features(self, batch: Batch) -> Any:
        assert self._weights is not None
        return self._weights.transform(self._counts(batch.inputs))

    def _counts(self, inputs: Sequences) -> sparse.csr_array:
        """How often each token and each known pair stands in each text."""
        from scipy import sparse

        mask = inputs.mask().numpy()
        rows, columns = np.nonzero(mask)
        tokens = inputs.data.numpy()[rows, columns]
        pair_rows, codes = _pair_codes(inputs, self.vocabulary)
        at = np.searchsorted(self._pairs, codes)
        known = np.zeros(len(codes), bool)
        known[at < len(self._pairs)] = self._pairs[at[at < len(self._pairs)]] == codes[at < len(self._pairs)]
        every_row = np.concatenate([rows, pair_rows[known]])
        every_column = np.concatenate([tokens, self.vocabulary + at[known]])
        shape = (inputs.batch, self.vocabulary + len(self._pairs))
        return sparse.csr_array((np.ones(len(every_row)), (every_row, every_column)), shape=shape)


@final
class BagOfWords(_Bag):
    """Tokens alone: nothing of their order."""

    name: ClassVar[str] = "bag-of-words"
    pairs: ClassVar[bool] = False


@final
class BagOfPairs(_Bag):
    """Tokens and pairs of neighbours, which know a little of the order."""

    name: ClassVar[str] = "bag-of-pairs"
    pairs: ClassVar[bool] = True


@final
class SummaryStatistics(_Logistic):
    """Mean, deviation, extremes, quartiles, first, last and mean step of each feature, and the length."""

    name: ClassVar[str] = "summary"

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self._scaler: StandardScaler | None = None

    def learn(self, train: Part) -> None:
        from sklearn.preprocessing import StandardScaler

        self._scaler = StandardScaler().fit(
            np.concatenate([_statistics(batch.inputs) for batch in thinned(train, MOST_EXAMPLES)])
        )

    def features(self, batch: Batch) -> Any:
        assert self._scaler is not None
        return self._scaler.transform(_statistics(batch.inputs))


@final
class MeanFrame(_Logistic):
    """The mean of a video's frames and of their changes (see `squares`), which do not know the order of the frames."""

    name: ClassVar[str] = "mean-frame"

    def __init__(self, classes: int, clip: Clip) -> None:
        super().__init__(classes)
        self.clip = clip
        self._scaler: StandardScaler | None = None

    def learn(self, train: Part) -> None:
        from sklearn.preprocessing import StandardScaler

        self._scaler = StandardScaler().fit(
            np.concatenate([mean_frame(batch.inputs, self.clip) for batch in thinned(train, MOST_EXAMPLES)])
        )

    def features(self, batch: Batch) -> Any:
        assert self._scaler is not None
        return self._scaler.transform(mean_frame(batch.inputs, self.clip))


def _regression(strength: float, inputs: Any, labels: np.ndarray) -> LogisticRegression:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # 300 iterations that do not quite converge still give a fair rival; the user can do nothing about it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=300).fit(inputs, labels)


def _pair_codes(inputs: Sequences, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and codes of all neighbouring tokens; text has no token before its first."""
    mask = inputs.mask().numpy()
    rows, columns = np.nonzero(mask[:, 1:])
    tokens = inputs.data.numpy().astype(np.int64)
    return rows, tokens[rows, columns] * vocabulary + tokens[rows, columns + 1]


def _statistics(inputs: Sequences) -> np.ndarray:
    """Statistics `[batch, 10 × feature + 1]`; a sequence without steps has zeros."""
    rows = []
    for values, length in zip(inputs.data.double().numpy(), inputs.lengths.tolist(), strict=True):
        steps = values[:length] if length else np.zeros((1, values.shape[1]))
        moves = np.diff(steps, axis=0) if len(steps) > 1 else np.zeros((1, values.shape[1]))
        quartiles = np.quantile(steps, (0.25, 0.5, 0.75), axis=0)
        found = [steps.mean(0), steps.std(0), steps.min(0), steps.max(0), *quartiles, steps[0], steps[-1]]
        rows.append(np.concatenate([*found, np.abs(moves).mean(0), [float(length)]]))
    return np.array(rows).reshape(len(rows), -1)
