"""Sounds decoded in a child: channels mixed, rates changed, and every kind of broken file refused with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from remanence.data.media.wire import Decoded, Refusal
from remanence.data.media.workers import Decoder

OPTIONS = {"longest_seconds": 60.0}


@pytest.fixture(scope="module")
def decoder():
    with Decoder("audio") as found:
        yield found


def tone(seconds: float = 0.5, rate: int = 8000, pitch_hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(("ending", "error"), [("wav", 1 / 32768), ("flac", 1 / 32768), ("ogg", 0.05)])
def test_formats_give_the_sound_that_was_written(decoder: Decoder, tmp_path: Path, ending: str, error: float) -> None:
    path, sound = tmp_path / f"a.{ending}", tone()
    soundfile.write(path, sound, 8000)
    found = decoder.decode(path, OPTIONS)
    assert isinstance(found, Decoded) and found.rate == 8000
    assert found.values.dtype == np.float32 and found.values.shape == sound.shape
    assert np.abs(found.values - sound).max() <= error


def test_channels_are_mixed_to_their_mean(decoder: Decoder, tmp_path: Path) -> None:
    pair = np.stack([np.full(70_001, 0.5), np.linspace(-1, 1, 70_001)], 1).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", pair, 16000, subtype="FLOAT")
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Decoded)
    assert np.abs(found.values - pair.mean(1)).max() < 1e-7


@pytest.mark.parametrize(("rate", "up", "down"), [(8000, 1, 2), (11025, 441, 640)])
def test_a_sound_at_another_rate_keeps_its_pitch(
    decoder: Decoder, tmp_path: Path, rate: int, up: int, down: int
) -> None:
    sound = tone(rate=16000)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    found = decoder.decode(tmp_path / "a.wav", OPTIONS | {"rate": rate})
    assert isinstance(found, Decoded) and found.rate == rate
    assert np.allclose(found.values, resample_poly(sound, up, down), atol=1e-6)
    spectrum = np.abs(np.fft.rfft(found.values))
    assert abs(np.argmax(spectrum) * rate / len(found.values) - 440.0) < 2.1


def spoil(path: Path, kind: str) -> None:
    soundfile.write(path, tone(), 8000)
    content = path.read_bytes()
    spoiled = {
        "cut": content[:3000],
        "cut in its header": content[:30],
        "rate": content[:24] + bytes(4) + content[28:],
        "text": b"this is no sound at all, but a text of some length" * 4,
        "empty": b"",
        "huge": content[:40] + (230_400_000 * 4).to_bytes(4, "little") + content[44:],
    }
    path.write_bytes(spoiled[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("cut", "cut short: 8,000 bytes of samples expected, 2,956 came"),
        ("cut in its header", "a WAV without samples: cut short in its header"),
        ("rate", "a sample rate of 0"),
        ("text", "no sound that can be read (Format not recognised)"),
        ("empty", "the file is empty"),
        ("huge", "cut short: 921,600,000 bytes"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(decoder: Decoder, tmp_path: Path, kind: str, message: str) -> None:
    spoil(tmp_path / "a.wav", kind)
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Refusal) and message in found.message
    assert str(tmp_path) not in found.message


def test_no_samples_are_refused(decoder: Decoder, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), 8000)
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Refusal) and "0 samples" in found.message


def test_eight_hours_are_refused_before_they_are_read(decoder: Decoder, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8, np.float32), 8000)
    head = (tmp_path / "a.wav").read_bytes()[:44]
    size = 8 * 3600 * 8000 * 2
    with open(tmp_path / "a.wav", "wb") as file:
        file.write(head[:40] + size.to_bytes(4, "little"))
        file.truncate(44 + size)
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Refusal) and "lasts 8.0 hours, at most 1.0 minutes are read" in found.message


def test_not_finite_samples_are_refused(decoder: Decoder, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.float32([0, np.nan, 1]), 8000, subtype="FLOAT")
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Refusal) and "not finite" in found.message


def test_a_length_that_was_not_known_is_read_to_the_end(decoder: Decoder, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = content[4:8] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    found = decoder.decode(tmp_path / "a.wav", OPTIONS)
    assert isinstance(found, Decoded) and len(found.values) == 4000


def test_a_flac_cut_short_is_refused(decoder: Decoder, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    soundfile.write(tmp_path / "a.flac", noise, 8000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    assert isinstance(decoder.decode(tmp_path / "a.flac", OPTIONS), Refusal)
