"""Metrics of written texts, beside the true ones.

    chrf_error   1 − chrF of a text, the mean over texts; the verdict's
    bleu, chrf   of all texts together, 0 … 100, by sacrebleu (Post 2018, arXiv:1804.08771)
    nats         −log p of a true token, given the true ones before it, the mean over tokens (models that have one)
    rouge1, …    F1 of a text, the mean over texts, 0 … 100 (summaries; see `rouge`)

A verdict needs an error of every text. BLEU has none: on one text it is mostly 0, and it is no mean over texts. −log p
has one, but simple models that look texts up have no p. chrF (Popović 2015, doi:10.18653/v1/W15-3049) is defined on one
text, needs no cutting into words, so it is the same measure in Chinese and English, and every model has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Batch
from remanence.data.symbols import PADDING
from remanence.nn.written import UNKNOWN_COST, Written, forced_part
from remanence.tasks.rouge import rouge_l, rouge_n, units
from remanence.tasks.task import Meter, Scores

__all__ = ["WrittenMeter", "corpus_scores", "rouge_scores"]

Texts = list[str]


class WrittenMeter(Meter):
    """Gathers written and true texts.

    Args:
        encoders: decode both.
        whole: (written, true) → metrics of all texts together.
    """

    def __init__(self, encoders: PairEncoders, whole: Callable[[Texts, Texts, bool], Mapping[str, float]]) -> None:
        self._target, self._whole = encoders.target, whole
        self._written: Texts = []
        self._truth: Texts = []
        self._index: list[int] = []
        self._nats, self._tokens = 0.0, 0

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        cost, _, _ = forced_part(output.detach(), batch.target.shape[1])
        inside = (batch.target != PADDING) & (cost != UNKNOWN_COST)
        self._nats += float(cost[inside].double().sum())
        self._tokens += int(inside.sum())
        decode = self._target.decode
        self._written += [decode(row) for row in Written.read(output.detach().cpu()).tokens.tolist()]
        self._truth += [decode(row) for row in batch.target.tolist()]
        self._index += batch.index.tolist()

    def scores(self) -> Scores:
        order = np.argsort(np.array(self._index, np.int64), kind="stable")
        written, truth = ([texts[at] for at in order] for texts in (self._written, self._truth))
        errors = _errors(written, truth)
        metrics = {"chrf_error": float(errors.mean()) if len(errors) else float("nan")}
        if len(errors):
            metrics |= self._whole(written, truth, self._target.script == "characters")
        if self._tokens:
            metrics["nats"] = self._nats / self._tokens
        return Scores(metrics, errors, 1)


def corpus_scores(written: Texts, truth: Texts, characters: bool) -> dict[str, float]:
    """BLEU and chrF of all texts; Chinese is cut into characters."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    bleu = BLEU(tokenize="zh" if characters else "13a", force=True)
    return {
        "bleu": bleu.corpus_score(written, [truth]).score,
        "chrf": CHRF().corpus_score(written, [truth]).score,
    }


def rouge_scores(written: Texts, truth: Texts, characters: bool) -> dict[str, float]:
    """ROUGE of all texts, and chrF."""
    sides = [(units(own), units(right)) for own, right in zip(written, truth, strict=True)]
    every = {
        "rouge1": [rouge_n(own, right, 1) for own, right in sides],
        "rouge2": [rouge_n(own, right, 2) for own, right in sides],
        "rougeL": [rouge_l(own, right) for own, right in sides],
    }
    return {name: 100 * float(np.mean(values)) for name, values in every.items()}


def _errors(written: Texts, truth: Texts) -> np.ndarray:
    """1 − chrF of each text."""
    from sacrebleu.metrics.chrf import CHRF

    scorer = CHRF()
    pairs = zip(written, truth, strict=True)
    return np.array([1 - scorer.sentence_score(own, [right]).score / 100 for own, right in pairs], np.float64)
