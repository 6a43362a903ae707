"""Files of a capsule from a stranger, held against each other and against the form, before anything is made of them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder.curves import curve_ids
from experiments import capsule_form as form
from experiments.capsule_facts import ComparisonFacts, ResultFacts, condition_facts, model_facts
from experiments.capsule_zip import damaged
from experiments.results import load_result
from extractors.arrays import load_array
from extractors.errors import CapsuleError, CineglassError
from extractors.grid import TR, n_trs

if TYPE_CHECKING:
    from experiments.comparison import Comparison
    from experiments.predict import Result
    from extractors.clip import Clip
    from extractors.time_map import TimeMap

RATE = 16_000
SLACK_S = 2.0
"""By so much a time map may reach beyond a film: what a frame or a packet adds at its end."""
LARGEST = 1e4
"""No response in z comes near it."""

_HEADER = re.compile(rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d{1,10}(?:, \d{1,10}){0,4}),?\), \} *\n")
_APART = "The files of the capsule do not belong together"


def check_result(folder: Path, manifest: form.Manifest, side: str) -> Result:
    """One condition's result, when its files are whole, belong together and are what the manifest says."""
    name = f"{side}/responses.json"
    facts = form.strict_json((folder / "responses.json").read_bytes(), name)
    told: ResultFacts = form.checked(ResultFacts, facts, name)
    rows = len(told.valid)
    shape = (len(told.subjects), rows, len(told.parcel_networks))
    arrays = {"responses.npy": shape}
    if told.members:
        arrays |= {"spread.npy": shape, "member_curves.npy": (len(told.members), *shape[:2], len(curve_ids()))}
    for array in form.MEMBERS:
        if (folder / array).is_file() != (array in arrays):
            raise disagree(f"{side}/{array} belongs to a result of several checkpoints, and to no other")
    for array, expected in arrays.items():
        check_array(folder / array, expected, f"{side}/{array}")
    try:
        result = load_result(folder)
    except CineglassError as error:
        raise CapsuleError("disagree", f"{_APART}: {side} holds no whole result.", form.UNCHANGED) from error
    responses, clip = result.responses, result.clip
    own = {key: value for key, value in facts.items() if key not in ("form", "run", "clip", "transcript")}
    if own != json.loads(json.dumps(responses.metadata())):
        raise disagree(f"{name} contradicts itself")
    lasts = (clip.duration == responses.duration, clip.sha256 == responses.clip_sha256, clip.name == responses.clip_name)
    long = clip.n_trs == responses.n_trs == result.transcript.n_trs == n_trs(clip.duration)
    if not all(lasts) or not long or responses.tr != TR or result.transcript.source != responses.transcript_source:
        raise disagree(f"film, words and responses of {side} are not of one run")
    for pieces in (told.extra.time_map, told.extra.origin and told.extra.origin.time_map):
        _check_map(pieces, clip.duration, name)
    kept = manifest.conditions[side]
    transcript = manifest.files[f"{side}/transcript.tsv"].sha256
    film = f"{side}/{form.FILM}" in manifest.files
    if condition_facts(result, label=kept.label, film=film, transcript_sha256=transcript) != kept or model_facts(responses) != manifest.model:
        raise disagree(f"what it says of {side} is not in its files")
    _check_model(responses)
    return result


def _check_model(responses: Any) -> None:
    """Nobody takes the mark SIMULATED off a model of this program, or its name for another one's responses."""
    from encoder.checkpoints import MODELS, list_models

    if responses.model_id not in list_models():
        return
    from encoder.cards import read_card

    card = read_card(MODELS / responses.model_id / "card.yaml")
    if (responses.simulated, responses.model_title, responses.badge) != (card.simulated, card.title, card.badge):
        raise disagree(f"the model {responses.model_id} is not called so")


def _check_map(pieces: Any, duration: float, name: str) -> None:
    """The map of an edited film is one, and tells of no more film than there is."""
    from extractors.time_map import TimeMap

    try:
        known = TimeMap.from_list(pieces or [])
    except CineglassError as error:
        raise CapsuleError("disagree", f"{_APART}: {name} holds no time map.", form.UNCHANGED) from error
    if any(piece.end > duration + SLACK_S for piece in known.pieces):
        raise disagree("its time map tells of more film than there is")


