"""Columns that are coordinates of points: `left hand x` is the x of the point `left hand`, `hip_y` the y of `hip`.

References:
    Coordinates told from the middle of the hip: Du, Wang & Wang 2015, Hierarchical recurrent neural network for
    skeleton based action recognition, doi:10.1109/CVPR.2015.7298714.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from remanence.data.records import Records
from remanence.data.spills import Spill, drop_pages, slabs
from remanence.errors import SettingError

__all__ = ["centred", "scale_groups"]

_COORDINATE = re.compile(r"(?P<point>.*[^ _.-])[ _.-]+(?P<axis>[^ _.-]+)")


def scale_groups(columns: Sequence[str], how: str) -> tuple[str, ...] | None:
    """The group of each column whose members share a scale; None where each has its own.

    Args:
        how: `column`, `axis` or `all`.

    Raises:
        SettingError: `axis`, but no two columns are of one.

    Example:
        >>> scale_groups(["hip x", "hip y", "head x"], "axis")
        ('x', 'y', 'x')
    """
    if how == "column":
        return None
    if how == "all":
        return ("",) * len(columns)
    axes = tuple(axis for _, axis in map(_coordinate, columns))
    if len(set(axes)) == len(axes):
        raise SettingError(
            f"no two columns end in the same axis: {_some(columns)}", name="scale", remedy="--scale all, or column"
        )
    return axes


def centred(records: Records, origin: str) -> Records:
    """The records with every coordinate told from that of one point on the same axis; the point itself is 0 ever after.

    Columns of an axis that the point does not have stay as they are.

    Raises:
        SettingError: no column is a coordinate of that point.
    """
    assert records.values is not None
    found = {axis: at for at, (point, axis) in enumerate(map(_coordinate, records.columns)) if point == origin}
    if not found:
        points = dict.fromkeys(point for point, _ in map(_coordinate, records.columns) if point)
        remedy = f"one of {_some(list(points))}" if points else f"columns as '{origin} x', '{origin} y'"
        raise SettingError(
            f"no column is a coordinate of '{origin}': {_some(records.columns)}", name="origin", remedy=remedy
        )
    told = [at for at, column in enumerate(records.columns) if _coordinate(column)[1] in found]
    source = [found[_coordinate(records.columns[at])[1]] for at in told]
    spill = Spill(np.float64, len(records.columns))
    for slab in slabs(records.values):
        values = np.array(records.values[slab])
        values[:, told] -= values[:, source]
        spill.append(values)
        drop_pages(records.values)
    return replace(records, values=spill.finish())


def _coordinate(column: str) -> tuple[str, str]:
    """Point and axis of a column; no point, and the whole name, where it does not tell them."""
    found = _COORDINATE.fullmatch(column)
    return (found["point"], found["axis"]) if found else ("", column)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
