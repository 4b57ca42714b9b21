"""The laws that every task obeys, with every kind of data that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from remanence.data.examples import Batch
from remanence.data.usage import learn_usage
from remanence.nn.decoder import Decoder
from remanence.nn.sound import CTCHead, SoundEncoder, stacked_lengths
from remanence.nn.written import Written
from remanence.sequences import Sequences
from remanence.settings import Settings, settings_from
from remanence.tasks import task
from remanence.tasks.task import Prepared, Task
from tests.tasks import made, made_media

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Case:
    task: str
    make: Callable[[], Prepared]
    options: dict

    def ready(self) -> tuple[Task, Prepared, Settings]:
        found, data = task(self.task), self.make()
        return found, data, found.defaults(data, settings_from({"hidden": 5, **self.options}))


def _covariates() -> Prepared:
    return made.made_forecast(
        target=("load", "price"),
        observed=("wind",),
        known=("holiday",),
        calendar=("hour_sin",),
        missing="mask",
        naive_scale=((4.0, 2.0),),
        naive_scale_all=(4.0, 2.0),
    )


def _rated() -> Prepared:
    """The answer to a text is how often the token 2 stands in it."""
    random = np.random.default_rng(10)
    answer = made.Scaler(columns=("stars",), mean=(3.0,), scale=(1.0,))
    encoders = made.text_encoders().model_copy(update={"labels": (), "label": "stars", "answer": answer})
    parts = []
    for count in (60, 20, 20):
        texts = [random.integers(1, 10, random.integers(0, 9)).astype(np.int64) for _ in range(count)]
        parts.append(made.MadeClassify(encoders, texts, [float((text == 2).sum()) for text in texts]))
    return made.prepared(encoders, *parts)


CASES = {
    "forecast": Case("forecast", made.made_forecast, {}),
    "forecast-window-rnn": Case(
        "forecast", made.made_forecast, {"cell": "rnn", "normalise": "window", "convolution": 3}
    ),
    "forecast-quantiles": Case("forecast", _covariates, {"quantiles": "0.1,0.5,0.9", "cell": "gru", "loss": "huber"}),
    "forecast-both-ends": Case("forecast", _covariates, {"bidirectional": True, "normalise": "none"}),
    "forecast-recursive": Case("forecast", _covariates, {"strategy": "recursive", "convolution": 4, "loss": "mae"}),
    "forecast-recursive-quantiles": Case("forecast", _covariates, {"strategy": "recursive", "quantiles": "0.2,0.8"}),
    "texts": Case("classify", made.made_texts, {"pool": "max", "skip": True}),
    "texts-forward": Case("classify", made.made_texts, {"pool": "attention", "bidirectional": False, "skip": True}),
    "numbers": Case("classify", made.made_numbers, {"pool": "mean"}),
    "numbers-branch": Case("classify", made.made_numbers, {"pool": "mean-max", "branch": 4, "bidirectional": False}),
    "numbers-branch-both-ends": Case("classify", made.made_numbers, {"branch": 4}),
    "measured": Case("regress", made.made_measured, {}),
    "measured-forward": Case(
        "regress", made.made_measured, {"pool": "last", "bidirectional": False, "loss": "huber", "initialise": "chrono"}
    ),
    "rated-texts": Case("regress", _rated, {"loss": "mae", "skip": True}),
    "spans": Case("tag", made.made_spans, {}),
    "spans-recurrent-characters": Case("tag", made.made_spans, {"characters": "recurrent", "cell": "gru"}),
    "spans-affixes": Case("tag", made.made_spans, {"characters": "affixes", "recall": 2.0, "calibrate": True}),
    "spans-with-use": Case("tag", lambda: made.made_spans(usage=learn_usage(["we saw Ann of the Bank"])), {}),
    "spans-forward": Case("tag", made.made_spans, {"bidirectional": False, "crf": False}),
    "labels-without-characters": Case("tag", lambda: made.made_spans(characters=None, scheme="none"), {"crf": True}),
    "samples": Case("tag", made.made_samples, {}),
    "samples-forward": Case("tag", made.made_samples, {"bidirectional": False, "convolution": 4}),
    "samples-chain": Case("tag", made.made_samples, {"crf": True}),
    "heard": Case("tag", made_media.made_heard, {"convolution": 3}),
    "heard-chain": Case("tag", made_media.made_heard, {"crf": True, "bidirectional": False, "differences": True}),
    "seen": Case("tag", made_media.made_seen, {"convolution": 3}),
    "seen-chain": Case(
        "tag", made_media.made_seen, {"convolution": 3, "crf": True, "cell": "gru", "bidirectional": False}
    ),
    "videos": Case("classify", made.made_clips, {"convolution": 3}),
    "videos-forward": Case(
        "classify", lambda: made.made_clips("grey"), {"convolution": 8, "bidirectional": False, "cell": "gru"}
    ),
    "numbers-varied": Case("classify", made.made_numbers, {"stretch": 0.3, "input_dropout": 0.2}),
    "numbers-last": Case("classify", made.made_numbers, {"pool": "last", "layers": 2, "convolution": 0}),
    "numbers-forward": Case(
        "classify",
        made.made_numbers,
        {"pool": "last", "bidirectional": False, "cell": "lstm-peephole", "differences": True},
    ),
    "stream": Case("generate", made.made_stream, {}),
    "stream-tied": Case("generate", made.made_stream, {"tied": True, "embedding": 3, "layers": 2, "weight_drop": 0.2}),
    "documents": Case("generate", made.made_documents, {"cell": "gru", "tied": True, "embedding": 5}),
    "music": Case("generate", made.made_music, {"cell": "rnn"}),
    "pairs": Case("translate", made.made_pairs, {"beam": 3}),
    "pairs-additive": Case("translate", made.made_pairs, {"attention": "additive", "cell": "gru", "beam": 1}),
    "pairs-without-attention": Case("translate", made.made_pairs, {"attention": "none", "layers": 2, "tied": False}),
    "captions": Case("caption", made.made_captions, {"convolution": 3, "beam": 2}),
    "captions-without-attention": Case(
        "caption", made.made_captions, {"convolution": 3, "attention": "none", "bidirectional": False, "cell": "gru"}
    ),
    "pairs-fed": Case(
        "translate",
        made.made_pairs,
        {"input_feeding": True, "coverage": 0.5, "scheduled_sampling": 0.3, "bidirectional": False, "beam": 2},
    ),
    "pairs-copied": Case("summarise", made.made_pairs, {"coverage": 1.0, "beam": 2}),
    "sounds": Case("transcribe", made.made_sounds, {"stack": 1, "layers": 1}),
    "sounds-words": Case("transcribe", made.made_sounds, {"language": "words", "beam": 4, "cell": "gru"}),
    "sounds-stretched": Case("transcribe", made.made_sounds, {"stretch": 0.2}),
    "sounds-ahead": Case(
        "transcribe",
        made.made_sounds,
        {"bidirectional": False, "look_ahead": 3, "stack": 2, "convolution": 4, "language": "characters"},
    ),
    "sounds-forward": Case("transcribe", made.made_sounds, {"bidirectional": False, "stack": 3}),
    "pairs-copied-at-once": Case("summarise", made.made_pairs, {"cell": "rnn", "attention": "multiplicative"}),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def _model(case: Case) -> tuple[Any, Task, Any, Settings]:
    found, data, settings = case.ready()
    torch.manual_seed(0)
    model = found.model(data.encoders, settings).eval()
    if isinstance(model.head, CTCHead):
        # As after training: texts are searched for, and a language is listened to.
        model.head.decoding.copy_(torch.tensor([0.5, 1.0]))
    return model, found, data, settings


def _padded(batch: Batch, steps: int) -> Batch:
    """The batch with rubbish behind every sequence."""
    data = batch.inputs.data
    shape = (data.shape[0], steps, *data.shape[2:])
    rubbish = torch.full(shape, 7, dtype=data.dtype)
    whole = torch.cat([data, rubbish], dim=1)
    beyond = ~Sequences(whole, batch.inputs.lengths).mask()
    whole[beyond] = 7
    scored = batch.scored if batch.scored is None else torch.nn.functional.pad(batch.scored, (0, steps))
    return replace(batch, inputs=Sequences(whole, batch.inputs.lengths), scored=scored)


def _own(output: torch.Tensor, batch: Batch, stack: int | None = None) -> list[torch.Tensor]:
    """The answer to each example, without the steps beyond its end where each step has an answer.

    Args:
        stack: of a model that transcribes, how many frames a step of its answer has.
    """
    if stack is not None:
        steps = stacked_lengths(batch.inputs.lengths, stack).tolist()
        return [row[:length] for row, length in zip(output, steps, strict=True)]
    if output.ndim == 3 and output.shape[2] == 5 + batch.inputs.time:
        return _own_texts(output, batch)
    if batch.scored is None:
        return list(output)
    # A tagger's answer begins with what it knows of pairs of labels.
    chain = output.shape[1] - batch.inputs.time
    return [row[: chain + length] for row, length in zip(output, batch.inputs.lengths.tolist(), strict=True)]


def _own_texts(output: torch.Tensor, batch: Batch) -> list[torch.Tensor]:
    """What the true text of each source costs, and what was written, without padding of either side."""
    assert batch.target is not None
    tokens = Written.read(output).tokens
    return [
        torch.cat([row[: int((truth > 0).sum()), :3].flatten(), row[: int((text > 0).sum()), 3 : 5 + length].flatten()])
        for row, text, truth, length in zip(output, tokens, batch.target, batch.inputs.lengths.tolist(), strict=True)
    ]


def _stack(model: torch.nn.Module) -> int | None:
    encoder = model.encoder
    return encoder.stack if isinstance(encoder, SoundEncoder) else None


@every_case
def test_padding_and_neighbours_never_change_an_answer(case: Case) -> None:
    model, _, data, _ = _model(case)
    batch = data.train.batch(np.arange(7))
    together, _ = model(batch)
    wider = _padded(batch, 5)
    padded, _ = model(wider)
    stack = _stack(model)
    together = _own(together, batch, stack)
    torch.testing.assert_close(_own(padded, wider, stack), together, rtol=0, atol=TOLERANCE)
    for row in range(7):
        single = data.train.batch(np.array([row]))
        alone, _ = model(single)
        torch.testing.assert_close(_own(alone, single, stack)[0], together[row], rtol=0, atol=TOLERANCE)


@every_case
def test_loss_is_finite_and_reaches_every_parameter(case: Case) -> None:
    model, found, data, settings = _model(case)
    batch = data.train.batch(np.arange(30))
    model.train()
    loss = found.loss(model(batch)[0], batch, settings)
    assert loss.ndim == 0 and torch.isfinite(loss)
    loss.backward()
    for name, weights in model.named_parameters():
        assert weights.grad is not None and torch.isfinite(weights.grad).all(), name
        # A cell may hold parameters that cannot matter in one step; over 30 examples each of ours does.
        assert weights.grad.abs().sum() > 0, name


@every_case
def test_chunks_give_the_answer_of_the_whole(case: Case) -> None:
    model, _, data, _ = _model(case)
    if model.recurrent.bidirectional:
        pytest.skip("layers that read from both ends cannot be carried")
    if isinstance(model.head, Decoder):
        pytest.skip("what is written needs the whole source")
    batch = data.train.batch(np.arange(7))
    whole, _ = model(batch)
    for size in (1, 2, 5):
        state, answers = model.begin(batch), []
        for chunk in model.chunks(batch, size):
            answer, state = model(chunk, state)
            answers.append(answer)
            assert all(tensor.shape[1] == 7 for tensor in state.values())
        joined, stack = model.joined(answers, batch), _stack(model)
        torch.testing.assert_close(_own(joined, batch, stack), _own(whole, batch, stack), rtol=0, atol=TOLERANCE)


@every_case
def test_same_seed_gives_same_weights(case: Case) -> None:
    first, second = (_model(case)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_case
def test_defaults_leave_nothing_open_and_keep_what_was_given(case: Case) -> None:
    found, data, settings = case.ready()
    assert settings.model.hidden == 5 and settings.model.cell and settings.train.learning_rate
    assert (
        sum(value is not None for value in (settings.train.epochs, settings.train.steps, settings.train.minutes)) == 1
    )
    assert found.defaults(data, settings) == settings
    timed = found.defaults(data, settings_from({"minutes": 2.0}))
    assert timed.train.minutes == 2.0 and timed.train.epochs is None and timed.train.steps is None


@every_case
def test_rows_are_as_many_as_answers(case: Case) -> None:
    model, found, data, settings = _model(case)
    batch = data.test.batch(np.arange(3))
    rows = list(found.rows(model(batch)[0], batch, data.test, data.encoders, settings))
    answers = int(batch.scored.sum()) if batch.scored is not None else 3
    assert len(rows) == answers * (data.encoders.horizon if case.task == "forecast" else 1)
    assert all(isinstance(value, str | float | int) for row in rows for value in row.values())
    assert len({tuple(row) for row in rows}) == 1


@every_case
def test_baselines_answer_like_the_model(case: Case) -> None:
    model, found, data, settings = _model(case)
    batch = data.test.batch(np.arange(5))
    baselines = found.baselines(data, settings)
    assert sum(baseline.trivial for baseline in baselines) >= 1
    for baseline in baselines:
        baseline.fit(data.train, data.valid)
        answer = baseline.predict(batch)
        own = model(batch)[0]
        # A written text is as long as it is.
        written = isinstance(model.head, Decoder | CTCHead)
        shape = (len(own), answer.shape[1], own.shape[2]) if written else own.shape
        assert answer.shape == shape and answer.dtype == torch.float32, baseline.name
        assert torch.isfinite(answer).all(), baseline.name
        wider = _padded(batch, 3)
        padded = baseline.predict(wider)
        stack = 1 if isinstance(model.head, CTCHead) else None
        torch.testing.assert_close(_own(padded, wider, stack), _own(answer, batch, stack), rtol=0, atol=TOLERANCE)
        meter = found.meter(data.encoders, settings)
        meter.update(answer, batch)
        scores = meter.scores()
        assert len(scores.errors) == (int(batch.inputs.lengths.sum()) if case.task == "generate" else 5)
        assert scores.errors.mean() == pytest.approx(next(iter(scores.metrics.values())))


@every_case
def test_encoders_outlive_json(case: Case) -> None:
    found, data, _ = case.ready()
    text = data.encoders.model_dump_json()
    assert found.encoders_type.model_validate_json(text) == data.encoders
