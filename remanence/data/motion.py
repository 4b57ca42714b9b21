"""What a point does from sample to sample: speed, direction and acceleration over several steps.

Over n steps, with p_t the position at sample t and Δt the time between the two samples:

    speed_n          |p_t − p_{t−n}| / Δt                       units of the position a second (or a step)
    cos_n, sin_n     the direction of p_t − p_{t−n}; both 0 where the point stands still
    acceleration_n   (speed_n at t − speed_n at t − n) / Δt

Nothing after t is looked at. Before the first sample of a recording the point stands still. Speeds and accelerations
reach over some powers of ten, so a model reads sign(v) · log(1 + |v| / m), m their median size in the training part.

References:
    Several scales at once: Startsev, Agtzidis & Dorr 2019, doi:10.3758/s13428-018-1144-2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["MOTIONS", "compressed", "motion", "motion_names", "sized"]

MOTIONS = ("speed", "direction", "acceleration")


def motion_names(kinds: Sequence[str], steps: Sequence[int]) -> tuple[str, ...]:
    """Names of the features, in order.

    Example:
        >>> motion_names(("speed", "direction"), (1, 4))
        ('speed_1', 'speed_4', 'cos_1', 'sin_1', 'cos_4', 'sin_4')
    """
    names: list[str] = []
    for kind in kinds:
        for count in steps:
            names += [f"cos_{count}", f"sin_{count}"] if kind == "direction" else [f"{kind}_{count}"]
    return tuple(names)


def sized(name: str) -> bool:
    """Whether a feature is a speed or an acceleration, which is compressed."""
    return name.startswith(("speed_", "acceleration_"))


def motion(
    position: np.ndarray, times: np.ndarray | None, step_seconds: float, kinds: Sequence[str], steps: Sequence[int]
) -> np.ndarray:
    """Features of one recording, float64 `[step, feature]`, in the order of `motion_names`.

    Args:
        position: x and y `[step, 2]`.
        times: when each sample was taken `[step]`, rising, or None.
        step_seconds: seconds between samples where there are no times (1: rates are a step).

    Example:
        >>> line = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
        >>> motion(line, None, 0.5, ("speed", "direction"), (1,)).tolist()
        [[0.0, 0.0, 0.0], [10.0, 0.6, 0.8], [0.0, 0.0, 0.0]]
    """
    found: dict[str, np.ndarray] = {}
    places = np.arange(len(position))
    for count in steps:
        before = np.maximum(places - count, 0)
        seconds = (places - before) * step_seconds if times is None else times - times[before]
        moved = position - position[before]
        size = np.hypot(moved[:, 0], moved[:, 1])
        speed = np.divide(size, seconds, out=np.zeros_like(size), where=seconds > 0)
        found[f"speed_{count}"] = speed
        for name, part in (("cos", moved[:, 0]), ("sin", moved[:, 1])):
            found[f"{name}_{count}"] = np.divide(part, size, out=np.zeros_like(size), where=size > 0)
        change = speed - speed[before]
        found[f"acceleration_{count}"] = np.divide(change, seconds, out=np.zeros_like(size), where=seconds > 0)
    names = motion_names(kinds, steps)
    return np.stack([found[name] for name in names], 1) if names else np.zeros((len(position), 0))


def compressed(values: np.ndarray, median: np.ndarray) -> np.ndarray:
    """sign(v) · log(1 + |v| / median), column by column; a column whose median is 0 is left as it is."""
    scale = np.where(median > 0, median, 1.0)
    return np.where(median > 0, np.sign(values) * np.log1p(np.abs(values) / scale), values)
