"""Every mistake that a value can make is told in this project's words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from remanence.errors import SettingError
from remanence.settings import DataSettings, ModelSettings, TrainSettings, settings_from
from remanence.validation import first_mistake

CASES = {
    "text for a count": ({"hidden": "many"}, "--hidden: expected a whole number, came 'many'"),
    "fraction for a count": ({"hidden": 1.5}, "--hidden: expected a whole number, came 1.5"),
    "too small": ({"hidden": 0}, "--hidden: expected at least 1, came 0"),
    "too large": ({"seeds": 10**10}, "--seeds: expected at most 1000000000, came 10000000000"),
    "not above": ({"learning_rate": 0}, "--learning-rate: expected more than 0, came 0"),
    "not below": ({"dropout": 1.0}, "--dropout: expected less than 1, came 1.0"),
    "not a number": ({"learning_rate": "fast"}, "--learning-rate: expected a number, came 'fast'"),
    "not finite": ({"learning_rate": float("nan")}, "--learning-rate: expected a finite number, came nan"),
    "not a choice": ({"loss": "l1"}, "--loss: expected mse, mae or huber, came 'l1'"),
    "not a switch": ({"skip": "perhaps"}, "--skip: expected true or false, came 'perhaps'"),
    "not text": ({"cell": 3}, "--cell: expected text, came 3"),
    "in a list": ({"split": "0.5,half"}, "--split: expected a number, came 'half'"),
    "own check": ({"split": "1,2"}, "--split: expected three numbers, train,validation,test"),
    "long": ({"cell": ["x" * 500]}, "…"),
}


@pytest.mark.parametrize(("options", "says"), CASES.values(), ids=CASES.keys())
def test_mistake_says_what_was_expected_and_what_came(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError) as caught:
        settings_from(options)
    assert says in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("part", [DataSettings, ModelSettings, TrainSettings])
@pytest.mark.parametrize("value", [object(), "\x00", -1, float("inf"), [[]], {}, None, b"\xff"])
def test_no_setting_speaks_as_pydantic_does(part: Any, value: Any) -> None:
    told = 0
    for name in part.model_fields:
        try:
            part.model_validate({name: value})
        except ValidationError as error:
            where, mistake = first_mistake(error)
            assert where[0] == name and mistake.startswith(("expected ", "fractions ")), mistake
            assert not any(word in mistake for word in ("Input", "should", "valid ", "parse")), mistake
            told += 1
    assert told or value is None


def test_unknown_and_missing_fields_are_told() -> None:
    from remanence.data.tokens import Vocabulary

    for content, says in (({"kind": "words"}, "is missing"), ({"kind": "words", "tokens": [], "x": 1}, "is not known")):
        with pytest.raises(ValidationError) as caught:
            Vocabulary.model_validate(content)
        assert first_mistake(caught.value)[1] == says
