"""What a model sees of a video: how many frames a second, of which size, in which colours."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from remanence.data.clock import Clock

__all__ = ["Clip", "ClipForm"]


class ClipForm(BaseModel):
    """How frames are taken from a video.

    Args:
        rate: frames a second.
        height, width: in pixels.
        colour: `grey`, or red, green and blue.

    Example:
        >>> ClipForm(rate=5.0, height=32, width=48, colour="rgb").shape
        (3, 32, 48)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rate: float
    height: int
    width: int
    colour: Literal["grey", "rgb"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a frame."""
        return (1 if self.colour == "grey" else 3), self.height, self.width

    @property
    def pixels(self) -> int:
        """Numbers of a frame."""
        channels, height, width = self.shape
        return channels * height * width

    @property
    def clock(self) -> Clock:
        """When frames are on the screen."""
        return Clock(0.0, 1 / self.rate)

    def as_settings(self) -> dict[str, Any]:
        """The settings by which another file is read alike."""
        return {"frame_rate": self.rate, "frame_size": (self.height, self.width), "colour": self.colour}


class Clip(ClipForm):
    """How frames are taken, and what their pixels were like in the training part.

    Args:
        mean, scale: mean and standard deviation of each channel, as fractions of 255.
    """

    kind: Literal["clip"] = "clip"
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def note(self) -> str:
        """A line for a person."""
        return (
            f"videos: {self.rate:g} frames a second, {self.height} × {self.width}, {self.colour} "
            "(--frame-rate, --frame-size, --colour)"
        )
