"""Metrics of taggers, gathered batch by batch in bounded memory.

Labels that spell spans (see `data.schemes`; counted as by seqeval's default and the CoNLL-2000 scorer):

    precision, recall, f1   over spans: right where type, first and last token are
    span_error              1 − f1 = (false + missed) / (predicted + true); the verdict's

Other labels:

    error, accuracy         share of steps with a wrong, or the right, label; `error` is the verdict's
    macro_f1                mean F1 over the labels that occur or are predicted
    event_f1, event_iou_f1  of samples: F1 of events, by votes and by overlaps (see `tasks.events`)

Both: unseen, the share of steps whose true label training does not know; they count as wrong.

The error of a unit is that of a sequence (or window), in such shares that their mean is the error of the whole part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch
from remanence.data.schemes import Span, spans
from remanence.nn.crf import Lattice, viterbi
from remanence.tasks.events import class_f1, overlaps, votes
from remanence.tasks.task import Meter, Scores

__all__ = ["TagMeter", "decoded"]


def decoded(output: Tensor, batch: Batch, *, chain: bool) -> np.ndarray:
    """The label of each step, int64 `[batch, time]`, from a lattice; 0 where a step has no answer of its own.

    Args:
        output: a lattice (see `nn.crf`).
        chain: labels are scored together, not each alone.
    """
    assert batch.scored is not None
    lattice = Lattice.read(output.detach().cpu(), batch.inputs.time)
    scored = batch.scored.cpu()
    if chain:
        return viterbi(lattice, scored).numpy()
    return torch.where(scored, lattice.emissions.argmax(-1), 0).numpy()


_FEWEST = 5


@dataclass(frozen=True)
class _Window:
    """What is kept of a window until its neighbours are known."""

    index: int
    recording: int
    truth: np.ndarray
    found: np.ndarray


class TagMeter(Meter):
    """Scores of a tagger; see the module for what each metric is.

    Args:
        encoders: names of the labels, and their scheme.
        chain: labels are decoded together (the model has a conditional random field).
    """

    def __init__(self, encoders: TagEncoders, *, chain: bool) -> None:
        self.encoders, self.chain = encoders, chain
        # Two more for labels that training does not know: they begin a span, or go on with one.
        self._names = (*encoders.labels, "B-�", "I-�")
        classes = len(self._names)
        self._confusion = np.zeros((classes, classes), np.int64)
        self._windows: list[_Window] = []
        self._size = np.int8 if classes < 128 else np.int16

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None and batch.scored is not None
        found, truth = decoded(output, batch, chain=self.chain), batch.target.cpu().numpy()
        scored = batch.scored.cpu().numpy()
        np.add.at(self._confusion, (truth[scored], found[scored]), 1)
        recordings = batch.series.tolist() if batch.series is not None else batch.index.tolist()
        for row, (index, recording) in enumerate(zip(batch.index.tolist(), recordings, strict=True)):
            own = scored[row]
            kept = truth[row][own].astype(self._size), found[row][own].astype(self._size)
            self._windows.append(_Window(index, recording, *kept))

    def scores(self) -> Scores:
        windows = sorted(self._windows, key=lambda window: window.index)
        if not windows or not self._confusion.sum():
            name = "error" if self.encoders.scheme == "none" else "span_error"
            return Scores({name: float("nan")}, np.zeros(len(windows)), 1, self._confusion[:-2, :-2])
        # Windows of one recording are drawn together, where there are recordings enough to draw from.
        recordings = max(_FEWEST, len({window.recording for window in windows}))
        block = max(1, len(windows) // recordings)
        metrics, errors = self._of_spans(windows) if self.encoders.scheme != "none" else self._of_steps(windows)
        known = len(self.encoders.labels)
        if unseen := int(self._confusion[known:].sum()):
            metrics["unseen"] = unseen / float(self._confusion.sum())
        return Scores(metrics, errors, block, self._confusion[:known, :known])

    def _of_steps(self, windows: list[_Window]) -> tuple[dict[str, float], np.ndarray]:
        confusion = self._confusion
        total, right = confusion.sum(), np.diag(confusion)
        wrong = np.array([float((window.truth != window.found).sum()) for window in windows])
        metrics = {
            "error": 1 - float(right.sum()) / float(total),
            "accuracy": float(right.sum()) / float(total),
            "macro_f1": class_f1(right, confusion.sum(0), confusion.sum(1)),
        }
        if self.encoders.vocabulary is None:
            joined = _recordings(windows)
            voted = sum((votes(*pair, len(confusion)) for pair in joined), np.zeros_like(confusion))
            shared = sum((overlaps(*pair, len(confusion)) for pair in joined), np.zeros((len(confusion), 3), np.int64))
            metrics["event_f1"] = class_f1(np.diag(voted), voted.sum(0), voted.sum(1))
            metrics["event_iou_f1"] = class_f1(*shared.T)
        return metrics, wrong * len(windows) / float(total)

    def _of_spans(self, windows: list[_Window]) -> tuple[dict[str, float], np.ndarray]:
        hits, found, true = np.array([self._span_counts(window) for window in windows], np.float64).T
        both = float((found + true).sum())
        # seqeval counts nothing over nothing as 0.
        precision = float(hits.sum() / found.sum()) if found.any() else 0.0
        recall = float(hits.sum() / true.sum()) if true.any() else 0.0
        f1 = 2 * float(hits.sum()) / both if both else 0.0
        confusion = self._confusion
        metrics = {
            "span_error": 1 - f1,
            "f1": f1,
            "precision": precision,
            "recall": recall,
            "accuracy": float(np.diag(confusion).sum()) / float(confusion.sum()),
        }
        wrong = found + true - 2 * hits
        errors = wrong * len(windows) / both if both else np.ones(len(windows))
        return metrics, errors

    def _span_counts(self, window: _Window) -> tuple[int, int, int]:
        """Spans that are right, found, and true."""
        if not len(window.truth):
            return 0, 0, 0
        true, found = (self._spans(labels) for labels in (window.truth, window.found))
        return len(true & found), len(found), len(true)

    def _spans(self, labels: np.ndarray) -> set[Span]:
        return set(spans([self._names[label] for label in labels.tolist()]))


def _recordings(windows: list[_Window]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Labels of whole recordings, true and found: neighbouring windows joined."""
    groups: list[list[_Window]] = []
    for window in windows:
        last = groups[-1][-1] if groups else None
        if last is not None and (last.index + 1, last.recording) == (window.index, window.recording):
            groups[-1].append(window)
        else:
            groups.append([window])
    return [(np.concatenate([w.truth for w in group]), np.concatenate([w.found for w in group])) for group in groups]
