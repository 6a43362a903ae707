"""The Measured tab: a table of measured responses opens as a second series in the player, with its correlation as a layer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from encoder.atlas import DISPLAY_NAMES, load_atlas
from extractors.errors import CineglassError, SelectionError
from settings import Settings
from ui.line import Line, in_plain_words
from ui.link import Asked, result_of
from ui.panel import Panel
from ui.sessions import Shelf, Visit
from ui.shown import Shown

if TYPE_CHECKING:
    from experiments.measured import Measured, Table
    from ui.events import Parts

MOST_MB = 300
ENDINGS = (".h5", ".hdf5", ".npy", ".tsv", ".csv")
POLL_S = 0.1


def measured_tab(value: dict[str, Any]) -> Panel:
    """Build the tab's content; ``value`` is that of :func:`measured_value`, empty without a result."""
    return Panel("measured", value, sends=("dropped", "choose", "remove"), elem_id="cp-measured")


def measured_value(shown: Shown | None, settings: Settings) -> dict[str, Any]:
    """The tab before a table has come."""
    if shown is None:
        return {}
    responses = shown.responses
    return {
        "subjects": [list(pair) for pair in zip(responses.subjects, responses.subject_labels, strict=True)],
        "endings": list(ENDINGS),
        "most_mb": min(MOST_MB, settings.max_upload_mb),
    }


class Measuring:
    """What the page does about measured tables.

    Parameters
    ----------
    parts : Parts
    settings : Settings
    shelf : Shelf
    keep : callable
        Takes a visit and a request, gives the changes that keep the visit.
    newest : mapping of str to Visit
        The visits as they now are, by session.
    """

    def __init__(self, parts: Parts, *, settings: Settings, shelf: Shelf, keep: Callable[..., dict[Any, Any]], newest: Mapping[str, Visit]):
        self.parts, self.settings, self.shelf, self._keep, self._newest = parts, settings, shelf, keep, newest
        self.line = Line(running=2, waiting=settings.queue_size)

    async def receive(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Take a table that was dropped, and open it."""
        from extractors.media import display_name

        visit = self._newest.get(request.session_hash, visit)
        try:
            token = await asyncio.to_thread(self.shelf.keep_upload, str(getattr(event, "path", "")))
        except CineglassError as error:
            return {self.parts.measured: {"error": {"message": error.message, "hint": error.hint}}}
        self.shelf.drop_upload(visit.measured)
        name = display_name(str(getattr(event, "name", "")))
        visit = visit.but(measured=token, measured_name=name, uploads=(*visit.uploads, token))
        return self._keep(visit, request) | await self._open(visit, event, request)

    async def choose(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Another data set, TR or subject for the table that is here."""
        return await self._open(self._newest.get(request.session_hash, visit), event, request)

    def remove(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Show the prediction alone again."""
        visit = self._newest.get(request.session_hash, visit)
        self.shelf.drop_upload(visit.measured)
        changes = self._keep(visit.but(measured="", measured_name=""), request)
        shown = self._shown(getattr(event, "run", None))
        return changes | {self.parts.player: shown.payload, self.parts.measured: measured_value(shown, self.settings)}

    def leave(self, visitor: str) -> None:
        """The page was closed."""
        self.line.stop_visitor(visitor)

    async def _open(self, visit: Visit, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        from experiments.measured import beside

        panel = self.parts.measured
        value: dict[str, Any] = {}
        try:
            shown = await asyncio.to_thread(self._shown, getattr(event, "run", None))
            value = measured_value(shown, self.settings) | {"kept": True, "dataset": _text(event, "dataset")}
            value["subject"] = _number(event, "subject", int)
            job = self.line.join(request.session_hash, lambda: iter([self._read(visit, event)]))
            while not job.over:
                await asyncio.sleep(POLL_S)
            if job.error is not None:
                raise job.error
            table = job.result
            value |= {"datasets": [list(pair) for pair in table.datasets], "dataset": table.dataset}
            measured = await asyncio.to_thread(beside, shown.responses, table, value["subject"])
        except Exception as error:
            error = in_plain_words(error)
            if found := getattr(error, "datasets", ()):
                value["datasets"] = [list(pair) for pair in found]
            return {panel: value | {"error": {"message": error.message, "hint": error.hint}}}
        return {panel: value | _found(measured, shown), self.parts.player: _payload(shown, measured)}

    def _read(self, visit: Visit, event: gr.EventData) -> Table:
        from experiments.measured import read_measured

        file = self.shelf.upload(visit.measured)
        how = {"tr": _number(event, "tr", float), "dataset": _text(event, "dataset"), "name": visit.measured_name}
        return read_measured(file, **how, settings=self.settings)

    def _shown(self, place: Any) -> Shown:
        """The result in the player, by its address."""
        _, _, rest = str(place).partition("cineglass/")
        kind, _, name = rest.partition("/")
        if kind not in ("examples", "runs", "comparisons") or not name:
            raise SelectionError("no_result", "There is no result in the player.", "Run a clip or open an example.")
        name = name.partition("/")[0]  # of a comparison, the table stands beside A
        link = {"examples": Asked(example=name), "runs": Asked(run=name), "comparisons": Asked(comparison=name)}[kind]
        return result_of(link, shelf=self.shelf, settings=self.settings, states=())


def _payload(shown: Shown, measured: Measured) -> dict[str, Any]:
    """The player's value with the table beside the prediction."""
    from viz.payload import pack_layer, pack_second

    subject = shown.payload["subjects"][shown.responses.subjects.index(measured.subject)]
    second = pack_second(
        measured.values[None],
        measured.valid,
        ids=[subject["id"]],
        labels=[f"Measured ({measured.name})"],
        kind="measured",
        label=f"Measured ({measured.name})",
        note=" ".join(measured.notices),
    )
    layer = pack_layer(
        np.where(np.isfinite(measured.accuracy), measured.accuracy, np.nan),
        id="accuracy",
        label="Correlation with the measured series",
        subject=subject["id"],
        unit="r",
        signed=True,
        range=1.0,
        note=f"Over {measured.rows} TRs, {subject['label']} beside {measured.name}.",
    )
    return shown.payload | {"second": second, "layers": [*shown.payload["layers"], layer]}


def _found(measured: Measured, shown: Shown) -> dict[str, Any]:
    from experiments.measured import accuracy_table

    label = shown.responses.subject_labels[shown.responses.subjects.index(measured.subject)]
    names = {"all": "All parcels", **DISPLAY_NAMES, **{group.id: group.label for group in load_atlas().groups}}
    return {
        "head": f"{label} beside {measured.name}: mean correlation {measured.mean_accuracy:.3f} over {measured.rows} TRs.",
        "notices": list(measured.notices),
        "table": [[names[name], str(parcels), f"{mean:.3f}" if np.isfinite(mean) else "unknown"] for name, parcels, mean in accuracy_table(measured)],
    }


def _number(event: gr.EventData, name: str, kind: type) -> Any:
    """A number from the browser, which may send anything."""
    value = getattr(event, name, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value) or abs(value) > 1e6:
        raise SelectionError("number", f"The {'subject' if name == 'subject' else 'TR'} must be a number.", "Choose it again.")
    return kind(value)


def _text(event: gr.EventData, name: str) -> str | None:
    value = getattr(event, name, None)
    return value[:500] if isinstance(value, str) and value else None
