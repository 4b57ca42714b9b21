"""Files of tokens with a label each: CoNLL-U, columns of other kinds, JSON lines with two lists, lines of text.

CoNLL-U (universaldependencies.org/format.html) has ten columns between tabs. Its lines for several words (`3-4`) and
for words that do not stand in the text (`5.1`) hold no token of their own and are passed over. Other column files have
as many columns as they like, a blank line between two sentences; the token is in the first and the label in the last,
unless `--input` and `--label` name others by number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from remanence.data.rows import Table, raw_rows, refuse_bytes
from remanence.data.sources import file_format, find, format_of_name, open_text, reading
from remanence.data.step_records import Sentence, StepRecords, gather_sentences
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["CONLLU", "Layout", "guess_layout", "read_tokens"]

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_WORD = re.compile(r"[1-9]\d*")
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")
_HEAD = 200


@dataclass(frozen=True)
class Layout:
    """How a file of tokens is read.

    Args:
        kind: conllu, conll, jsonl or text.
        token, label: names of the columns: of CoNLL-U, keys of JSON, or numbers from 1 in a column file.
        delimiter: between columns; empty for any white space.
        columns: how many there are in a line.
        notes: what was guessed.
    """

    kind: str
    token: str
    label: str
    delimiter: str = ""
    columns: int = 0
    notes: tuple[str, ...] = ()


def guess_layout(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Layout:
    """Say how a file of tokens is read: as asked, else as its first lines look.

    Raises:
        DataError, SettingError: a column that is not there.
    """
    path = find(path)
    kind = file_format(path, settings.format)
    token = settings.input[0] if settings.input else ""
    label = settings.label or ""
    if kind == "conllu":
        token, label = token or "form", label or "upos"
        for flag, name in (("input", token), ("label", label)):
            if name not in CONLLU:
                raise SettingError(f"'{name}' is no column of CoNLL-U", name=flag, remedy=f"one of {', '.join(CONLLU)}")
        notes = () if settings.label else (f"label: column '{label}' (--label)",)
        return Layout(kind, token, label, "\t", len(CONLLU), notes)
    if kind == "jsonl":
        return _json_layout(path, token, label, answers)
    if kind == "text" or (kind == "conll" and not answers and _are_texts(path, settings)):
        if answers:
            raise DataError("lines of text hold no labels", path=path, remedy="give a column file or JSON lines")
        return Layout("text", token or "text", label)
    return _column_layout(path, settings, token, label, answers)


def _are_texts(path: Path, settings: DataSettings) -> bool:
    """Whether what the training file's format takes for columns are lines of text, by ending and first lines."""
    if format_of_name(path) != "text":
        return False
    head = _head(path)
    if not settings.delimiter:
        counts = {len(_cut(text, "")) for text in head}
        return not any("\t" in text for text in head) and (len(counts) > 1 or (len(head) == 1 and counts != {1}))
    return not any(settings.delimiter in text for text in head) and any(len(text.split()) > 1 for text in head)


def _head(path: Path) -> list[str]:
    """The first lines that hold something."""
    return list(islice((text for _, text in _lines(path) if text.strip() and not _starts_document(text)), _HEAD))


def _json_layout(path: Path, token: str, label: str, answers: bool) -> Layout:
    """Keys by their names, else the first that holds lists: tokens, then labels."""
    head = [row[0] for _, row in islice(raw_rows(Table(path, "jsonl", ())), _HEAD)]
    lists = dict.fromkeys(name for row in head for name, value in row.items() if isinstance(value, list))
    notes = []
    if not token:
        # Without a list, a text is cut into tokens: to predict.
        keys = lists or dict.fromkeys(name for row in head for name, value in row.items() if isinstance(value, str))
        token = next((name for name in ("tokens", "words", "text") if name in keys), next(iter(keys), "tokens"))
        notes.append(f"tokens: '{token}' (--input)")
    if not label:
        rest = [name for name in lists if name != token]
        label = next((name for name in ("labels", "tags", "ner_tags") if name in rest), next(iter(rest), "labels"))
        notes.append(f"labels: '{label}' (--label)")
    if answers and head and not any(label in row for row in head):
        raise DataError("no such key (--label)", path=path, line=1, column=label, remedy=f"keys: {', '.join(lists)}")
    return Layout("jsonl", token, label, notes=tuple(notes))


