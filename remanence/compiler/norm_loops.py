"""The kernels of `norm`: channels are dealt to threads. Steps beyond the last whole register are taken one by one."""

from __future__ import annotations

from remanence.compiler.linking import shifted
from remanence.compiler.pointwise import relu, sqrt
from remanence.compiler.staged import staged
from remanence.compiler.vector import lane_sum, load, splat, store, where_positive

__all__ = ["backward", "forward"]

_HEAD = 4


@staged
def _mean(x, below, power, sizes, lengths, one):
    """The mean of (x − below), or of its square, over the steps of a channel; sizes: (batch, from one sequence to the
    next, steps in all)."""
    batch, apart, count = sizes
    sums = splat(x, 0.0)
    rest = lane_sum(sums)
    for b in range(batch):
        steps = shifted(x, b * apart)
        whole = lengths[b] // one * one
        for t in range(0, whole, one):
            off = load(steps, t) - below
            sums = sums + (off * off if power == 2 else off)
        for t in range(whole, lengths[b]):
            single = steps[t] - below
            rest = rest + (single * single if power == 2 else single)
    return (lane_sum(sums) + rest) / count


@staged
def _count(lengths, batch):
    count = 0
    for b in range(batch):
        count += lengths[b]
    return count


@staged
def forward(part, numbers, arrays, one):
    """Moments of each channel, and the positive part of what is normalised by them; zeros beyond an end."""
    parts, batch, channels, time = numbers[0], numbers[1], numbers[2], numbers[3]
    lengths, apart = shifted(numbers, _HEAD), channels * time
    count, floor = _count(lengths, batch), arrays[6][0]
    for c in range(part * channels // parts, (part + 1) * channels // parts):
        x, y = shifted(arrays[0], c * time), shifted(arrays[3], c * time)
        sizes = batch, apart, count
        rough = _mean(x, floor - floor, 1, sizes, lengths, one)
        # What is left of it: a sum of large numbers of one sign is rounded at every step.
        mean = rough + _mean(x, rough, 1, sizes, lengths, one)
        variance = _mean(x, mean, 2, sizes, lengths, one)
        arrays[4][c] = mean
        arrays[5][c] = variance
        scale = arrays[1][c] / sqrt(variance + floor)
        shift = arrays[2][c] - mean * scale
        for b in range(batch):
            read, to = shifted(x, b * apart), shifted(y, b * apart)
            whole = lengths[b] // one * one
            for t in range(0, whole, one):
                store(to, t, relu(load(read, t) * scale + splat(x, shift)))
            for t in range(whole, lengths[b]):
                value = read[t] * scale + shift
                to[t] = 0.0 if value <= 0.0 else value
            for t in range(lengths[b], time):
                to[t] = 0.0


@staged
def backward(part, numbers, arrays, one):
    """Gradients of what was normalised, of weights and of biases."""
    parts, batch, channels, time = numbers[0], numbers[1], numbers[2], numbers[3]
    lengths, apart = shifted(numbers, _HEAD), channels * time
    count, floor = _count(lengths, batch), arrays[6][0]
    for c in range(part * channels // parts, (part + 1) * channels // parts):
        x, y, dy, dx = (
            shifted(arrays[0], c * time),
            shifted(arrays[3], c * time),
            shifted(arrays[7], c * time),
            shifted(arrays[8], c * time),
        )
        mean, inverse = arrays[4][c], 1.0 / sqrt(arrays[5][c] + floor)
        of_bias, of_weight = splat(x, 0.0), splat(x, 0.0)
        bias, weight = floor - floor, floor - floor
        for b in range(batch):
            base = b * apart
            whole = base + lengths[b] // one * one
            for t in range(base, whole, one):
                come = where_positive(load(y, t), load(dy, t), splat(x, 0.0))
                of_bias = of_bias + come
                of_weight = of_weight + come * ((load(x, t) - mean) * inverse)
            for t in range(whole, base + lengths[b]):
                single = dy[t] if y[t] > 0.0 else 0.0
                bias = bias + single
                weight = weight + single * ((x[t] - mean) * inverse)
        whole_bias, whole_weight = lane_sum(of_bias) + bias, lane_sum(of_weight) + weight
        arrays[9][c] = whole_weight
        arrays[10][c] = whole_bias
        scale = arrays[1][c] * inverse
        # What the moments hand on: of the mean, and of the variance by how far a step is from it.
        shift, turn = whole_bias / count, whole_weight * inverse / count
        for b in range(batch):
            base = b * apart
            whole = base + lengths[b] // one * one
            for t in range(base, whole, one):
                come = where_positive(load(y, t), load(dy, t), splat(x, 0.0))
                store(dx, t, (come - shift - (load(x, t) - mean) * turn) * scale)
            for t in range(whole, base + lengths[b]):
                single = dy[t] if y[t] > 0.0 else 0.0
                dx[t] = (single - shift - (x[t] - mean) * turn) * scale
            for t in range(base + lengths[b], base + time):
                dx[t] = 0.0
