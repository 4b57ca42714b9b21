"""A child that decodes: what it answers, and that no file can take more than its limits or end the parent."""

from __future__ import annotations

import io
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from remanence.data.media.wire import (
    NO_FILE,
    Decoded,
    Refusal,
    WireError,
    read_answer,
    write_array,
    write_ready,
    write_refusal,
)
from remanence.data.media.workers import Decoder, Limits, decode_all
from remanence.errors import MachineError

CHILD = """
import ctypes, os, sys, time
import numpy as np
from remanence.data.media.child import serve
from remanence.data.media.wire import Decoded, UndecodableError

def decode(path, options):
    name = os.path.basename(path)
    if name == "refuse":
        raise UndecodableError("is a lemon", "try an orange")
    if name == "raise":
        raise ValueError("bad\\nbytes")
    if name == "print":
        os.write(1, b"noise"); print("noise", flush=True)
    if name == "crash":
        ctypes.string_at(0)
    if name == "exit":
        os._exit(3)
    if name == "spin":
        while True: pass
    if name == "sleep":
        time.sleep(60)
    if name == "hungry":
        return Decoded(np.ones(1 << 29, np.float32), 1.0)
    if name == "large":
        return Decoded(np.zeros(1 << 20, np.uint8), 1.0)
    if name == "write":
        with open(options["file"], "w") as file: file.write("x" * 10)
    return Decoded(np.arange(6, dtype=np.int16).reshape(2, 3), os.getpid())

serve(decode, int(sys.argv[1]), int(sys.argv[2]))
"""
QUICK = Limits(memory_bytes=256 << 20, cpu_seconds=1, wall_seconds=300, answer_bytes=1 << 16)


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("good", "refuse", "raise", "print", "hungry", "crash", "exit", "spin", "sleep", "large", "write"):
        (tmp_path / name).touch()
    with Decoder("audio", QUICK, command=[sys.executable, "-c", CHILD]) as found:
        yield found


def good(decoder: Decoder) -> Decoded:
    found = decoder.decode("good")
    assert isinstance(found, Decoded)
    assert found.values.tolist() == [[0, 1, 2], [3, 4, 5]] and found.values.dtype == np.int16
    return found


def test_a_child_lives_on_from_file_to_file(decoder: Decoder) -> None:
    first = good(decoder)
    assert decoder.decode("refuse") == Refusal("is a lemon", "try an orange")
    assert decoder.decode("raise") == Refusal("cannot be decoded (ValueError: bad bytes)")
    assert isinstance(decoder.decode("print"), Decoded)
    hungry = decoder.decode("hungry")
    assert isinstance(hungry, Refusal) and "268 MB of memory" in hungry.message
    assert good(decoder).rate == first.rate


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "crashed (SIGSEGV)"),
        ("exit", "crashed (status 3)"),
        ("spin", "more than 1 s of processor time"),
        ("large", "1 MB, at most 0 are taken"),
    ],
)
def test_what_goes_wrong_ends_the_child_alone(decoder: Decoder, name: str, reason: str) -> None:
    before = good(decoder).rate
    found = decoder.decode(name)
    assert isinstance(found, Refusal) and reason in found.message
    assert good(decoder).rate != before


def test_a_child_that_takes_too_long_is_ended(decoder: Decoder) -> None:
    before = good(decoder).rate
    decoder.limits = replace(QUICK, wall_seconds=2)
    began = time.monotonic()
    found = decoder.decode("sleep")
    assert isinstance(found, Refusal) and "longer than 2 s" in found.message
    assert time.monotonic() - began < 30
    assert good(decoder).rate != before


def test_a_child_writes_no_file(decoder: Decoder, tmp_path: Path) -> None:
    found = decoder.decode("write", {"file": str(tmp_path / "written")})
    assert isinstance(found, Refusal) and "File too large" in found.message
    assert not (tmp_path / "written").stat().st_size


def test_no_file_is_told_without_a_child() -> None:
    with Decoder("audio", QUICK, command=[sys.executable, "-c", "pass"]) as decoder:
        assert decoder.decode("nowhere") == NO_FILE


def test_a_child_that_does_not_start_is_told() -> None:
    with Decoder("audio", QUICK, command=[sys.executable, "-c", "pass"]) as decoder, pytest.raises(MachineError):
        decoder.decode(__file__)


def test_an_unknown_decoder_runs_nothing() -> None:
    with Decoder("os:system", QUICK) as decoder, pytest.raises(MachineError):
        decoder.decode(__file__)


def sounds(folder: Path, count: int) -> list[Path]:
    import soundfile

    paths = [folder / f"{place}.wav" for place in range(count)]
    for place, path in enumerate(paths):
        soundfile.write(path, np.full(100 + place, place / 100, np.float32), 8000, subtype="FLOAT")
    return paths


def test_many_files_come_in_order_and_lazily(tmp_path: Path) -> None:
    paths, asked = sounds(tmp_path, 23), []

    def requests():
        for path in paths:
            asked.append(path)
            yield path, {"longest_seconds": 1.0}

    found = decode_all("audio", requests(), workers=2)
    first = next(found)
    assert isinstance(first, Decoded) and len(first.values) == 100
    assert len(asked) <= 5
    rest = list(found)
    assert [len(each.values) for each in rest if isinstance(each, Decoded)] == list(range(101, 123))


def test_giving_up_leaves_no_child(tmp_path: Path) -> None:
    found = decode_all("audio", ((path, {"longest_seconds": 1.0}) for path in sounds(tmp_path, 9)), workers=2)
    next(found)
    found.close()


def test_answers_are_read_back() -> None:
    stream = io.BytesIO()
    write_ready(stream)
    for values in (
        np.zeros((2, 0, 3), np.uint8),
        np.array([[1.5]], np.float32),
        np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    ):
        write_array(stream, Decoded(values, 8000.0))
    write_refusal(stream, Refusal("不行 " * 900, "试试"))
    stream.seek(0)
    assert read_answer(stream, 0) is None
    for shape, dtype in (((2, 0, 3), np.uint8), ((1, 1), np.float32), ((2, 3, 4), np.int16)):
        found = read_answer(stream, 100)
        assert isinstance(found, Decoded) and found.values.shape == shape and found.values.dtype == dtype
        assert found.rate == 8000.0
    refusal = read_answer(stream, 0)
    assert isinstance(refusal, Refusal) and refusal.message.startswith("不行") and refusal.remedy == "试试"


HEADER = struct.Struct("<4sBBBxd4Q")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"RMED",
        HEADER.pack(b"XXXX", 0, 0, 0, 0.0, 0, 0, 0, 0),
        HEADER.pack(b"RMED", 7, 0, 0, 0.0, 0, 0, 0, 0),
        HEADER.pack(b"RMED", 1, 9, 1, 0.0, 1, 0, 0, 0) + b"x",
        HEADER.pack(b"RMED", 1, 0, 5, 0.0, 1, 1, 1, 1) + b"x",
        HEADER.pack(b"RMED", 1, 0, 1, float("nan"), 1, 0, 0, 0) + b"x",
        HEADER.pack(b"RMED", 1, 0, 2, 1.0, 1 << 40, 1 << 40, 0, 0),
        HEADER.pack(b"RMED", 1, 0, 1, 1.0, 5, 0, 0, 0) + b"shor",
        HEADER.pack(b"RMED", 2, 0, 0, 0.0, 1 << 40, 0, 0, 0),
    ],
)
def test_an_answer_that_is_none_is_not_believed(answer: bytes) -> None:
    with pytest.raises(WireError):
        read_answer(io.BytesIO(answer), 1 << 20)
