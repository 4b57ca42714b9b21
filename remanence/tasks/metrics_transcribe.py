"""Metrics of transcripts, by jiwer: how many words, and characters, are wrong.

    wer, cer        words (characters) that are missing, wrong or too many, over those of the true texts
    text_error      share of texts that are not wholly right
    greedy_wer, …   the same for the likeliest path alone, where a beam is searched

The verdict's is `wer`, for Chinese, Japanese and Korean `cer`. The error of a text is its wrong words by the mean
number of words of a true text: their mean over texts is the rate of all texts together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from remanence.data.encoders import PairEncoders
from remanence.data.examples import Batch
from remanence.nn.sound import stacked_lengths
from remanence.settings import Settings
from remanence.tasks.task import Meter, Scores
from remanence.tasks.transcript import Transcript, logits_of

__all__ = ["TranscriptMeter", "wrong"]


def wrong(found: Sequence[str], truth: Sequence[str], *, characters: bool) -> tuple[np.ndarray, np.ndarray]:
    """How many words (or characters) of each text are wrong, and how many the true text has.

    Example:
        >>> [counts.tolist() for counts in wrong(["a c d", ""], ["a b", "e"], characters=False)]
        [[2, 1], [2, 1]]
    """
    import jiwer

    measured = (jiwer.process_characters if characters else jiwer.process_words)(list(truth), list(found))
    edits = [
        sum(max(c.ref_end_idx - c.ref_start_idx, c.hyp_end_idx - c.hyp_start_idx) for c in text if c.type != "equal")
        for text in measured.alignments
    ]
    return np.array(edits, np.int64), np.array([len(text) for text in measured.references], np.int64)


class TranscriptMeter(Meter):
    """Gathers texts that were found, and the true ones.

    Args:
        encoders: decode both.
        settings: say how many frames make a step, and whether a beam is searched.
    """

    def __init__(self, encoders: PairEncoders, settings: Settings) -> None:
        self._target, self._stack = encoders.target, settings.model.stack or 1
        self._beam = (settings.model.beam or 1) > 1
        self._texts: dict[str, list[str]] = {"found": [], "greedy": [], "truth": []}
        self._index: list[int] = []
        self._blind = True

    def update(self, output: Tensor, batch: Batch) -> None:
        assert batch.target is not None
        output = output.detach().cpu()
        decode = self._target.decode
        steps = stacked_lengths(batch.inputs.lengths, self._stack).tolist()
        found = [Transcript.read(row, length) for row, length in zip(output, steps, strict=True)]
        self._blind &= not bool(logits_of(output).any())
        self._texts["found"] += [decode(each.text) for each in found]
        self._texts["greedy"] += [decode(each.path.symbols) for each in found]
        self._texts["truth"] += [decode(row) for row in batch.target.tolist()]
        self._index += batch.index.tolist()

    def scores(self) -> Scores:
        order = np.argsort(np.array(self._index, np.int64), kind="stable")
        texts = {name: [all_of[at] for at in order] for name, all_of in self._texts.items()}
        if not len(order):
            return Scores({"wer": float("nan")}, np.zeros(0), 1)
        units = ("cer", "wer") if self._target.script == "characters" else ("wer", "cer")
        metrics: dict[str, float] = {}
        errors = np.zeros(0)
        for unit in units:
            edits, lengths = wrong(texts["found"], texts["truth"], characters=unit == "cer")
            metrics[unit] = edits.sum() / max(1, lengths.sum())
            errors = errors if len(errors) else edits * len(lengths) / max(1, lengths.sum())
        pairs = zip(texts["found"], texts["truth"], strict=True)
        metrics["text_error"] = float(np.mean([own != right for own, right in pairs]))
        if self._beam and not self._blind:
            for unit in units:
                edits, lengths = wrong(texts["greedy"], texts["truth"], characters=unit == "cer")
                metrics[f"greedy_{unit}"] = edits.sum() / max(1, lengths.sum())
        return Scores({name: float(value) for name, value in metrics.items()}, errors.astype(np.float64), 1)
