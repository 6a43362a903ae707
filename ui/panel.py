"""A drawn part of the page: a constant template, filled in the browser with ``textContent`` only.

Gradio's own HTML templates are not used for values: they are Handlebars whose outcome is run as a JavaScript template string, so a
file name holding ``${...}`` would be executed. Here the template is constant; assets/page/page.js and the scripts after it build every element.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gradio as gr

ASSETS_URL = "cineglass/assets/page"
SCRIPTS = (
    "page.js",
    "connection.js",
    "pieces.js",
    "models.js",
    "camera.js",
    "export.js",
    "measured.js",
    "experiment.js",
    "making.js",
    "runs.js",
    "designs.js",
)
HEAD = "".join(f'<script src="{ASSETS_URL}/{name}"></script>' for name in SCRIPTS)


class Panel(gr.HTML):
    """One part drawn by page.js.

    Parameters
    ----------
    kind : str
        Name of the drawing function in page.js.
    value : dict
        What it shows, JSON.
    sends : tuple of str
        Events the part can send to Python; Gradio wants their names quoted in the script that mounts it.
    """

    EVENTS: ClassVar[list] = gr.HTML.EVENTS

    def __init__(self, kind: str = "", value: dict[str, Any] | None = None, *, sends: tuple[str, ...] = (), **kwargs: Any):
        events = ", ".join(f"'{name}'" for name in sends)
        kwargs.update(
            html_template="<div></div>",
            js_on_load=f"window.CineglassPage.mount('{kind}', {{element, props, watch, trigger, upload, events: [{events}]}});",
            head=HEAD,
            apply_default_css=False,
        )
        super().__init__(value=value, **kwargs)

    def api_info(self) -> dict[str, Any]:
        """JSON schema of the value."""
        return {"type": "object"}

    def example_payload(self) -> dict[str, Any]:
        """A value of the right shape."""
        return {}

    def example_value(self) -> dict[str, Any]:
        """A value of the right shape."""
        return {}
