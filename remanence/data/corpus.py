"""What a model that generates learns from: a long text, many texts, or pieces of music.

.txt                        one stream, cut into windows that go on from each other; `document` "line": a text a line
.csv .jsonl .parquet …      a text a row, from the column `input`
.mat, .jsonl with lists     frames of notes (see `frames`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from remanence.data.encoders import GenerateEncoders
from remanence.data.examples import SCORED_STEPS
from remanence.data.frames import FramePart, Piece, is_notes, read_matrix, read_notes
from remanence.data.parts import DataParts
from remanence.data.shares import split_left
from remanence.data.sources import file_format, find, fingerprint
from remanence.data.spills import Spill
from remanence.data.splits import cut_in_time, split_examples, split_marks
from remanence.data.streams import DocumentPart, StreamPart
from remanence.data.symbols import Symbols, learn_symbols
from remanence.data.tables import open_table
from remanence.data.text_side import store_texts
from remanence.data.texts import Documents, LongText, text_column
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["GeneratePart", "is_music", "pieces_of", "prepare_generate", "reopen_generate"]

GeneratePart = StreamPart | DocumentPart | FramePart
GenerateParts = DataParts[GenerateEncoders, GeneratePart]
_WINDOW = 128


def prepare_generate(path: str | Path, settings: DataSettings) -> GenerateParts:
    """Read a file, split it, fit the symbols on the training part.

    A long text is split at characters, in its order, so that the parts are the same however it is cut into tokens.

    Raises:
        DataError: the file cannot be used, or its training part is empty.
    """
    path = find(path)
    kind = file_format(path, settings.format)
    settings = settings.model_copy(update={"task": "generate", "context": settings.context or _WINDOW})
    if is_music(path, settings):
        return _prepare_frames(path, kind, settings)
    if kind in ("ts", "arff"):
        raise DataError("an archive of labelled sequences, not a text", path=path, remedy="--task classify")
    if kind == "text" and settings.document != "line":
        return _prepare_stream(path, settings)
    return _prepare_documents(path, settings)


def reopen_generate(path: str | Path, settings: DataSettings, encoders: GenerateEncoders) -> GeneratePart:
    """Read a new file through fitted encoders: all of it, as one part.

    Raises:
        DataError: the file cannot be read, or holds music where texts were learnt, or the other way round.
    """
    path = find(path)
    kind = file_format(path, settings.format if path.suffix != ".jsonl" else None)
    settings = settings.model_copy(update={"input": encoders.input if kind not in ("text", "mat") else ()})
    settings = settings.model_copy(update={"split_column": None, "format": kind})
    if is_music(path, settings) != (encoders.symbols is None):
        learnt, came = ("music", "text") if encoders.symbols is None else ("text", "music")
        raise DataError(
            f"the model reads {learnt}, this file holds {came}", path=path, remedy="give a file like its own"
        )
    if encoders.symbols is None:
        return FramePart.of(_cut(pieces_of(path, settings), encoders.longest), path.name)
    if kind == "text" and encoders.document == "file":
        text = LongText(path)
        return _stream(text, 0, text.characters, encoders)
    documents = Documents(path, settings)
    store = store_texts(documents.batches(), encoders.symbols.encode)
    return DocumentPart(
        store.tokens, store.offsets, np.arange(len(documents)), encoders.symbols, path.name, encoders.longest
    )


def _prepare_stream(path: Path, settings: DataSettings) -> GenerateParts:
    notes: list[str] = []
    text = LongText(path)
    others = [None if name is None else LongText(find(name)) for name in (settings.valid_file, settings.test_file)]
    ends = cut_in_time(text.characters, split_left(settings, others[0], others[1], notes))
    sources = [(text, 0, ends[0]), (text, ends[0], ends[1]), (text, ends[1], ends[2])]
    for place, other in enumerate(others, 1):
        if other is not None:
            sources[place] = (other, 0, other.characters)
    counts = [stop - start for _, start, stop in sources]
    if not counts[0]:
        raise DataError("no training text", path=path, remedy="see --split")
    symbols = _fit(path, lambda: text.pieces(0, ends[0]), settings, notes)
    encoders = _encoders(settings, symbols, "file", "text")
    parts = [_stream(*source, encoders) for source in sources]
    notes.append(f"{counts[0]:,} training, {counts[1]:,} validation, {counts[2]:,} test characters, in this order")
    files = dict.fromkeys(source[0].path for source in sources)
    data = settings.model_copy(update={"tokens": symbols.kind, "document": "file"})
    return DataParts(data, encoders, parts[0], parts[1], parts[2], tuple(notes), fingerprint(*files))


def _stream(text: LongText, start: int, stop: int, encoders: GenerateEncoders) -> StreamPart:
    assert encoders.symbols is not None
    tokens = Spill(np.int32)
    for piece in text.pieces(start, stop):
        tokens.append(encoders.symbols.encode(piece))
    return StreamPart(tokens.finish(), encoders.symbols, encoders.context, text.path.name)


def _prepare_documents(path: Path, settings: DataSettings) -> GenerateParts:
    notes: list[str] = []
    main = Documents(path, settings)
    others = [None if name is None else Documents(name, settings) for name in (settings.valid_file, settings.test_file)]
    places = _places(main, others, settings, notes)
    files = [main, *(other or main for other in others)]
    if not len(places[0]):
        raise DataError("no training text", path=path, remedy="see --split")
    symbols = _fit(path, lambda: _chosen(main, places[0]), settings, notes)
    encoders = _encoders(settings, symbols, "line", main.column)
    stores = {file.path: store_texts(file.batches(), symbols.encode) for file in files}
    parts = [
        DocumentPart(
            stores[file.path].tokens, stores[file.path].offsets, where, symbols, file.path.name, settings.longest
        )
        for file, where in zip(files, places, strict=True)
    ]
    parts[1] = _thinned(parts[1], notes)
    notes.append(f"{len(parts[0])} training, {len(parts[1])} validation, {len(parts[2])} test texts")
    data = settings.model_copy(update={"tokens": symbols.kind, "document": "line", "input": encoders.input})
    found = fingerprint(*dict.fromkeys(file.path for file in files))
    return DataParts(data, encoders, parts[0], parts[1], parts[2], tuple(notes), found)


def _places(main: Documents, others: list[Any], settings: DataSettings, notes: list[str]) -> list[np.ndarray]:
    """Which texts belong to which part: by a column, or drawn by a fixed seed."""
    split = split_left(settings, others[0], others[1], notes)
    if settings.split_column is not None:
        if main.marks is None:
            raise SettingError("a file of lines has no columns", name="split_column", remedy="--split 0.8,0.1,0.1")
        marks = split_marks(main.marks, main.mark_names, settings.split_column, main.path)
        places = [np.flatnonzero(marks == part) for part in range(3)]
    else:
        places = _drawn(len(main), split, main.path)
    return [
        where if file is None else np.arange(len(file)) for where, file in zip(places, [None, *others], strict=True)
    ]


def _drawn(count: int, split: tuple[float, float, float], path: Path) -> list[np.ndarray]:
    """Divide so many examples by a fixed seed.

    Raises:
        DataError: fewer than there are parts.
    """
    if count < sum(part > 0 for part in split):
        raise DataError(f"{count} cannot be divided into the parts of --split", path=path, remedy="give more, or 1,0,0")
    return list(split_examples(np.zeros(count, np.int64), split, ("all",), path))


def _chosen(documents: Documents, places: np.ndarray) -> Iterator[str]:
    """The texts at these places."""
    inside = np.zeros(len(documents), bool)
    inside[places] = True
    row = 0
    for batch in documents.batches():
        yield "\n".join(text for text, kept in zip(batch, inside[row : row + len(batch)], strict=True) if kept)
        row += len(batch)


def _prepare_frames(path: Path, kind: str, settings: DataSettings) -> GenerateParts:
    notes: list[str] = []
    others = [None if name is None else find(name) for name in (settings.valid_file, settings.test_file)]
    column = "notes" if kind == "mat" else _column(path, settings)
    if kind == "mat":
        given = read_matrix(path)
        parts = [given.get(part, []) for part in range(3)]
    else:
        parts = _rows_of_notes(path, settings, split_left(settings, others[0], others[1], notes), column)
    for place, other in enumerate(others, 1):
        if other is not None:
            parts[place] = pieces_of(other, settings.model_copy(update={"format": None}))
    if not any(len(piece) > 1 for piece in parts[0]):
        raise DataError("no training piece of two frames or more", path=path, remedy="see --split")
    moves = (settings.transpose, 0, 0)
    made = [
        FramePart.of(_cut(pieces, settings.longest), path.name, move) for pieces, move in zip(parts, moves, strict=True)
    ]
    if settings.transpose:
        notes.append(f"training pieces also moved by up to {settings.transpose} keys up and down (--transpose)")
    notes.append(f"{len(made[0])} training, {len(made[1])} validation, {len(made[2])} test pieces of music")
    encoders = _encoders(settings, None, "line", column)
    data = settings.model_copy(update={"input": encoders.input, "document": "line"})
    found = fingerprint(path, *(other for other in others if other is not None))
    return DataParts(data, encoders, made[0], made[1], made[2], tuple(notes), found)


def _rows_of_notes(
    path: Path, settings: DataSettings, split: tuple[float, float, float], column: str
) -> list[list[Piece]]:
    """Pieces of JSON lines, for training, validation and test: by a column, or drawn by a fixed seed."""
    found = list(read_notes(open_table(path, settings), column))
    if settings.split_column:
        names = list(dict.fromkeys(str(row.get(settings.split_column)) for row, _ in found))
        marks = np.array([names.index(str(row.get(settings.split_column))) for row, _ in found])
        of = split_marks(marks, names, settings.split_column, path)
        places = [np.flatnonzero(of == part) for part in range(3)]
    else:
        places = _drawn(len(found), split, path)
    return [[found[place][1] for place in where] for where in places]


def is_music(path: Path, settings: DataSettings) -> bool:
    """Whether a file holds frames of notes, not texts."""
    kind = file_format(path, settings.format)
    if kind != "jsonl":
        return kind == "mat"
    table = open_table(path, settings)
    columns = [column for column in settings.input if column in table.columns] or table.columns
    return any(is_notes(table, column) for column in columns)


def pieces_of(path: Path, settings: DataSettings) -> list[Piece]:
    """Every piece of music of a file."""
    if file_format(path, settings.format) == "mat":
        return [piece for part in read_matrix(path).values() for piece in part]
    return [piece for _, piece in read_notes(open_table(path, settings), _column(path, settings))]


def _column(path: Path, settings: DataSettings) -> str:
    """The column of lists of notes, or of texts where there is none."""
    table = open_table(path, settings)
    lists = [column for column in table.columns if is_notes(table, column)]
    lists = [column for column in lists if not settings.input or column in settings.input]
    return lists[0] if lists else text_column(table, settings)


def _cut(pieces: list[Piece], longest: int | None) -> list[Piece]:
    return pieces if longest is None else [piece[: longest + 1] for piece in pieces]


def _fit(path: Path, texts: Callable[[], Iterator[str]], settings: DataSettings, notes: list[str]) -> Symbols:
    """Learn the symbols; characters unless told otherwise, in any language."""
    kind = settings.tokens or "characters"
    if settings.tokens is None:
        notes.append("tokens: characters (--tokens words, --tokens subwords)")
    symbols = learn_symbols(texts(), kind, settings.vocabulary)
    if all(token.isspace() for token in symbols.tokens):
        raise DataError("the training text is blank", path=path, remedy="check --input and --split")
    notes.append(f"vocabulary: {len(symbols.tokens)} {kind} (--vocabulary)")
    return symbols


def _encoders(settings: DataSettings, symbols: Symbols | None, document: Any, column: str) -> GenerateEncoders:
    return GenerateEncoders(
        input=(column,),
        document=document,
        symbols=symbols,
        context=settings.context or _WINDOW,
        longest=settings.longest,
    )


def _thinned(valid: DocumentPart, notes: list[str]) -> DocumentPart:
    """Of a very large validation part, texts spread evenly: it is read again and again while training."""
    steps, texts = int(valid.lengths.sum()), len(valid)
    if steps <= SCORED_STEPS:
        return valid
    kept = np.linspace(0, texts - 1, max(1, texts * SCORED_STEPS // steps)).astype(np.int64)
    notes.append(f"validation: {len(kept)} of {texts} texts, spread evenly")
    return valid.at(kept)
