"""Features of sounds beside formulas worked by hand, SciPy's transforms, Parseval's theorem and Sphinx's parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dct

from remanence.data.media.features import (
    SoundFrames,
    cepstra,
    filter_bank,
    from_mel,
    log_mel,
    power_spectra,
    to_mel,
    with_deltas,
)

SPHINX = SoundFrames(16000, 410, 160, 40, 130.0, 6800.0, 13)
"""As the AN4 features were made: 16 kHz, 40 filters from 130 to 6800 Hz, 512 points, 13 cepstra, 100 frames/s."""


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def test_mel_scale() -> None:
    # 2595 log10(1 + f / 700), to one decimal by hand.
    hertz = np.array([0.0, 100.0, 440.0, 1000.0, 4000.0, 8000.0])
    assert np.allclose(to_mel(hertz), [0.0, 150.5, 549.6, 1000.0, 2146.1, 2840.0], atol=0.05)
    assert np.allclose(from_mel(to_mel(hertz)), hertz, atol=1e-9)


def test_filter_bank_worked_by_hand() -> None:
    # Two bands over 0 … 4 Hz, eight points: edges from_mel of 0, 1/3, 2/3, 1 of to_mel(4) are close to 0, 4/3, 8/3, 4.
    bank = filter_bank(SoundFrames(rate=8, frame=8, hop=4, bands=2, low_hz=0.0, high_hz=4.0))
    assert bank.shape == (5, 2)
    assert np.allclose(bank[:, 0], [0, 3 / 4, 1 / 2, 0, 0], atol=2e-3)
    assert np.allclose(bank[:, 1], [0, 0, 1 / 2, 3 / 4, 0], atol=2e-3)


def test_neighbouring_filters_cross_at_half_and_sum_to_one_between_centres() -> None:
    bank = filter_bank(SPHINX)
    bins = np.arange(257) * 16000 / 512
    centres = from_mel(np.linspace(to_mel(130.0), to_mel(6800.0), 42))
    between = (bins >= centres[1]) & (bins <= centres[-2])
    assert np.allclose(bank[between].sum(1), 1.0)
    assert not bank[(bins <= 130) | (bins >= 6800)].any()


def test_power_spectra_keep_the_energy() -> None:
    frames = SoundFrames(8000, 200, 80, 10, 0.0, 4000.0)
    sound = random(1000)
    spectra = power_spectra(sound, frames)
    assert spectra.shape == (1 + (1000 - 200) // 80, 129)
    # Parseval: the two-sided spectrum holds as much as the windowed samples.
    both = 2 * spectra.sum(1) - spectra[:, 0] - spectra[:, -1]
    for row, energy in enumerate(both):
        windowed = sound[row * 80 : row * 80 + 200] * np.hamming(200)
        assert energy / 256 == pytest.approx(float((windowed.astype(np.float64) ** 2).sum()), rel=1e-6)


def test_log_mel_beside_a_slow_twin() -> None:
    frames = SoundFrames(8000, 200, 80, 12, 20.0, 4000.0)
    sound = random(733)
    raised = np.array([sound[t] - (0.97 * sound[t - 1] if t else 0.0) for t in range(len(sound))])
    wanted = []
    for start in range(0, 733 - 200 + 1, 80):
        spectrum = np.abs(np.fft.fft(raised[start : start + 200] * np.hamming(200), 256)[:129]) ** 2
        wanted.append(np.log(spectrum @ filter_bank(frames)))
    assert np.allclose(log_mel(sound, frames), wanted, atol=1e-5)


def test_long_sounds_are_cut_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, whole = random(5000), log_mel(random(5000), SPHINX)
    monkeypatch.setattr("remanence.data.media.features._AT_ONCE", 7)
    assert np.array_equal(log_mel(sound, SPHINX), whole)


def test_a_pure_tone_lies_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    energies = log_mel(tone, SPHINX)
    centres = from_mel(np.linspace(to_mel(130.0), to_mel(6800.0), 42))[1:-1]
    assert (energies.argmax(1) == np.abs(centres - 1000).argmin()).all()


def test_cepstra_are_the_orthonormal_cosine_transform() -> None:
    energies = random(7, 40)
    assert np.allclose(cepstra(energies, 13), np.asarray(dct(energies, type=2, norm="ortho"))[:, :13], atol=1e-5)
    assert SPHINX.of(random(16000)).shape == (1 + (16000 - 410) // 160, 13)


def test_a_sound_shorter_than_a_frame_gives_one() -> None:
    assert SPHINX.of(random(3)).shape == (1, 13)
    assert np.isfinite(SPHINX.of(np.zeros(3, np.float32))).all()


def test_deltas_are_slopes() -> None:
    line = np.arange(9, dtype=np.float32)[:, None] * np.array([2.0, -1.0], np.float32)
    found = with_deltas(line, 2)
    assert found.shape == (9, 6)
    assert np.allclose(found[2:-2, 2:4], [2.0, -1.0]) and np.allclose(found[4:-4, 4:], 0.0)
    # At the first frame 0 is repeated: (1 · (2 − 0) + 2 · (4 − 0)) / 10.
    assert found[0, 2] == pytest.approx(1.0)
    assert with_deltas(line, 0) is not None and np.array_equal(with_deltas(line, 0), line)
