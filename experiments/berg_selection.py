"""Which parcels and whose responses are asked for: the arguments ``selection`` and ``subject``, and the masks that belong to the answer."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from encoder.atlas import N_PARCELS, NETWORK_NAMES, load_atlas
from encoder.responses import SUBJECTS
from experiments.berg_errors import InvalidParameterError, did_you_mean, not_allowed, unknown_name

KEYS = ("roi", "parcel_index", "parcels")
EVERY_PARCEL = np.arange(N_PARCELS)


class RoiMasks(dict):
    """Masks by network name; lower-case names answer too, since BERG's cards write them both ways."""

    def __missing__(self, key: Any) -> np.ndarray:
        for name in self:
            if isinstance(key, str) and name.lower() == key:
                return self[name]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or any(name.lower() == key for name in self)

    def get(self, key: Any, default: Any = None) -> Any:
        """The mask, or the default."""
        try:
            return self[key]
        except KeyError:
            return default


def roi_masks(columns: np.ndarray = EVERY_PARCEL) -> RoiMasks:
    """For each of the seven networks, which of the columns (parcel indices) belong to it: bool [n]."""
    networks = load_atlas().networks[columns]
    return RoiMasks({name: networks == name for name in NETWORK_NAMES})


def parcel_facts(columns: np.ndarray = EVERY_PARCEL) -> dict[str, Any]:
    """What the columns of a response are.

    Returns
    -------
    dict
        ``roi_masks``; ``parcel_ids`` int [n], 1 to 1000; ``parcel_labels``, ``parcel_networks``, ``parcel_hemispheres`` list of n str;
        ``parcel_centroids`` float32 [n, 3], MNI mm.
    """
    atlas = load_atlas()
    return {
        "roi_masks": roi_masks(columns),
        "parcel_ids": columns + 1,
        "parcel_labels": [atlas.labels[column] for column in columns],
        "parcel_networks": atlas.networks[columns].tolist(),
        "parcel_hemispheres": atlas.hemispheres[columns].tolist(),
        "parcel_centroids": atlas.centroids[columns],
    }


def selected(selection: Mapping[str, Any] | None) -> np.ndarray:
    """Parcels that a selection chooses; several keys are combined with OR.

    Parameters
    ----------
    selection : mapping or None
        ``roi``: networks, their halves ("Vis-L") or groups of the atlas ("Auditory"), one or a list; ``parcel_index``: 1000 zeros and ones,
        at least one 1; ``parcels``: labels or ids 1 to 1000, one or a list. None, or an empty mapping, chooses all.

    Returns
    -------
    int [n]
        Indices 0..999 in the order of the atlas.

    Raises
    ------
    InvalidParameterError
        For an unknown key or value.
    """
    if selection is None:
        return EVERY_PARCEL
    if not isinstance(selection, Mapping):
        raise not_allowed("selection", f"a dict with the keys {', '.join(KEYS)}", selection, 'For example {"roi": ["Vis"]}.')
    chosen = np.zeros(N_PARCELS, bool)
    for key, value in selection.items():
        if key not in KEYS:
            raise unknown_name("keys of selection", KEYS, key)
        chosen |= {"roi": _rois, "parcel_index": _one_hot, "parcels": _parcels}[key](value)
    return np.flatnonzero(chosen) if selection else EVERY_PARCEL


def subjects_of(subject: Any) -> tuple[tuple[int, ...], bool]:
    """Subjects as a tuple, and whether it was a single one.

    Raises
    ------
    InvalidParameterError
        For anything but 1, 2, 3, 5 or a list of different ones.
    """
    allowed = f"one of {', '.join(map(str, SUBJECTS))}, or a list of different ones"
    if subject is None:
        raise not_allowed("subject", allowed, subject, "Give it to get_encoding_model or to encode, for example subject=1.")
    single = isinstance(subject, Integral)
    try:
        chosen = [subject] if single or isinstance(subject, str) else list(subject)
    except TypeError:
        raise not_allowed("subject", allowed, subject) from None
    whole = all(isinstance(one, Integral) and not isinstance(one, bool | np.bool_) for one in chosen)
    if not whole or not chosen or len(set(chosen)) != len(chosen) or set(chosen) - set(SUBJECTS):
        raise not_allowed("subject", allowed, subject, "Subjects are whole numbers, for example subject=1 or subject=[1, 3].")
    return tuple(int(one) for one in chosen), single


def _rois(value: Any) -> np.ndarray:
    atlas, chosen = load_atlas(), np.zeros(N_PARCELS, bool)
    groups = [group.id for group in atlas.groups]
    names = {*NETWORK_NAMES, *(f"{name}-{side}" for name in NETWORK_NAMES for side in "LR"), *groups}
    for name in _listed("roi", value, "names of networks"):
        if not isinstance(name, str) or name not in names:
            raise unknown_name("values of roi", [*NETWORK_NAMES, *groups], name, more=" (and halves of networks such as Vis-L)")
        chosen |= atlas.mask(name)
    return chosen


def _one_hot(value: Any) -> np.ndarray:
    allowed = f"{N_PARCELS} zeros and ones, at least one of them a 1"
    try:
        flags = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    except ValueError:
        raise not_allowed("parcel_index", allowed, "lists of different lengths") from None
    if flags.shape != (N_PARCELS,):
        raise InvalidParameterError(
            "not_allowed", f"parcel_index must be {allowed}, but got the shape {flags.shape} instead.", "Indices or ids go into parcels=[...]."
        )
    if flags.dtype.kind not in "biuf" or not np.isin(flags, (0, 1)).all():
        strange = next((item for item in flags.tolist() if item not in (0, 1)), None)
        raise not_allowed("parcel_index", allowed, strange, "Indices or ids go into parcels=[...].")
    if not flags.any():
        raise InvalidParameterError("not_allowed", f"parcel_index must be {allowed}, but got zeros only.", "Set the parcels that you want to 1.")
    return flags.astype(bool)


def _parcels(value: Any) -> np.ndarray:
    labels, chosen = load_atlas().labels, np.zeros(N_PARCELS, bool)
    for item in _listed("parcels", value, "labels or ids"):
        if isinstance(item, str):
            if item not in labels:
                known = f"labels of the atlas such as {labels[0]!r}, or ids 1 to {N_PARCELS}"
                raise not_allowed("parcels", known, item, did_you_mean(item, labels))
            chosen[labels.index(item)] = True
        elif isinstance(item, Integral) and not isinstance(item, bool | np.bool_) and 1 <= item <= N_PARCELS:
            chosen[int(item) - 1] = True
        else:
            raise not_allowed("parcels", f"labels of the atlas or ids 1 to {N_PARCELS}", item, "Ids begin with 1: column k of all is id k + 1.")
    return chosen


def _listed(name: str, value: Any, what: str) -> list:
    """One value or several as a list; nothing chosen is an error."""
    if isinstance(value, str | Integral):
        return [value]
    try:
        items = list(value.tolist() if hasattr(value, "tolist") else value)
    except TypeError:
        raise not_allowed(name, f"a list of {what}", value) from None
    if not items:
        raise not_allowed(name, f"a list of {what}, at least one", value)
    return items
