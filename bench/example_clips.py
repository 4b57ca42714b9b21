"""Draw the clips of examples/data/door: a person and a door, two actions one after the other, as real video files.

They are synthetic, drawn by this program: `python -m bench.example_clips examples/data/door`. Played backwards, one of
the four courses is another one, so that no single frame, nor all of them without their order, tells them apart.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from bench.clips import write_clip

__all__ = ["door_clips"]

COURSES = {
    "开门–走进来": ("opens the door, then walks in", "先开门，再走进来"),
    "走进来–关门": ("walks in, then closes the door", "先走进来，再关门"),
    "开门–走出去": ("opens the door, then walks out", "先开门，再走出去"),
    "走出去–关门": ("walks out, then closes the door", "先走出去，再关门"),
}
HEIGHT, WIDTH, STEPS, RATE = 32, 48, 12, 6
PARTS = {"train": 72, "valid": 20, "test": 28}


def door_clips(folder: Path) -> None:
    """Write `clips.csv` and the clips it names."""
    random = np.random.default_rng(20250902)
    rows = []
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in PARTS.items():
        for place in range(count):
            action = list(COURSES)[place % len(COURSES)]
            name = f"{part}-{place:02}.mp4"
            write_clip(folder / name, _film(action, random), RATE, quality=26)
            rows.append((name, action, *COURSES[action], part))
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "action", "caption", "caption_zh", "split"), *rows])


def _film(action: str, random: np.random.Generator) -> np.ndarray:
    """Frames of one course: a door leaf that swings, a person who walks through; outside is on the right."""
    turn = int(random.integers(5, 8))
    first, second = np.linspace(0, 1, turn), np.linspace(0, 1, STEPS - turn)
    still = np.ones(STEPS - turn), np.zeros(turn)
    # How wide the door stands open, and how far the person is inside, from 0 to 1.
    opened, inside = {
        "开门–走进来": ((first, still[0]), (still[1], second)),
        "走进来–关门": ((np.ones(turn), 1 - second), (first, still[0])),
        "开门–走出去": ((first, still[0]), (1 - still[1], 1 - second)),
        "走出去–关门": ((np.ones(turn), 1 - second), (1 - first, 1 - still[0])),
    }[action]
    shade, top = random.uniform(150, 220), int(random.integers(3, 7))
    shift = int(random.integers(-4, 3))
    frames = random.normal(24, 4, (STEPS, HEIGHT, WIDTH))
    for frame, open_now, inside_now in zip(frames, np.concatenate(opened), np.concatenate(inside), strict=True):
        frame[top - 2, :] += 40
        # The leaf is seen from the side that it swings to: broad while it is shut, narrow when it stands open.
        frame[top:, 26 + shift : 26 + shift + round(10 - 8 * open_now)] += 70
        _draw_person(frame, 39 + shift - round(32 * inside_now), shade)
    return frames.clip(0, 255).astype(np.uint8)


def _draw_person(frame: np.ndarray, left: int, shade: float) -> None:
    """A head and a body, feet on the floor."""
    frame[12:16, left + 1 : left + 4] = shade
    frame[17:26, left : left + 5] = shade
    frame[26:31, left : left + 2] = shade
    frame[26:31, left + 3 : left + 5] = shade


if __name__ == "__main__":
    door_clips(Path(sys.argv[1]))
