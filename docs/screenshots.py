"""The README's pictures, taken of the running page: ``python -m docs.screenshots`` (needs the browser of the tests)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, browser_path
from tests.page_server import app_process

HERE = Path(__file__).parent
MOMENT_S = 34.0
SHOWN = f"window.__cineglass && Math.abs(window.__cineglass.state().time - {MOMENT_S}) < 0.5"


def main() -> None:
    """Open the landing page in both themes, seek to a telling moment, and keep what is seen."""
    with tempfile.TemporaryDirectory() as folder, app_process(Path(folder)) as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1400, "height": 1130})
            page.goto(f"{address}/?__theme={theme}")
            page.wait_for_function("window.__cineglass && window.__cineglass.state().time > 0.5")
            page.evaluate("window.__cineglass.clock.pause()")
            page.evaluate(f"window.__cineglass.clock.seek({MOMENT_S})")
            page.wait_for_function(SHOWN)
            page.wait_for_timeout(1000)
            page.screenshot(path=HERE / f"page-{theme}.png")
        browser.close()


if __name__ == "__main__":
    main()
