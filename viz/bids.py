"""One result as a BIDS-derivatives dataset in a zip.

What BIDS 1.11 has names for stands under those names: the dataset and atlas descriptions, participants, the mean volume, the parcel volume with its
table. Parcel time series and CIFTI files follow the names of xcp_d and are not in the schema yet: :data:`IGNORED` lists them and their sidecars, and
nothing else. What is no BIDS file at all lies where BIDS looks into nothing: the words and the film under ``stimuli``, text and picture under
``docs``, the program's own files under ``sourcedata``.

Every file name says ``acq-insilico`` and every sidecar ``Simulated``, so that nobody files a prediction as a scan. Equal results give equal bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.atlas import load_atlas
from encoder.responses import Responses
from extractors.errors import SelectionError
from extractors.formats import guard_cell, to_string
from extractors.grid import counting_rows
from extractors.in_thread import Tell, in_thread
from extractors.stages import Stage
from extractors.tr_table import clean
from extractors.transcript import Transcript
from viz.cifti import write_pscalar, write_ptseries
from viz.export import parcel_lines, write, write_networks
from viz.methods import PROGRAM, citations, methods_text, program_address, program_version
from viz.picked import pick
from viz.sidecar import facts, to_json, without_places
from viz.volumes import LEVEL, SPACE, VOLUME, to_nifti
from viz.writing import check_ending, whole_file

if TYPE_CHECKING:
    from encoder.cards import Card

BIDS_VERSION = "1.11.1"
ATLAS = "Schaefer2018"
PARCELS = f"atlas-{ATLAS}_seg-7n_scale-1000"
"""Entities of the parcels: the realisation with 7 networks and 1000 regions."""

IGNORED = ("*_timeseries.tsv", "*_timeseries.json", "*.ptseries.nii", "*.pscalar.nii", "*_boldmap.json")
"""``.bidsignore``, whole: parcel series, CIFTI files, and their sidecars."""

OWN = "sourcedata/cineglass"
TEMPLATE = f"tpl-{SPACE}/anat/tpl-{SPACE}_{PARCELS}_res-2_dseg"
RESOLUTION = "2 mm isotropic, the grid of FSL's MNI152 templates"
DATED = (1980, 1, 1, 0, 0, 0)
"""Every file of the zip: the first date that a zip can hold."""

LABEL_MAX, TITLE_MAX = 30, 200
CHUNK_BYTES = 1 << 20


def write_bids(
    responses: Responses,
    transcript: Transcript,
    path: str | os.PathLike,
    *,
    title: str = "",
    film: str | os.PathLike | None = None,
    card: Card | None = None,
) -> Generator[Any, None, None]:
    """Write one result as a zip of a BIDS-derivatives dataset.

    Parameters
    ----------
    responses : Responses
    transcript : Transcript
    path : path
        Ends in ``.zip``.
    title : str
        Name of the dataset; by default made of the film's name.
    film : path, optional
        The film as it was analysed, to lie in the zip; without it, or where it is gone, the sidecars name its sha256 only.
    card : Card, optional
        Of the model: licence, accuracy and limits.

    Yields
    ------
    Stage
        Named "bids"; the last item is the path.

    Raises
    ------
    SelectionError
        For another ending, and values that are not finite.
    CacheError
        When the file cannot be written; nothing half-written stays.
    """
    path = check_ending(Path(path), ".zip")
    if not np.isfinite(responses.values).all():
        raise SelectionError("not_finite", "The values hold numbers that are not finite.", "Run the clip again.")
    film = Path(film) if film is not None and Path(film).is_file() else None
    dataset = _Dataset(responses, transcript, " ".join(clean(title).split())[:TITLE_MAX], film, card)

    def work(tell: Tell) -> Path:
        with whole_file(path, "dataset") as part, tempfile.TemporaryDirectory(prefix="cineglass-") as folder, zipfile.ZipFile(part, "w") as archive:
            files = sorted(_files(dataset, Path(folder)).items())
            for number, (name, chunks) in enumerate(files):
                tell(number / len(files), f"Writing file {number + 1} of {len(files)}")
                with archive.open(_entry(name), "w") as file:
                    for chunk in chunks():
                        file.write(chunk)
                        tell()
        return path

    written = yield from in_thread("bids", 1, "Gathering the dataset", work)
    yield Stage("bids", 1, 1, "The dataset is written")
    yield written


def task_label(name: str) -> str:
    """A film's name as a BIDS label: its letters and digits in ASCII, without the ending; "film" where none are left."""
    stem = re.sub(r"\.\w{2,4}$", "", re.split(r"[/\\]", name)[-1])
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return "".join(re.findall(r"[0-9A-Za-z]+", plain))[:LABEL_MAX] or "film"


