"""The kernels of `ctc`: a sequence by one thread, the states of a step side by side in registers.

State 2i + 1 is the i-th symbol of the text, those between are the blank. A row of states begins one register after
memory's, whose lanes have no chance: what would come from before the first state.
"""

from __future__ import annotations

from math import inf
from typing import Any

from remanence.compiler.ctc import HEAD, ROOM
from remanence.compiler.linking import shifted
from remanence.compiler.pointwise import exp
from remanence.compiler.scoring import LEAST, any_of_three, filled, whole_sum
from remanence.compiler.staged import staged
from remanence.compiler.vector import load, splat, store

__all__ = ["backward", "forward"]

_BATCH, _TIME, _CLASSES, _ROW, _STATES, _MOST, _APART, _STEP = (
    HEAD.index(n) for n in ("batch", "time", "classes", "row", "states", "most", "batch_stride", "step_stride")
)
_BEGINS = len(HEAD)


def _rows(part: Any, numbers: Any, room: Any) -> Any:
    """The thread's own memory: scores of symbols, of states at a step, of going past a blank, and two rows more."""
    symbols, states = numbers[_ROW], numbers[_STATES]
    first = shifted(room, part * (symbols + ROOM * states))
    behind = shifted(first, symbols)
    return (first, *(shifted(behind, place * states) for place in range(ROOM)))


def _text(r: Any, numbers: Any) -> Any:
    """Of one sequence: its steps, the length of its text, the text."""
    steps = shifted(numbers, _BEGINS)
    counts = shifted(steps, numbers[_BATCH])
    return steps[r], counts[r], shifted(counts, numbers[_BATCH] + r * numbers[_MOST])


@staged
def _passes(past, text, count, states):
    """What it costs to reach a state from two before it: nothing for a symbol that is not the one before, too."""
    for s in range(states):
        past[s] = LEAST
    for i in range(1, count):
        if text[i] != text[i - 1]:
            past[2 * i + 1] = 0


@staged
def _read(read, logits, norm, text, count, states):
    """Log-probability of each state's symbol."""
    blank = max(logits[0] - norm, LEAST)
    read[2 * count] = blank
    for i in range(count):
        read[2 * i] = blank
        read[2 * i + 1] = max(logits[text[i]] - norm, LEAST)
    for s in range(2 * count + 1, states):
        read[s] = LEAST


@staged
def forward(part, numbers, arrays, one):
    """Log of the probability of each text, of every step's beginnings of it, and what logits are normalised by."""
    parts, batch, time, classes = numbers[0], numbers[_BATCH], numbers[_TIME], numbers[_CLASSES]
    symbols, states = numbers[_ROW], numbers[_STATES]
    scores, read, past, spare, _ = _rows(part, numbers, arrays[1])
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        steps, count, text = _text(r, numbers)
        total, begun, norms = shifted(arrays[2], r), shifted(arrays[3], r * time * states), shifted(arrays[4], r * time)
        total[0] = -inf if count > 0 else 0.0
        _passes(past, text, count, states)
        for t in range(steps):
            logits = shifted(arrays[0], r * numbers[_APART] + t * numbers[_STEP])
            filled(scores, logits, 0, classes, symbols)
            store(spare, 0, whole_sum(scores, symbols, spare, one))
            norms[t] = spare[0]
            _read(read, logits, norms[t], text, count, states - one)
            here, before = shifted(begun, t * states), shifted(begun, (t - 1) * states)
            store(here, 0, splat(here, LEAST))
            if t == 0:
                filled(shifted(here, one), read, 0, min(2, 2 * count + 1), states - one)
            else:
                for k in range(0, states - one, one):
                    at = one + k
                    ways = any_of_three(load(before, at), load(before, at - 1), load(before, at - 2) + load(past, k))
                    store(here, at, ways + load(read, k))
        if steps > 0:
            last = shifted(begun, (steps - 1) * states + one)
            filled(spare, last, 2 * count - min(count, 1), 1 + min(count, 1), one)
            store(spare, 0, whole_sum(spare, one, shifted(spare, one), one))
            total[0] = -inf if spare[0] < 0.5 * LEAST else spare[0]


@staged
def backward(part, numbers, arrays, one):
    """Gradients of the logits: how likely each symbol is, less how likely it is for this text, times a weight."""
    parts, batch, time, classes = numbers[0], numbers[_BATCH], numbers[_TIME], numbers[_CLASSES]
    symbols, states = numbers[_ROW], numbers[_STATES]
    scores, read, past, spare, later = _rows(part, numbers, arrays[1])
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        steps, count, text = _text(r, numbers)
        total, begun, norms = arrays[2][r], shifted(arrays[3], r * time * states), shifted(arrays[4], r * time)
        weight, found = arrays[5][r], shifted(arrays[6], r * time * classes)
        for k in range(time * classes):
            found[k] = 0
        if total < LEAST:
            continue
        _passes(past, text, count, states)
        whole, scale = splat(read, total), splat(read, weight)
        for t in range(steps - 1, -1, -1):
            logits = shifted(arrays[0], r * numbers[_APART] + t * numbers[_STEP])
            _read(read, logits, norms[t], text, count, states)
            if t == steps - 1:
                filled(later, later, 0, 0, states)
                later[2 * count] = 0
                if count > 0:
                    later[2 * count - 1] = 0
            else:
                # In order: what is read of a row lies at or behind what is written.
                for k in range(0, states - one, one):
                    further = load(later, k + 2) + load(past, k + 2)
                    store(later, k, any_of_three(load(later, k), load(later, k + 1), further))
            here = shifted(begun, t * states + one)
            for k in range(0, states - one, one):
                store(spare, k, exp(load(here, k) + load(later, k) - whole) * scale)
                store(later, k, load(later, k) + load(read, k))
            filled(scores, logits, 0, classes, symbols)
            below = splat(read, norms[t])
            for k in range(0, symbols, one):
                store(scores, k, exp(load(scores, k) - below) * scale)
            for s in range(0, 2 * count + 1, 2):
                scores[0] -= spare[s]
            for i in range(count):
                scores[text[i]] -= spare[2 * i + 1]
            for c in range(classes):
                found[t * classes + c] = scores[c]
