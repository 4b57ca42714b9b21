"""The protocols of video: actions told from key points, and synthetic clips of moving digits, as real video files."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from bench.clips import write_clip
from bench.protocol import Study

__all__ = ["VIDEO_STUDIES", "column_in_pixels", "moving_digits"]

STEPS, SIDE, DIGIT, RATE = 16, 32, 20, 8
"""Frames of a clip, pixels of a frame's side, of a digit's side, frames a second."""
_MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_CHINESE = {"left": "左", "right": "右", "up": "上", "down": "下"}
_NUMBERS = "零一二三四五六七八九"
_SHARES = {"train": 2400, "valid": 300, "test": 800}
_DEPTH = 0.4
"""Pixels of a unit of depth: an arm stretched out to the front is as long as one that is raised."""
_ALIKE = 1e-4
"""Values that differ by less than this share of their distance from another one are alike but for rounding."""


def _msr_action(source: Path, folder: Path) -> dict[str, Any]:
    path = _in_pixels(source, folder / "as1.npz")
    shape = {"hidden": 128, "layers": 2}
    return {"path": path, "task": "classify", "epochs": 60, "scale": "all", "displacement": True} | shape


def _in_pixels(source: Path, path: Path) -> Path:
    """Bring sequences that were standardised, each column of each by itself, back to pixels.

    How far a hand moved is known again; where it was on the whole is not, and each column keeps its mean of 0. Each
    sequence is treated by itself, without its label. Points get their coordinates side by side, in one unit.
    """
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for part in ("train", "test"):
        frames, ends = arrays[f"{part}_frames"].astype(np.float64), np.cumsum(arrays[f"{part}_lengths"])
        for sequence in np.split(frames, ends[:-1]):
            # A view of the array: what is changed here is changed there.
            sequence[:] = np.stack([column_in_pixels(column) for column in sequence.T], axis=1)
        # First x of all points, then y, then z.
        points = frames.reshape(len(frames), 3, -1).swapaxes(1, 2) * (1, 1, _DEPTH)
        arrays[f"{part}_frames"] = points.astype(np.float32)
    np.savez(path, **arrays)
    return path


def column_in_pixels(column: np.ndarray) -> np.ndarray:
    """One standardised column of a sequence `[frame]` in pixels, of mean 0.

    What was measured were whole pixels, so its values lie on a lattice, whose step is one pixel. Where a point left the
    picture, the least number of 32 bits was written, next to which all others are alike but for their last digits; it
    is as far below them as that number is below 0. Such frames are filled in from their neighbours.
    """
    values = np.unique(column)
    gaps = np.diff(values)
    if not len(gaps):
        return np.zeros_like(column)
    if 0 < values[-1] - values[1] < _ALIKE * gaps[0]:
        frames, seen = np.arange(len(column)), column > values[0]
        pixels = np.interp(frames, frames[seen], column[seen] * (2.0**31 / gaps[0]))
    else:
        pixels = column / np.diff(np.unique(column.round(5))).min()
    return pixels - pixels.mean()


def moving_digits(images: dict[str, tuple[np.ndarray, np.ndarray]], folder: Path, shares: dict[str, int]) -> Path:
    """Write clips of a digit that moves one way, then another, and a table that names them.

    Args:
        images: for each part, uint8 `[image, 28, 28]` and the digits they show.
        folder: takes `clips.csv` and the clips.
        shares: clips of each part.
    """
    random = np.random.default_rng(20250901)
    ways = list(permutations(_MOVES, 2))
    rows = []
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    for part, count in shares.items():
        pixels, digits = images[part]
        chosen = random.choice(len(pixels), count, replace=count > len(pixels))
        for place, image in enumerate(chosen):
            first, second = ways[place % len(ways)]
            name, digit = f"clips/{part}-{place}.mp4", int(digits[image])
            write_clip(folder / name, _film(pixels[image], (first, second), random), RATE)
            caption = f"the digit {digit} moves {first} then {second}"
            chinese = f"数字{_NUMBERS[digit]}先向{_CHINESE[first]}再向{_CHINESE[second]}"
            rows.append((name, f"{first} then {second}", caption, chinese, part))
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "motion", "caption", "caption_zh", "split"), *rows])
    return folder / "clips.csv"


def _film(image: np.ndarray, way: tuple[str, str], random: np.random.Generator) -> np.ndarray:
    """Frames of a digit on its way, somewhere in the picture, over a little noise."""
    edge = (28 - DIGIT) // 2
    digit = image[edge : edge + DIGIT, edge : edge + DIGIT]
    moves = [np.array(_MOVES[name]) * random.uniform(0.8, 1.5) for name in way for _ in range(STEPS // 2)]
    places = np.cumsum([np.zeros(2), *moves[:-1]], axis=0)
    low, high = -places.min(0), SIDE - DIGIT - places.max(0)
    places += random.uniform(low, np.maximum(high, low))
    frames = random.normal(20, 6, (STEPS, SIDE, SIDE))
    for frame, (top, left) in zip(frames, places.round().astype(int), strict=True):
        top, left = np.clip((top, left), 0, SIDE - DIGIT)
        frame[top : top + DIGIT, left : left + DIGIT] += digit
    return frames.clip(0, 255).astype(np.uint8)


def _mnist(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and digits of one half of MNIST (idx files, packed)."""
    images = lzma.decompress((folder / f"mnist-{name}-images-idx3-ubyte.xz").read_bytes())
    digits = lzma.decompress((folder / f"mnist-{name}-labels-idx1-ubyte.xz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(digits, np.uint8, offset=8)


def _digits(**options: Any) -> Callable[[Path, Path], dict[str, Any]]:
    def unpack(source: Path, folder: Path) -> dict[str, Any]:
        pixels, digits = _mnist(source.parent, "train")
        images = {
            "train": (pixels[:50_000], digits[:50_000]),
            "valid": (pixels[50_000:], digits[50_000:]),
            "test": _mnist(source.parent, "t10k"),
        }
        path = folder / "clips.csv"
        if not path.exists():
            moving_digits(images, folder, _SHARES)
        return {"path": path, "split_column": "split", "frame_rate": RATE // 2, "frame_size": SIDE} | options

    return unpack


_SYNTHETIC = (
    "synthetic: an MNIST digit moves one of four ways, then another, in 16 frames of 32 × 32, encoded as H.264 in MP4 "
    "files and decoded again, every second frame; 2,400/300/800 clips, those of the test part of MNIST's test digits"
)

_SHORT = (
    "below what is asked. With 1, 2, 3 and 4 of the training subjects to learn from, a fifth one's actions are told "
    "with .71, .80, .89 and .91 (mean over the five; one seed of two choices each, at four three seeds): the curve "
    "flattens before .93. Tried there beside the settings of the row: sequences stretched, cropped and begun "
    "elsewhere .917, networks of limbs that are joined layer by layer (as in the paper) .894, a convolution in "
    "front .858. In the file each column of each sequence is standardised, and where joints stand to each other, "
    "which the published figure was reached with, is not told. It can be found again, for bones keep their lengths "
    "(those of the arms to 2 to 5 %, once the middle of the sphere is known that a joint moves on); told that, one "
    "seed has .842 there beside .883, and the nearest sequence under dynamic time warping .64 beside .83. Without "
    "the legs the nearest sequence has .90, and two seeds .904. It would need more subjects."
)

VIDEO_STUDIES: dict[str, Study] = {
    "msr-action3d": Study(
        "classify, MSR-Action3D AS1 (key points)",
        "given cross-subject split, 120/106 sequences; the sequences of the file, each standardised by itself, are "
        "brought back to pixels, frames in which a joint left the picture filled in; settings chosen by leaving out "
        "one of the five training subjects at a time; `together_accuracy` where all networks answer together",
        "video/msr-action3d-as1.npz",
        _msr_action,
        "HBRNN-L 93.33 (Du et al. 2015)",
        {"accuracy": (0.93, "at least"), "together_accuracy": (0.0, "")},
        together=True,
        remark=_SHORT,
    ),
    "moving-digits": Study(
        "classify, moving digits (video)",
        f"{_SYNTHETIC}; which of the twelve ways",
        "long/mnist-train-images-idx3-ubyte.xz",
        _digits(task="classify", input="path", label="motion"),
        "–",
        {"accuracy": (0.97, "at least")},
        seeds=2,
    ),
    "moving-digits-caption": Study(
        "caption, moving digits (video)",
        f"{_SYNTHETIC}; told as “the digit 3 moves left then up”, BLEU",
        "long/mnist-train-images-idx3-ubyte.xz",
        _digits(task="caption", input="path", answer="caption", embedding=128, epochs=30),
        "–",
        {"bleu": (90.0, "at least")},
        seeds=2,
        simple=True,
    ),
}