@dataclass(frozen=True, eq=False)
class _Dataset:
    responses: Responses
    transcript: Transcript
    title: str
    film: Path | None
    card: Card | None

    @property
    def task(self) -> str:
        return task_label(self.responses.clip_name)

    @property
    def name(self) -> str:
        if self.title:
            return self.title
        kind = "Simulated" if self.responses.simulated else "Predicted"
        return f"{kind} responses to the film {self.task}"

    @property
    def mean_rows(self) -> np.ndarray:
        """Rows of the mean maps: the valid ones, or all where none is valid."""
        return counting_rows(self.responses.valid)


Chunks = Callable[[], Iterator[bytes]]


def _files(dataset: _Dataset, folder: Path) -> dict[str, Chunks]:
    """Every file of the dataset with what makes its bytes; made one after another, when it is written."""
    responses, transcript = dataset.responses, dataset.transcript
    files: dict[str, Chunks] = {
        "dataset_description.json": _json(lambda: _description(dataset)),
        "README.txt": _text(lambda: _readme(dataset)),
        ".bidsignore": _text(lambda: "".join(f"{pattern}\n" for pattern in IGNORED)),
        "participants.tsv": _text(lambda: _participants(responses)),
        "participants.json": _json(lambda: _PARTICIPANTS),
        f"atlas-{ATLAS}_description.json": _json(lambda: _ATLAS_DESCRIPTION),
        f"atlas-{ATLAS}_dseg.tsv": _text(_parcel_table),
        f"atlas-{ATLAS}_dseg.json": _json(lambda: _PARCEL_COLUMNS),
        f"{TEMPLATE}.nii.gz": lambda: iter([VOLUME.read_bytes()]),
        f"{TEMPLATE}.json": _json(lambda: {"Manual": False, "Resolution": RESOLUTION}),
        "docs/methods.txt": _text(lambda: _methods(dataset)),
        "docs/references.bib": _text(lambda: "\n\n".join(citation.bibtex for citation in citations(responses)) + "\n"),
        "docs/networks.png": _made(folder, ".png", lambda path: write_networks(responses, path, "png")),
        f"{OWN}/responses.json": _json(lambda: without_places(responses.metadata())),
        f"{OWN}/networks.tsv": _made(folder, ".tsv", lambda path: write(responses, "networks_tsv", path)),
        f"{OWN}/transcript.tsv": _text(lambda: to_string(transcript, "tsv")),
    }
    arrays = {"values": "responses", **({"spread": "spread", "member_curves": "member_curves"} if responses.members else {})}
    for part, name in arrays.items():
        files[f"{OWN}/{name}.npy"] = _array(getattr(responses, part))
    if transcript.n_words:
        stem = f"stimuli/task-{dataset.task}"
        files |= {f"{stem}_words.{form}": _text(lambda form=form: to_string(transcript, form)) for form in ("srt", "vtt")}
        files[f"{stem}_words.tsv"] = _text(lambda: _words(transcript))
    if dataset.film is not None:
        files[f"stimuli/task-{dataset.task}_film.mp4"] = lambda: _read(dataset.film)
    for subject, name in zip(responses.subjects, responses.subject_files, strict=True):
        files |= _subject(dataset, subject, name, folder)
    return files


def _subject(dataset: _Dataset, subject: int, name: str, folder: Path) -> dict[str, Chunks]:
    responses = dataset.responses
    stem = f"{name}/func/{name}_task-{dataset.task}_acq-insilico_space-{SPACE}"
    series, scalar, mean = f"{stem}_{PARCELS}_stat-mean_timeseries", f"{stem}_{PARCELS}_stat-mean_boldmap", f"{stem}_res-2_desc-mean_bold"
    rows = np.flatnonzero(dataset.mean_rows).tolist()

    def sidecar(description: str, **more: Any) -> Chunks:
        made = {"kind": "bids", "subject": subject, "description": f"{responses.subject_labels[responses.subjects.index(subject)]}: {description}"}
        return _json(lambda: {**facts(responses, transcript=dataset.transcript, made=made), "TaskName": dataset.task, **more})

    reference = {"SpatialReference": f"{TEMPLATE}.nii.gz", "Resolution": RESOLUTION}
    table = {"Parcels": f"bids::atlas-{ATLAS}_dseg.tsv", "SamplingFrequency": 1 / responses.tr}
    averaged = {"RowsAveraged": rows, "VoxelsOutside": 0}
    return {
        f"{series}.tsv": lambda: map(str.encode, parcel_lines(responses.subject(subject))),
        f"{series}.ptseries.nii": _made(folder, ".ptseries.nii", lambda path: write_ptseries(responses, path, subject=subject)),
        f"{series}.json": sidecar("predicted BOLD of each parcel, one line (TSV) or one column of the matrix (CIFTI) for each TR", **table),
        f"{scalar}.pscalar.nii": _made(folder, ".pscalar.nii", lambda path: _mean_map(dataset, subject, path)),
        f"{scalar}.json": sidecar("predicted BOLD of each parcel, mean over rows", RowsAveraged=rows),
        f"{mean}.nii.gz": lambda: iter([_mean_volume(dataset, subject)]),
        f"{mean}.json": sidecar("predicted BOLD, mean over rows, as one volume", **reference, **averaged, SkullStripped=True),
    }


