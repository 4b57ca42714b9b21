"""How texts without labels use words: counts by hand, files that cannot be used, and what a tagger is fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from remanence.data.tagged import prepare_tag, reopen_tag
from remanence.data.usage import USES_OF_WORDS, Usage, learn_usage, read_usage
from remanence.errors import DataError, SettingError
from remanence.settings import settings_from

TRAIN = "Ann\tB-per\nruns\tO\n\nBob\tB-per\nruns\tO\n\nthe\tO\nend\tO\n"


def _kinds(*texts: str) -> dict[str, int]:
    found = learn_usage(texts)
    return dict(zip(found.words, found.kinds, strict=True))


def _kind(level: int, share: int) -> int:
    return 1 + 5 * level + share


def test_levels_are_logarithms_of_counts() -> None:
    for count, level in ((1, 0), (2, 1), (3, 1), (4, 2), (255, 7), (256, 8), (5000, 8)):
        assert _kinds("x " * count) == {"x": _kind(level, 0)}
    assert _kind(8, 4) == USES_OF_WORDS - 1


@pytest.mark.parametrize(
    ("small", "capital", "share"), [(20, 0, 0), (20, 1, 0), (19, 1, 1), (7, 3, 2), (3, 7, 3), (1, 19, 4), (0, 20, 4)]
)
def test_shares_are_those_of_capitals(small: int, capital: int, share: int) -> None:
    found = _kinds("and " + "bank " * small + "Bank " * capital)
    assert found["bank"] == _kind((small + capital).bit_length() - 1, share)


def test_beginnings_of_sentences_and_words_in_capitals_say_nothing() -> None:
    assert _kinds("Ann ran. Bob ran! “Ann ran?” Eve ran\nZoe ran, I ran: NASA ran… Max ran") == {"ran": _kind(3, 0)}
    assert _kinds("he saw McCoy and O’Neill, Élan") == {
        "he": 1, "saw": 1, "and": 1, "mccoy": _kind(0, 4), "o’neill": _kind(0, 4), "élan": _kind(0, 4),
    }  # fmt: skip
    # Digits and signs are no words; a text of the one and of the other end is counted as one.
    assert _kinds("a1 2 #b", "don't a") == {"a": _kind(1, 0), "b": 1, "don't": 1}


def test_kinds_of_tokens_do_not_heed_how_these_are_written() -> None:
    usage = learn_usage(["we saw Ann"])
    assert usage.of(["ann", "ANN", "Ann", "Saw", "Bob", "!"]).tolist() == [5, 5, 5, 1, 0, 0]
    assert Usage.model_validate_json(usage.model_dump_json()) == usage


@pytest.mark.parametrize("kinds", [(1,), (1, 0), (1, USES_OF_WORDS)])
def test_a_table_that_does_not_fit_is_refused(kinds: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Usage(words=("a", "b"), kinds=kinds)


def test_files_are_counted_together_and_refused_by_name(tmp_path: Path) -> None:
    one, two, none = (tmp_path / name for name in ("one.txt", "two.txt", "none.txt"))
    one.write_text("we saw Ann", encoding="utf-8")
    two.write_text("they saw Ann", encoding="utf-8")
    none.write_text("12 !\n", encoding="utf-8")
    long = tmp_path / "long.txt"
    # Wherever it is cut to be read, no line begins there.
    long.write_text("x saw Ann\n" * 120_000, encoding="utf-8")
    assert dict(zip(*vars(read_usage([str(long)])).values(), strict=True)) == {"ann": 45, "saw": 41, "x": 41}
    assert read_usage([str(one), str(two)]) == learn_usage(["we saw Ann", "they saw Ann"])
    with pytest.raises(DataError, match=r"none\.txt: no words in it — .*--word-texts"):
        read_usage([str(none)])
    with pytest.raises(DataError, match=r"absent\.txt"):
        read_usage([str(tmp_path / "absent.txt")])
    two.write_bytes(b"fine\n\xff\n")
    with pytest.raises(DataError, match=r"two\.txt:2"):
        read_usage([str(one), str(two)])


def test_a_tagger_is_fed_the_use_of_each_word(tmp_path: Path) -> None:
    texts, train, new = (tmp_path / name for name in ("texts.txt", "train.conll", "new.conll"))
    texts.write_text("then Ann runs, then Zoe runs", encoding="utf-8")
    train.write_text(TRAIN * 4, encoding="utf-8")
    new.write_text("Zoe\tB-per\nruns\tO\n\nBob\tB-per\n", encoding="utf-8")
    data = settings_from({"task": "tag", "word_texts": str(texts)}).data
    made, plain = prepare_tag(train, data), prepare_tag(train, data.model_copy(update={"word_texts": ()}))
    assert "4 words of texts without labels (--word-texts)" in "; ".join(made.notes)
    assert made.fingerprint != plain.fingerprint
    batch, without = (
        reopen_tag(new, each.data, each.encoders).batch(np.arange(2)).inputs.data for each in (made, plain)
    )
    assert batch[..., 1].tolist() == [[5, 6], [0, 0]]
    assert batch[..., [0, *range(2, batch.shape[2])]].tolist() == without.tolist()


def test_characters_have_no_words_to_count(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("then", encoding="utf-8")
    (tmp_path / "train.conll").write_text("我\tA\n你\tB\n\n" * 9, encoding="utf-8")
    given = settings_from({"task": "tag", "word_texts": str(tmp_path / "texts.txt")})
    with pytest.raises(SettingError, match="--word-texts: counts words, and tokens are characters"):
        prepare_tag(tmp_path / "train.conll", given.data)
