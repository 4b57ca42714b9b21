"""Videos to frames: which frames, of which size, and what is refused."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.clips import write_clip
from remanence.data.media.video import decode_video
from remanence.data.media.wire import Refusal, UndecodableError
from remanence.data.media.workers import Decoder

OPTIONS = {"rate": 10.0, "height": 32, "width": 48, "colour": "grey", "most": None, "longest_seconds": 60.0}
ENDINGS = (".mp4", ".webm", ".avi", ".mkv")


def shades(count: int = 12) -> np.ndarray:
    """Frame i is grey 20 · i all over."""
    return np.repeat(np.arange(count, dtype=np.uint8) * 20, 32 * 48).reshape(count, 32, 48)


def written(folder: Path, ending: str = ".mp4", frames: np.ndarray | None = None, rate: int = 10) -> Path:
    path = folder / f"film{ending}"
    write_clip(path, shades() if frames is None else frames, rate)
    return path


def seen(path: Path, **options: Any) -> list[int]:
    """Which of the shades were given."""
    values = decode_video(str(path), OPTIONS | options).values
    return np.round(values.mean((1, 2, 3)) / 20).astype(int).tolist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_come_back_as_they_were_written(ending: str, tmp_path: Path) -> None:
    frames = shades()
    frames[:, 8:20, 10:30] = 240
    found = decode_video(str(written(tmp_path, ending, frames)), OPTIONS)
    assert found.values.shape == (12, 1, 32, 48) and found.values.dtype == np.uint8 and found.rate == 10.0
    assert np.abs(found.values[:, 0].astype(int) - frames).mean() < 3


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [
        (10.0, list(range(12))),
        (5.0, [0, 2, 4, 6, 8, 10]),
        # At 0, 0.333, 0.667 and 1 seconds the frames that began at 0, 0.3, 0.6 and 1.0 are on the screen.
        (3.0, [0, 3, 6, 10]),
        (20.0, sorted([*range(11), *range(12)])),
        (0.5, [0]),
    ],
)
def test_the_frame_on_the_screen_is_taken(rate: float, wanted: list[int], tmp_path: Path) -> None:
    assert seen(written(tmp_path), rate=rate) == wanted


def test_reading_stops_where_enough_is_read(tmp_path: Path) -> None:
    assert seen(written(tmp_path), most=3) == [0, 1, 2]


def test_size_and_colours_are_those_asked_for(tmp_path: Path) -> None:
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    frames[:, :, :24] = (220, 30, 30)
    frames[:, :, 24:] = (30, 30, 220)
    values = decode_video(
        str(written(tmp_path, frames=frames)), OPTIONS | {"height": 8, "width": 12, "colour": "rgb"}
    ).values
    assert values.shape == (4, 3, 8, 12)
    left, right = values[0, :, :, :4].mean((1, 2)), values[0, :, :, 8:].mean((1, 2))
    np.testing.assert_allclose(left, (220, 30, 30), atol=12)
    np.testing.assert_allclose(right, (30, 30, 220), atol=12)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.99, 0.6, 0.2])
def test_a_file_cut_short_is_refused(ending: str, share: float, tmp_path: Path) -> None:
    path = written(tmp_path, ending)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UndecodableError, match="cut short"):
        decode_video(str(path), OPTIONS)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    for content, says in ((b"", "empty"), (b"a text that is none of it", "no video that can be read")):
        path.write_bytes(content)
        with pytest.raises(UndecodableError, match=says):
            decode_video(str(path), OPTIONS)
    # A playlist names other files and addresses: FFmpeg would follow them.
    path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(UndecodableError, match="no video that can be read"):
        decode_video(str(path), OPTIONS)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 10, "NONE", "none"))
        sound.writeframes(bytes(20))
    with pytest.raises(UndecodableError, match="no video that can be read"):
        decode_video(str(path), OPTIONS)


def test_a_film_without_pictures_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for _ in range(4):
            container.mux(stream.encode(frame))  # type: ignore[attr-defined]
        container.mux(stream.encode(None))  # type: ignore[attr-defined]
    with pytest.raises(UndecodableError, match="only sound"):
        decode_video(str(path), OPTIONS)


def test_a_film_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(UndecodableError, match=r"lasts 12 seconds, at most 5 are read"):
        decode_video(str(written(tmp_path, rate=1)), OPTIONS | {"longest_seconds": 5.0})


def test_the_child_gives_what_the_decoder_gives(tmp_path: Path) -> None:
    path = written(tmp_path)
    with Decoder("video") as decoder:
        found = decoder.decode(path, OPTIONS)
        assert not isinstance(found, Refusal)
        np.testing.assert_array_equal(found.values, decode_video(str(path), OPTIONS).values)
        path.write_bytes(path.read_bytes()[:-9])
        refused = decoder.decode(path, OPTIONS)
    assert isinstance(refused, Refusal) and "cut short" in refused.message
