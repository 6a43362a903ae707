"""How long the page takes to be there, as ratios to a bare Gradio app on the same machine in the same minutes.

``python -m benchmarks.page [--rounds 5]``. Each round starts the bare app and ``python app.py`` anew, one after the other, and measures from
the start of the process to HTTP 200, and from starting headless Chromium to the first button (bare app) or to the example moving (ours: the
film's clock has advanced and the brain shows a row). The same without the browser's own start is printed too.
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


def opened(playwright, address: str, *, moving: bool) -> tuple[float, float]:
    """Seconds to the first button, or to the example moving: from starting a fresh browser, and from opening the address in it."""
    begin = time.perf_counter()
    browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
    try:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        ready = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_function(MOVING if moving else "!!document.querySelector('button')", polling=20, timeout=60_000)
        end = time.perf_counter()
    finally:
        browser.close()
    return end - begin, end - ready


def main() -> int:
    from playwright.sync_api import sync_playwright

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    names = ("bare 200", "page 200", "bare button", "page moving", "bare button, browser open", "page moving, browser open")
    figures: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for _ in range(rounds):
            for name, shown, command in (("bare", "button", [sys.executable, "-c", BARE]), ("page", "moving", [sys.executable, "app.py"])):
                process, address, answered = started(command, Path(folder))
                try:
                    figures[f"{name} 200"].append(answered)
                    whole, inside = opened(playwright, address, moving=name == "page")
                    figures[f"{name} {shown}"].append(whole)
                    figures[f"{name} {shown}, browser open"].append(inside)
                finally:
                    process.terminate()
                    process.wait(10)
    middle = {name: statistics.median(values) for name, values in figures.items()}
    ratios = {"to HTTP 200": middle["page 200"] / middle["bare 200"], "to the example moving": middle["page moving"] / middle["bare button"]}
    inside = middle["page moving, browser open"] / middle["bare button, browser open"]
    for name, seconds in middle.items():
        print(f"{name:26s} {seconds:6.2f} s  (from {min(figures[name]):.2f} to {max(figures[name]):.2f})")
    for name, ratio in ratios.items():
        print(f"{name:22s} {ratio:5.2f} times the bare app  (at most {MOST})")
    print(f"{'browser already open':22s} {inside:5.2f} times the bare app")
    return int(any(ratio > MOST for ratio in ratios.values()))


if __name__ == "__main__":
    raise SystemExit(main())
