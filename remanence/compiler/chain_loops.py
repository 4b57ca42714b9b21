"""The kernels of `chain`: a sequence of a linear chain by one thread, its transitions in the cache.

Rows of classes are padded to whole registers, with scores so low that nothing comes of them. `numbers` and `arrays`
are those of `chain`.
"""

from __future__ import annotations

from math import inf
from typing import Any

from remanence.compiler.chain import HEAD, ROWS, SQUARES
from remanence.compiler.linking import shifted
from remanence.compiler.pointwise import exp, log
from remanence.compiler.scoring import LEAST, exponentials, filled, peak, whole_sum
from remanence.compiler.staged import staged
from remanence.compiler.vector import add_at, at_least, at_most, lane_sum, load, splat, store

__all__ = ["backward", "forward"]

TINY, LARGEST = 1.2e-38, 87.0
"""The least sum that has a logarithm; the largest exponent that float32 has a number for."""
_BATCH, _CLASSES, _ROW, _TIME = (HEAD.index(name) for name in ("batch", "classes", "row", "time"))
_FROM, _BEFORE, _START, _END, _STEPS, _STEP = range(HEAD.index("transitions_batch"), len(HEAD))
"""Where the strides stand: of transitions in the batch and from one label before to the next, of start, end, and
emissions in the batch, of emissions in time."""
_BEGINS = len(HEAD)


@staged
def _copied(to, source, count):
    for c in range(count):
        to[c] = source[c]


@staged
def _ways(ways, transitions, at, stride, shape, one):
    """Exponentials of the transitions, without their highest, which is returned."""
    classes, row = shape
    most = -inf
    for b in range(classes):
        filled(shifted(ways, b * row), transitions, at + b * stride, classes, row)
        for c in range(classes):
            most = max(most, transitions[at + b * stride + c])
    highest = splat(ways, most)
    for k in range(0, classes * row, one):
        store(ways, k, exp(load(ways, k) - highest))
    return highest


@staged
def _read(part, numbers, arrays):
    """Sizes and the thread's own memory: (classes, row, time), (ways, pairs), its rows."""
    classes, row, time = numbers[_CLASSES], numbers[_ROW], numbers[_TIME]
    ways = shifted(arrays[4], part * (SQUARES * classes + ROWS) * row)
    pairs = shifted(ways, classes * row)
    first = shifted(pairs, classes * row)
    rows = first, shifted(first, row), shifted(first, 2 * row), shifted(first, 3 * row)
    return (classes, row, time), (ways, pairs), rows


@staged
def _sequence(r: Any, numbers: Any, arrays: Any) -> Any:
    """Of one sequence: how many steps count, which they are, its states after each, its emissions."""
    begins = shifted(numbers, _BEGINS)
    steps = shifted(begins, numbers[_BATCH] + 1 + begins[r])
    states = shifted(arrays[6], r * numbers[_TIME] * numbers[_ROW])
    return begins[r + 1] - begins[r], steps, states, shifted(arrays[3], r * numbers[_STEPS])


