"""What a value should have been, in this project's words: pydantic's own speak of inputs and parsers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

__all__ = ["first_mistake"]

_EXPECTED = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "string": "text", "tuple": "a list",
    "list": "a list", "dict": "an object", "model": "an object", "decimal": "a number",
}  # fmt: skip
"""By the beginning of pydantic's name of the mistake: `int_type`, `int_parsing`, `int_from_float`."""

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def first_mistake(error: ValidationError) -> tuple[tuple[str, ...], str]:
    """Tell the first mistake: where, and what was expected and what came.

    Example:
        >>> from pydantic import TypeAdapter
        >>> try:
        ...     TypeAdapter(dict[str, int]).validate_python({"hidden": "many"})
        ... except ValidationError as error:
        ...     first_mistake(error)
        (('hidden',), "expected a whole number, came 'many'")
    """
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    where = tuple(str(step) for step in first["loc"])
    if kind == "missing":
        return where, "is missing"
    if kind == "extra_forbidden":
        return where, "is not known"
    came = repr(first["input"])
    return where, f"{_expected(kind, context, first['msg'])}, came {came if len(came) <= 60 else came[:57] + '…'}"


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind == "literal_error":
        return "expected " + context["expected"].replace("'", "")
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = context[name]
        return f"expected {words} {bound}" if isinstance(bound, int) else f"expected {words} {bound:g}"
    if kind == "finite_number":
        return "expected a finite number"
    known = _EXPECTED.get(kind.partition("_")[0])
    # What this project's own checks say begins so already.
    return f"expected {known}" if known else message.removeprefix("Value error, ")
