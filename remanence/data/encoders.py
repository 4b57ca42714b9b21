"""What was fitted on the training part, as frozen models that go to JSON and back without losing a bit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from remanence.data.clips import Clip
from remanence.data.media.sounds import SoundForm
from remanence.data.motion import motion_names
from remanence.data.runs import Runs
from remanence.data.sample_times import SampleTimes
from remanence.data.scalers import Scaler
from remanence.data.schemes import Scheme
from remanence.data.sound_source import SoundSide
from remanence.data.symbols import Symbols
from remanence.data.text_side import TextSide
from remanence.data.times import Frequency
from remanence.data.tokens import Vocabulary
from remanence.data.usage import Usage
from remanence.settings_use import Read

__all__ = ["ClassifyEncoders", "Encoders", "ForecastEncoders", "GenerateEncoders", "PairEncoders", "TagEncoders"]

Names = tuple[str, ...]


class Encoders(BaseModel):
    """What all have in common: they say what is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def reads(self) -> Read:
        """Of what kind the data are, for settings that suit some kinds only."""
        raise NotImplementedError


class ForecastEncoders(Encoders):
    """Everything a forecast needs to read a new file.

    Args:
        time: column of times, or None where the order of rows is the time.
        series: columns that name a series.
        target, observed, known: number columns by role.
        calendar: names of calendar inputs, such as `hour_sin`.
        missing: how empty cells are treated; `mask` adds one flag input for each number column.
        scaler: of targets, observed and known columns, in this order.
        time_format: how times are written (see `times.parse`).
        frequency: step between two rows.
        season: steps of one season, at least 1.
        context, horizon: steps seen, steps forecast.
        series_names: series of the training part.
        naive_scale: mean absolute seasonal difference in the user's units, `[series][target]`: the scale of MASE.
        naive_scale_all: the same over all series `[target]`, for series that training did not see.
    """

    kind: Literal["forecast"] = "forecast"
    time: str | None
    series: Names
    target: Names
    observed: Names
    known: Names
    calendar: Names
    missing: Literal["refuse", "mask", "fill"]
    scaler: Scaler
    time_format: str
    frequency: Frequency
    season: int
    context: int
    horizon: int
    series_names: Names
    naive_scale: tuple[tuple[float, ...], ...]
    naive_scale_all: tuple[float, ...]

    @property
    def reads(self) -> Read:
        """Numbers of each step."""
        return "numbers"

    @property
    def columns(self) -> Names:
        """Number columns: targets, observed, known."""
        return self.target + self.observed + self.known

    @property
    def features(self) -> Names:
        """Names of the inputs of one step, in order: targets, observed, known, calendar, flags of missing values."""
        flags = tuple(f"{column} missing" for column in self.columns) if self.missing == "mask" else ()
        return self.columns + self.calendar + flags

    @property
    def future_features(self) -> Names:
        """Names of what is known ahead of time: known, calendar, flags of missing known values."""
        flags = tuple(f"{column} missing" for column in self.known) if self.missing == "mask" else ()
        return self.known + self.calendar + flags


class ClassifyEncoders(Encoders):
    """Everything a classifier, or a regression, needs to read a new file.

    Args:
        input: the text column, or the number columns of a step (named `dim0`, `dim1`, … for .ts and .arff).
        label: column of the class, or of the number.
        sequence, time: columns that name and order the steps of a sequence (a row a step).
        labels: names of the classes, sorted; a class index points here.
        vocabulary: tokens of texts, or None for numbers.
        runs: runs of tokens that training texts share, or None.
        scaler: of number columns, or None for texts and videos.
        clip: what is seen of videos, whose paths stand in the column `input`; None for texts and numbers.
        sound: how sounds, whose paths stand in the column `input`, become numbers; None for what else there is.
        missing: how empty cells are treated; `mask` adds one flag input for each number column.
        longest: steps kept of each sequence, or None for all.
        answer: of the numbers that are answered with (regress, which has no `labels`), or None.
        origin: the point whose coordinates all others are told from, or None.
        order: where the steps that are read first, second, … stand in a sequence; empty: as they stand.
    """

    kind: Literal["classify"] = "classify"
    input: Names
    label: str
    sequence: Names = ()
    time: str | None = None
    labels: Names
    vocabulary: Vocabulary | None = None
    runs: Runs | None = None
    scaler: Scaler | None = None
    clip: Clip | None = None
    sound: SoundForm | None = None
    missing: Literal["refuse", "mask", "fill"] = "refuse"
    longest: int | None = None
    origin: str | None = None
    order: tuple[int, ...] = ()
    answer: Scaler | None = None

    @property
    def reads(self) -> Read:
        """What a sequence is made of."""
        return _read(self)

    @property
    def features(self) -> Names:
        """Names of the inputs of one step; empty for texts and videos."""
        if self.scaler is None:
            return ()
        if self.sound is not None:
            return self.sound.columns
        flags = tuple(f"{column} missing" for column in self.input) if self.missing == "mask" else ()
        return self.input + flags


