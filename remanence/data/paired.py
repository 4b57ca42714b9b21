"""From files to parts of pairs: what is read, and the text to write for it.

A kind of source other than texts is one more class of `Source`, and one more model of the union `PairEncoders.source`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from remanence.data.encoders import PairEncoders
from remanence.data.pair_part import PairPart, TextSource
from remanence.data.pairs import Pairs, is_parallel, read_pairs
from remanence.data.parts import DataParts
from remanence.data.schema_pairs import name_pairs
from remanence.data.shares import Share, share_out
from remanence.data.sources import find, fingerprint
from remanence.data.text_side import TextSide, TokenStore, fit_side, store_texts
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["PairParts", "prepare_pairs", "reopen_pairs"]

PairParts = DataParts[PairEncoders, PairPart]


def prepare_pairs(path: str | Path, settings: DataSettings, task: str) -> PairParts:
    """Read a file, split it, fit both sides on the training part.

    Args:
        task: `translate` or `summarise`, recorded in the settings.

    Raises:
        DataError: the file cannot be used, or its training part is empty.
    """
    notes: list[str] = []
    path = find(path)
    settings = name_pairs(path, settings, notes).model_copy(update={"task": task})
    main = read_pairs(path, settings)
    shares = share_out(main, settings, notes, read_pairs)
    source = _fit(shares[0], settings, notes, answers=False)
    target = _fit(shares[0], settings, notes, answers=True)
    stores = {id(share.records): _stored(share.records, source, target) for share in shares}
    answers = stores[id(main)][1]
    assert answers is not None
    encoders = PairEncoders(
        input=settings.input or ("text",),
        answer=settings.answer or "answer",
        source=source,
        target=target,
        longest=settings.longest,
        longest_answer=int(answers.lengths[shares[0].places].max(initial=0)),
    )
    parts = [_part(share.records, stores[id(share.records)], share.places, encoders) for share in shares]
    notes.append(f"{len(parts[0])} training, {len(parts[1])} validation, {len(parts[2])} test pairs")
    files = dict.fromkeys(file for share in shares for file in share.records.files)
    data = settings.model_copy(update={"tokens": source.symbols.kind, "answer_tokens": target.symbols.kind})
    return DataParts(data, encoders, parts[0], parts[1], parts[2], tuple(notes), fingerprint(*files))


def reopen_pairs(path: str | Path, settings: DataSettings, encoders: PairEncoders, *, answers: bool) -> PairPart:
    """Read a new file through fitted encoders: all of it, as one part.

    Args:
        answers: the texts to write must be there; else they are not read.
    """
    path = find(path)
    plain = settings.model_copy(update={"input": (), "group": None, "split_column": None})
    if not is_parallel(path, plain):
        plain = plain.model_copy(update={"input": encoders.input})
    pairs = read_pairs(path, plain, answers=answers)
    return _part(pairs, _stored(pairs, encoders.source, encoders.target), np.arange(len(pairs)), encoders)


def _fit(train: Share[Pairs], settings: DataSettings, notes: list[str], *, answers: bool) -> TextSide:
    """Fit one side on the training part."""
    pairs, places = train.records, train.places
    kind = settings.answer_tokens if answers else settings.tokens
    side = fit_side(
        lambda: (pairs.answers if answers else pairs.sources)(places), kind,
        limit=settings.vocabulary, lower=settings.lower,
    )  # fmt: skip
    if all(token.isspace() for token in side.symbols.tokens):
        raise DataError("the training texts are blank", path=pairs.path, remedy="check --input and --answer")
    cut, count = side.symbols.kind, len(side.symbols.tokens)
    if answers:
        notes.append(f"to write: {count} {cut} (--answer-tokens, --vocabulary)")
    else:
        notes.append(f"to read: {count} {cut} (--tokens, --vocabulary)")
    return side


def _stored(pairs: Pairs, source: TextSide, target: TextSide) -> tuple[TokenStore, TokenStore | None]:
    """The tokens of both sides of a file."""
    answers = None if pairs.answer is None else store_texts(pairs.answers(), target.encode)
    return store_texts(pairs.sources(), source.encode), answers


def _part(
    pairs: Pairs, stores: tuple[TokenStore, TokenStore | None], places: np.ndarray, encoders: PairEncoders
) -> PairPart:
    source = TextSource(stores[0], encoders.source, encoders.longest)
    return PairPart(source, stores[1], places, pairs.where, encoders.target.symbols.size)
