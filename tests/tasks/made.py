"""Small parts made of arrays, which stand in for files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel

from remanence.data.clips import Clip
from remanence.data.encoders import ClassifyEncoders, ForecastEncoders, GenerateEncoders, PairEncoders, TagEncoders
from remanence.data.examples import Batch, Part
from remanence.data.film_source import FilmSource
from remanence.data.frames import KEYS, FramePart
from remanence.data.label_part import ClassifyPart
from remanence.data.media.sounds import FrameStore, SoundForm
from remanence.data.pair_part import PairPart, TextSource
from remanence.data.runs import learn_runs
from remanence.data.scalers import Scaler
from remanence.data.sound_source import SoundSide, SoundSource
from remanence.data.step_records import StepRecords
from remanence.data.streams import DocumentPart, StreamPart
from remanence.data.symbols import FIRST, Symbols
from remanence.data.tag_fit import store_of
from remanence.data.tag_part import TagPart, cut
from remanence.data.text_side import TextSide, store_texts
from remanence.data.times import Frequency
from remanence.data.tokens import Vocabulary
from remanence.data.windows import ForecastPart
from remanence.sequences import Sequences
from remanence.settings import DataSettings
from remanence.tasks.task import Prepared


def forecast_encoders(**changes) -> ForecastEncoders:
    """One target (mean 10, scale 2), no covariates, season 4, context 6, horizon 3."""
    values = {
        "time": "time",
        "series": (),
        "target": ("load",),
        "observed": (),
        "known": (),
        "calendar": (),
        "missing": "refuse",
        "time_format": "",
        "frequency": Frequency(unit="integer", step=1),
        "season": 4,
        "context": 6,
        "horizon": 3,
        "series_names": ("",),
        "naive_scale": ((4.0,),),
        "naive_scale_all": (4.0,),
    } | changes
    columns = values["target"] + values["observed"] + values["known"]
    values.setdefault("scaler", Scaler(columns=columns, mean=(10.0,) * len(columns), scale=(2.0,) * len(columns)))
    return ForecastEncoders(**values)


class MadeForecast(ForecastPart):
    """Windows over one scaled array `[row, feature]`, laid out as the encoders say."""

    def __init__(self, encoders: ForecastEncoders, rows: np.ndarray) -> None:
        self.encoders = encoders
        self.rows = np.asarray(rows, np.float32).reshape(len(rows), -1)
        self.count = max(0, len(rows) - encoders.context - encoders.horizon + 1)
        self.lengths = np.full(self.count, encoders.context)

    def batch(self, index: np.ndarray) -> Batch:
        context, horizon = self.encoders.context, self.encoders.horizon
        known = [self.encoders.features.index(name) for name in self.encoders.future_features]
        windows = (
            np.stack([self.rows[at : at + context + horizon] for at in index]) if len(index) else np.zeros((0, 9, 1))
        )
        inputs, future = torch.from_numpy(windows[:, :context]), torch.from_numpy(windows[:, context:])
        return Batch(
            Sequences(inputs, torch.full((len(index),), context)),
            future[..., : len(self.encoders.target)],
            future[..., known] if known else None,
            torch.from_numpy(np.asarray(index)),
            torch.zeros(len(index), dtype=torch.int64),
        )

    def name(self, index: int) -> str:
        return f"window {index}"

    def series(self, index: int) -> str:
        return "A"

    def times(self, index: int) -> list[str]:
        first = index + self.encoders.context
        return [str(first + step) for step in range(self.encoders.horizon)]


class MadeClassify(ClassifyPart):
    """Sequences from a list of arrays: tokens `[time]` or numbers `[time, feature]`."""

    def __init__(
        self, encoders: ClassifyEncoders, sequences: list[np.ndarray], labels: list[int] | list[float]
    ) -> None:
        self.encoders, self.sequences = encoders, sequences
        self.labels = np.array(labels, np.int64 if encoders.answer is None else np.float32)
        self.lengths = np.array([len(each) for each in sequences], np.int64)

    def batch(self, index: np.ndarray) -> Batch:
        chosen = [torch.as_tensor(self.sequences[at]) for at in index]
        data = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True)
        lengths = torch.from_numpy(self.lengths[index])
        target = torch.from_numpy(self.labels[index])
        return Batch(Sequences(data, lengths), target, None, torch.from_numpy(np.asarray(index)))

    def targets(self, index: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.labels[index])

    def name(self, index: int) -> str:
        return f"row {index}"


def prepared(encoders: BaseModel, train: Part, valid: Part, test: Part) -> Prepared:
    return Prepared(DataSettings(), encoders, train, valid, test, (), "")


def wave(rows: int, seed: int = 0) -> np.ndarray:
    """A season of 4 steps with noise, scaled."""
    random = np.random.default_rng(seed)
    return np.sin(np.arange(rows) * np.pi / 2) + 0.1 * random.standard_normal(rows)


def made_forecast(**changes) -> Prepared:
    encoders = forecast_encoders(**changes)
    features = len(encoders.features)
    rows = np.stack([wave(120, seed) for seed in range(features)], axis=1)
    for column, name in enumerate(encoders.features):
        if name.endswith(" missing"):
            rows[:, column] = np.random.default_rng(column).random(120) < 0.1
    parts = (MadeForecast(encoders, rows[start:stop]) for start, stop in ((0, 70), (60, 95), (85, 120)))
    return prepared(encoders, *parts)


def text_encoders() -> ClassifyEncoders:
    vocabulary = Vocabulary(kind="characters", tokens=tuple("abcdefgh"))
    tokens = np.random.default_rng(5).integers(1, 10, 900)
    return ClassifyEncoders(
        input=("text",),
        label="label",
        labels=("no", "yes", "也许"),
        vocabulary=vocabulary,
        runs=learn_runs([(tokens, np.arange(900) // 9)], longest=3),
    )


def made_texts() -> Prepared:
    """The label is how often the token 2 stands in a text: never, once, more."""
    random = np.random.default_rng(3)
    parts = []
    for count in (60, 20, 20):
        texts = [random.integers(1, 10, random.integers(0, 9)).astype(np.int64) for _ in range(count)]
        parts.append(MadeClassify(text_encoders(), texts, [min(int((text == 2).sum()), 2) for text in texts]))
    return prepared(text_encoders(), *parts)


def number_encoders() -> ClassifyEncoders:
    scaler = Scaler(columns=("x", "y"), mean=(0.0, 0.0), scale=(1.0, 1.0))
    return ClassifyEncoders(input=("x", "y"), label="label", labels=("down", "up"), scaler=scaler)


def made_numbers() -> Prepared:
    """The label is whether `x` rises."""
    random = np.random.default_rng(4)
    parts = []
    for count in (40, 12, 12):
        labels = random.integers(0, 2, count).tolist()
        sequences = []
        for label in labels:
            steps = int(random.integers(3, 12))
            x = (2 * label - 1) * np.linspace(-1, 1, steps) + 0.1 * random.standard_normal(steps)
            sequences.append(np.stack([x, random.standard_normal(steps)], axis=1).astype(np.float32))
        parts.append(MadeClassify(number_encoders(), sequences, labels))
    return prepared(number_encoders(), *parts)


def clip_encoders(colour: Literal["grey", "rgb"] = "rgb") -> ClassifyEncoders:
    channels = 3 if colour == "rgb" else 1
    clip = Clip(rate=5.0, height=7, width=9, colour=colour, mean=(0.4,) * channels, scale=(0.3,) * channels)
    return ClassifyEncoders(input=("video",), label="label", labels=("left", "right"), clip=clip)


def made_clips(colour: Literal["grey", "rgb"] = "rgb") -> Prepared:
    """A bright column that moves to the left or to the right over noise."""
    random, encoders = np.random.default_rng(9), clip_encoders(colour)
    assert encoders.clip is not None
    parts = []
    for count in (30, 9, 9):
        labels, clips = random.integers(0, 2, count).tolist(), []
        for label in labels:
            frames = random.integers(0, 60, (int(random.integers(1, 9)), *encoders.clip.shape))
            for step, frame in enumerate(frames):
                frame[..., step if label else 8 - step] = 255
            clips.append(frames.reshape(len(frames), -1).astype(np.uint8))
        parts.append(MadeClassify(encoders, clips, labels))
    return prepared(encoders, *parts)


def made_measured() -> Prepared:
    """The answer is the sum of `x`, in scaled units."""
    random = np.random.default_rng(9)
    answer = Scaler(columns=("sum",), mean=(10.0,), scale=(2.0,))
    encoders = number_encoders().model_copy(update={"labels": (), "label": "sum", "answer": answer})
    parts = []
    for count in (60, 20, 20):
        sequences = [random.standard_normal((int(random.integers(2, 9)), 2)).astype(np.float32) for _ in range(count)]
        parts.append(MadeClassify(encoders, sequences, [float(each[:, 0].sum()) for each in sequences]))
    return prepared(encoders, *parts)


WORDS = ("the", "a", "Bank", "of", "England", "Ann", "runs", "far")


def step_records(sequences: list[list[str]] | list[np.ndarray], labels: list[list[str]]) -> StepRecords:
    """Sequences of words, or of numbers `[step, 2]`, with a label a step, as if a file had held them."""
    names = tuple(sorted({label for each in labels for label in each}))
    codes = {name: code for code, name in enumerate(names)}
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in labels])]).astype(np.int64)
    steps = np.array([codes[label] for each in labels for label in each], np.int32)
    shared = (Path("made"), offsets, steps, names, lambda step: step + 1, offsets[:-1] + 1)
    if sequences and isinstance(sequences[0], np.ndarray):
        values = np.concatenate(sequences).astype(np.float64)
        return StepRecords(*shared, names=tuple(map(str, range(len(labels)))), values=values, columns=("x", "y"))
    forms = np.array([WORDS.index(word) for each in sequences for word in each], np.int32)
    return StepRecords(*shared, forms=forms, form_names=WORDS)


def tag_parts(encoders: TagEncoders, records: StepRecords, shares: tuple[int, ...]) -> Prepared:
    """Parts of so many sequences each, one after the other."""
    store, lengths = store_of(records, encoders), np.diff(records.offsets)
    ends = np.cumsum((0, *shares))
    parts = [
        TagPart(store, encoders, cut(lengths, np.arange(a, b), encoders.window, encoders.margin))
        for a, b in pairwise(ends)
    ]
    return prepared(encoders, *parts)


def made_spans(**changes) -> Prepared:
    """Sentences of eight words; `Bank of England` is an organisation and `Ann` a person."""
    random = np.random.default_rng(6)
    pieces = ((["Bank", "of", "England"], ["B-org", "I-org", "I-org"]), (["Ann"], ["B-per"]))
    pieces += tuple(([word], ["O"]) for word in ("the", "a", "runs", "far", "of"))
    sentences, labels = [], []
    for _ in range(80):
        chosen = [pieces[at] for at in random.integers(0, len(pieces), random.integers(1, 6))]
        sentences.append([word for words, _ in chosen for word in words])
        labels.append([label for _, own in chosen for label in own])
    vocabulary = Vocabulary(kind="words", tokens=("the", "a", "bank", "of", "ann", "runs"))
    letters = Vocabulary(kind="words", tokens=tuple("theaBnkofEgldAru"))
    values = {
        "input": ("1",), "label": "2", "tokens": "words", "layout": "conll", "vocabulary": vocabulary,
        "characters": letters, "labels": ("B-org", "B-per", "I-org", "I-per", "O"), "scheme": "BIO",
    } | changes  # fmt: skip
    return tag_parts(TagEncoders(**values), step_records(sentences, labels), (50, 15, 15))


def made_samples() -> Prepared:
    """A point that rests and jumps, in windows of five steps with two more on either side."""
    random = np.random.default_rng(8)
    recordings, labels = [], []
    for _ in range(24):
        moving = np.repeat(random.random(8) < 0.4, 3)[: int(random.integers(9, 24))]
        steps = np.where(moving[:, None], 3.0, 0.1) * random.standard_normal((len(moving), 2))
        recordings.append(np.cumsum(steps, 0))
        labels.append(["jump" if each else "rest" for each in moving])
    encoders = TagEncoders(
        input=(), label="event", sequence=("recording",), labels=("jump", "rest"), position=("x", "y"),
        motion=("speed", "direction"), motion_steps=(1, 2), sizes=(0.5, 0.5, 0.0, 0.0, 0.0, 0.0), window=5, margin=2,
        scaler=Scaler(columns=tuple("abcdef"), mean=(0.0,) * 6, scale=(1.0,) * 6),
    )  # fmt: skip
    return tag_parts(encoders, step_records(recordings, labels), (16, 4, 4))


def symbols() -> Symbols:
    return Symbols(kind="characters", tokens=tuple("abcdefg"))


def generate_encoders(**changes) -> GenerateEncoders:
    return GenerateEncoders(**{"input": ("text",), "document": "line", "symbols": symbols(), "context": 7} | changes)


def made_stream() -> Prepared:
    """The letters in their order, now and then another one."""
    random = np.random.default_rng(6)
    parts = []
    for count in (400, 90, 93):
        letters = np.where(random.random(count) < 0.2, random.integers(0, 7, count), np.arange(count) % 7)
        parts.append(StreamPart((letters + FIRST).astype(np.int32), symbols(), 7, "made.txt"))
    return prepared(generate_encoders(document="file"), *parts)


def made_documents() -> Prepared:
    """Short texts of random letters, some of a single one."""
    random = np.random.default_rng(7)
    parts = []
    for count in (40, 12, 12):
        lengths = random.integers(1, 9, count)
        tokens = random.integers(FIRST, FIRST + 7, int(lengths.sum())).astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        parts.append(DocumentPart(tokens, offsets, np.arange(count), symbols(), "made.txt"))
    return prepared(generate_encoders(), *parts)


def made_music() -> Prepared:
    """Every key sounds in some frame of the training part, so that every weight is learnt."""
    random = np.random.default_rng(8)
    parts = []
    for count in (40, 8, 8):
        pieces = [(random.random((random.integers(2, 9), KEYS)) < 0.3).astype(np.uint8) for _ in range(count)]
        parts.append(FramePart.of(pieces, "made.mat"))
    return prepared(generate_encoders(input=("notes",), symbols=None), *parts)


def pair_encoders(**changes) -> PairEncoders:
    source = TextSide(symbols=Symbols(kind="characters", tokens=tuple("abcdef")))
    target = TextSide(symbols=Symbols(kind="characters", tokens=tuple("fedcba.")))
    values = {"input": ("text",), "answer": "backwards", "source": source, "target": target, "longest_answer": 8}
    return PairEncoders(**(values | changes))


def pair_part(pairs: list[tuple[str, str]], encoders: PairEncoders) -> PairPart:
    """Sources and answers, as if a file had held them."""
    assert isinstance(encoders.source, TextSide)
    source = store_texts([[read for read, _ in pairs]], encoders.source.encode)
    answers = store_texts([[answer for _, answer in pairs]], encoders.target.encode)
    return PairPart(
        TextSource(source, encoders.source), answers, np.arange(len(pairs)), lambda place: f"made, line {place + 1}",
        encoders.target.symbols.size,
    )  # fmt: skip


def made_pairs() -> Prepared:
    """A text is to be written backwards, with a full stop behind it."""
    random = np.random.default_rng(9)
    encoders, parts = pair_encoders(), []
    for count in (50, 12, 12):
        texts = ["".join(random.choice(list("abcdef"), random.integers(1, 8))) for _ in range(count)]
        parts.append(pair_part([(text, text[::-1] + ".") for text in texts], encoders))
    return prepared(encoders, *parts)


def made_sounds() -> Prepared:
    """Each letter of a text sounds for three to five frames in a feature of its own, a pause between two."""
    random = np.random.default_rng(8)
    texts = ["".join(random.choice(list("abc d"), 4)).strip() or "a" for _ in range(70)]
    sounds = []
    for text in texts:
        frames = [np.eye(5)[[4] * 2]]
        for letter in text:
            frames += [np.eye(5)[["abc d".index(letter)] * int(random.integers(3, 6))], np.eye(5)[[4] * 2]]
        sounds.append(np.concatenate(frames) + 0.1 * random.normal(size=(sum(map(len, frames)), 5)))
    offsets = np.concatenate([[0], np.cumsum([len(sound) for sound in sounds])])
    form = SoundForm(kind="vectors", width=5)
    side = SoundSide(form=form, scaler=Scaler(columns=form.columns, mean=(0.2,) * 5, scale=(0.4,) * 5))
    source = SoundSource(FrameStore(np.concatenate(sounds).astype(np.float32), offsets), side)
    target = TextSide(symbols=Symbols(kind="characters", tokens=tuple("abc d")))
    answers = store_texts([texts], target.encode)
    encoders = PairEncoders(
        input=("file",), answer="text", source=side, target=target, longest_answer=4, texts=tuple(texts[:40])
    )
    parts = (
        PairPart(source, answers, np.arange(*span), "sounds.csv:{}".format, target.symbols.size)
        for span in ((0, 40), (40, 55), (55, 70))
    )
    return prepared(encoders, *parts)


def made_captions() -> Prepared:
    """What moves in a clip, and where to, in three letters."""
    clips = made_clips("grey")
    found = clips.encoders
    assert isinstance(found, ClassifyEncoders) and found.clip is not None
    encoders = pair_encoders().model_copy(update={"source": found.clip})
    parts = []
    for part in (clips.train, clips.valid, clips.test):
        assert isinstance(part, MadeClassify)
        texts = ["ab" if label else "fab" for label in part.labels.tolist()]
        parts.append(caption_part(part.sequences, texts, encoders))
    return prepared(encoders, *parts)


def caption_part(clips: list[np.ndarray], texts: list[str], encoders: PairEncoders) -> PairPart:
    offsets = np.concatenate([[0], np.cumsum([len(clip) for clip in clips])]).astype(np.int64)
    assert isinstance(encoders.source, Clip)
    source = FilmSource(FrameStore(np.concatenate(clips), offsets), encoders.source)
    answers = store_texts([texts], encoders.target.encode)
    return PairPart(source, answers, np.arange(len(texts)), lambda place: f"clip {place}", encoders.target.symbols.size)
