"""Options of files of sound and video that a table names: where they lie, and what is read from them.

`MediaSettings` are part of `DataSettings`, `ListeningSettings` (how a model reads and writes them down) of
`ModelSettings`; the command line shows both in a panel of their own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ListeningSettings", "MediaSettings"]


class MediaSettings(BaseModel):
    """Where the files lie that a table names, and how a sound or a video becomes numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    folder: str | None = Field(
        default=None, description="Folder that paths in a table start from (default: that of the table)."
    )
    bad: Literal["refuse", "skip"] = Field(
        default="refuse", description="Files that cannot be decoded: refuse, or skip and name them."
    )
    interval: tuple[str, ...] = Field(
        default=(), description="Columns start,end of a labelled stretch of a file, in seconds; guessed from names."
    )
    longest_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=600.0, description="Longer sounds and videos count as bad."
    )
    features: Literal["mel", "mfcc"] | None = Field(
        default=None, description="What a frame of sound is: log-mel energies, or cepstra (default: mel)."
    )
    bands: Annotated[int, Field(ge=2, le=512)] = Field(default=40, description="Mel bands of a frame of sound.")
    coefficients: Annotated[int, Field(ge=1, le=512)] = Field(
        default=13, description="Cepstra of a frame of sound, and numbers of a frame in a Sphinx file."
    )
    deltas: Annotated[int, Field(ge=0, le=2)] = Field(
        default=0, description="Also read how features change (1), and how that changes (2)."
    )
    centre: bool = Field(default=False, description="Subtract from each feature of a sound its mean over the sound.")
    frame_ms: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=25.0, description="Milliseconds of a frame of sound."
    )
    hop_ms: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=10.0, description="Milliseconds from one frame of sound to the next."
    )
    frame_rate: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=5.0, description="Frames a second that are taken from a video."
    )
    frame_size: tuple[Annotated[int, Field(ge=2, le=1024)], ...] = Field(
        default=(32, 32), description="Height and width that frames of a video are scaled to; one number for both."
    )
    colour: Literal["grey", "rgb"] = Field(default="grey", description="Colours of a video's frames.")


class ListeningSettings(BaseModel):
    """How a model hears a sound, and how its text is found."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stack: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Frames that are read as one step."
    )
    look_ahead: Annotated[int, Field(ge=0, le=1024)] | None = Field(
        default=None, description="Later steps that an answer waits for, of layers that read one way."
    )
    mask_steps: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="Most frames hidden in one go in training, twice a sound (0: none)."
    )
    mask_features: Annotated[int, Field(ge=0, le=512)] | None = Field(
        default=None, description="Most neighbouring features hidden in training, twice a sound (0: none)."
    )
    language: Literal["none", "characters", "words"] | None = Field(
        default=None, description="Weigh texts by n-grams of the training texts while a beam is searched."
    )
    language_order: Annotated[int, Field(ge=1, le=10)] | None = Field(
        default=None, description="Longest n-gram of --language."
    )
