"""Strips of frames: the picture files are read by another library, the figure by its specification."""

from __future__ import annotations

import base64
import io

import av
import numpy as np
import pytest

from remanence.explain.film import Strip, film_strips, png
from remanence.explain.render import specification


@pytest.mark.parametrize(("channels", "kind"), [(1, "gray"), (3, "rgb24")])
def test_a_picture_holds_every_pixel(channels: int, kind: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (channels, 5, 7)).astype(np.uint8)
    with av.open(io.BytesIO(png(frame)), "r", format="png_pipe") as picture:
        found = next(picture.decode(video=0)).to_ndarray(format=kind)
    np.testing.assert_array_equal(
        found if channels == 1 else found.transpose(2, 0, 1), frame[0] if channels == 1 else frame
    )


def test_a_strip_shows_frames_spread_over_the_video() -> None:
    frames = np.arange(40, dtype=np.uint8).repeat(6).reshape(40, 1, 2, 3)
    names = tuple(f"{step / 5:.1f}" for step in range(40))
    strips = [Strip("a: left", frames, names), Strip("b: right", frames[:3], names[:3])]
    held = specification(film_strips(strips))["datasets"]
    rows = next(rows[0] for rows in held.values() if "url" in rows[0])
    assert rows["row"] == [0] * 12 + [1] * 3
    assert rows["step"][:12] == ["0.0", "0.8", "1.4", "2.2", "2.8", "3.6", "4.2", "5.0", "5.6", "6.4", "7.0", "7.8"]
    assert rows["step"][12:] == ["0.0", "0.2", "0.4"]
    content = base64.b64decode(rows["url"][1].removeprefix("data:image/png;base64,"))
    with av.open(io.BytesIO(content), "r", format="png_pipe") as picture:
        assert (next(picture.decode(video=0)).to_ndarray(format="gray") == 4).all()
