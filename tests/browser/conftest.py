"""A real Chromium for the browser tests, and what every page must keep to: nothing leaves the machine, nothing is on the console."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
MISSING = "NO BROWSER: the browser tests did not run. Install chromium, or set CINEGLASS_BROWSER to one (tests/find_browser.sh helps)."
missing_browser = []


def browser_path() -> str | None:
    """The Chromium to use: the one named in CINEGLASS_BROWSER, else one on the path."""
    named = os.environ.get("CINEGLASS_BROWSER")
    return named or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    path = browser_path()
    if path is None:
        missing_browser.append(True)
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Open an address in a fresh context; afterwards no error may be on the console and no request may have left the machine."""
    contexts, faults = [], []

    def open_it(address: str, *, width: int = 1180, height: int = 1000, allowed: tuple[str, ...] = (), **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()

        def on_console(message):
            if message.type == "error" and not any(part in message.text for part in allowed):
                faults.append(f"console: {message.text}")

        def on_request(request):
            host = urlsplit(request.url)
            if host.scheme in ("http", "https", "ws", "wss") and host.hostname not in ("127.0.0.1", "localhost"):
                faults.append(f"request to {host.hostname}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", on_request)
        page.set_default_timeout(15_000)
        page.goto(address)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not faults, faults


def pytest_terminal_summary(terminalreporter):
    if missing_browser:
        terminalreporter.write_line(f"*** {MISSING} ***", red=True, bold=True)
