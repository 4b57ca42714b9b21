"""Every option, stated once: the command line, the Python functions and the manifest are generated from here.

    Settings = DataSettings (what the file holds) + ModelSettings (what is trained) + TrainSettings (how, how long)

A field is the keyword argument `learning_rate` in Python, the flag `--learning-rate` on the command line, and the key
`learning_rate` in a manifest. `None` means: the task chooses (see `Task.defaults`); the choice is printed and recorded.
Imports neither torch nor numpy, so that `remanence --help` stays quick.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from remanence.errors import SettingError
from remanence.settings_media import ListeningSettings, MediaSettings
from remanence.settings_points import PointSettings
from remanence.settings_sampling import SamplingSettings
from remanence.settings_texts import TextSettings
from remanence.validation import first_mistake

__all__ = [
    "DataSettings",
    "ModelSettings",
    "SamplingSettings",
    "Settings",
    "Start",
    "TrainSettings",
    "sampling_from",
    "settings_from",
]

Names = tuple[str, ...]
Task = Literal["forecast", "classify", "regress", "tag", "generate", "translate", "summarise", "caption", "transcribe"]
Start = Literal["forget-bias", "chrono", "orthogonal", "identity"]
S = TypeVar("S", bound=BaseModel)
Positive = Annotated[int, Field(ge=1, le=10**9)]
Size = Annotated[int, Field(ge=1, le=1 << 16)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(MediaSettings, PointSettings, TextSettings):
    """What the file holds, which columns play which part, and how it is split."""

    task: Task | None = Field(default=None, description="What to do; guessed from the file.")
    valid_file: str | None = Field(default=None, description="A file of its own for validation (instead of a split).")
    test_file: str | None = Field(default=None, description="A file of its own for testing (instead of a split).")
    split: tuple[float, ...] = Field(
        default=(0.6, 0.2, 0.2),
        description="Train, validation, test: fractions of 1, or counts of rows, sequences or characters (long text).",
    )
    split_column: str | None = Field(default=None, description="Column holding train, valid or test for each row.")
    time: str | None = Field(default=None, description="Column of times, or of the order within a sequence.")
    series: Names = Field(default=(), description="Columns that name the series a row belongs to.")
    target: Names = Field(default=(), description="Columns to forecast.")
    known: Names = Field(default=(), description="Columns known ahead of time (holidays, prices set in advance).")
    observed: Names = Field(default=(), description="Columns known only up to now (weather, other loads).")
    horizon: Positive | None = Field(default=None, description="Steps to forecast.")
    context: Positive | None = Field(
        default=None,
        description="Steps the model sees before a forecast; of a long text, tokens learnt from at once.",
    )
    season: Positive | None = Field(default=None, description="Steps of one season; guessed from the frequency.")
    stride: Positive | None = Field(
        default=None, description="Steps between forecasts that are scored (default: 1; more where there are too many)."
    )
    calendar: bool | None = Field(default=None, description="Add hour, weekday, day and month as known inputs.")
    input: Names = Field(default=(), description="Columns that form a sequence: one text column, or numbers per step.")
    label: str | None = Field(
        default=None,
        description="Column of the class, the number (regress) or each step's label (tag; a number for column files).",
    )
    answer: str | None = Field(
        default=None,
        description="Column of the text to write; of parallel files the ending of the other one, such as en.",
    )
    columns: Names = Field(default=(), description="Names of the columns of a table without a line of names.")
    sequence: Names = Field(
        default=(), description="Columns naming the sequence a row belongs to (numbers, a row a step)."
    )
    group: str | None = Field(default=None, description="Keep rows of one group (a person) on one side of the split.")
    tokens: Literal["characters", "words", "subwords"] | None = Field(
        default=None,
        description="How text is cut; characters for Chinese, words for English (to generate, characters for both).",
    )
    answer_tokens: Literal["characters", "words", "subwords"] | None = Field(
        default=None, description="How the text to write is cut; characters for Chinese, words for English."
    )
    lower: bool = Field(default=False, description="Read and write texts in lower case.")
    ngrams: Annotated[int, Field(ge=1, le=8)] | None = Field(
        default=None,
        description="Runs of up to so many tokens that training texts share get vectors of their own (1: none).",
    )
    document: Literal["file", "line"] | None = Field(
        default=None, description="A text file is one long text, or a text a line (default: file)."
    )
    transpose: Annotated[int, Field(ge=0, le=48)] = Field(
        default=0, description="Learn training pieces also moved by up to so many keys up and down."
    )
    vocabulary: Positive = Field(default=30000, description="Most tokens to keep.")
    unknown: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="How often a token seen once counts as unknown in training (default: from 1000 sentences always).",
    )
    scheme: Literal["none", "BIO", "BIOES", "BMES"] | None = Field(
        default=None, description="How labels of tokens spell spans; guessed from the labels."
    )
    window: Annotated[int, Field(ge=0, le=10**9)] | None = Field(
        default=None, description="Steps of a window that long sequences are cut into (0: never cut)."
    )
    margin: Annotated[int, Field(ge=0, le=10**9)] | None = Field(
        default=None, description="Steps read on either side of a window, which its neighbours answer."
    )
    position: Names = Field(default=(), description="Columns x,y of a point that moves, such as a gaze.")
    motion: Names = Field(default=(), description="What is made of --position: speed, direction, acceleration.")
    motion_steps: tuple[Positive, ...] = Field(
        default=(1, 2, 4, 8, 16), description="Over how many steps each of --motion is taken."
    )
    sample_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Samples a second, where no time column says when they were taken."
    )
    longest: Positive | None = Field(
        default=None, description="Keep only so many steps of a sequence (from its start)."
    )
    permute: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        default=None,
        description="Read the steps of all sequences in one order drawn with this seed.",
    )
    missing: Literal["refuse", "mask", "fill"] = Field(
        default="refuse",
        description="Empty or NaN values: refuse; mask (0 and a flag input); fill (with the last value).",
    )
    gaps: Literal["refuse", "fill"] = Field(
        default="refuse", description="Missing steps: refuse, or insert as missing."
    )
    duplicates: Literal["refuse", "first", "last", "mean"] = Field(
        default="refuse", description="Two rows at one time: refuse, or keep which."
    )
    sort: bool = Field(default=False, description="Sort rows by time instead of refusing unsorted ones.")
    format: (
        Literal["csv", "tsv", "jsonl", "parquet", "ts", "arff", "idx", "text", "conllu", "conll", "mat", "npz"] | None
    ) = Field(default=None, description="File format; guessed from the name.")
    delimiter: str | None = Field(default=None, description="Column separator of a CSV (default comma) or column file.")

    @field_validator("delimiter")
    @classmethod
    def _tab(cls, delimiter: str | None) -> str | None:
        # As most shells hand on what stands between quotes.
        return "\t" if delimiter == "\\t" else delimiter

    @field_validator("split")
    @classmethod
    def _three_parts(cls, split: tuple[float, ...]) -> tuple[float, ...]:
        if len(split) != 3 or any(part < 0 for part in split) or split[0] <= 0:
            raise ValueError("expected three numbers, train,validation,test, such as 0.6,0.2,0.2")
        if sum(split) > 1.0 + 1e-9 and any(part != int(part) for part in split):
            raise ValueError("fractions must sum to at most 1; counts must be whole numbers")
        return split


class ModelSettings(ListeningSettings):
    """The recurrent model: encoder → recurrent stack → head."""

    cell: str | None = Field(default=None, description="Recurrent cell by name (see `remanence cells`).")
    hidden: Size | None = Field(default=None, description="Units of a recurrent layer.")
    layers: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Recurrent layers, one upon another."
    )
    bidirectional: bool | None = Field(default=None, description="Read each sequence from both ends.")
    dropout: Fraction | None = Field(default=None, description="Dropout between layers and before the head.")
    variational_dropout: Fraction = Field(
        default=0.0,
        description="Dropout of the state where recurrent matrices read it: the same units at all steps of a sequence.",
    )
    initialise: tuple[Start, ...] = Field(
        default=(), description="How recurrent weights start: forget-bias or chrono, orthogonal or identity."
    )
    reach: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        default=None,
        description="Steps that --initialise chrono is to bridge (default: the longest training sequence).",
    )
    embedding: Size | None = Field(default=None, description="Size of a token's vector.")
    embedding_dropout: Fraction | None = Field(
        default=None, description="Dropout of whole tokens' vectors, and of each affix's."
    )
    characters: Literal["none", "recurrent", "convolution", "affixes"] | None = Field(
        default=None, description="Also read each word by its characters, and how."
    )
    character_size: Size | None = Field(default=None, description="Features that a word's characters give.")
    crf: bool | None = Field(
        default=None, description="Score whole sequences of labels, not each alone: a conditional random field."
    )
    tied: bool | None = Field(default=None, description="Read and answer tokens by one matrix of vectors.")
    weight_drop: Fraction | None = Field(default=None, description="Dropout of the recurrent weights themselves.")
    skip: bool | None = Field(default=None, description="Pool what the recurrent layers read beside what they give.")
    convolution: Annotated[int, Field(ge=0, le=1 << 16)] | None = Field(
        default=None, description="Channels of a convolution before the recurrent layers (0: none)."
    )
    branch: Annotated[int, Field(ge=0, le=1 << 16)] | None = Field(
        default=None, description="Channels of convolutions beside the recurrent layers (0: none)."
    )
    differences: bool | None = Field(default=None, description="Read each step's change beside its numbers.")
    displacement: bool = Field(
        default=False, description="Read beside each step's numbers how far they are from those of the first step."
    )
    pool: Literal["last", "mean", "max", "mean-max", "attention"] | None = Field(
        default=None, description="How the steps become one vector."
    )
    attention: Literal["none", "additive", "multiplicative"] | None = Field(
        default=None, description="How each token written finds the steps it comes from."
    )
    input_feeding: bool | None = Field(
        default=None, description="What was attended to is read again with the next token (slower)."
    )
    coverage: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None, description="Remember what was attended to; how dear it is to attend twice (0: off)."
    )
    copy_source: bool | None = Field(
        default=None, description="Also write tokens of the source as they stand: a pointer."
    )
    beam: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Beginnings of an answer followed side by side; 1 is greedy."
    )
    length_penalty: Annotated[float, Field(ge=0, le=10)] | None = Field(
        default=None, description="How much longer answers are preferred among those of a beam (0: not)."
    )
    normalise: Literal["none", "last", "window"] | None = Field(
        default=None, description="Per window: subtract the last value, or standardise by the window."
    )
    strategy: Literal["direct", "recursive"] = Field(
        default="direct", description="Forecast all steps at once, or one by one."
    )
    quantiles: tuple[float, ...] = Field(default=(), description="Also forecast these quantiles, such as 0.1,0.5,0.9.")

    @field_validator("initialise")
    @classmethod
    def _one_start_each(cls, names: tuple[Start, ...]) -> tuple[Start, ...]:
        for pair in (("forget-bias", "chrono"), ("orthogonal", "identity")):
            if sum(name in pair for name in names) > 1:
                raise ValueError(f"expected one of {' and '.join(pair)}, both set the same weights")
        return names

    @field_validator("quantiles")
    @classmethod
    def _levels(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < q < 1 for q in levels) or list(levels) != sorted(set(levels)):
            raise ValueError("expected rising numbers between 0 and 1, such as 0.1,0.5,0.9")
        return levels


class TrainSettings(_Frozen):
    """How a model is trained, and for how long."""

    epochs: Positive | None = Field(default=None, description="Budget: passes over the training part.")
    steps: Positive | None = Field(default=None, description="Budget: updates of the weights.")
    minutes: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Budget: minutes of training.")
    seeds: Positive = Field(default=1, description="How many seeds to train.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(default=0, description="The first seed.")
    batch_size: Positive | None = Field(default=None, description="Sequences an update.")
    learning_rate: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Step size of the optimiser.")
    schedule: Literal["constant", "cosine", "plateau"] | None = Field(
        default=None, description="How the step size falls."
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(default=None, description="AdamW's weight decay.")
    clip: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Largest norm of the gradient.")
    average: Fraction | None = Field(
        default=None, description="Decay of an exponential average of the weights, used for evaluation (0: none)."
    )
    loss: Literal["mse", "mae", "huber"] | None = Field(
        default=None, description="Loss of a point forecast, or of a number."
    )
    recall: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="How dear it is to miss a span in training: more finds more, and more wrong ones.",
    )
    calibrate: bool = Field(
        default=False,
        description="Choose on the validation part how readily each kind of label is given, for the best score.",
    )
    smoothing: Fraction | None = Field(default=None, description="Label smoothing.")
    scheduled_sampling: Fraction | None = Field(
        default=None, description="Share of tokens read in training that the model wrote itself (slower)."
    )
    noise: Annotated[float, Field(ge=0)] | None = Field(default=None, description="Gaussian noise on scaled numbers.")
    stretch: Fraction | None = Field(
        default=None, description="Make training sequences longer or shorter by up to this share."
    )
    input_dropout: Fraction | None = Field(
        default=None, description="Dropout of a number of all steps of a sequence, in training."
    )
    keep: Literal["best", "last"] | None = Field(
        default=None, description="Weights to keep: the best on the validation part, or the last."
    )
    evaluate_every: Positive | None = Field(
        default=None, description="Updates between evaluations (default: an epoch, but at most 1000 updates)."
    )
    patience: Positive | None = Field(default=None, description="Evaluations without improvement before stopping.")
    truncate: Positive | None = Field(
        default=None, description="Truncated backpropagation: steps a gradient reaches back, state carried on."
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads (default: one for small layers)."
    )
    device: str = Field(default="cpu", description="cpu, cuda or cuda:N.")
    tensorboard: bool = Field(default=False, description="Also write TensorBoard events into the run.")
    figures: tuple[Literal["svg", "png"], ...] = Field(
        default=(), description="Also save the report's figures in the run, as pictures of these kinds."
    )

    @field_validator("device")
    @classmethod
    def _device(cls, device: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", device, re.ASCII):
            raise ValueError("expected cpu, cuda or cuda:N")
        return device

    @model_validator(mode="after")
    def _one_budget(self) -> TrainSettings:
        if sum(value is not None for value in (self.epochs, self.steps, self.minutes)) > 1:
            raise ValueError("give one of epochs, steps and minutes")
        return self


class Settings(_Frozen):
    """All options of one run."""

    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()


def settings_from(options: Mapping[str, Any]) -> Settings:
    """Sort flat options into `Settings`; lists and comma-separated text become tuples, `None` is left out.

    Raises:
        SettingError: an unknown option (with the nearest known name) or a value out of range.

    Example:
        >>> settings_from({"target": "OT", "horizon": 24, "hidden": 64}).data.target
        ('OT',)
    """
    parts: dict[str, dict[str, Any]] = {"data": {}, "model": {}, "train": {}}
    homes = {
        name: (part, field)
        for part, field_type in (("data", DataSettings), ("model", ModelSettings), ("train", TrainSettings))
        for name, field in field_type.model_fields.items()
    }
    for name, value in options.items():
        if name not in homes:
            raise SettingError("no such option", name=name, remedy=_nearest(name, homes))
        if value is None:
            continue
        part, field = homes[name]
        parts[part][name] = _as_tuple(value) if "tuple" in str(field.annotation) else value
    return _checked(Settings, parts, "fit")


def sampling_from(options: Mapping[str, Any]) -> SamplingSettings:
    """Check how to write.

    Raises:
        SettingError: an unknown option, or a value out of range.

    Example:
        >>> sampling_from({"length": 50, "top_k": "5"}).top_k
        5
    """
    for name in options:
        if name not in SamplingSettings.model_fields:
            raise SettingError("no such option", name=name, remedy=_nearest(name, SamplingSettings.model_fields))
    return _checked(SamplingSettings, {k: v for k, v in options.items() if v is not None}, "generate")


def _checked(kind: type[S], values: Mapping[str, Any], command: str) -> S:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        where, mistake = first_mistake(error)
        name = next((step for step in where if step not in ("data", "model", "train")), "")
        raise SettingError(mistake, name=name, remedy=f"see `remanence {command} --help`") from None


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else "see `remanence fit --help`"