def _description(dataset: _Dataset) -> dict[str, Any]:
    responses, card = dataset.responses, dataset.card
    address = program_address()
    program = {"Name": PROGRAM, "Version": program_version(), **({"CodeURL": address} if address else {})}
    model = {"Name": responses.model_title, "Version": responses.weights_sha256, "Description": f"the model {responses.model_id}"}
    return without_places(
        {
            "Name": dataset.name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "License": card.licence if card is not None else "Not known here: that of the model's weights, which its card states.",
            "GeneratedBy": [program, model],
            "HowToAcknowledge": "Cite the program, the model and the atlas; docs/references.bib lists them.",
            "ReferencesAndLinks": [citation.text for citation in citations(responses)],
            "Simulated": responses.simulated,
        }
    )


def _readme(dataset: _Dataset) -> str:
    responses = dataset.responses
    head = "SIMULATED RESPONSES: no brain was measured." if responses.simulated else "PREDICTED RESPONSES: nobody watched this film in a scanner."
    who = ", ".join(f"{name} is {label}" for name, label in zip(responses.subject_files, responses.subject_labels, strict=True))
    stimuli = [
        *(["the film as it was analysed"] if dataset.film is not None else []),
        *(["words with their times"] if dataset.transcript.n_words else []),
    ]
    lines = [
        head,
        "",
        f"Predicted BOLD of {responses.n_trs} TRs ({responses.tr:g} s each) and 1000 parcels, in {responses.units}; {who}.",
        "Row k, counted from 0, stands for film time (k + 0.5) * TR. Mean maps are over the rows named in their sidecars.",
        f"Volumes and coordinates are in {SPACE}, which FSL calls MNI152; not in MNI152NLin2009cAsym.",
        "",
        "sub-*/func: time series (TSV, CIFTI) and mean maps (CIFTI, NIfTI), each with a sidecar that says how to make it again.",
        f"tpl-{SPACE}: the volume of the parcels; atlas-{ATLAS}_dseg.tsv names them.",
        *([f"stimuli: {' and '.join(stimuli)}."] if stimuli else []),
        "docs: methods text with references, and the networks' curves.",
        f"{OWN}: the program's own files: responses.npy float32 [subjects, TRs, 1000], network means, and the words as an Algonauts table,",
        "whose cells are not guarded against the formulas of spreadsheets.",
        "",
        "Files that .bidsignore lists have no name in BIDS yet; they follow xcp_d.",
    ]
    return "\n".join(lines) + "\n"


def _methods(dataset: _Dataset) -> str:
    card = dataset.card
    limits = ["", "Where the model's card says not to believe it", "", *(f"- {limit}" for limit in card.limits)] if card is not None else []
    references = ["", "References", "", *(citation.text for citation in citations(dataset.responses))]
    return "\n".join(["Methods", "", methods_text(dataset.responses, dataset.transcript, card), *limits, *references]) + "\n"


def _participants(responses: Responses) -> str:
    rows = []
    for name, label in zip(responses.subject_files, responses.subject_labels, strict=True):
        species = "n/a" if responses.simulated else "homo sapiens"
        rows.append([name, species, "n/a", "n/a", "n/a", str(responses.simulated).lower(), label])
    return _tsv(["participant_id", "species", "age", "sex", "handedness", "simulated", "label"], rows)


