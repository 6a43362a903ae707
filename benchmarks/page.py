"""How long the page takes to be there, as ratios to a bare Gradio app on the same machine in the same minutes.

``python -m benchmarks.page [--rounds 5]``. Each round starts the bare app and ``python app.py`` anew, one after the other, and measures from
the start of the process to HTTP 200, and from opening the address in headless Chromium to the first button (bare app) or to the example
moving (ours: the film's clock has advanced and the brain shows a row).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.browser.conftest import ARGUMENTS, browser_path
from tests.page_server import free_port

ROOT = Path(__file__).parents[1]
MOST = 1.5
BARE = "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Button('go').click(lambda: None)\ndemo.launch()\n"
MOVING = "window.__cineglass && window.__cineglass.state().row >= 0 && window.__cineglass.state().time > 0"


def started(command: list[str], folder: Path) -> tuple[subprocess.Popen, str, float]:
    """Start a server; its process, its address, and the seconds until it answered."""
    port = free_port()
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "CINEGLASS_CACHE_DIR": str(folder),
    }
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    while True:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(address, timeout=5).status == 200:
                return process, address, time.perf_counter() - begin
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(command)[:60]} ended before it answered")
        time.sleep(0.02)


def opened(browser, address: str, *, moving: bool) -> float:
    """Seconds from opening the address to the first button, or to the example moving."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    begin = time.perf_counter()
    page.goto(address, wait_until="commit")
    if moving:
        page.wait_for_function(MOVING, polling=20, timeout=60_000)
    else:
        page.wait_for_selector("button", timeout=60_000)
    took = time.perf_counter() - begin
    page.close()
    return took


def main() -> int:
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    figures: dict[str, list[float]] = {"bare 200": [], "page 200": [], "bare button": [], "page moving": []}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
        for _ in range(rounds):
            for name, command in (("bare", [sys.executable, "-c", BARE]), ("page", [sys.executable, "app.py"])):
                process, address, answered = started(command, Path(folder))
                try:
                    figures[f"{name} 200"].append(answered)
                    opened(browser, address, moving=name == "page")  # the browser's own caches are warm in both
                    figures["page moving" if name == "page" else "bare button"].append(opened(browser, address, moving=name == "page"))
                finally:
                    process.terminate()
                    process.wait(10)
        browser.close()
    middle = {name: statistics.median(values) for name, values in figures.items()}
    ratios = {"to HTTP 200": middle["page 200"] / middle["bare 200"], "to the example moving": middle["page moving"] / middle["bare button"]}
    for name, seconds in middle.items():
        print(f"{name:12s} {seconds:6.2f} s  (from {min(figures[name]):.2f} to {max(figures[name]):.2f})")
    for name, ratio in ratios.items():
        print(f"{name:22s} {ratio:5.2f} times the bare app  (at most {MOST})")
    return int(any(ratio > MOST for ratio in ratios.values()))


if __name__ == "__main__":
    raise SystemExit(main())
