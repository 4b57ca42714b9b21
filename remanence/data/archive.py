"""The `.ts` and `.arff` files of the UEA/UCR archive: one labelled sequence of numbers a line.

References:
    Format: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remanence.data.sources import open_text
from remanence.data.spills import Spill
from remanence.errors import DataError

__all__ = ["Archive", "read_archive", "sibling"]


@dataclass(frozen=True)
class Archive:
    """Sequences in order of the file.

    Args:
        path: the file.
        values: float64 `[steps of all sequences, dimension]`, NaN where missing.
        offsets: first step of each sequence, and the number of steps: int64 `[sequence + 1]`.
        labels: one for each sequence; empty where the file has none.
        lines: line of each sequence, int64 `[sequence]`; None where a file has no lines.
        names: of the sequences, where they have no lines.
    """

    path: Path
    values: np.ndarray
    offsets: np.ndarray
    labels: tuple[str, ...]
    lines: np.ndarray | None
    names: tuple[str, ...] = ()


def sibling(path: Path) -> Path | None:
    """The test file that goes with a training file: `X_TRAIN.ts` → `X_TEST.ts`; of MNIST `train-…` → `t10k-…`."""
    for train, test in (("TRAIN", "TEST"), ("train", "test"), ("Train", "Test"), ("train", "t10k")):
        place = path.name.rfind(train)
        other = path.with_name(path.name[:place] + test + path.name[place + len(train) :])
        if place >= 0 and other.exists():
            return other
    return None


def read_archive(path: Path, kind: str) -> Archive:
    """Read a whole file of the archive.

    Raises:
        DataError: a malformed header or line, dimensions of unequal length, a text where a number belongs.
    """
    lines, labelled = _ts_lines(path) if kind == "ts" else _arff_lines(path)
    spill: Spill | None = None
    offsets, labels, places, dimensions = [0], [], [], 0
    for line, parts, label in lines:
        block = _numbers(path, line, parts)
        if spill is None:
            dimensions = block.shape[1]
            spill = Spill(np.float64, dimensions)
        if block.shape[1] != dimensions:
            raise DataError(
                f"expected {dimensions} dimensions, came {block.shape[1]}", path=path, line=line, remedy="mend the line"
            )
        spill.append(block)
        offsets.append(offsets[-1] + len(block))
        places.append(line)
        labels += [label] if labelled else []
    if spill is None:
        raise DataError("no data after @data", path=path, remedy="expected one sequence a line")
    return Archive(path, spill.finish(), np.array(offsets), tuple(labels), np.array(places, np.int64))


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    """Read up to @data; keys in lower case."""
    header: dict[str, str] = {}
    line = 0
    for line, text in lines:
        if not text.startswith("@"):
            raise DataError(
                f"expected a line that starts with @ or a comment, came '{text[:40]}'",
                path=path,
                line=line,
                remedy="an archive file has a header that ends in @data",
            )
        key, _, value = text[1:].partition(" ")
        if key.strip().lower() == "data":
            return header
        if key.lower() == "attribute":
            key = f"attribute {len(header)}"
        header[key.strip().lower()] = value.strip()
    raise DataError("no @data line", path=path, line=line, remedy="the header must end in @data")


def _meaningful(path: Path, comment: str) -> Iterator[tuple[int, str]]:
    with open_text(path) as lines:
        for line, text in enumerate(lines, 1):
            if any("\udc80" <= letter <= "\udcff" for letter in text) and not text.startswith(comment):
                raise DataError("not UTF-8", path=path, line=line, remedy="save the file as UTF-8")
            if text.strip() and not text.startswith(comment):
                yield line, text.strip()


def _ts_lines(path: Path) -> tuple[Iterator[tuple[int, list[str], str]], bool]:
    lines = _meaningful(path, "#")
    header = _header(path, lines)
    if header.get("timestamps", "false").lower() == "true":
        raise DataError("@timeStamps true is not supported", path=path, remedy="write values alone, evenly spaced")
    if "targetlabel" in header and header["targetlabel"].lower().startswith("true"):
        raise DataError("this file holds numbers to predict, not classes", path=path, remedy="give a @classLabel file")
    classes = header.get("classlabel", "false").split()
    labelled = bool(classes) and classes[0].lower() == "true"

    def rows() -> Iterator[tuple[int, list[str], str]]:
        for line, text in lines:
            parts = text.split(":")
            label = parts.pop().strip() if labelled else ""
            if not parts or (labelled and label not in classes[1:]):
                raise DataError(
                    f"expected values and one of the classes {' '.join(classes[1:])}, came '{label[:40]}'",
                    path=path,
                    line=line,
                    remedy="values separated by commas, dimensions and the label by colons",
                )
            yield line, parts, label

    return rows(), labelled


def _arff_lines(path: Path) -> tuple[Iterator[tuple[int, list[str], str]], bool]:
    lines = _meaningful(path, "%")
    header = _header(path, lines)
    attributes = [value for key, value in header.items() if key.startswith("attribute")]
    relational = any(re.search(r"\brelational\s*$", value, re.IGNORECASE) for value in attributes)
    labelled = bool(attributes) and attributes[-1].rstrip().endswith("}")
    columns = len(attributes) - labelled

    def rows() -> Iterator[tuple[int, list[str], str]]:
        for line, text in lines:
            values, label = text, ""
            if labelled:
                values, _, label = text.rpartition(",")
            if relational:
                parts = values.strip().strip("'\"").split("\\n")
            else:
                parts = [values]
                if values.count(",") + 1 != columns:
                    raise DataError(
                        f"expected {columns} values, came {values.count(',') + 1}",
                        path=path,
                        line=line,
                        remedy="one value for each @attribute",
                    )
            yield line, parts, label.strip().strip("'\"")

    return rows(), labelled


def _numbers(path: Path, line: int, parts: list[str]) -> np.ndarray:
    """Dimensions as text to `[step, dimension]`."""
    columns = []
    for place, part in enumerate(parts):
        cells = [cell.strip() for cell in part.split(",")]
        try:
            column = np.array([np.nan if cell in ("?", "NaN", "nan") else cell for cell in cells], np.float64)
        except ValueError:
            bad = next(cell for cell in cells if not _is_number(cell))
            raise DataError(
                f"expected a number, came '{bad[:40]}'",
                path=path,
                line=line,
                column=f"dim{place}",
                remedy="write ? for a missing value",
            ) from None
        if np.isinf(column).any():
            raise DataError("an infinite number", path=path, line=line, column=f"dim{place}", remedy="mend the value")
        columns.append(column)
    if len({len(column) for column in columns}) > 1:
        raise DataError(
            f"dimensions of unequal length: {', '.join(str(len(column)) for column in columns[:8])}",
            path=path,
            line=line,
            remedy="give every dimension of a sequence the same number of steps",
        )
    return np.stack(columns, 1)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell in ("?",)
    return True