def _parcel_table() -> str:
    atlas = load_atlas()
    rows = [
        [k, label, hemisphere, network, region, atlas.colours[network], *(f"{mm:g}" for mm in centroid)]
        for k, label, hemisphere, network, region, centroid in zip(
            range(1, len(atlas.labels) + 1), atlas.labels, atlas.hemispheres, atlas.networks, atlas.regions, atlas.centroids, strict=True
        )
    ]
    return _tsv(["index", "name", "hemisphere", "network", "region", "color", "x", "y", "z"], rows)


def _words(transcript: Transcript) -> str:
    rows = [[f"{word.onset:.3f}", f"{word.duration:.3f}", guard_cell(clean(word.text))] for word in transcript.words]
    return _tsv(["onset", "duration", "word"], rows)


def _tsv(head: Sequence[str], rows: Any) -> str:
    out = io.StringIO()
    table = csv.writer(out, delimiter="\t", lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return out.getvalue()


def _mean_map(dataset: _Dataset, subject: int, path: Path) -> None:
    picked = pick(dataset.responses, subject=subject, rows=dataset.mean_rows)
    write_pscalar({picked.what: picked.values[0]}, path, simulated=dataset.responses.simulated, facts={"ModelId": dataset.responses.model_id})


def _mean_volume(dataset: _Dataset, subject: int) -> bytes:
    """The mean map as a series of one volume: BIDS knows BOLD in four dimensions only."""
    from nibabel import Nifti1Image

    image = to_nifti(dataset.responses, subject=subject, rows=dataset.mean_rows)
    header = image.header.copy()
    header.set_data_shape((*image.shape, 1))
    header["pixdim"][4] = dataset.responses.tr
    header.set_xyzt_units("mm", "sec")
    whole = Nifti1Image(np.asanyarray(image.dataobj)[..., None], image.affine, header).to_bytes()
    return gzip.compress(whole, LEVEL, mtime=0)


def _array(array: np.ndarray) -> Chunks:
    def chunks() -> Iterator[bytes]:
        plain = np.ascontiguousarray(array, "<f4")
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(plain))
        yield head.getvalue()
        content = memoryview(plain).cast("B")
        for start in range(0, len(content), CHUNK_BYTES):
            yield content[start : start + CHUNK_BYTES]

    return chunks


def _made(folder: Path, ending: str, make: Callable[[Path], Any]) -> Chunks:
    """Bytes of a file that only a path can be written to."""

    def chunks() -> Iterator[bytes]:
        path = folder / f"made{ending}"
        make(path)
        yield from _read(path)
        path.unlink()

    return chunks


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _text(make: Callable[[], str]) -> Chunks:
    return lambda: iter([make().encode("utf-8", "replace")])


def _json(make: Callable[[], Any]) -> Chunks:
    return _text(lambda: to_json(make()))


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip's entry of a fixed date, for everybody to read; what is packed already is stored as it is."""
    entry = zipfile.ZipInfo(name, DATED)
    entry.compress_type = zipfile.ZIP_STORED if name.endswith((".gz", ".mp4", ".png")) else zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


_PARTICIPANTS = {
    "species": {"Description": "binomial name of the species; n/a for a simulated participant"},
    "age": {"Description": "not known"},
    "sex": {"Description": "not known"},
    "handedness": {"Description": "not known"},
    "simulated": {"Description": "true: no person, but written rules; false: a person whose responses the model was trained on"},
    "label": {"Description": "the participant's name on the page"},
}

_ATLAS_DESCRIPTION = {
    "AtlasName": "Schaefer 2018, 1000 parcels, 7 networks",
    "Description": "Parcels of the cerebral cortex from resting-state connectivity, assigned to the seven networks of Yeo et al. 2011; "
    f"the volume is that of 2 mm in FSL's MNI152 ({SPACE}).",
    "License": "MIT",
    "Authors": ["Alexander Schaefer", "et al."],
    "ReferencesAndLinks": ["https://doi.org/10.1093/cercor/bhx179"],
    "Species": "homo sapiens",
}

_PARCEL_COLUMNS = {
    "Description": "Parcels of Schaefer 2018 with 7 networks, in the order of the time series",
    "SpatialReference": f"{TEMPLATE}.nii.gz",
    "hemisphere": {"Description": "L or R"},
    "network": {"Description": "network of Yeo et al. 2011; SomMot holds auditory cortex"},
    "region": {"Description": "area within the network, as the atlas names it"},
    "color": {"Description": "colour of the network, after Yeo et al. 2011"},
    **{axis: {"Description": f"{axis} of the parcel's centroid in {SPACE}", "Units": "mm"} for axis in "xyz"},
}
