"""What `staged` Python does as machine code: as Python does it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remanence.compiler import cache
from remanence.compiler.compiling import object_file
from remanence.compiler.kernel import functions_of

HEAD = """
from math import inf

from remanence.compiler.compiling import compiled
from remanence.compiler.linking import shifted
from remanence.compiler.staged import staged
from remanence.compiler.values import FLOAT32, FLOAT64, INT, Pointer, unsigned
from remanence.compiler.vector import load, splat, store

SIZES = (3, 5)


@staged
def twice(value, times):
    for _ in range(times):
        value = value + value
    return value, times


@compiled(Pointer.of(INT), Pointer.of(FLOAT64))
def run(n, x):
"""


def both(lines: str, whole: list[int], real: list[float]) -> tuple[list[int], list[float]]:
    """Run the lines as machine code, over whole numbers `n` and real ones `x`; and see that Python does the same."""
    body = "".join(f"    {line}\n" for line in lines.strip().splitlines())
    source = HEAD + body
    n, x = np.array(whole, np.int64), np.array(real, np.float64)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    kind(functions_of(source, "staged", ("run",))["run"])(n.ctypes.data, x.ctypes.data)
    names: dict[str, Any] = {}
    plain = source.replace("from remanence", "# from remanence").replace("@staged", "")
    plain = plain.replace("@compiled(Pointer.of(INT), Pointer.of(FLOAT64))", "")
    exec(compile(plain, "plain", "exec"), names)
    mine, theirs = list(whole), list(real)
    names["run"](mine, theirs)
    assert (n.tolist(), x.tolist()) == (mine, theirs)
    return mine, theirs


@pytest.mark.parametrize("by", [1, 8, 3, -3, -8])
@pytest.mark.parametrize("value", [0, 1, 7, 8, -1, -7, -8, -9])
def test_whole_numbers_are_divided_as_python_does(value: int, by: int) -> None:
    lines = f"n[1] = n[0] // {by}\nn[2] = n[0] % {by}\nn[3] = n[0] // n[4]\nn[5] = n[0] % n[4]"
    found, _ = both(lines, [value, 0, 0, 0, by, 0], [0.0])
    assert found[1:4] == [value // by, value % by, value // by]


def test_loops_count_up_and_down_and_go_on_early() -> None:
    lines = """
total = 0
for i in range(n[0]):
    if i % 3 == 1:
        continue
    total += i
n[1] = total
for i in range(n[0], 0, -2):
    for j in range(i, n[0]):
        n[2] += i * j
at, last = 0, n[0]
while at < last:
    at, last = at + 1, last - 1
    if at == 4:
        n[3] = last
    elif at > 4:
        n[4] += at
    else:
        n[5] = at
n[6] = at
for i in range(5, 2):
    n[6] = 99
"""
    found, _ = both(lines, [11, *[0] * 6], [0.0])
    assert found[1] == sum(i for i in range(11) if i % 3 != 1) and found[6] == 6


def test_what_does_not_count_is_not_computed() -> None:
    # Beyond the array lies what must not be read.
    lines = """
far = n[0]
if far < 3 and n[far] > 0:
    n[1] = 7
n[2] = n[far] if far < 3 else 5
if far > 3 or n[far] > 0:
    n[1] += 1
if not far < 3:
    n[1] += 10
"""
    assert both(lines, [2**40, 0, 0], [0.0])[0][1:] == [11, 5]


def test_names_hold_tuples_and_change_and_functions_give_several() -> None:
    lines = """
pair = (n[0], x[0])
for i in range(3):
    pair = (pair[0] + i, pair[1] * 0.5)
n[1], x[1] = pair
many, times = twice(n[0], 4)
n[2] = many + times
least = inf
for i in range(2):
    least = min(least, x[i])
x[2] = max(least, 0.25)
_, real = twice(n[0], 1), 1
_ = x[0]
n[3] = min(n[0], SIZES[0]) + max(2, SIZES[1])
n[4] = (n[0] ^ 6) & 13
n[5] = n[0] >> 1
"""
    found, real = both(lines, [5, *[0] * 5], [3.0, 0.0, 0.0])
    assert found[2] == 84 and real[2] == 0.375


def test_of_numbers_and_what_is_none_the_first_is_least_and_most() -> None:
    lines = "x[2] = min(x[0], x[1])\nx[3] = max(x[1], x[0])\nx[4] = min(x[1], 2.0)\nx[5] = max(x[1], -2.0)"
    assert both(lines, [0], [0.0, -0.0, 9.0, 9.0, 9.0, 9.0])[1][2:] == [0.0, -0.0, -0.0, -0.0]


def test_a_branch_on_what_is_known_is_taken_now() -> None:
    lines = """
if SIZES[0] > 2:
    n[0] = 1
else:
    n[0] = nothing_of_that_name
"""
    assert both(lines, [0], [0.0])[0] == [1]


def test_bits_without_a_sign() -> None:
    source = HEAD + (
        "    z = unsigned(n[0]) * 0x9E3779B97F4A7C15\n    z = z ^ (z >> 30)\n    n[1] = z >> 48\n"
        "    n[2] = 1 if z >> 1 > unsigned(n[0]) else 0\n"
    )
    n = np.array([-3, 0, 0], np.int64)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    kind(functions_of(source, "staged", ("run",))["run"])(n.ctypes.data, n.ctypes.data)
    z = (-3 % 2**64) * 0x9E3779B97F4A7C15 % 2**64
    z ^= z >> 30
    assert n[1] == z >> 48 and n[2] == int(z >> 1 > 2**64 - 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("n[0] = x[0]", "a float64 is no int64"),
        ("n[0] = 0.5", "0.5 is no int64"),
        ("n[0] = n[1] / n[2]", "divided by //"),
        ("n[0] = nothing", "'nothing' is not known"),
        ("for i in range(0, n[0], n[1]): n[0] = i", "step of a range"),
        ("for i in n: n[0] = i", "counts one name over a range"),
        ("with n: n[0] = 1", "a With has no meaning"),
        ("n[0] = n[1] if n[0] else [1]", "has no meaning"),
        ("n[0] = min(n[0], 1)[0]", "a int64 has no elements"),
        ("a = n[0]\na = x[0]", "a float64 is no int64"),
        ("store(x, 0, load(n, 0))", "no register of int64"),
        ("n[0] = twice(2, 3)[0]", "no value among"),
        ("if n[0]: return", "returns before its last line"),
        ("while n[0]: n[0] -= 1\nelse: n[0] = 7", "a While has no meaning"),
        ("while True: n[0] -= 1", "known now to go on"),
        ("a = n[0] > 3\na = 2", "2 is no bool"),
        ("n[0] = 9223372036854775808", "is no int64"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_line(
    lines: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMANENCE_CACHE", str(tmp_path))
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    path = cache.written(HEAD + body, "a" * 64, "broken")
    with pytest.raises(TypeError, match=message) as caught:
        object_file(cache.loaded(path), path.stem)
    assert "returns" in message or "run: " in caught.value.__notes__[0] or "twice" in caught.value.__notes__[0]
