"""How fast the player draws: `python -m benchmarks.player` (headless Chromium, software rendering).

A result of 200 TRs and four subjects over a 60 s film. Printed: the time of a frame that moves only the playhead and of one that changes
the TR (script and canvas, forced to finish by reading a pixel back), the main thread's whole time for each film frame, missed frames
while playing, the time from a seek to the painted page, and the size of the value.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.browser.conftest import ARGUMENTS, browser_path
from tests.browser.player_page import film, planted, spoken

ROWS, PLAYED_S = 200, 20

FRAMES = """() => {
  const p = window.__cineglass, took = {row: [], head: []};
  const finish = () => { p.brain.context.getImageData(0, 0, 1, 1); document.body.offsetHeight; };
  for (let row = 1; row < 41; row += 1) {
    for (const [kind, time] of [['row', row * p.result.tr + 0.01], ['head', row * p.result.tr + 0.05], ['head', row * p.result.tr + 0.09]]) {
      const began = performance.now(); p.tick(time); finish(); took[kind].push(performance.now() - began);
    }
  }
  return took;
}"""

SEEKS = """async () => {
  const p = window.__cineglass, took = [];
  for (let i = 0; i < 25; i += 1) {
    const began = performance.now();
    p.clock.seek(((i * 17) % 55) + 0.4);
    await new Promise((done) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }));
    took.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 120));
  }
  return took;
}"""


def main() -> int:
    """Measure, print a table, and return 1 when a limit is broken."""
    import gradio as gr
    from playwright.sync_api import sync_playwright

    from ui.player import Player
    from viz.payload import pack

    with tempfile.TemporaryDirectory() as folder:
        clip = film(Path(folder) / "clip.webm", 60.0, size=(640, 360), fps=25)
        value = pack(planted(ROWS, ROWS * 1.49), spoken(ROWS), media_url=clip, media_kind="video", title="Benchmark", run_id="benchmark")
        size = len(json.dumps(value, separators=(",", ":"))) / (ROWS * 4)
        with gr.Blocks(analytics_enabled=False) as page:
            Player(value)
        _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
            tab = browser.new_page(viewport={"width": 1280, "height": 1000})
            tab.goto(address)
            tab.wait_for_function("window.__cineglass && window.__cineglass.state().time > 1")
            protocol = tab.context.new_cdp_session(tab)
            protocol.send("Performance.enable")

            def busy() -> float:
                return next(entry["value"] for entry in protocol.send("Performance.getMetrics")["metrics"] if entry["name"] == "TaskDuration")

            tab.evaluate("window.__cineglass.clock.frames = { seen: 0, missed: 0, last: 0 }")
            before = busy()
            tab.wait_for_timeout(PLAYED_S * 1000)
            spent = busy() - before
            frames = tab.evaluate("window.__cineglass.clock.frames")
            tab.evaluate("window.__cineglass.clock.pause()")
            took, seeks = tab.evaluate(FRAMES), tab.evaluate(SEEKS)
            browser.close()
        page.close()

    shown = frames["seen"] + frames["missed"]
    rows = [
        ("frame that moves only the playhead, median", statistics.median(took["head"]), 8, "ms"),
        ("frame that changes the TR, median", statistics.median(took["row"]), 25, "ms"),
        ("main thread for each film frame while playing, mean", 1000 * spent / max(1, frames["seen"]), 40, "ms"),
        (f"missed frames of {shown}", 100 * frames["missed"] / max(1, shown), 2, "%"),
        ("seek to repaint, median", statistics.median(seeks), 50, "ms"),
        ("value for each TR and subject", size, 1500, "bytes"),
    ]
    print("| what | measured | limit |\n|---|---|---|")
    for name, measured, limit, unit in rows:
        print(f"| {name} | {measured:.1f} {unit} | {limit} {unit} |")
    return int(any(measured > limit for _, measured, limit, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