def check_comparison(raw: Path, manifest: form.Manifest, results: dict[str, Result]) -> Comparison:
    """The comparison of checked results, when ``comparison.json`` and the null edits belong to them."""
    from encoder.lesions import parse_lesions
    from experiments.comparison import Comparison
    from experiments.comparison_files import facts_of
    from experiments.null_band import NullBand
    from extractors.edit_language import parse_edits
    from extractors.time_map import TimeMap

    facts = form.strict_json((raw / form.COMPARISON).read_bytes(), form.COMPARISON)
    told: ComparisonFacts = form.checked(ComparisonFacts, facts, form.COMPARISON)
    there = [(raw / name).is_file() for name in form.NULL]
    if any(there) != (told.null_edits is not None) or any(there) != all(there):
        raise disagree("its null edits are not whole")
    null = None
    if told.null_edits is not None:
        n, (subjects, rows, parcels) = len(told.null_edits), results["a"].responses.values.shape
        shapes = ((n, subjects + 1, rows, len(curve_ids())), (n, subjects, parcels))
        arrays = []
        for name, shape in zip(form.NULL, shapes, strict=True):
            check_array(raw / name, shape, name, gaps=name == form.NULL[1])
            arrays.append(load_array(raw / name))
        null = NullBand(tuple(told.null_edits), *arrays)
    try:
        for text in (told.edits, *(told.null_edits or ())):
            parse_edits(text)
        parse_lesions(told.lesions)
        time_map = None if told.time_map is None else TimeMap.from_list(told.time_map)
        texts = {name: getattr(told, name) for name in ("label_a", "label_b", "edits", "lesions", "id")}
        comparison = Comparison(results["a"], results["b"], time_map=time_map, null=null, seed=told.seed, **texts)
        same = json.loads(json.dumps(facts_of(comparison))) == facts
    except (CineglassError, ValueError, TypeError, KeyError, IndexError) as error:
        raise CapsuleError("disagree", f"{_APART}: {form.COMPARISON} holds no comparison.", form.UNCHANGED) from error
    if time_map is not None and not _fits(time_map, results["a"].clip.duration, results["b"].clip.duration):
        raise disagree("its time map tells of more film than there is")
    own = (told.edits, told.lesions, told.null_edits, told.seed, told.label_a, told.label_b)
    labels = [condition.label for condition in manifest.conditions.values()]
    if not same or own != (manifest.edits, manifest.lesions, manifest.null_edits, manifest.seed, *labels):
        raise disagree(f"what it says of the comparison is not in {form.COMPARISON}")
    return comparison


def _fits(time_map: TimeMap, duration_a: float, duration_b: float) -> bool:
    """Whether a map stays within both films."""
    return all(piece.end <= duration_b + SLACK_S and max(piece.source_start, piece.source_end) <= duration_a + SLACK_S for piece in time_map.pieces)


def check_array(path: Path, shape: tuple[int, ...], name: str, *, gaps: bool = False) -> None:
    """A plain float32 array of this shape with finite values (``gaps``: nan too) and nothing else; its header is read by no interpreter.

    Raises
    ------
    CapsuleError
        ``bad_array``.
    """
    with path.open("rb") as file:
        head = file.read(10)
        header = file.read(int.from_bytes(head[8:10], "little")) if head[:8] == b"\x93NUMPY\x01\x00" else b""
        found = _HEADER.fullmatch(header)
        if found is None or tuple(map(int, found[1].split(b", "))) != shape:
            wanted = " by ".join(map(str, shape))
            raise CapsuleError("bad_array", f"{name} in the capsule is not an array of {wanted} float32 numbers.", form.UNCHANGED)
        if path.stat().st_size != file.tell() + 4 * int(np.prod(shape, dtype=object)):
            raise CapsuleError("bad_array", f"{name} in the capsule has another length than its header says.", form.UNCHANGED)
        while block := file.read(2**22):
            values = np.frombuffer(block, "<f4")
            if not (np.abs(values[~np.isnan(values)] if gaps else values) <= LARGEST).all():
                raise CapsuleError("bad_array", f"{name} in the capsule holds a number that is no response.", form.UNCHANGED)


def check_samples(path: Path, clip: Clip, name: str) -> None:
    """16 kHz samples of the film's length with the hash that the clip names."""
    most = round((clip.duration + 1) * RATE)
    count = max(0, path.stat().st_size - 128) // 4
    if count > most:
        raise CapsuleError("bad_array", f"{name} in the capsule is longer than the film.", form.UNCHANGED)
    check_array(path, (count,), name)
    with path.open("rb") as file:
        file.seek(path.stat().st_size - 4 * count)
        key = hashlib.sha256(file.read()).hexdigest()
    if key != clip.audio_key:
        raise damaged(name)


def disagree(said: str) -> CapsuleError:
    """The error for files that contradict each other."""
    return CapsuleError("disagree", f"{_APART}: {said}.", form.UNCHANGED)
