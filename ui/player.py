"""The player as a Gradio component: one ``gr.HTML`` whose inside is made once and then follows its value.

Python sends a value (``viz.payload.pack``, or one of the short states below); the scripts in ``assets/player`` draw it. The template is
constant, so a new value never remakes the film element. Scripts, styles and the atlas travel inside the component's ``head``
(:mod:`viz.player_page`), so the page works under any folder and any root path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_file_to_cache

from viz.player_page import head_html

OWN_ADDRESS = "cineglass/"
"""Films under this address are served by the page itself (:mod:`ui.files`) and are not copied into Gradio's cache."""

TEMPLATE = '<div class="cineglass" data-mount></div>'
ON_LOAD = "window.CineglassPlayer.mount(element, props, watch, () => trigger('ready'));"


class Player(gr.HTML):
    """Film, brain, curves and words on one clock.

    The value is what :func:`viz.payload.pack` returns, or :func:`working`, :func:`failed`, :func:`empty`. These three carry no
    responses: the player keeps showing the last result, dimmed or greyed. ``media["url"]`` is an address of this page's own, or names a
    local file, which is copied into Gradio's cache under the hash of its content; an address on another host is never passed on.

    Fires ``ready`` once the first result is drawn.
    """

    def __init__(self, value: dict[str, Any] | None = None, *, elem_id: str = "player", **kwargs: Any):
        super().__init__(
            value,
            html_template=TEMPLATE,
            js_on_load=ON_LOAD,
            head=head_html(),
            apply_default_css=False,
            elem_id=elem_id,
            **kwargs,
        )

    def preprocess(self, payload: Any) -> None:
        """Nothing is taken from the browser: the player only shows."""
        return None

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any]:
        """Put the film into Gradio's cache and hand the rest on unchanged."""
        if value is None:
            return empty()
        if other := value.get("other"):
            value = {**value, "other": self.postprocess(other)}
        media = value.get("media")
        if not media:
            return value
        return {**value, "media": {"kind": media["kind"], "has_sound": bool(media.get("has_sound")), "file": self._served(media.get("url"))}}

    def _served(self, source: str | Path | None) -> dict[str, Any] | None:
        if str(source).startswith(OWN_ADDRESS):
            return {"url": str(source)}
        if not source or not Path(source).is_file():
            return None
        cached = save_file_to_cache(source, self.GRADIO_CACHE)
        self.temp_files.add(cached)
        return FileData(path=cached).model_dump()

    def api_info(self) -> dict[str, Any]:
        """The value is for the player only; programs use the named endpoints."""
        return {"type": "object", "description": "What the player shows: state, film, words, and every subject's parcels as int8."}

    def example_payload(self) -> Any:
        """A value of the right type."""
        return empty()

    def example_value(self) -> Any:
        """A value of the right type."""
        return empty()


def empty(message: str = "Choose an example or drop in a clip.") -> dict[str, Any]:
    """Nothing to show yet."""
    return {"version": 1, "state": "empty", "message": message}


def working(message: str, *, job: str = "", progress: float | None = None) -> dict[str, Any]:
    """A run is going on: ``message`` is one plain sentence, ``progress`` 0..1 or None while unknown.

    A value of another state that names the same ``job`` ends this: what is said of the job's work is not shown after that, even if it comes
    later. (Answers that Gradio queues are overtaken by those that it does not.)
    """
    return {"version": 1, "state": "working", "message": message, "progress": progress, "job": job}


def failed(message: str, hint: str = "", *, job: str = "") -> dict[str, Any]:
    """A run has failed; the last result stays, greyed."""
    return {"version": 1, "state": "failed", "message": message, "hint": hint, "job": job}


def kept(job: str = "") -> dict[str, Any]:
    """A run was stopped: show the last result again as it was."""
    return {"version": 1, "state": "done", "job": job}