def _column_layout(path: Path, settings: DataSettings, token: str, label: str, answers: bool) -> Layout:
    head = _head(path)
    if not head:
        raise DataError("no line with a token", path=path, remedy="expected a token and its label a line")
    delimiter, notes = settings.delimiter or "", []
    if not delimiter:
        delimiter = "\t" if all("\t" in text for text in head) else ""
        notes.append(f"columns between {'tabs' if delimiter else 'blanks'} (--delimiter)")
    columns = len(_cut(head[0], delimiter))
    if answers and columns < 2:
        raise DataError(
            f"one column, came '{head[0].strip()[:40]}'", path=path, line=1, remedy="a token and its label a line"
        )
    if not label:
        notes.append(f"labels: column {columns}, the last (--label)")
    if not token:
        notes.append("tokens: column 1 (--input)")
    token, label = token or "1", label or str(columns)
    for flag, name in (("input", token), *((("label", label),) if answers else ())):
        if not name.isascii() or not name.isdecimal() or not 1 <= int(name) <= columns:
            raise SettingError(
                f"expected the number of a column, 1 … {columns}, came '{name}'", name=flag, remedy="count from 1"
            )
    return Layout("conll", token, label, delimiter, columns, tuple(notes))


def read_tokens(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read a file of tokens.

    Args:
        settings: input, label, delimiter, format; `tokens` says how JSON and lines of text are cut.
        answers: labels must be there.

    Raises:
        DataError: a line of other columns, a missing label, lists of unlike length: with its line.
    """
    path = find(path)
    layout = guess_layout(path, settings, answers=answers)

    def sentences() -> Iterator[Sentence]:
        readers = {"jsonl": _json, "text": _texts}
        yield from readers.get(layout.kind, _columns)(path, layout, settings, answers)

    def line_of_step(step: int) -> int:
        seen = 0
        for sentence in sentences():
            if seen + len(sentence.tokens) > step:
                return _line_within(path, layout, sentence.line, step - seen)
            seen += len(sentence.tokens)
        return 0

    return gather_sentences(path, sentences(), line_of_step, layout.notes)


def _line_within(path: Path, layout: Layout, line: int, step: int) -> int:
    """The line of a token of the sentence that starts at `line`."""
    if layout.kind in ("jsonl", "text"):
        return line
    for number, text in _lines(path):
        if number >= line and text.strip() and not _passed_over(text, layout):
            if step == 0:
                return number
            step -= 1
    return line


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with reading(path), open_text(path) as lines:
        for line, text in enumerate(lines, 1):
            if not text.isascii():
                refuse_bytes(text, path, line)
            yield line, text.rstrip("\r\n")


def _cut(text: str, delimiter: str) -> list[str]:
    return text.split(delimiter) if delimiter else text.split()


def _starts_document(text: str) -> bool:
    return text.startswith("-DOCSTART-")


def _passed_over(text: str, layout: Layout) -> bool:
    """Whether a line that is not blank holds no token."""
    if layout.kind == "conllu":
        return text.startswith("#") or bool(_NO_WORD.fullmatch(text.partition("\t")[0]))
    return _starts_document(text)


def _columns(path: Path, layout: Layout, settings: DataSettings, answers: bool) -> Iterator[Sentence]:
    """Sentences of CoNLL-U or another column file."""
    if layout.kind == "conllu":
        token, label = CONLLU.index(layout.token), CONLLU.index(layout.label)
    else:
        token, label = int(layout.token) - 1, int(layout.label) - 1
    start, tokens, labels = 0, list[str](), list[str]()
    for line, text in _lines(path):
        if not text.strip():
            if tokens:
                yield Sentence(start, tokens, labels if answers else None)
            start, tokens, labels = 0, [], []
            continue
        if _passed_over(text, layout):
            continue
        cells = _cut(text, layout.delimiter)
        if len(cells) != layout.columns:
            between = "tabs" if layout.delimiter == "\t" else f"'{layout.delimiter}'" if layout.delimiter else "blanks"
            raise DataError(
                f"expected {layout.columns} columns between {between}, came {len(cells)}",
                path=path,
                line=line,
                remedy="mend the line" if layout.kind == "conllu" else "mend the line, or see --delimiter",
            )
        if layout.kind == "conllu" and not _WORD.fullmatch(cells[0]):
            raise DataError(
                f"expected the number of a word, came '{cells[0][:20]}'", path=path, line=line, column="id",
                remedy="1, 2, … within a sentence",
            )  # fmt: skip
        if not cells[token].strip():
            raise DataError("an empty token", path=path, line=line, column=layout.token, remedy="mend the line")
        start = start or line
        tokens.append(cells[token].strip())
        if answers:
            labels.append(_label(cells[label], path, line, layout))
    if tokens:
        yield Sentence(start, tokens, labels if answers else None)


def _label(cell: str, path: Path, line: int, layout: Layout) -> str:
    cell = cell.strip()
    # Only of features and of the like does an underscore say "none" in CoNLL-U.
    if not cell or (layout.kind == "conllu" and cell == "_" and layout.label in ("upos", "xpos", "deprel")):
        raise DataError("the label is missing", path=path, line=line, column=layout.label, remedy="label every token")
    return cell


def _json(path: Path, layout: Layout, settings: DataSettings, answers: bool) -> Iterator[Sentence]:
    with reading(path):
        for line, (row,) in raw_rows(Table(path, "jsonl", ())):
            tokens = _list(row, layout.token, path, line, settings)
            labels = None
            if answers:
                labels = _list(row, layout.label, path, line, None)
                if len(labels) != len(tokens):
                    raise DataError(
                        f"{len(tokens)} tokens, but {len(labels)} labels", path=path, line=line, remedy="one for each"
                    )
            extra = (settings.group, settings.split_column) if answers else (None, None)
            group, mark = (_text(row, name, path, line) if name else "" for name in extra)
            yield Sentence(line, tokens, labels, group, mark)


def _list(row: dict[str, Any], key: str, path: Path, line: int, settings: DataSettings | None) -> list[str]:
    """A list of texts; with `settings`, of tokens, also as one text that is cut."""
    value = row.get(key)
    if settings is not None and isinstance(value, str):
        value = _tokens(value, settings)
    if isinstance(value, list):
        # Numbers are taken as names: many files number their labels.
        value = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in value]
    texts = [each for each in value if isinstance(each, str) and each.strip()] if isinstance(value, list) else []
    if not isinstance(value, list) or not value or len(texts) < len(value):
        what = "nothing" if value is None else str(value)[:40]
        raise DataError(
            f"expected a list of texts that are not empty, came {what}", path=path, line=line, column=key,
            remedy='such as {"tokens": ["A", "dog"], "labels": ["DET", "NOUN"]}',
        )  # fmt: skip
    return texts


def _text(row: dict[str, Any], key: str, path: Path, line: int) -> str:
    value = row.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DataError("expected a text", path=path, line=line, column=key, remedy="give every line one")
    return str(value)


def _texts(path: Path, layout: Layout, settings: DataSettings, answers: bool) -> Iterator[Sentence]:
    """A sentence a line, for a prediction; blank lines are passed over."""
    for line, text in _lines(path):
        if tokens := _tokens(text, settings):
            yield Sentence(line, tokens, None)


def _tokens(text: str, settings: DataSettings) -> list[str]:
    """Words between blanks, or every character but blanks."""
    return list("".join(text.split())) if settings.tokens == "characters" else text.split()
