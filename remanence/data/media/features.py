"""From a sound to numbers a frame: log-mel energies, and cepstra made of them.

    mel(f) = 2595 · log10(1 + f / 700)

A frame is windowed and transformed; triangular filters, equally wide in mel, gather its power spectrum; the logarithm
of each is a log-mel energy, and their cosine transform (DCT-II, orthonormal) the cepstra.

References:
    Davis & Mermelstein 1980, Comparison of parametric representations for monosyllabic word recognition,
    doi:10.1109/TASSP.1980.1163420 (cepstra); O'Shaughnessy 1987, Speech communication (the mel formula);
    Young et al. 2006, The HTK book, version 3.4, equation 5.16 (deltas).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["SoundFrames", "cepstra", "filter_bank", "from_mel", "log_mel", "power_spectra", "to_mel", "with_deltas"]

_FLOOR = 1e-10
_EMPHASIS = 0.97
_REACH = 2
_AT_ONCE = 1 << 12


def to_mel(hertz: np.ndarray | float) -> np.ndarray:
    """Hertz to mel.

    Example:
        >>> round(float(to_mel(1000.0)), 1)
        1000.0
    """
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, np.float64) / 700.0)


def from_mel(mel: np.ndarray | float) -> np.ndarray:
    """Mel to hertz."""
    return 700.0 * (10.0 ** (np.asarray(mel, np.float64) / 2595.0) - 1.0)


@dataclass(frozen=True)
class SoundFrames:
    """How a sound is cut and measured.

    Args:
        rate: samples per second.
        frame, hop: samples of a frame, and from one frame to the next.
        bands: mel filters, whose outer edges lie at `low_hz` and `high_hz`.
        coefficients: cepstra kept, the first (c0) among them; 0 for log-mel energies.
    """

    rate: float
    frame: int
    hop: int
    bands: int
    low_hz: float
    high_hz: float
    coefficients: int = 0

    @property
    def transform(self) -> int:
        """Points of the Fourier transform: the power of two from `frame` on."""
        return 1 << max(1, self.frame - 1).bit_length()

    def of(self, sound: np.ndarray) -> np.ndarray:
        """Features of a sound `[sample]` → float32 `[frame, feature]`; at least one frame, zeros behind its end."""
        energies = log_mel(sound, self)
        return cepstra(energies, self.coefficients) if self.coefficients else energies


def filter_bank(frames: SoundFrames) -> np.ndarray:
    """Triangles `[bin, band]`: each rises from the centre of the one below to its own, and falls to the next one's."""
    edges = from_mel(np.linspace(to_mel(frames.low_hz), to_mel(frames.high_hz), frames.bands + 2))
    bins = np.arange(frames.transform // 2 + 1) * frames.rate / frames.transform
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def power_spectra(sound: np.ndarray, frames: SoundFrames) -> np.ndarray:
    """Power of each frame's spectrum `[frame, bin]`, under a Hamming window."""
    if len(sound) < frames.frame:
        sound = np.concatenate([sound, np.zeros(frames.frame - len(sound), sound.dtype)])
    cut = np.lib.stride_tricks.sliding_window_view(sound, frames.frame)[:: frames.hop]
    return np.abs(np.fft.rfft(cut * np.hamming(frames.frame), frames.transform)) ** 2


def log_mel(sound: np.ndarray, frames: SoundFrames) -> np.ndarray:
    """Natural logarithm of the power in each mel band, high notes raised first: float32 `[frame, band]`."""
    bank = filter_bank(frames)
    pieces: list[np.ndarray] = []
    count = max(1, 1 + (len(sound) - frames.frame) // frames.hop)
    for first in range(0, count, _AT_ONCE):
        start = first * frames.hop
        stop = (min(first + _AT_ONCE, count) - 1) * frames.hop + frames.frame
        spectra = power_spectra(_raised(sound, start, stop), frames)
        pieces.append(np.log(np.maximum(spectra @ bank, _FLOOR)).astype(np.float32))
    return np.concatenate(pieces)


def _raised(sound: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Samples `start … stop - 1` less most of the one before each; the sound's first sample stays as it is."""
    piece = sound[start:stop].astype(np.float64)
    before = np.concatenate([[sound[start - 1] if start else 0.0], piece[:-1]])
    return piece - _EMPHASIS * before


def cepstra(energies: np.ndarray, count: int) -> np.ndarray:
    """The first cosine coefficients of log energies `[frame, band]`: float32 `[frame, count]`."""
    bands = energies.shape[1]
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(count))
    scale = np.full(count, np.sqrt(2.0 / bands))
    scale[:1] = np.sqrt(1.0 / bands)
    return (energies.astype(np.float64) @ (np.cos(angles) * scale)).astype(np.float32)


def with_deltas(values: np.ndarray, order: int) -> np.ndarray:
    """Features, and beside them their slopes over two frames either way, and the slopes of these.

    Args:
        values: `[frame, feature]`.
        order: 0 for none, 1, 2.

    Returns:
        float32 `[frame, feature × (1 + order)]`; the first and last frames are repeated beyond the ends.
    """
    found = [values]
    for _ in range(order):
        padded = np.pad(found[-1].astype(np.float64), ((_REACH, _REACH), (0, 0)), mode="edge")
        length = len(values)
        slope, reach = np.zeros_like(found[-1], np.float64), range(1, _REACH + 1)
        for n in reach:
            slope += n * (padded[_REACH + n : _REACH + n + length] - padded[_REACH - n : _REACH - n + length])
        found.append((slope / (2 * sum(n * n for n in reach))).astype(np.float32))
    return np.concatenate(found, axis=1)
