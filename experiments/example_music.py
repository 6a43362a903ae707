"""A small tune for the example clips: a marimba over soft chords, bass and a shaker, with a little room around them."""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 32000
TEMPO = 104.0

CHORDS = ((0, 4, 7, 11), (-3, 0, 4, 7), (-7, -3, 0, 4), (-5, -1, 2, 5))
"""C major seventh, A minor seventh, F major seventh, G seventh, in semitones from C."""

PATTERN = (0, 2, 1, 3, 2, 4, 3, 1)
"""Steps of the marimba through a chord, eighth by eighth."""


def _clock(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def _hertz(semitones: float) -> float:
    return 261.63 * 2 ** (semitones / 12)


def _marimba(semitones: float) -> np.ndarray:
    """A struck bar: its fundamental and the fourth harmonic, which dies sooner."""
    t, f = _clock(0.9), _hertz(semitones)
    body = np.sin(2 * np.pi * f * t) * np.exp(-t * 6) + 0.35 * np.sin(2 * np.pi * 4 * f * t) * np.exp(-t * 16)
    return (body * np.minimum(t / 0.003, 1)).astype(np.float32)


def _pad(semitones: float, seconds: float) -> np.ndarray:
    """A slow, slightly detuned chord tone."""
    t, f = _clock(seconds + 0.6), _hertz(semitones)
    wave = sum(np.sin(2 * np.pi * f * detune * k * t) / k**2 for detune in (0.997, 1.003) for k in (1, 2, 3))
    return (wave * np.minimum(t / 0.5, 1) * np.clip((seconds + 0.6 - t) / 0.6, 0, 1)).astype(np.float32)


def _bass(semitones: float) -> np.ndarray:
    t, f = _clock(0.7), _hertz(semitones - 24)
    return ((np.sin(2 * np.pi * f * t) + 0.3 * np.sin(4 * np.pi * f * t)) * np.exp(-t * 3.5) * np.minimum(t / 0.01, 1)).astype(np.float32)


def tune(seconds: float, *, first_bar: int = 0, seed: int = 1) -> np.ndarray:
    """The tune from one of its bars on.

    Parameters
    ----------
    seconds : float
    first_bar : int
        Bars of four beats; each has its own chord and melody.
    seed : int
        Which melody notes are left out or raised.

    Returns
    -------
    numpy.ndarray, float32 [round(seconds * 32000)]
        Mono, faded in and out within 0.25 s, RMS about 0.12.
    """
    beat = 60 / TEMPO
    track = np.zeros(round((seconds + 4) * SAMPLE_RATE), np.float32)
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE // 16).astype(np.float32)
    shake = np.diff(noise * np.exp(-np.linspace(0, 7, len(noise))).astype(np.float32), prepend=np.float32(0))

    def add(sound: np.ndarray, at: float, gain: float) -> None:
        start = round(at * SAMPLE_RATE)
        if start < len(track):
            track[start : start + len(sound)] += np.float32(gain) * sound[: len(track) - start]

    bar = 0
    while bar * 4 * beat < seconds:
        rng = np.random.default_rng([seed, first_bar + bar])
        begin, chord = bar * 4 * beat, CHORDS[(first_bar + bar) % 4]
        for tone in chord:
            add(_pad(tone, 4 * beat), begin, 0.06)
        for number, step in enumerate(PATTERN):
            at = begin + number * beat / 2
            octave = 12 if step >= 4 or rng.random() < 0.2 else 0
            if number % 4 == 0 or rng.random() < 0.85:
                add(_marimba(chord[step % 4] + 12 + octave), at, 0.34 if number % 4 == 0 else 0.24)
            add(shake, at, 0.05 if number % 2 else 0.028)
        for number, tone in ((0, chord[0]), (3, chord[0]), (4, chord[2]), (6, chord[0])):
            add(_bass(tone if tone > -6 else tone + 12), begin + number * beat / 2, 0.3)
        bar += 1
    track = _roomy(track)[: round(seconds * SAMPLE_RATE)]
    ramp = np.linspace(0, 1, SAMPLE_RATE // 4, dtype=np.float32)
    track[: len(ramp)] *= ramp
    track[-len(ramp) :] *= ramp[::-1]
    return (track * (0.12 / np.sqrt(np.mean(track**2)))).astype(np.float32)


def _roomy(track: np.ndarray) -> np.ndarray:
    """With the reverberation of a small hall."""
    from scipy.signal import fftconvolve

    t = _clock(1.1)
    tail = np.random.default_rng(2).standard_normal(len(t)).astype(np.float32) * np.exp(-t * 5.5) * np.minimum(t / 0.02, 1)
    tail = np.convolve(tail, np.ones(6, np.float32) / 6, "same")
    wet = fftconvolve(track, tail)[: len(track)]
    return track + np.float32(0.22 * np.std(track) / np.std(wet)) * wet.astype(np.float32)


def softened(speech: np.ndarray, rate: int) -> np.ndarray:
    """Synthetic speech at ``SAMPLE_RATE`` with less edge: low-passed at 5.5 kHz, a trace of room, RMS about 0.1 while it sounds."""
    from math import gcd

    from scipy.signal import butter, resample_poly, sosfiltfilt

    common = gcd(SAMPLE_RATE, rate)
    voice = resample_poly(speech, SAMPLE_RATE // common, rate // common)
    voice = sosfiltfilt(butter(2, [90, 5500], "bandpass", fs=SAMPLE_RATE, output="sos"), voice).astype(np.float32)
    voice = 0.85 * voice + 0.15 * _roomy(voice)
    loud = voice[np.abs(voice) > 0.02 * np.abs(voice).max()]
    return (voice * (0.1 / np.sqrt(np.mean(loud**2)))).astype(np.float32)
