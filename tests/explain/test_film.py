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
    held = specification(film_strips([Strip("a: left", frames), Strip("b: right", frames[:3])]))["datasets"]
    rows = next(rows[0] for rows in held.values() if "url" in rows[0])
    assert rows["row"] == [0] * 12 + [1] * 3
    assert rows["step"][:12] == [1, 5, 8, 12, 15, 19, 22, 26, 29, 33, 36, 40] and rows["step"][12:] == [1, 2, 3]
    content = base64.b64decode(rows["url"][1].removeprefix("data:image/png;base64,"))
    with av.open(io.BytesIO(content), "r", format="png_pipe") as picture:
        assert (next(picture.decode(video=0)).to_ndarray(format="gray") == 4).all()
