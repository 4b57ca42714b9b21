"""From files to parts of pairs: what is read, and the text to write for it.

A kind of source other than texts is one more class of `Source`, and one more model of the union `PairEncoders.source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from remanence.data.clips import Clip
from remanence.data.encoders import PairEncoders
from remanence.data.film_source import film_sources, holds_films, reopened_films
from remanence.data.pair_part import PairPart, Source, TextSource
from remanence.data.pairs import Pairs, is_parallel, read_pairs
from remanence.data.parts import DataParts
from remanence.data.schema_pairs import name_pairs
from remanence.data.shares import Share, share_out
from remanence.data.sound_source import Sourced, holds_sounds, reopened_sounds, sound_sources
from remanence.data.sources import find, fingerprint
from remanence.data.text_side import TextSide, TokenStore, fit_side, store_texts
from remanence.errors import DataError
from remanence.settings import DataSettings

__all__ = ["PairParts", "prepare_pairs", "reopen_pairs"]

PairParts = DataParts[PairEncoders, PairPart]
_MOST_SPOKEN = 5_000_000
"""Characters of training texts that a run keeps for its language model."""


def prepare_pairs(path: str | Path, settings: DataSettings, task: str) -> PairParts:
    """Read a file, split it, fit both sides on the training part.

    Args:
        task: `translate`, `summarise` or `transcribe`, recorded in the settings.

    Raises:
        DataError: the file cannot be used, or its training part is empty.
    """
    notes: list[str] = []
    path = find(path)
    settings = name_pairs(path, settings, notes).model_copy(update={"task": task})
    main = read_pairs(path, settings)
    shares = share_out(main, settings, notes, read_pairs)
    target = _fit(shares[0], settings, notes, answers=True)
    sourced = _sourced(shares, settings, notes)
    answers = {id(share.records): store_texts(share.records.answers(), target.encode) for share in shares}
    lengths = answers[id(main)].lengths[sourced.places[0]]
    encoders = PairEncoders(
        input=settings.input or ("text",),
        answer=settings.answer or "answer",
        source=sourced.side,
        target=target,
        longest=settings.longest,
        longest_answer=int(lengths.max(initial=0)),
        texts=_spoken(main, sourced.places[0]) if task == "transcribe" else (),
    )
    parts = [
        _part(share.records, sourced.sources, answers[id(share.records)], places, encoders)
        for share, places in zip(shares, sourced.places, strict=True)
    ]
    notes.append(f"{len(parts[0])} training, {len(parts[1])} validation, {len(parts[2])} test pairs")
    files = dict.fromkeys([*(file for share in shares for file in share.records.files), *sourced.files])
    kinds = {"answer_tokens": target.symbols.kind}
    if isinstance(sourced.side, TextSide):
        kinds["tokens"] = sourced.side.symbols.kind
    data = settings.model_copy(update=kinds)
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
    stored = None if pairs.answer is None else store_texts(pairs.answers(), encoders.target.encode)
    if isinstance(encoders.source, TextSide):
        stores = store_texts(pairs.sources(), encoders.source.encode)
        source: Source = TextSource(stores, encoders.source, encoders.longest)
        return _part(pairs, {id(pairs): source}, stored, np.arange(len(pairs)), encoders)
    if isinstance(encoders.source, Clip):
        sourced = reopened_films(pairs, plain, encoders.source)
    else:
        sourced = reopened_sounds(pairs, plain, encoders.source, encoders.longest)
    return _part(pairs, sourced.sources, stored, sourced.places[0], encoders)


def _sourced(shares: Sequence[Share[Pairs]], settings: DataSettings, notes: list[str]) -> Sourced:
    """What is read of all parts, by what the training file holds."""
    main = shares[0].records
    if holds_sounds(main):
        return sound_sources(shares, settings, notes)
    return (film_sources if holds_films(main) else _text_sources)(shares, settings, notes)


def _text_sources(shares: Sequence[Share[Pairs]], settings: DataSettings, notes: list[str]) -> Sourced:
    """Texts to read, cut as the training part was."""
    side = _fit(shares[0], settings, notes, answers=False)
    sources = {
        id(share.records): TextSource(store_texts(share.records.sources(), side.encode), side, settings.longest)
        for share in shares
    }
    return Sourced(side, sources, tuple(share.places for share in shares), ())


def _spoken(pairs: Pairs, places: np.ndarray) -> tuple[str, ...]:
    """Training texts that a language is learnt from, as many as are worth keeping in a run."""
    kept: list[str] = []
    held = 0
    for text in (text for batch in pairs.answers(places) for text in batch):
        held += len(text)
        if held > _MOST_SPOKEN:
            break
        kept.append(text)
    return tuple(kept)


def _fit(train: Share[Pairs], settings: DataSettings, notes: list[str], *, answers: bool) -> TextSide:
    """Fit one side on the training part."""
    pairs, places = train.records, train.places
    kind = settings.answer_tokens if answers else settings.tokens
    if answers and kind is None and settings.task == "transcribe":
        # What is heard is spelled: letters have sounds of their own, words thousands.
        kind = "characters"
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


def _part(
    pairs: Pairs, sources: Mapping[int, Source], answers: TokenStore | None, places: np.ndarray, encoders: PairEncoders
) -> PairPart:
    return PairPart(sources[id(pairs)], answers, places, pairs.where, encoders.target.symbols.size)
