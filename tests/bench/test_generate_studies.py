"""What the studies of texts read is what their papers did; what is kept of any study is no machine's own."""

from __future__ import annotations

from pathlib import Path

from helpers import shared_data

from bench import study
from bench.generate_studies import GENERATE_STUDIES
from remanence.data.texts import LongText


def test_results_name_files_and_not_where_they_lie() -> None:
    settings = {"data": {"test_file": "/data/test.tsv", "word_texts": ["/data/a.txt", "b.txt"], "delimiter": ";"}}
    found = {"data": {"test_file": "test.tsv", "word_texts": ["a.txt", "b.txt"], "delimiter": ";"}}
    assert study._by_name(settings) == found
    kept = sorted(study.RESULTS.glob("*.json"))
    assert kept and not [file.name for file in kept if '"/' in file.read_text(encoding="utf-8")]


def test_the_novel_has_the_symbols_of_its_paper(tmp_path: Path) -> None:
    source = shared_data("generate/warpeace_input.txt.xz")
    path = GENERATE_STUDIES["warpeace"].unpack(source, tmp_path)["path"]
    # Karpathy et al. 2015 tell of 87 symbols, which are bytes: five characters beyond ASCII have several.
    assert len(set(path.read_text(encoding="utf-8").replace("␍", "\r").encode())) == 87
    text = LongText(path)
    symbols, ends = set[str](), 0
    for piece in text.pieces(0, text.characters):
        symbols |= set(piece)
        ends += piece.count("␍")
    # Two symbols each; the mark of byte order is none.
    assert (len(symbols), ends, text.characters) == (83, 62_016, 3_258_230)
