"""A real Chromium for the browser tests, and what every page must keep to: nothing leaves the machine, nothing is on the console."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

import pytest

POPUPS = "WebUIOmniboxPopup,WebUIOmniboxAimPopup"
"""Of the address bar, which no test has; every window starts them, for two thirds of what a new page costs."""
PLAYWRIGHTS = (
    "AimEnabled,AvoidCorsURLLoaderRestartOnRedirect,AvoidUnnecessaryBeforeUnloadCheckSync,CDPScreenshotNewSurface,DestroyProfileOnBrowserClose,"
    "HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,LensOverlay,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,"
    "PreconnectToSearch,SkipListAccountsWithoutGaiaCookies,TcpPortRandomizationWin,ThirdPartyStoragePartitioning"
)
"""What Playwright turns off by itself: of two such lists Chromium takes the last."""
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", f"--disable-features={POPUPS},{PLAYWRIGHTS}"]
MISSING = "NO BROWSER: the browser tests did not run. Install chromium, or set CINEGLASS_BROWSER to one (tests/find_browser.sh helps)."
MOST_WAITING = 2  # pages between tests
missing_browser = []


def browser_path() -> str | None:
    """The Chromium to use: the one named in CINEGLASS_BROWSER, else one on the path."""
    named = os.environ.get("CINEGLASS_BROWSER")
    return named or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")  # not for longer: while it lives, this thread has an event loop
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


class Tab:
    """A page in a context of its own, which another test may use again when nothing is left of this one: that takes half of a page's start.

    A still one asks for reduced motion: the player rests until it is told to play, and a page that is waited for costs nothing.
    A test that changes the page for good (another locale or colour scheme, scripts of its own, held requests, a second page) spoils it.
    """

    CUT_OFF = ("AbortError: signal is aborted", "Connection errored out")  # what Gradio says of an event that a reload cuts off
    SPOIL_PAGE = ("add_init_script", "emulate_media", "expose_binding", "expose_function", "on", "route", "set_extra_http_headers")
    SPOIL_CONTEXT = ("add_init_script", "grant_permissions", "new_cdp_session", "new_page", "on", "route", "set_offline")

    def __init__(self, browser, options, still):
        self.still = still
        asked = {"viewport": {"width": 1180, "height": 1000}, "reduced_motion": "reduce" if still else "no-preference"}
        self.context = browser.new_context(**asked | options)
        self.page = self.context.new_page()
        self.spoiled = bool(options)
        self.allowed: tuple[str, ...] = ()
        self.faults: list[str] = []
        self.origins: set[str] = set()
        self._session = self.context.new_cdp_session(self.page)
        self.page.reload = self._reloading(self.page.reload)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self._on_request)
        for owner, names in ((self.page, self.SPOIL_PAGE), (self.context, self.SPOIL_CONTEXT)):
            for name in names:
                setattr(owner, name, self._spoiling(getattr(owner, name)))

    def _spoiling(self, method):
        def call(*args, **how):
            self.spoiled = True
            return method(*args, **how)

        return call

    def _reloading(self, reload):
        def call(**how):
            self.allowed = (*self.allowed, *self.CUT_OFF)
            return reload(**how)

        return call

    def _on_console(self, message):
        if message.type == "error" and not any(part in message.text for part in self.allowed):
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request):
        host = urlsplit(request.url)
        if host.scheme in ("http", "https", "ws", "wss"):
            self.origins.add(f"{host.scheme}://{host.netloc}")
            if host.hostname not in ("127.0.0.1", "localhost"):
                self.faults.append(f"request to {host.hostname}")

    def clean(self) -> bool:
        """Leave nothing of this test; whether that went well."""
        from playwright.sync_api import Error

        if self.spoiled or self.page.is_closed() or len(self.context.pages) != 1:
            return False
        try:
            if self.page.url.startswith("http"):
                self.page.evaluate("sessionStorage.clear()")
            self.page.mouse.move(0, 0)
            self.page.goto("about:blank")
            for origin in self.origins:
                self._session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
            self.context.clear_cookies()
        except Error:
            return False
        self.origins.clear()
        return True


@pytest.fixture(scope="module")
def _tabs(browser):
    """Pages that wait for their next test."""
    waiting: list[Tab] = []
    yield waiting
    for tab in waiting:
        tab.context.close()


@pytest.fixture
def open_page(browser, _tabs):
    """Open an address without cookies or storage; afterwards no error may be on the console and no request may have left the machine."""
    tabs = []

    def open_it(address: str, *, width: int = 1180, height: int = 1000, allowed: tuple[str, ...] = (), still: bool = False, **options):
        waiting = [] if options else [tab for tab in _tabs if tab.still == still]
        if waiting:
            _tabs.remove(waiting[0])
        tab = waiting[0] if waiting else Tab(browser, options, still)
        tabs.append(tab)
        tab.allowed = allowed
        tab.page.bring_to_front()  # only the page in front may copy
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.page.set_default_timeout(45_000)  # other tests run beside this one
        tab.page.goto(address)
        return tab.page

    yield open_it
    faults = []
    for tab in tabs:
        faults += tab.faults
        if len(_tabs) < MOST_WAITING and tab.clean():
            _tabs.append(tab)
        else:
            tab.context.close()
        tab.faults.clear()  # what is said while a page is left, of events still out, is no fault
    assert not faults, faults


def pytest_terminal_summary(terminalreporter):
    if missing_browser:
        terminalreporter.write_line(f"*** {MISSING} ***", red=True, bold=True)
