"""What the studies of texts read is what their papers did."""

from __future__ import annotations

from pathlib import Path

from helpers import shared_data

from bench.generate_studies import GENERATE_STUDIES
from remanence.data.texts import LongText


def test_the_novel_has_the_symbols_of_its_paper(tmp_path: Path) -> None:
    source = shared_data("generate/warpeace_input.txt.xz")
    text = LongText(GENERATE_STUDIES["warpeace"].unpack(source, tmp_path)["path"])
    symbols, ends = set[str](), 0
    for piece in text.pieces(0, text.characters):
        symbols |= set(piece)
        ends += piece.count("␍\n")
    # 62,016 line ends, two symbols each; Karpathy et al. 2015 tell of 87.
    assert (len(symbols), ends, text.characters) == (87, 62_016, 3_258_230)
