"""Key points of bodies, hands or faces in one NumPy file: sequences of numbers, frame by frame, and a label each.

    frames      numbers of all sequences, one after the other: `[frame, number]` or `[frame, point, coordinate]`
    lengths     frames of each sequence, whole numbers `[sequence]`, which add up to the frames there are
    labels      whole numbers or texts `[sequence]`; to tag, one a frame: `[frame]`
    …           other arrays of one entry a sequence, such as the person, for --group, --split-column and --label

Where the names begin with `train_`, `valid_` or `test_`, the file says itself which part a sequence belongs to. Nothing
in such a file is executed: what would need `pickle` is refused.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from remanence.data.panel import Codes
from remanence.data.records import Records, refuse_missing
from remanence.data.sources import find
from remanence.data.splits import PARTS
from remanence.data.step_records import StepRecords
from remanence.errors import DataError, SettingError
from remanence.settings import DataSettings

__all__ = ["FRAMES", "LABELS", "LENGTHS", "given_parts", "read_skeleton_steps", "read_skeletons"]

FRAMES, LENGTHS, LABELS = "frames", "lengths", "labels"
MOST_BYTES = 4 << 30
"""Bytes that the arrays of a file may unpack to."""
_REMEDY = "arrays frames, lengths and labels; np.savez(path, frames=…, lengths=…, labels=…) writes them"
_AXES = "xyz"


def given_parts(path: str | Path) -> tuple[str, ...]:
    """The parts that the names in a file speak of: some of train, valid, test, or none."""
    names = _names(find(path))
    return tuple(part for part in PARTS if f"{part}_{FRAMES}" in names)


@dataclass(frozen=True)
class _File:
    """What a file holds.

    Args:
        frames: float64 `[frame, number]`; `columns` are their names.
        offsets: where each sequence begins, and where the last one ends.
        labels: code of each label, and what codes stand for.
        groups, marks: code of each sequence, or None; `mark_names` say what marks mean.
        names: of the sequences.
    """

    frames: np.ndarray
    columns: tuple[str, ...]
    offsets: np.ndarray
    labels: tuple[np.ndarray, tuple[str, ...]]
    groups: np.ndarray | None
    marks: np.ndarray | None
    mark_names: tuple[str, ...]
    names: tuple[str, ...]


def read_skeletons(path: str | Path, settings: DataSettings, *, answers: bool = True) -> Records:
    """Read every sequence of a file, with a label each.

    Args:
        settings: label, group and split_column name arrays of one entry a sequence.
        answers: labels must be there.

    Raises:
        DataError: an array is missing or of another shape, lengths that do not add up, NaN unless `missing` says so.
        SettingError: an option names an array that is not there.
    """
    file = _read(find(path), settings, answers, by_frame=False)
    records = Records(
        find(path),
        *file.labels,
        groups=file.groups,
        marks=file.marks,
        mark_names=file.mark_names,
        names=file.names,
        columns=file.columns,
        values=file.frames,
        offsets=file.offsets,
    )
    refuse_missing(records, settings)
    return records


def read_skeleton_steps(path: str | Path, settings: DataSettings, *, answers: bool = True) -> StepRecords:
    """Read every sequence of a file, with a label a frame; see `read_skeletons`."""
    file = _read(find(path), settings, answers, by_frame=True)
    records = StepRecords(
        find(path),
        file.offsets,
        *file.labels,
        lambda step: 0,
        np.zeros(len(file.names), np.int64),
        names=file.names,
        values=file.frames,
        columns=file.columns,
        groups=file.groups,
        marks=file.marks,
        mark_names=file.mark_names,
    )
    refuse_missing(records, settings)
    return records


def _read(path: Path, settings: DataSettings, answers: bool, *, by_frame: bool) -> _File:
    parts = given_parts(path)
    prefixes = tuple(f"{part}_" for part in parts) or ("",)
    wanted = {settings.group, settings.split_column, settings.label or LABELS} - {None}
    blocks = [_block(path, prefix, wanted, (settings.label or LABELS) if by_frame else None) for prefix in prefixes]
    widths = {block[FRAMES].shape[1:] for block in blocks}
    if len(widths) > 1:
        raise DataError(f"frames of unlike shapes: {sorted(widths)}", path=path, remedy="give every part the same")
    lengths = np.concatenate([block[LENGTHS] for block in blocks])
    frames = np.concatenate([block[FRAMES] for block in blocks])
    columns = _columns(frames.shape[1:])
    codes = _coded(path, blocks, settings, answers, len(frames if by_frame else lengths))
    marks, mark_names = codes.get("split_column", (None, ()))
    if parts and settings.split_column in (None, "part"):
        marks = np.repeat(np.arange(len(parts), dtype=np.int32), [len(block[LENGTHS]) for block in blocks])
        mark_names = parts
    return _File(
        frames.reshape(len(frames), -1).astype(np.float64),
        columns,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        codes["label"],
        codes["group"][0] if "group" in codes else None,
        marks,
        mark_names,
        tuple(
            f"{prefix}{place + 1}"
            for prefix, block in zip(prefixes, blocks, strict=True)
            for place in range(len(block[LENGTHS]))
        ),
    )


def _names(path: Path) -> set[str]:
    return set(_arrays(path))


def _arrays(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The arrays of a file by name; an array alone, or another file, is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"not a whole .npz file ({error})", path=path, remedy="copy it again") from None
    if sum(info.file_size for info in found.values()) > MOST_BYTES:
        raise DataError(
            f"arrays of more than {MOST_BYTES >> 30} GB", path=path, remedy="a table that names a .npy file a sequence"
        )
    return found


def _block(path: Path, prefix: str, wanted: set[str | None], by_frame: str | None) -> dict[str, np.ndarray]:
    """The arrays of one part, checked against each other; the one named by `by_frame` has an entry a frame."""
    present = _names(path)
    for name in (FRAMES, LENGTHS):
        if prefix + name not in present:
            raise DataError(f"no array '{prefix}{name}'", path=path, remedy=_REMEDY)
    names = [name for name in (FRAMES, LENGTHS, *sorted(filter(None, wanted))) if prefix + name in present]
    try:
        with np.load(path, allow_pickle=False) as file:
            block: dict[str, Any] = {name: file[prefix + name] for name in names}
    except (ValueError, OSError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        first = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise DataError(f"an array cannot be read ({first})", path=path, remedy="numbers and texts alone") from None
    frames, lengths = block[FRAMES], block[LENGTHS]
    if frames.ndim not in (2, 3) or frames.dtype.kind not in "fiu":
        raise DataError(
            f"'{prefix}{FRAMES}' should be numbers [frame, number] or [frame, point, coordinate], "
            f"came {frames.dtype} {list(frames.shape)}", path=path, remedy=_REMEDY,
        )  # fmt: skip
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths.astype(np.int64) < 0).any():
        raise DataError(f"'{prefix}{LENGTHS}' should be whole numbers, one a sequence", path=path, remedy=_REMEDY)
    if int(lengths.astype(np.int64).sum()) != len(frames):
        raise DataError(
            f"'{prefix}{LENGTHS}' add up to {int(lengths.sum())} frames, '{prefix}{FRAMES}' has {len(frames)}",
            path=path, remedy="one length a sequence, frames one sequence after the other",
        )  # fmt: skip
    if not lengths.all():
        place = int(np.argmin(lengths)) + 1
        raise DataError(f"sequence {prefix}{place} has no frame", path=path, remedy="leave it out")
    for name in names[2:]:
        each, count = ("frame", len(frames)) if name == by_frame else ("sequence", len(lengths))
        if block[name].shape != (count,) or block[name].dtype.kind not in "iuUb":
            raise DataError(
                f"'{prefix}{name}' should hold {count} whole numbers or texts, one a {each}",
                path=path, remedy=f"came {block[name].dtype} {list(block[name].shape)}",
            )  # fmt: skip
    return block


def _coded(
    path: Path, blocks: list[dict[str, np.ndarray]], settings: DataSettings, answers: bool, labelled: int
) -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """Codes and names of the labels, and of what `group` and `split_column` name."""
    asked = {"label": settings.label or LABELS, "group": settings.group, "split_column": settings.split_column}
    found = {}
    for role, name in asked.items():
        if name is None or (role == "split_column" and name == "part"):
            continue
        if all(name in block for block in blocks):
            codes = Codes()
            values = pa.array([str(value) for block in blocks for value in block[name].tolist()], pa.string())
            found[role] = codes.encode([values]), tuple(codes.names)
        elif role != "label":
            raise SettingError(f"{path.name} holds no array '{name}'", name=role, remedy=_REMEDY)
        elif answers:
            raise DataError("no such array (--label)", path=path, column=name, remedy=_REMEDY)
        else:
            found[role] = np.full(labelled, -1, np.int32), ()
    return found


def _columns(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the numbers of a frame: `dim0`, or `point0 x` where points have two or three coordinates."""
    if len(shape) == 1:
        return tuple(f"dim{place}" for place in range(shape[0]))
    axes = _AXES[: shape[1]] if shape[1] <= len(_AXES) else tuple(map(str, range(shape[1])))
    return tuple(f"point{point} {axis}" for point in range(shape[0]) for axis in axes)
