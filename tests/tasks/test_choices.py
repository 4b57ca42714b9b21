"""Choices laid under settings: what was given stays, what was open is filled in."""

from __future__ import annotations

import pytest

from remanence.settings import settings_from
from remanence.tasks.choices import Choices


def test_choices_differ_from_the_usual_only_where_a_task_says_so() -> None:
    usual, own = Choices().under(settings_from({})), Choices({"dropout": 0.5}, {"clip": 5.0}).under(settings_from({}))
    assert (usual.model.dropout, usual.train.clip) == (0.2, 1.0) and (own.model.dropout, own.train.clip) == (0.5, 5.0)
    same = {"dropout": usual.model.dropout}, {"clip": usual.train.clip}
    assert own.model.model_copy(update=same[0]) == usual.model and own.train.model_copy(update=same[1]) == usual.train


@pytest.mark.parametrize("given", [{"epochs": 3}, {"steps": 7}, {"minutes": 0.5}])
def test_budget_given_is_the_only_one(given: dict) -> None:
    chosen = Choices({}, {}, {"epochs": 30}).under(settings_from(given)).train
    assert {"epochs": chosen.epochs, "steps": chosen.steps, "minutes": chosen.minutes} == {
        "epochs": None,
        "steps": None,
        "minutes": None,
        **given,
    }


def test_truncation_reads_forward_unless_both_ends_were_asked_for() -> None:
    both_ends = Choices({"bidirectional": True})
    assert both_ends.under(settings_from({"truncate": 8})).model.bidirectional is False
    assert both_ends.under(settings_from({"truncate": 8, "bidirectional": True})).model.bidirectional is True
    assert both_ends.under(settings_from({})).model.bidirectional is True
