"""Malformed videos and key points through the real command line: one line each, and nothing left behind.

The cases are held to the same as those of test_malformed.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import command
from spoiled import TINY, check_line, contents, write

from bench.clips import write_clip

FIT = ["fit", "films.csv", "--input", "film", "--label", "way", "--frame-size", "8", *TINY, "--out", "run"]
CAPTION = ["fit", "films.csv", "--task", "caption", "--answer", "told", *TINY, "--out", "run"]
POINTS = ["fit", "bodies.npz", *TINY, "--out", "run"]

Change = Callable[[Path], object]


def films(folder: Path, line: str | None = None) -> None:
    """Ten small videos and their table; line 4 of it is replaced where asked."""
    rows = ["film,way,told"]
    for place in range(10):
        write_clip(folder / f"{place}.mp4", np.full((4, 16, 16), 20 * place, np.uint8), 5)
        rows.append(f"{place}.mp4,{'ab'[place % 2]},it goes {'ab'[place % 2]}")
    if line is not None:
        rows[3] = line
    (folder / "films.csv").write_text("\n".join(rows) + "\n")


def replaced(content: bytes) -> Change:
    return lambda folder: (folder / "2.mp4").write_bytes(content)


def cut(folder: Path) -> None:
    (folder / "2.mp4").write_bytes((folder / "2.mp4").read_bytes()[:-30])


def without_frames(folder: Path) -> None:
    """A film with a header and no picture in it."""
    import av

    with av.open(str(folder / "2.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.height = stream.width = 16
        stream.pix_fmt = "yuv420p"
        container.start_encoding()


def points(**changes: np.ndarray) -> Change:
    arrays: dict[str, Any] = {
        "frames": np.ones((40, 3)),
        "lengths": np.full(20, 2),
        "labels": np.arange(20) % 2,
    } | changes

    def make(folder: Path) -> None:
        np.savez(folder / "bodies.npz", **arrays)

    return make


HERE = ("films.csv:4", "'film'", "--bad skip")
TABLE: dict[str, tuple[Change | None, str | None, list[str], tuple[str, ...]]] = {
    "a video cut short": (cut, None, FIT, (*HERE, "2.mp4: cut short", "copy the file again")),
    "a video without frames": (without_frames, None, FIT, (*HERE, "2.mp4: holds no video", "remove the row")),
    "a text named as a video": (replaced(b"no video at all"), None, FIT, (*HERE, "no video that can be read", "MP4")),
    "an empty video": (replaced(b""), None, FIT, (*HERE, "2.mp4", "empty")),
    "a video that is missing": (lambda home: (home / "2.mp4").unlink(), None, FIT, (*HERE, "2.mp4", "no such file")),
    "a video in a folder above": (None, "../2.mp4,a,it", FIT, ("films.csv:4", "leaves its folder", "--folder")),
    "an absolute path": (None, "/etc/2.mp4,a,it", FIT, ("films.csv:4", "not relative")),
    "two videos in a cell": (None, "2.mp4;3.mp4,a,it", FIT, ("films.csv:4", "2 videos in one cell", "row of its own")),
    "a video that is too long": (None, None, [*FIT, "--longest-seconds", "0.2"], ("films.csv:2", "0.mp4: lasts")),
    "a size of three numbers": (None, None, [*FIT, "--frame-size", "8,8,8"], ("--frame-size", "height,width", "32,48")),
    "a frame rate of 0": (None, None, [*FIT, "--frame-rate", "0"], ("--frame-rate", "more than 0")),
    "a caption that is empty": (None, "2.mp4,a,", CAPTION, ("films.csv:4", "'told'", "empty text", "remove the row")),
    "captions without videos": (
        lambda folder: (folder / "films.csv").write_text("film,told\n" + "a text,another\n" * 12), None, CAPTION,
        ("films.csv", "no column names videos", "--task translate"),
    ),
    "a video to train on alone": (None, None, ["fit", "2.mp4", *TINY, "--out", "run"], ("2.mp4: one video", "column")),
    "key points cut short": (
        lambda folder: (folder / "bodies.npz").write_bytes(b"PK\x03\x04 and no more"), None, POINTS,
        ("bodies.npz: not a whole .npz", "copy it again"),
    ),
    "lengths that do not add up": (
        points(lengths=np.full(20, 3)), None, POINTS, ("bodies.npz", "add up to 60 frames", "after the other"),
    ),
    "a sequence without frames": (
        points(lengths=np.array([0, 4, *[2] * 18])), None, POINTS, ("bodies.npz", "sequence 1 has no frame", "leave"),
    ),
    "objects among the arrays": (
        points(labels=np.array([object()] * 20)), None, POINTS, ("bodies.npz", "cannot be read", "numbers and texts"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_mistake_is_one_line_and_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, line, words, says = TABLE[name]
    write(tmp_path, {})
    if words is not POINTS:
        films(tmp_path, line)
    if change is not None:
        change(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    done = command(*words)
    assert done.status == 2, (done.out, done.err)
    assert done.out == ""
    check_line(done.err, says)
    assert contents(tmp_path) == before


def test_what_is_skipped_is_named_and_the_rest_is_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films(tmp_path)
    cut(tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in (FIT, CAPTION):
        done = command(*words, "--bad", "skip", "--overwrite")
        assert done.status == 0, done.err
        assert "1 of 10 videos left out: " in done.err and "films.csv:4" in done.err
