"""Scores of taggers against numbers worked by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from remanence.data.encoders import TagEncoders
from remanence.data.examples import Batch
from remanence.data.scalers import Scaler
from remanence.nn.crf import lattice_of
from remanence.sequences import Sequences
from remanence.settings import settings_from
from remanence.tasks import task
from remanence.tasks.events import class_f1, overlaps, votes
from remanence.tasks.metrics_tag import TagMeter
from tests.tasks import made

SPANS = ("B-x", "B-y", "I-x", "I-y", "O")


def _scores(labels: tuple[str, ...], scheme: str, pairs: list[tuple[str, str]], recordings: list[int] | None = None):
    """Scores of (true, found) sequences, a letter or word a step."""
    encoders = made.made_samples().encoders.model_copy(update={"labels": labels, "scheme": scheme})
    if scheme != "none":
        encoders = made.made_spans(labels=labels, scheme=scheme).encoders
    meter = TagMeter(encoders, chain=False)
    known = (*labels, "?", "…")
    for index, (truth, found) in enumerate(pairs):
        true, answer = ([known.index(each) for each in text.split()] for text in (truth, found))
        emissions = torch.nn.functional.one_hot(torch.tensor([answer]), len(labels)).float()
        size = len(true)
        inputs = Sequences(torch.zeros(1, size, 1), torch.tensor([size]))
        series = torch.tensor([recordings[index]]) if recordings else None
        batch = Batch(
            inputs, torch.tensor([true]), None, torch.tensor([index]), series, torch.ones(1, size, dtype=torch.bool)
        )
        meter.update(lattice_of(emissions), batch)
    return meter.scores()


def test_span_scores_by_hand() -> None:
    pairs = [("B-x I-x O B-y", "B-x I-x O B-x"), ("O B-x O", "B-y B-x I-x"), ("O", "O")]
    scores = _scores(SPANS, "BIO", pairs)
    # True: 3. Found: 4. Right: 1.
    assert scores.metrics["precision"] == pytest.approx(1 / 4)
    assert scores.metrics["recall"] == pytest.approx(1 / 3)
    assert scores.metrics["f1"] == pytest.approx(2 / 7)
    assert scores.metrics["span_error"] == pytest.approx(5 / 7) == pytest.approx(scores.errors.mean())
    # Two wrong spans, three, none.
    np.testing.assert_allclose(scores.errors, np.array([2, 3, 0]) * 3 / 7)
    assert scores.metrics["accuracy"] == pytest.approx(5 / 8)


def test_no_span_at_all_scores_nothing() -> None:
    scores = _scores(SPANS, "BIO", [("O O", "O O")])
    assert scores.metrics["f1"] == 0 and scores.metrics["span_error"] == 1 == scores.errors.mean()


def test_spans_match_seqeval() -> None:
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    random = np.random.default_rng(0)
    pairs = [[" ".join(random.choice(SPANS, 9)) for _ in range(2)] for _ in range(60)]
    metrics = _scores(SPANS, "BIO", [tuple(pair) for pair in pairs]).metrics
    true, found = ([pair[side].split() for pair in pairs] for side in (0, 1))
    for name in ("f1", "precision", "recall"):
        assert metrics[name] == pytest.approx(getattr(seqeval, f"{name}_score")(true, found))


def test_step_scores_match_sklearn() -> None:
    random = np.random.default_rng(1)
    pairs = [(" ".join(random.choice(list("FSPB"), 12)), " ".join(random.choice(list("FSP"), 12))) for _ in range(9)]
    scores = _scores(tuple("BFPS"), "none", pairs)
    true, found = ([letter for pair in pairs for letter in pair[side].split()] for side in (0, 1))
    assert scores.metrics["macro_f1"] == pytest.approx(f1_score(true, found, average="macro"))
    assert scores.metrics["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(true, found, strict=True)]))
    assert scores.errors.mean() == pytest.approx(scores.metrics["error"])
    assert scores.confusion is not None and scores.confusion.sum() == 108


def test_labels_that_training_does_not_know_count_as_wrong() -> None:
    steps = _scores(("a", "b"), "none", [("a b ?", "a b a")]).metrics
    assert steps["accuracy"] == pytest.approx(2 / 3) and steps["unseen"] == pytest.approx(1 / 3)
    found = _scores(SPANS, "BIO", [("B-x ? … O", "B-x O O O")]).metrics
    # Two true spans, the unknown one of two tokens; one found and right.
    assert found["recall"] == pytest.approx(1 / 2) and found["precision"] == 1


def test_events_by_hand() -> None:
    truth = np.array([0] * 4 + [1] * 4 + [0] * 2)
    found = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 0])
    # Three of the first four; half of the second, and the first of equals counts; all of the last.
    assert votes(truth, found, 3).tolist() == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]
    # 3 of 4 are shared; 2 of 5; 2 of 4.
    assert overlaps(truth, found, 3).tolist() == [[2, 2, 2], [0, 1, 1], [0, 0, 0]]
    assert class_f1(*overlaps(truth, found, 3).T) == pytest.approx((1 + 0) / 2)
    assert np.isnan(class_f1(*np.zeros((3, 2))))


def test_overlaps_match_every_pair_of_events() -> None:
    random = np.random.default_rng(2)
    for _ in range(60):
        truth, found = np.repeat(random.integers(0, 3, (2, 9)), random.integers(1, 4, 9), axis=1)
        found = np.roll(found, 1)
        events = [_runs_by_hand(labels) for labels in (truth, found)]
        hits = np.zeros(3, int)
        for kind, own in events[0]:
            hits[kind] += any(
                kind == other and 2 * len(own & theirs) >= len(own | theirs) for other, theirs in events[1]
            )
        counts = overlaps(truth, found, 3)
        np.testing.assert_array_equal(counts[:, 0], hits)
        for column, side in ((2, 0), (1, 1)):
            assert counts[:, column].tolist() == [sum(kind == each for kind, _ in events[side]) for each in range(3)]


def _runs_by_hand(labels: np.ndarray) -> list[tuple[int, set[int]]]:
    found: list[tuple[int, set[int]]] = []
    for step, label in enumerate(labels.tolist()):
        if found and found[-1][0] == label:
            found[-1][1].add(step)
        else:
            found.append((label, {step}))
    return found


def test_events_join_windows_of_a_recording_and_not_recordings() -> None:
    # One event of four samples in two windows: most of it is found.
    whole = _scores(tuple("ab"), "none", [("a a", "a a"), ("a a", "b b"), ("a", "a")], [7, 7, 7]).metrics
    assert whole["event_f1"] == 1
    apart = _scores(tuple("ab"), "none", [("a a", "a a"), ("a a", "b b"), ("a", "a")], [7, 8, 9]).metrics
    assert apart["event_f1"] == pytest.approx((4 / 5 + 0) / 2)


def test_encoders_name_features_in_order() -> None:
    scaler = Scaler(columns=("p",), mean=(0.0,), scale=(1.0,))
    encoders = TagEncoders(
        input=("p",), label="e", labels=("a", "b"), scaler=scaler, missing="mask", position=("x", "y"),
        motion=("speed", "acceleration"), motion_steps=(1, 2),
    )  # fmt: skip
    assert encoders.features == ("p", "speed_1", "speed_2", "acceleration_1", "acceleration_2", "p missing")


def test_recall_makes_a_missed_span_dearer_by_hand() -> None:
    found = task("tag")
    batch = Batch(
        Sequences(torch.zeros(1, 1, 1), torch.tensor([1])), torch.tensor([[1]]), None, torch.tensor([0]),
        scored=torch.ones(1, 1, dtype=torch.bool),
    )  # fmt: skip
    output = lattice_of(torch.tensor([[[0.3, 0.9]]]))
    for recall in (0.0, 2.0):
        settings = settings_from({"crf": True, "recall": recall, "scheme": "BIO"})
        expected = np.log(np.exp(0.3 + recall) + np.exp(0.9)) - 0.9
        assert float(found.loss(output, batch, settings)) == pytest.approx(expected, rel=1e-6)
