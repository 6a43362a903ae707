"""Building blocks for generated sound: tones, noises, clicks, environments, music-like sequences.

Every builder takes a numpy Generator and a length in seconds and returns float32 samples [round(seconds * 16000)] at 16 kHz with an RMS of
about :data:`LEVEL` (silence excepted); nothing touches global random state. Speech comes from :mod:`encoder.training.speaking`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from encoder.training.speaking import SAMPLE_RATE

LEVEL = 0.08
"""RMS of a sound before its gain, about that of synthetic speech."""

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
"""Major, minor and the two pentatonic scales, in semitones."""


def _clock(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def levelled(samples: np.ndarray, *, level: float = LEVEL) -> np.ndarray:
    """float32 samples scaled to an RMS of ``level``; silence stays silence."""
    rms = math.sqrt(float(np.mean(np.square(samples), dtype=np.float64))) if len(samples) else 0.0
    return (samples * (level / rms if rms > 1e-9 else 0.0)).astype(np.float32)


def _wave(phase: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    """Sum of harmonics with the amplitudes given, over a phase in radians."""
    total = np.zeros_like(phase)
    for number, amplitude in enumerate(harmonics, start=1):
        if amplitude:
            total += np.float32(amplitude) * np.sin(np.float32(number) * phase)
    return total


def _timbre(rng: np.random.Generator, highest: float) -> np.ndarray:
    """Amplitudes of one to eight harmonics that stay below 7 kHz for a highest fundamental of ``highest`` Hz."""
    count = int(min(rng.integers(1, 9), max(1, 7000 // highest)))
    return rng.uniform(0.2, 1, count) / np.arange(1, count + 1) ** rng.uniform(0.5, 2)


def silence(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Digital silence."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def tone(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A steady tone of 60 to 6000 Hz, pure or with harmonics, with some tremolo and vibrato."""
    t = _clock(seconds)
    frequency = math.exp(rng.uniform(math.log(60), math.log(6000)))
    vibrato, tremolo, rate = rng.exponential(0.01), rng.uniform(0, 0.5), rng.uniform(2, 8)
    swing = np.sin(2 * np.pi * np.float32(rate) * t)
    phase = 2 * np.pi * np.float32(frequency) * t + np.float32(frequency * vibrato / rate) * swing
    return levelled(_wave(phase.astype(np.float32), _timbre(rng, frequency)) * (1 + np.float32(tremolo) * swing))


