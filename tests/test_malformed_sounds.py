"""Malformed sounds, and tables of them, through the real command line: one line, exit status 2, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import command
from spoiled import Content, check_line, contents, write

from remanence.data.media.sounds import SoundForm
from remanence.data.pairs import read_pairs
from remanence.data.scalers import Scaler
from remanence.data.sound_source import SoundSide, reopened_sounds
from remanence.errors import DataError
from remanence.settings import DataSettings

FIT = ["fit", "d.csv", "--task", "transcribe", "--steps", "2", "--hidden", "4", "--threads", "1", "--beside", "none"]
OUT = ["--out", "run"]
CLASSIFY = ["fit", "d.csv", "--task", "classify", "--label", "text", "--steps", "2", "--beside", "none", *OUT]
RATE = 8000


def sound(seconds: float = 0.2) -> Callable[[Path], object]:
    samples = np.sin(np.arange(int(RATE * seconds)) / 5).astype(np.float32)
    return lambda path: soundfile.write(path, samples, RATE)


def spoilt(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        sound()(path)
        path.write_bytes(change(path.read_bytes()))

    return make


def eight_hours(path: Path) -> None:
    """A header that claims them, and a file as long, without a byte of it on the disk."""
    size = 8 * 3600 * RATE * 2
    sound()(path)
    head = path.read_bytes()[:44]
    with path.open("wb") as file:
        file.write(head[:40] + size.to_bytes(4, "little"))
        file.truncate(44 + size)


def table(changes: Mapping[int, str] | None = None) -> str:
    """Ten sounds and their texts, all of them one file but for lines that are replaced (the header is line 1)."""
    lines = ["file,text", *(f"a.wav,word {row % 3}" for row in range(10))]
    for line, text in (changes or {}).items():
        lines[line - 1] = text
    return "\n".join(lines) + "\n"


def case(bad: str, content: Content | None, *says: str, text: str = "word") -> tuple[dict[str, Content], list[str]]:
    """A table whose fifth line names a bad file."""
    files: dict[str, Content] = {"a.wav": sound(), "d.csv": table({5: f"{bad},{text}"})}
    return files | ({} if content is None else {bad: content}), list(says)


TABLE: dict[str, tuple[dict[str, Content], list[str]]] = {
    "a WAV cut short": case(
        "b.wav", spoilt(lambda c: c[:900]), "d.csv:5, column 'file': b.wav: cut short", "--bad skip"
    ),
    "a WAV cut in its header": case("b.wav", spoilt(lambda c: c[:30]), "d.csv:5", "b.wav", "cut short in its header"),
    "0 samples": case("b.wav", sound(0), "d.csv:5", "b.wav: 0 samples", "remove the row"),
    "eight hours": case("b.wav", eight_hours, "d.csv:5", "lasts 8.0 hours, at most 10.0 minutes", "--longest-seconds"),
    "a sample rate of 0": case(
        "b.wav", spoilt(lambda c: c[:24] + bytes(4) + c[28:]), "d.csv:5", "b.wav: a sample rate of 0", "again"
    ),
    "no sound at all": case("b.wav", "this is a text\n" * 50, "d.csv:5", "b.wav: no sound that can be read", "FLAC"),
    "an empty file": case("b.flac", "", "d.csv:5", "b.flac: the file is empty", "copy"),
    "an empty transcript": case("a.wav", None, "d.csv:5", "column 'text'", "empty text", "remove the row", text=""),
    "a file that is not there": case("c.wav", None, "d.csv:5", "c.wav: no such file", "--folder"),
    "a path outside": case("../b.wav", None, "d.csv:5", "the path '../b.wav' leaves its folder", "--folder"),
    "an absolute path": case("/etc/b.wav", None, "d.csv:5", "'/etc/b.wav' is not relative", "--folder"),
    "a path of Windows": case("C:\\b.wav", None, "d.csv:5", "is not relative"),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_bad_sound_is_one_line_and_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, says = TABLE[name]
    refused(tmp_path, monkeypatch, files, [*FIT, *OUT], says)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.mfc", b"\0\0\0\x0d" + bytes(40), "cut short, or no Sphinx file: 56 bytes expected, 44 came"),
        ("b.mfc", b"\0\0\0\x0a" + bytes(40), "10 numbers are no frames of 13 (--coefficients)"),
        ("b.npy", b"no array", "no NumPy array of numbers"),
    ],
)
def test_bad_features_are_refused(
    name: str, content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, Content] = {"d.csv": table().replace("a.wav", name), name: content}
    refused(tmp_path, monkeypatch, files, [*FIT, *OUT], ["d.csv:", f"column 'file': {name}: ", said])


def test_a_bad_sound_to_classify_is_refused_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, says = TABLE["a WAV cut short"]
    refused(tmp_path, monkeypatch, files, CLASSIFY, says)


def test_options_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, Content] = {"a.wav": sound(), "d.csv": table()}
    refused(tmp_path, monkeypatch, files, [*FIT, "--truncate", "5", *OUT], ["--truncate", "leave it out"])
    more = [*FIT, "--look-ahead", "3", "--bidirectional", *OUT]
    refused(tmp_path, monkeypatch, files, more, ["--look-ahead", "--no-bidirectional"])
    refused(tmp_path, monkeypatch, files, [*FIT, "--folder", "nowhere", *OUT], ["nowhere: no such folder", "check"])


def refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, Content], words: list[str], says: list[str]
) -> None:
    write(folder, files)
    monkeypatch.chdir(folder)
    before = contents(folder)
    done = command(*words)
    assert done.status == 2, (done.out, done.err)
    assert done.out == ""
    check_line(done.err, tuple(says))
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (spoilt(lambda c: c[:900]), "cut short: 3,200 bytes of samples expected, 856 came"),
        (Path.touch, "the file is empty"),
    ],
)
def test_a_bad_sound_alone_is_named_once(content: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    content(tmp_path / "b.wav")
    form = SoundForm(kind="sound", rate=8000.0, width=40)
    side = SoundSide(form=form, scaler=Scaler(columns=form.columns, mean=(0.0,) * 40, scale=(1.0,) * 40))
    with pytest.raises(DataError) as caught:
        reopened_sounds(read_pairs(tmp_path / "b.wav", DataSettings(), answers=False), DataSettings(), side, None)
    assert str(caught.value) == f"{tmp_path}/b.wav: {said} — copy the file again"


def test_a_sound_alone_is_called_by_its_name(tmp_path: Path) -> None:
    sound()(tmp_path / "b.wav")
    assert read_pairs(tmp_path / "b.wav", DataSettings(), answers=False).where(0) == "b.wav"


def test_bad_sounds_are_skipped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = TABLE["a WAV cut short"]
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    done = command(*FIT, "--bad", "skip", *OUT)
    assert done.status == 0, done.err
    assert "1 of 10 sounds left out: d.csv:5, column 'file': b.wav: cut short" in done.err
    assert "6 training, 1 validation, 2 test pairs" in done.err
