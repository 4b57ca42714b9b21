"""Standardised columns are brought back to pixels, also where a point had left the picture."""

from __future__ import annotations

import numpy as np

from bench.video_studies import column_in_pixels

PIXELS = np.array([100.0, 100, 101, 104, 110, 118, 127, 131, 130, 122, 113, 106, 102, 100])


def standardised(column: np.ndarray) -> np.ndarray:
    """As such a file holds it: rounded to 32 bits."""
    return ((column - column.mean()) / column.std()).astype(np.float32).astype(np.float64)


def test_the_lattice_gives_the_size_of_a_pixel() -> None:
    np.testing.assert_allclose(column_in_pixels(standardised(PIXELS)), PIXELS - PIXELS.mean(), atol=1e-3)


def test_what_never_moved_or_had_two_values_is_no_point_outside() -> None:
    assert not column_in_pixels(np.zeros(5)).any()
    two = np.array([3.0, 3, 4, 3])
    np.testing.assert_allclose(column_in_pixels(standardised(two)), two - two.mean(), atol=1e-3)


def test_frames_outside_the_picture_are_filled_in_from_their_neighbours() -> None:
    seen = np.delete(PIXELS, [6, 7])
    outside = PIXELS.copy()
    outside[6:8] = -(2.0**31)
    found = column_in_pixels(standardised(outside))
    # Rounding to 32 bits left whole steps of about this many pixels.
    left = np.spacing(np.float32(standardised(outside).max())) * 2.0**31 / np.ptp(standardised(outside))
    assert 10 < left < 40
    wanted = outside.copy()
    wanted[6:8] = 118 + np.array([1, 2]) / 3 * (130 - 118)
    np.testing.assert_allclose(found, wanted - wanted.mean(), atol=left)
    assert abs(np.corrcoef(np.delete(found, [6, 7]), seen)[0, 1]) > 0.5