def sweep(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A tone that glides up and down between two random pitches, again and again."""
    t = _clock(seconds)
    low, high = np.sort(np.exp(rng.uniform(math.log(80), math.log(6000), 2)))
    period = rng.uniform(0.5, 6)
    way = np.abs((t / period + rng.random()) % 1 * 2 - 1)
    pitch = low * (high / low) ** way
    phase = 2 * np.pi * np.cumsum(pitch, dtype=np.float64) / SAMPLE_RATE
    return levelled(np.sin(phase).astype(np.float32))


def shaped_noise(rng: np.random.Generator, seconds: float, *, slope: float | None = None, band: tuple[float, float] | None = None) -> np.ndarray:
    """Gaussian noise whose amplitude falls as ``1 / frequency ** slope`` (0 white, 0.5 pink, 1 brown), within ``band`` in Hz if given."""
    count = round(seconds * SAMPLE_RATE)
    slope = rng.uniform(0, 1) if slope is None else slope
    length = 1 << max(10, (min(count, 20 * SAMPLE_RATE) - 1).bit_length())
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    gain = np.maximum(frequency, 20.0) ** -slope
    gain[frequency < 20] = 0
    if band is not None:
        gain *= (frequency >= band[0]) & (frequency <= band[1])
    spectrum = gain * np.exp(2j * np.pi * rng.random(len(gain)))
    loop = np.fft.irfft(spectrum, length)  # wraps, so a long noise may repeat it without a seam
    return levelled(np.resize(loop, count))


def noise_bursts(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Bursts of band noise, regular or not."""
    low = math.exp(rng.uniform(math.log(60), math.log(3000)))
    noise = shaped_noise(rng, seconds, band=(low, low * rng.uniform(1.5, 6)))
    gate = np.zeros(len(noise), np.float32)
    at, rate, jitter = 0.0, rng.uniform(0.5, 8), rng.choice([0.0, 0.5])
    while at < seconds:
        length = rng.uniform(0.2, 0.6) / rate
        gate[round(at * SAMPLE_RATE) : round((at + length) * SAMPLE_RATE)] = rng.uniform(0.3, 1)
        at += (1 + rng.uniform(-jitter, jitter)) / rate
    return levelled(noise * gate)


def _strike(rng: np.random.Generator, kind: str) -> np.ndarray:
    """One short sound: a click, a step, a knock, a bell, a drop or a chirp."""
    length = {"click": 0.01, "step": 0.12, "knock": 0.15, "bell": 1.5, "drop": 0.1, "chirp": 0.2}[kind]
    t = _clock(length)
    decay = np.exp(-t * np.float32(5 / length))
    if kind in ("click", "step"):
        noise = rng.standard_normal(len(t)).astype(np.float32)
        width = 1 if kind == "click" else 24
        return np.convolve(noise, np.ones(width, np.float32) / width, "same") * decay
    if kind == "chirp":
        start, end = rng.uniform(2000, 6500, 2)
        return np.sin(2 * np.pi * (start * t + (end - start) * t**2 / (2 * length))).astype(np.float32) * np.sin(np.pi * t / length)
    pitch = {"knock": rng.uniform(80, 300), "bell": rng.uniform(300, 2000), "drop": rng.uniform(600, 2500)}[kind]
    partials = (1, 2.76, 5.4) if kind == "bell" else (1, 1.5)
    return sum((np.sin(2 * np.pi * np.float32(pitch * p) * t) / p for p in partials), np.zeros_like(t)) * decay


def strikes(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Steps, knocks, clicks, bells, drops or birds: short sounds, in rhythm or scattered."""
    samples = silence(rng, seconds)
    kind = str(rng.choice(["click", "step", "knock", "bell", "drop", "chirp"]))
    sounds = [_strike(rng, kind).astype(np.float32) for _ in range(4)]
    at, rate, scatter = rng.uniform(0, 1), rng.uniform(0.4, 6), rng.random() < 0.5
    while at < seconds:
        start = round(at * SAMPLE_RATE)
        sound = sounds[int(rng.integers(4))][: max(0, len(samples) - start)]
        samples[start : start + len(sound)] += sound * np.float32(rng.uniform(0.4, 1))
        at += rng.exponential(1 / rate) if scatter else 1 / rate
    return levelled(samples)


def environment(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Wind, surf, rain, an engine or a hum: coloured noise with slow swells, sometimes over a low harmonic drone."""
    noise = shaped_noise(rng, seconds, slope=rng.uniform(0.3, 1.2))
    t = _clock(seconds)
    swell = np.ones(len(t), np.float32)
    for _ in range(3):
        swell += np.float32(rng.uniform(0, 0.4)) * np.sin(2 * np.pi * np.float32(rng.uniform(0.03, 1.0)) * t + np.float32(rng.uniform(0, 6.28)))
    noise *= np.maximum(swell, 0.05)
    if rng.random() < 0.4:
        pitch = rng.uniform(40, 160)
        noise += levelled(_wave(2 * np.pi * np.float32(pitch) * t, _timbre(rng, pitch)), level=LEVEL * rng.uniform(0.2, 1.5))
    return levelled(noise)


def music(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A made-up tune: chords of a scale, a melody, a bass and drums on a steady beat, each present or not.

    Notes have an attack and decay; tempo 60 to 160 beats a minute; the chord changes every two or four beats.
    """
    count = round(seconds * SAMPLE_RATE)
    samples = np.zeros(count, np.float32)
    beat = 60 / rng.uniform(60, 160)
    root, scale = rng.uniform(110, 220), SCALES[int(rng.integers(len(SCALES)))]
    has_chords, has_melody, has_bass, has_drums = rng.random(4) < (0.7, 0.8, 0.6, 0.5)
    if not (has_chords or has_melody or has_bass or has_drums):
        has_melody = True
    timbres = {part: _timbre(rng, 1200) for part in ("chord", "melody", "bass")}
    hold, vibrato = rng.uniform(0.5, 3), rng.uniform(0, 0.006)
    kick, snare = _strike(rng, "knock").astype(np.float32), _strike(rng, "step").astype(np.float32)
    chord_beats, cache = int(rng.choice([2, 4])), {}

    def pitch(step: int) -> float:
        return root * 2 ** ((scale[step % len(scale)] + 12 * (step // len(scale))) / 12)

    def add(sound: np.ndarray, at: float, gain: float) -> None:
        start = round(at * SAMPLE_RATE)
        if start < count:
            sound = sound[: count - start]
            samples[start : start + len(sound)] += np.float32(gain) * sound

    def note(part: str, step: int, length: float) -> np.ndarray:
        key = (part, step, round(length, 4))
        if key not in cache:
            t = _clock(length)
            frequency = pitch(step) * (0.5 if part == "bass" else 1)
            phase = 2 * np.pi * np.float32(frequency) * t
            if part == "melody":
                phase = phase + np.float32(frequency * vibrato / 5) * np.sin(2 * np.pi * 5 * t)
            shape = np.minimum(t / 0.02, 1) * np.exp(-t * np.float32(hold)) * np.minimum((length - t) / 0.03, 1)
            cache[key] = (_wave(phase.astype(np.float32), timbres[part]) * np.maximum(shape, 0)).astype(np.float32)
        return cache[key]

    melody_step, index, at, chord = int(rng.integers(5, 12)), 0, 0.0, 0
    while at < seconds:
        if index % chord_beats == 0:
            chord = int(rng.choice([0, 3, 4, 5, 1]))
            if has_chords:
                for third in (0, 2, 4):
                    add(note("chord", chord + third, beat * chord_beats), at, 0.3)
        if has_bass:
            add(note("bass", chord, beat), at, 0.6)
        if has_drums:
            add(kick if index % 2 == 0 else snare, at, 0.8)
        if has_melody and rng.random() < 0.85:
            pieces = int(rng.choice([1, 1, 2, 2, 4]))
            for piece in range(pieces):
                melody_step = int(np.clip(melody_step + rng.integers(-2, 3), 3, 17))
                add(note("melody", melody_step, beat / pieces), at + piece * beat / pieces, 0.5)
        index += 1
        at = index * beat
    return levelled(samples)


SOUNDS: dict[str, tuple[Callable[[np.random.Generator, float], np.ndarray], float]] = {
    "music": (music, 4.0),
    "environment": (environment, 3.0),
    "strikes": (strikes, 2.0),
    "noise": (shaped_noise, 0.8),
    "bursts": (noise_bursts, 1.0),
    "tone": (tone, 1.0),
    "sweep": (sweep, 0.7),
    "silence": (silence, 1.5),
}
"""Builder and relative frequency of every family of sounds without speech."""


def random_sound(rng: np.random.Generator, seconds: float, *, families: tuple[str, ...] | None = None) -> np.ndarray:
    """Samples of a random family (all of :data:`SOUNDS`, weighted, unless named)."""
    names = list(families or SOUNDS)
    weights = np.array([SOUNDS[name][1] for name in names])
    return SOUNDS[names[int(rng.choice(len(names), p=weights / weights.sum()))]][0](rng, seconds)
