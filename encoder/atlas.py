"""The 1000 Schaefer parcels: labels, networks, places, and named groups that cut across the networks.

Network membership is read from the table by name, never from index ranges: the last two right-hemisphere parcels are Control again.
Table: Schaefer et al. 2018 (Cerebral Cortex 28:3095), 7-network order after Yeo et al. 2011; centroids in MNI millimetres.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import numpy as np

from extractors.errors import SelectionError
from settings import ASSETS

N_PARCELS = 1000
NETWORK_NAMES = ("Vis", "SomMot", "DorsAttn", "SalVentAttn", "Limbic", "Cont", "Default")
DISPLAY_NAMES = {
    "Vis": "Visual",
    "SomMot": "Somatomotor",
    "DorsAttn": "Dorsal attention",
    "SalVentAttn": "Salience/ventral attention",
    "Limbic": "Limbic",
    "Cont": "Control",
    "Default": "Default mode",
}
NETWORK_NOTES = {"SomMot": "holds auditory cortex", "Limbic": "few parcels, weak signal"}
"""What a reader must know beside a network's name."""

COLOURS = {
    "Vis": "#781286",
    "SomMot": "#4682b4",
    "DorsAttn": "#00760e",
    "SalVentAttn": "#c43afa",
    "Limbic": "#dcf8a4",
    "Cont": "#e69422",
    "Default": "#cd3e4e",
}
"""Colours of Yeo et al. 2011."""


@dataclass(frozen=True, eq=False)
class Group:
    """A named set of parcels that is not a Yeo network.

    ``rule`` is the text that chose the parcels (see :func:`match_rule`), ``source`` says in words why these.
    """

    id: str
    label: str
    rule: str
    source: str
    indices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Atlas:
    """Parcels in array order (index 0..999; the id in files is index + 1).

    Attributes
    ----------
    labels : tuple of str
    networks, hemispheres, regions : numpy.ndarray of str, shape [1000]
        Network key, "L" or "R", and the area part of the label.
    centroids : float32 [1000, 3]
        MNI millimetres.
    groups : tuple of Group
    hash : str
        sha256 of the parcel table.
    """

    labels: tuple[str, ...]
    networks: np.ndarray
    hemispheres: np.ndarray
    regions: np.ndarray
    centroids: np.ndarray
    groups: tuple[Group, ...]
    hash: str
    network_names: tuple[str, ...] = NETWORK_NAMES

    @property
    def display_names(self) -> dict[str, str]:
        """Network key to the name shown to people."""
        return dict(DISPLAY_NAMES)

    @property
    def colours(self) -> dict[str, str]:
        """Network key to hex colour."""
        return dict(COLOURS)

    def group(self, name: str) -> Group:
        """The group with this id; SelectionError for an unknown one."""
        for group in self.groups:
            if group.id == name:
                return group
        raise _unknown("group", name, [group.id for group in self.groups])

    def mask(self, name: str) -> np.ndarray:
        """Parcels of a network, a hemisphere of a network ("Vis-L"), or a group.

        Returns
        -------
        numpy.ndarray of bool, shape [1000]

        Raises
        ------
        SelectionError
            For a name that is none of these.
        """
        network, _, side = name.partition("-")
        if network in self.network_names and side in ("", "L", "R"):
            chosen = self.networks == network
            return chosen & (self.hemispheres == side) if side else chosen
        for group in self.groups:
            if group.id == name:
                chosen = np.zeros(len(self.labels), bool)
                chosen[list(group.indices)] = True
                return chosen
        raise _unknown("network or group", name, [*self.network_names, *(group.id for group in self.groups)])


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The atlas of ``assets/atlas``, read once."""
    return read_atlas(ASSETS / "atlas" / "schaefer1000_7networks.tsv", ASSETS / "atlas" / "groups.tsv")


def read_atlas(parcels: Path, groups: Path) -> Atlas:
    """Read the parcel table and the group rules.

    Raises
    ------
    ValueError
        When the ids are not 1..1000 in order, a network is unknown, or a rule chooses nothing.
    """
    content = parcels.read_bytes()
    rows = list(csv.DictReader(content.decode("utf-8").splitlines(), delimiter="\t"))
    if [int(row["index"]) for row in rows] != list(range(1, N_PARCELS + 1)):
        raise ValueError(f"The parcel table must hold ids 1 to {N_PARCELS} in order, but holds {len(rows)} rows.")
    networks = np.array([row["network"] for row in rows])
    if strange := set(networks) - set(NETWORK_NAMES):
        raise ValueError(f"Allowed networks are {', '.join(NETWORK_NAMES)}, but got {', '.join(sorted(strange))} as well.")
    atlas = Atlas(
        labels=tuple(row["label"] for row in rows),
        networks=networks,
        hemispheres=np.array([row["hemisphere"] for row in rows]),
        regions=np.array([row["region"] for row in rows]),
        centroids=np.array([[float(row[axis]) for axis in "xyz"] for row in rows], np.float32),
        groups=(),
        hash=hashlib.sha256(content).hexdigest(),
    )
    with groups.open(encoding="utf-8", newline="") as file:
        chosen = tuple(
            Group(row["id"], row["label"], row["rule"], row["source"], tuple(np.flatnonzero(match_rule(row["rule"], atlas)).tolist()))
            for row in csv.DictReader(file, delimiter="\t")
        )
    if empty := [group.id for group in chosen if not group.indices]:
        raise ValueError(f"These group rules choose no parcel: {', '.join(empty)}.")
    return Atlas(**{**vars(atlas), "groups": chosen})


_CONDITION = re.compile(r"(network|hemisphere|region|x|y|z|abs_x)(<=|>=|=)(\S+)")


def match_rule(rule: str, atlas: Atlas) -> np.ndarray:
    """Parcels that a rule chooses.

    A rule is one or more boxes joined by ``|``; a box is conditions with spaces between, all of which must hold:
    ``network=Vis,Cont``, ``hemisphere=L``, ``region=Temp``, and ``x``, ``y``, ``z``, ``abs_x`` (centroid, mm) with ``<=`` or ``>=``.

    Returns
    -------
    numpy.ndarray of bool, shape [1000]
    """
    names = {"network": atlas.networks, "hemisphere": atlas.hemispheres, "region": atlas.regions}
    x, y, z = atlas.centroids.T
    places = {"x": x, "y": y, "z": z, "abs_x": np.abs(x)}
    chosen = np.zeros(len(atlas.labels), bool)
    for box in rule.split("|"):
        inside = np.ones(len(atlas.labels), bool)
        for word in box.split():
            found = _CONDITION.fullmatch(word)
            if found is None or (found[1] in names) != (found[2] == "="):
                raise ValueError(f"Cannot read the condition {word!r} in a group rule.")
            key, sign, value = found.groups()
            if sign == "=":
                inside &= np.isin(names[key], value.split(","))
            else:
                inside &= places[key] <= float(value) if sign == "<=" else places[key] >= float(value)
        chosen |= inside
    return chosen


def _unknown(what: str, name: str, allowed: Iterable[str]) -> SelectionError:
    allowed = list(allowed)
    close = get_close_matches(name, allowed, n=1)
    hint = f"Did you mean {close[0]}?" if close else "Choose one of these names."
    return SelectionError("unknown_name", f"There is no {what} {name!r}. Allowed values are {', '.join(allowed)}.", hint)