@staged
def forward(part, numbers, arrays, one):
    """Log of the sum over all label sequences, and of those that end in each label after each step."""
    (classes, row, _), (ways, _), (score, other, spare, ends) = _read(part, numbers, arrays)
    parts, batch = numbers[0], numbers[_BATCH]
    transitions, start, end, total = arrays[0], arrays[1], arrays[2], arrays[5]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        count, steps, states, read = _sequence(r, numbers, arrays)
        total[r] = 0
        if count == 0:
            continue
        highest = _ways(ways, transitions, r * numbers[_FROM], numbers[_BEFORE], (classes, row), one)
        filled(ends, end, r * numbers[_END], classes, row)
        filled(states, read, steps[0] * numbers[_STEP], classes, row)
        for c in range(classes):
            states[c] += start[r * numbers[_START] + c]
        for i in range(1, count):
            before, after = shifted(states, (i - 1) * row), shifted(states, i * row)
            whole = splat(ways, peak(before, row, spare, one))
            exponentials(score, before, whole, row, one)
            filled(other, read, steps[i] * numbers[_STEP], classes, row)
            for k in range(0, row, one):
                # Four sums, for each waits for its last term.
                first, second = splat(ways, 0.0), splat(ways, 0.0)
                third, fourth = splat(ways, 0.0), splat(ways, 0.0)
                for b in range(0, classes - 3, 4):
                    first = first + splat(ways, score[b]) * load(ways, b * row + k)
                    second = second + splat(ways, score[b + 1]) * load(ways, (b + 1) * row + k)
                    third = third + splat(ways, score[b + 2]) * load(ways, (b + 2) * row + k)
                    fourth = fourth + splat(ways, score[b + 3]) * load(ways, (b + 3) * row + k)
                for b in range(classes // 4 * 4, classes):
                    first = first + splat(ways, score[b]) * load(ways, b * row + k)
                inner = at_least((first + second) + (third + fourth), TINY)
                store(after, k, log(inner) + (whole + highest) + load(other, k))
        last = shifted(states, (count - 1) * row)
        for k in range(0, row, one):
            store(score, k, load(last, k) + load(ends, k))
        store(spare, 0, whole_sum(score, row, spare, one))
        total[r] = spare[0]


@staged
def backward(part, numbers, arrays, one):
    """Gradients: how likely each label and each pair of neighbours is, times a weight of the sequence."""
    (classes, row, time), (ways, pairs), (score, other, spare, later) = _read(part, numbers, arrays)
    parts, batch = numbers[0], numbers[_BATCH]
    transitions, end, total, weight = arrays[0], arrays[2], arrays[5], arrays[7]
    for r in range(part * batch // parts, (part + 1) * batch // parts):
        count, steps, states, read = _sequence(r, numbers, arrays)
        of_transitions, of_start = shifted(arrays[8], r * classes * classes), shifted(arrays[9], r * classes)
        of_end, of_emissions = shifted(arrays[10], r * classes), shifted(arrays[11], r * time * classes)
        for k in range(time * classes):
            of_emissions[k] = 0
        if count == 0:
            for c in range(classes):
                of_start[c] = 0
                of_end[c] = 0
            for k in range(classes * classes):
                of_transitions[k] = 0
            continue
        highest = _ways(ways, transitions, r * numbers[_FROM], numbers[_BEFORE], (classes, row), one)
        whole, scale = splat(ways, total[r]), splat(ways, weight[r])
        for k in range(0, classes * row, one):
            store(pairs, k, splat(ways, 0.0))
        filled(later, end, r * numbers[_END], classes, row)
        for i in range(count - 1, -1, -1):
            here, before = shifted(states, i * row), shifted(states, (i - 1) * row)
            for k in range(0, row, one):
                store(score, k, exp(load(here, k) + load(later, k) - whole) * scale)
            _copied(shifted(of_emissions, steps[i] * classes), score, classes)
            if i == count - 1:
                _copied(of_end, score, classes)
            if i == 0:
                _copied(of_start, score, classes)
                continue
            filled(other, read, steps[i] * numbers[_STEP], classes, row)
            for k in range(0, row, one):
                store(other, k, load(other, k) + load(later, k))
            top = splat(ways, peak(before, row, spare, one))
            exponentials(score, before, top, row, one)
            for k in range(0, row, one):
                # A label before it that is less likely than float32 can tell counts as impossible in the sum as well.
                right = exp(at_most(load(other, k) + (top + highest - whole), LARGEST))
                for b in range(classes):
                    add_at(pairs, b * row + k, splat(ways, score[b]) * right)
            top = splat(ways, peak(other, row, spare, one))
            exponentials(other, other, top, row, one)
            filled(later, other, 0, 0, row)
            for b in range(classes):
                sums = splat(ways, 0.0)
                for k in range(0, row, one):
                    sums = sums + load(ways, b * row + k) * load(other, k)
                later[b] = lane_sum(sums)
            for k in range(0, row, one):
                store(later, k, log(at_least(load(later, k), TINY)) + (top + highest))
            for c in range(classes, row):
                later[c] = LEAST
        for b in range(classes):
            mine = shifted(pairs, b * row)
            for k in range(0, row, one):
                store(mine, k, load(mine, k) * load(ways, b * row + k) * scale)
            _copied(shifted(of_transitions, b * classes), mine, classes)
