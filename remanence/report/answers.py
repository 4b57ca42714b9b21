"""What a run answers on its test part: forecasts with intervals, a confusion matrix, or texts gone on with."""

from __future__ import annotations

from typing import Any

import numpy as np

from remanence.data.batches import pieces
from remanence.data.encoders import PairEncoders
from remanence.data.examples import Part
from remanence.explain import figures
from remanence.explain.words import Words
from remanence.prediction.outputs import forward, measure
from remanence.report.captions import HOW
from remanence.report.films import film_blocks
from remanence.report.names import model_words
from remanence.report.page import Block, Figure, Section, Text
from remanence.report.tagged import tagged_blocks
from remanence.report.writings import writings_section
from remanence.report.written import written_section

__all__ = ["answers_section"]

WINDOWS = 4
"""Forecasts shown, evenly spread over the part."""

RESIDUALS = 400
"""Windows of the validation part whose errors give an interval to a forecast without quantiles."""

MOST_LABELS = 24
"""Labels of a tagger up to which a matrix of right and wrong answers can be read."""

ANSWERS = 300
"""Sequences whose numbers are drawn."""

COVERAGE = 0.8
HISTORY = 2
"""History shown, in horizons."""


def answers_section(run: Any) -> Section | None:
    """Show what a run answers on its test part (the validation part where there is none); None where both are empty."""
    prepared = run.prepared
    part = prepared.test if len(prepared.test) else prepared.valid
    if not len(part):
        return None
    if run.task.name == "forecast":
        return Section(Words("Forecasts", "预测"), _forecasts(run, part))
    if run.task.name == "classify":
        return Section(Words("Right and wrong answers", "答对与答错"), film_blocks(run, part) + _confusion(run, part))
    if run.task.name == "regress":
        return Section(Words("Answers", "回答"), (_numbers(run, part),))
    if run.task.name == "tag":
        few = len(run.encoders.labels) <= MOST_LABELS
        blocks = tagged_blocks(run, part) + (_confusion(run, part) if few else ())
        return Section(Words("Labels found", "标注结果"), blocks)
    if run.task.name == "generate":
        return writings_section(run, part)
    if not isinstance(run.encoders, PairEncoders):
        return None
    written = written_section(run, part)
    return Section(written.title, film_blocks(run, part) + written.blocks)


def _confusion(run: Any, part: Part) -> tuple[Block, ...]:
    counts, labels = _counts(run, part), run.encoders.labels
    if counts is None:
        return ()
    return (
        Figure(
            "confusion",
            lambda language: figures.confusion(counts, labels, language=language),
            how=HOW["confusion"],
        ),
    )


def _numbers(run: Any, part: Part) -> Figure:
    """Answers over truths, of sequences spread evenly over the part."""
    index = np.unique(np.linspace(0, len(part) - 1, ANSWERS).round().astype(np.int64))
    encoders, found = run.encoders, []
    for piece in pieces(part.lengths, index):
        batch = part.batch(piece)
        answer = forward(run.model, batch, run.settings.train.truncate)[:, 0].cpu().double().numpy()
        assert batch.target is not None
        found.append(np.stack([batch.target.double().numpy(), answer], axis=1))
    pairs = encoders.answer.unscale(np.concatenate(found).T[..., None], (encoders.label,))[..., 0]
    return Figure(
        "numbers",
        lambda language: figures.numbers(pairs[0], pairs[1], encoders.label, language=language),
        how=HOW["numbers"],
    )


def _counts(run: Any, part: Part) -> np.ndarray | None:
    """Which classes were taken for which, `[truth, answer]`, as the test part gave it when it was scored."""
    pairs = run.manifest.get("confusion")
    if pairs is None or part is not run.prepared.test:
        return measure(run.task, run.model, part, run.encoders, run.settings)[0].confusion
    counts = np.zeros((len(run.encoders.labels),) * 2, np.int64)
    for truth, answer, count in pairs:
        counts[truth, answer] = count
    return counts


def _forecasts(run: Any, part: Part) -> tuple[Block, ...]:
    chosen = np.unique(np.linspace(0, len(part) - 1, WINDOWS).round().astype(np.int64))
    levels = run.settings.model.quantiles
    spread = None if levels else _error_quantiles(run)
    examples = [_forecast(run, part, int(index), spread) for index in chosen]
    blocks: list[Block] = [
        Figure(
            "forecasts",
            lambda language: figures.forecasts(examples, language=language),
            how=HOW["forecasts"],
        )
    ]
    if spread is not None:
        note = Words(
            f"The interval holds {COVERAGE:.0%} of the errors made on the validation part; quantiles that are "
            "learnt come with --quantiles 0.1,0.5,0.9.",
            f"区间包含验证部分上 {COVERAGE:.0%} 的误差；若要学出分位数，请用 --quantiles 0.1,0.5,0.9。",
        )
        blocks.append(Text((note,), "how"))
    return tuple(blocks)


def _answer(run: Any, batch: Any) -> np.ndarray:
    """Output in scaled units, `[batch, horizon, target, 1 + quantile]`."""
    output = forward(run.model, batch, run.settings.train.truncate).cpu().double().numpy()
    return output if run.settings.model.quantiles else output[..., None]


def _error_quantiles(run: Any) -> np.ndarray | None:
    """Scaled errors of the first target that bound the interval, `[2, horizon]`; None without a validation part."""
    part = run.prepared.valid
    if not len(part):
        return None
    index = np.unique(np.linspace(0, len(part) - 1, RESIDUALS).round().astype(np.int64))
    errors = np.concatenate([_errors(run, part.batch(piece)) for piece in pieces(part.lengths, index)])
    if np.isnan(errors).all(0).any():
        return None
    return np.nanquantile(errors, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0)


def _errors(run: Any, batch: Any) -> np.ndarray:
    return batch.target[..., 0].double().numpy() - _answer(run, batch)[..., 0, 0]


def _forecast(run: Any, part: Any, index: int, spread: np.ndarray | None) -> figures.ForecastExample:
    """One window of the first target, in the user's units."""
    encoders, levels = run.encoders, run.settings.model.quantiles
    batch = part.batch(np.array([index]))
    answer = _answer(run, batch)[0, :, 0]
    horizon, season = encoders.horizon, encoders.season

    def unscaled(values: np.ndarray) -> np.ndarray:
        return encoders.scaler.unscale(np.asarray(values, dtype=np.float64)[:, None], encoders.target[:1])[:, 0]

    seen = min(encoders.context, max(HISTORY * horizon, 8))
    past = unscaled(part.past(np.array([index]), max(seen, season))[0, :, 0])
    naive = past[-season:][np.arange(horizon) % season] if season > 1 else np.full(horizon, past[-1])
    name = model_words("seasonal-naive" if season > 1 else "naive", recurrent=False)
    low, high = None, None
    coverage = COVERAGE
    if len(levels) > 1:
        low, high, coverage = unscaled(answer[:, 1]), unscaled(answer[:, -1]), levels[-1] - levels[0]
    elif spread is not None:
        low, high = unscaled(answer[:, 0] + spread[0]), unscaled(answer[:, 0] + spread[1])
    truth = np.full(horizon, np.nan) if batch.target is None else unscaled(batch.target[0, :, 0].numpy())
    series = part.series(index)
    times = part.times(index)
    title = ", ".join(filter(None, (encoders.target[0], series, times[0])))
    labels = (*(f"−{seen - step}" for step in range(seen)), *times)
    return figures.ForecastExample(
        title, labels, past[-seen:], truth, unscaled(answer[:, 0]), naive, low, high, coverage, name
    )
