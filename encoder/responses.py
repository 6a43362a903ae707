"""The result of a run: responses with everything that says what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from encoder.atlas import N_PARCELS, load_atlas
from encoder.curves import curve_ids
from extractors.errors import SelectionError
from extractors.grid import TR, tr_middles

SUBJECTS = (1, 2, 3, 5)
"""Subjects of Algonauts 2025, in the order of the model's subject table."""

ARRAYS = ("values", "valid", "spread", "member_curves")
"""Fields that are no metadata."""


@dataclass(frozen=True, eq=False)
class Responses:
    """Predicted BOLD with labels and provenance. Holds data only; ``viz.export`` writes it.

    Attributes
    ----------
    values : float32 [S, T, 1000]
        z; row k stands for film time (k + 0.5) * tr.
    subjects : tuple of int
        Out of 1, 2, 3, 5.
    simulated : bool
        True for a model of simulated subjects; then labels say "Sim 1", never "Subject 1".
    valid : bool [T]
        Rows whose prediction rests on a full past.
    model_id, model_title, badge, weights_sha256 : str
    extractor_ids : dict of str to str
    clip_sha256, clip_name : str
        Of the upload; the name is hostile text.
    duration : float
        Seconds of film.
    present : dict of str to bool
        Which streams the clip had.
    transcript_source : str
        "none" when the run went without words.
    range_floor : float
        Usual SD of this model's predictions (z): a colour or curve range never goes below it.
    edits, lesions, warnings : tuple of str
    extra : dict
        Further JSON-able facts.
    members : tuple of str
        Checkpoints whose mean this is; empty for a single one.
    spread : float32 [S, T, 1000] or None
        Standard deviation between the members (of a sample, with their number less one), parcel by parcel; None without members.
    member_curves : float32 [members, S, T, curves] or None
        The members' means over networks, groups and their halves, in the order of :func:`encoder.curves.curve_ids`; what
        :attr:`curve_spread` is made of.
    """

    values: np.ndarray
    subjects: tuple[int, ...]
    simulated: bool
    valid: np.ndarray
    model_id: str
    model_title: str
    weights_sha256: str
    extractor_ids: dict[str, str]
    clip_sha256: str
    clip_name: str
    duration: float
    present: dict[str, bool]
    transcript_source: str
    badge: str = ""
    range_floor: float = 0.0
    tr: float = TR
    units: str = "z"
    atlas_hash: str = field(default_factory=lambda: load_atlas().hash)
    edits: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    spread: np.ndarray | None = None
    member_curves: np.ndarray | None = None

    def __post_init__(self):
        shape = (len(self.subjects), len(self.valid), N_PARCELS)
        if self.values.shape != shape:
            raise ValueError(f"values must have shape {shape} (subjects, TRs, parcels), but got {self.values.shape} instead.")
        check_subjects(self.subjects)
        rows = (len(self.subjects), len(self.valid))
        parts = {"spread": (*rows, N_PARCELS), "member_curves": (len(self.members), *rows, len(curve_ids()))}
        for name, expected in parts.items():
            got = getattr(self, name)
            if (got is None) != (not self.members) or (got is not None and got.shape != expected):
                wanted = f"must have shape {expected}" if self.members else "belongs to a result of several members only"
                raise ValueError(f"{name} {wanted}, but got {None if got is None else got.shape} instead.")

    @property
    def n_trs(self) -> int:
        """Rows."""
        return self.values.shape[1]

    @property
    def times(self) -> np.ndarray:
        """Film times of the rows in seconds, shape [T]."""
        return tr_middles(self.n_trs)

    @property
    def subject_labels(self) -> tuple[str, ...]:
        """Names for people: "Sim 1" or "Subject 1"."""
        return tuple(f"{'Sim' if self.simulated else 'Subject'} {subject}" for subject in self.subjects)

    @property
    def subject_files(self) -> tuple[str, ...]:
        """Names for files: "sub-sim01" or "sub-01"."""
        return tuple(f"sub-{'sim' if self.simulated else ''}{subject:02d}" for subject in self.subjects)

    def select(self, subjects: Sequence[int]) -> Responses:
        """The same result with only these subjects; SelectionError for one that is not in it."""
        chosen = check_subjects(subjects, self.subjects)
        rows = [self.subjects.index(subject) for subject in chosen]
        return replace(
            self,
            values=self.values[rows],
            subjects=chosen,
            spread=None if self.spread is None else self.spread[rows],
            member_curves=None if self.member_curves is None else self.member_curves[:, rows],
        )

    def subject(self, subject: int, *, spread: bool = False) -> np.ndarray:
        """One subject's responses, or the spread between members: float32 [T, 1000]."""
        (chosen,) = check_subjects((subject,), self.subjects)
        return self._array(spread)[self.subjects.index(chosen)]

    def parcels(self, mask: np.ndarray, *, spread: bool = False) -> np.ndarray:
        """Responses of chosen parcels (bool [1000] or indices), or their spread between members: float32 [S, T, n]."""
        return self._array(spread)[:, :, mask]

    def network(self, name: str, *, spread: bool = False) -> np.ndarray:
        """Responses of a network ("Vis"), of its half ("Vis-L"), or of a group ("Auditory"), or their spread: float32 [S, T, n].

        SelectionError for an unknown name, and for the spread of a result without members.
        """
        return self.parcels(load_atlas().mask(name), spread=spread)

    def _array(self, spread: bool) -> np.ndarray:
        if not spread:
            return self.values
        if self.spread is None:
            raise SelectionError("no_spread", "This result comes from a single checkpoint and has no spread.", "Run an ensemble of several.")
        return self.spread

    def network_mean(self, name: str) -> np.ndarray:
        """Mean over the parcels of a network, half or group: float32 [S, T]."""
        return self.network(name).mean(2)

    @property
    def curve_spread(self) -> dict[str, np.ndarray] | None:
        """Standard deviation between members of every curve; None without members.

        Returns
        -------
        dict of curve id to float32 [S + 1, T]
            One row for each subject, then one for the mean of the subjects: a member's mean over parcels, or over subjects, strays less than its
            parts do, so neither is the mean of anything in ``spread``. :func:`encoder.curves.curve_ids` names the curves.
        """
        if self.member_curves is None:
            return None
        with_mean = np.concatenate([self.member_curves, self.member_curves.mean(1, keepdims=True)], axis=1)
        between = with_mean.std(0, ddof=1)
        return {name: between[:, :, number] for number, name in enumerate(curve_ids())}

    def metadata(self) -> dict[str, Any]:
        """Everything but the arrays, JSON-able, with labels spelled out."""
        plain = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ARRAYS}
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}
        atlas = load_atlas()
        return {
            **plain,
            "valid": [bool(row) for row in self.valid],
            "n_trs": self.n_trs,
            "shape": list(self.values.shape),
            "axes": ["subject", "TR", "parcel"],
            "time": "row k stands for film time (k + 0.5) * tr seconds",
            "subject_labels": list(self.subject_labels),
            "subject_files": list(self.subject_files),
            "parcel_labels": list(atlas.labels),
            "parcel_networks": atlas.networks.tolist(),
        }

    @classmethod
    def from_metadata(
        cls, values: np.ndarray, metadata: Mapping[str, Any], *, spread: np.ndarray | None = None, member_curves: np.ndarray | None = None
    ) -> Responses:
        """Put the arrays and :meth:`metadata` together again; ``spread`` and ``member_curves`` of a result that has members.

        Raises
        ------
        ValueError
            When they do not belong together, or the atlas is another one.
        """
        known = {item.name: metadata[item.name] for item in fields(cls) if item.name in metadata}
        if known.get("atlas_hash") != load_atlas().hash:
            raise ValueError("These responses were made with another parcel table.")
        for name in ("subjects", "edits", "lesions", "warnings", "members"):
            known[name] = tuple(known.get(name, ()))
        known["valid"] = np.array(known["valid"], bool)
        more = {"spread": spread, "member_curves": member_curves}
        return cls(
            values=np.asarray(values, np.float32),
            **known,
            **{name: None if array is None else np.asarray(array, np.float32) for name, array in more.items()},
        )


def check_subjects(subjects: Sequence[int], allowed: Sequence[int] = SUBJECTS) -> tuple[int, ...]:
    """Subjects as a tuple; SelectionError when empty, repeated or not among ``allowed``."""
    chosen = tuple(int(subject) for subject in subjects)
    names = ", ".join(str(subject) for subject in allowed)
    for subject in chosen:
        if subject not in allowed:
            raise SelectionError("unknown_subject", f"There is no subject {subject}. Allowed values are {names}.", f"Choose among {names}.")
    if not chosen or len(set(chosen)) != len(chosen):
        raise SelectionError("no_subject", f"Choose one or more different subjects among {names}.", f"For example {names}.")
    return chosen