def _read(encoders: ClassifyEncoders | TagEncoders) -> Read:
    if encoders.clip is not None:
        return "videos"
    if encoders.sound is not None:
        return "sounds"
    return "numbers" if encoders.vocabulary is None else "texts"


class TagEncoders(Encoders):
    """Everything a tagger needs to read a new file.

    Args:
        input: the column (or key) of tokens, or the number columns of a sample.
        label: column of the label of each step.
        sequence, time: columns that name and order the samples of a recording.
        times: how the training file gives the times of samples; None where it does not.
        labels: names of the labels; a label's number points here.
        scheme: how labels spell spans, or `none`.
        tokens: what a token of the file is, or None for numbers.
        layout: kind of the file of tokens, whose names of columns `input` and `label` are; empty for samples.
        vocabulary: tokens in lower case, digits as 0; None for numbers.
        singles: how many of its last tokens the training part has once.
        characters: of which tokens are made, or None where they are not read.
        usage: how texts without labels use words, or None where none are given.
        runs: runs of tokens that training sequences share, or None.
        scaler: of the features of numbers, in their order; None for tokens.
        missing: how empty cells are treated; `mask` adds one flag input for each number column.
        position, motion, motion_steps, sample_rate: what is made of columns x, y (see `motion`).
        sizes: median size of each speed and acceleration in the training part.
        window, margin: steps of a window (0: whole sequences), and those read on either side of it.
        clip, sound: how videos or sounds, whose paths stand in the column `input`, become frames; None for what else
            there is.
    """

    kind: Literal["tag"] = "tag"
    input: Names
    label: str
    sequence: Names = ()
    time: str | None = None
    times: SampleTimes | None = None
    labels: Names
    scheme: Scheme = "none"
    tokens: Literal["characters", "words"] | None = None
    layout: Literal["conllu", "conll", "jsonl", "table", ""] = ""
    vocabulary: Vocabulary | None = None
    singles: int = 0
    characters: Vocabulary | None = None
    usage: Usage | None = None
    runs: Runs | None = None
    scaler: Scaler | None = None
    missing: Literal["refuse", "mask", "fill"] = "refuse"
    position: Names = ()
    motion: Names = ()
    motion_steps: tuple[int, ...] = ()
    sample_rate: float | None = None
    sizes: tuple[float, ...] = ()
    window: int = 0
    margin: int = 0
    clip: Clip | None = None
    sound: SoundForm | None = None

    @property
    def reads(self) -> Read:
        """What a step is of."""
        return _read(self)

    @property
    def columns(self) -> Names:
        """Number columns of a step before anything is made of them."""
        return self.input if self.sound is None else self.sound.columns

    @property
    def features(self) -> Names:
        """Names of the inputs of one sample, in order: numbers, motion, flags of missing values; empty for tokens."""
        if self.scaler is None:
            return ()
        flags = tuple(f"{column} missing" for column in self.input) if self.missing == "mask" else ()
        return self.columns + motion_names(self.motion, self.motion_steps) + flags


class GenerateEncoders(Encoders):
    """Everything a model that generates needs to read a new file.

    Args:
        input: column of the texts or lists of notes (`text` for a file without columns).
        document: `file`: a text file is one stream; `line`: each line or row is a text of its own.
        symbols: pieces of text, or None for music.
        context: tokens of a window of a stream.
        longest: steps kept of each text or piece, or None for all.
    """

    kind: Literal["generate"] = "generate"
    input: Names
    document: Literal["file", "line"]
    symbols: Symbols | None = None
    context: int
    longest: int | None = None

    @property
    def reads(self) -> Read:
        """Texts, or frames of music."""
        return "music" if self.symbols is None else "texts"


class PairEncoders(Encoders):
    """Everything a model that writes a text for a source needs to read a new file.

    Args:
        input: the column that is read (`text` for files of lines).
        answer: the column of the texts to write, or the ending of their file.
        source: how what is read becomes numbers: one model for each kind of source.
        target: how texts to write become numbers.
        longest: steps kept of each source, or None for all.
        longest_answer: tokens of the longest text to write in the training part: nothing longer is written.
        texts: of the training part, that a language is learnt from (transcribe).
    """

    kind: Literal["pair"] = "pair"
    input: Names
    answer: str
    source: Annotated[TextSide | SoundSide | Clip, Field(discriminator="kind")]
    target: TextSide
    longest: int | None = None
    longest_answer: int
    texts: Names = ()

    @property
    def reads(self) -> Read:
        """What a text is written for."""
        if isinstance(self.source, Clip):
            return "videos"
        return "sounds" if isinstance(self.source, SoundSide) else "texts"
