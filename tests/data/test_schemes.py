"""Spans as the CoNLL scorer reads them: by hand, by seqeval where it is installed, and on the outputs of WNUT-17."""

from __future__ import annotations

import tarfile
from itertools import pairwise, product

import pytest
from helpers import shared_data

from remanence.data.schemes import Span, allowed, guess_scheme, spans, spelled

HAND = {
    "": [],
    "O O": [],
    "B-x I-x O B-x": [("x", 0, 2), ("x", 3, 4)],
    "I-x I-x": [("x", 0, 2)],
    "B-x I-y": [("x", 0, 1), ("y", 1, 2)],
    "B-x B-x": [("x", 0, 1), ("x", 1, 2)],
    "S-x S-x E-x": [("x", 0, 1), ("x", 1, 2), ("x", 2, 3)],
    "B-x I-x E-x S-y": [("x", 0, 3), ("y", 3, 4)],
    "B-x M-x E-x O": [("x", 0, 3)],
    "B-x E-x E-x": [("x", 0, 2), ("x", 2, 3)],
    "B-x O I-x": [("x", 0, 1), ("x", 2, 3)],
    "B-geo-loc I-geo-loc": [("geo-loc", 0, 2)],
}


@pytest.mark.parametrize("labels", HAND)
def test_spans_by_hand(labels: str) -> None:
    assert spans(labels.split()) == [Span(*span) for span in HAND[labels]]


def test_spans_match_seqeval() -> None:
    theirs = pytest.importorskip("seqeval.metrics.sequence_labeling", reason="seqeval is not installed").get_entities
    for size in (1, 2, 3, 4):
        for labels in product(("O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y"), repeat=size):
            expected = [(kind, start, stop + 1) for kind, start, stop in theirs(list(labels))]
            assert spans(labels) == expected, labels


def test_scheme_is_told_from_the_labels() -> None:
    assert guess_scheme(["O", "B-x", "E-x"]) == "BIOES"
    assert guess_scheme(["O", "I-x"]) == "none"
    assert guess_scheme(["B-PER.NAM", "I-PER.NAM", "O"]) == "BIO"
    assert guess_scheme(["B", "M", "E", "S"]) == "BMES"
    assert guess_scheme(["I", "E"]) == "none"
    assert guess_scheme(["O"]) == "none"
    assert guess_scheme(["B-x", "NOUN"]) == "none"


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BMES"])
def test_allowed_sequences_are_those_that_read_back_as_written(scheme: str) -> None:
    """A sequence is well-formed where writing its spans anew gives the same labels."""
    letters = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES"}[scheme]
    labels = ["O", *(f"{letter}-{kind}" for letter in letters for kind in "xy")]
    follow, begin, end = allowed(labels, scheme)
    for path in product(range(len(labels)), repeat=3):
        fits = begin[path[0]] and end[path[-1]] and all(follow[a, b] for a, b in pairwise(path))
        names = [labels[at] for at in path]
        assert fits == (_written(spans(names), 3, scheme) == names), names
        assert spelled(spans(names), 3, scheme) == _written(spans(names), 3, scheme)


def _written(found: list[Span], size: int, scheme: str) -> list[str]:
    labels = ["O"] * size
    for kind, start, stop in found:
        inner = "M" if scheme == "BMES" else "I"
        labels[start:stop] = [f"B-{kind}"] + [f"{inner}-{kind}"] * (stop - start - 1)
        if scheme != "BIO":
            labels[stop - 1] = f"E-{kind}" if stop - start > 1 else f"S-{kind}"
    return labels


PUBLISHED = {
    "uh_ritual": (41.86, 40.38), "spinningbytes.txt": (40.78, None), "sjtu_adapt.txt": (40.42, None),
    "arcada": (39.98, None), "flytxt": (38.35, None), "mic-cis.txt": (37.06, None), "drexel_cci": (26.30, None),
}  # fmt: skip


def _columns(archive: tarfile.TarFile, name: str) -> list[list[list[str]]]:
    inside = archive.extractfile(f"wnut17/{name}")
    assert inside is not None
    text = inside.read().decode().replace("\r", "")
    return [[line.split() for line in part.split("\n")] for part in text.strip().split("\n\n") if part.strip()]


def test_scores_of_the_wnut_systems_are_the_published_ones() -> None:
    with tarfile.open(shared_data("tag/wnut17.tar.xz")) as archive:
        gold = [[cells for cells in part if cells] for part in _columns(archive, "emerging.test.annotated")]
        for system, (entity, surface) in PUBLISHED.items():
            answers = iter([c[-1] for part in _columns(archive, f"submissions/{system}") for c in part if c])
            true, found, hits = 0, 0, 0
            forms: tuple[set, set] = set(), set()
            for sentence in gold:
                own = set(spans([cells[-1] for cells in sentence]))
                theirs = set(spans([next(answers) for _ in sentence]))
                true, found, hits = true + len(own), found + len(theirs), hits + len(own & theirs)
                for held, every in zip(forms, (own, theirs), strict=True):
                    held.update((kind, *(cells[0] for cells in sentence[a:b])) for kind, a, b in every)
            assert 200 * hits / (true + found) == pytest.approx(entity, abs=0.005), system
            if surface is not None:
                both = len(forms[0] & forms[1])
                assert 200 * both / (len(forms[0]) + len(forms[1])) == pytest.approx(surface, abs=0.005)
