"""How fast the player draws, and whether it holds on to memory: `python -m benchmarks.player [--minutes 10]` (headless Chromium, software rendering).

All panes are shown: film, glass brain, surface, curves, networks now. First a result of 200 TRs and four subjects over a 60 s film: the time of a
frame that moves only the playhead and of one that changes the TR (script and canvases, forced to finish by reading a pixel of each back), the
main thread's whole time for each film frame and the missed frames over 60 s of playing, the time from a seek to the painted page, and the size of
the value. Then one of 600 TRs and four subjects with a second series of the same size, eight lines drawn with eight beside them: the time from
the value's text to the painted page. Last the memory of the tab while the film loops for so many minutes, after forced garbage collections.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from tests.browser.conftest import ARGUMENTS, browser_path
from tests.browser.player_page import film, planted, spoken

ROWS, PLAYED_S, LONG_ROWS = 200, 60, 600

PAINTED = "new Promise((done) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = done; c.port2.postMessage(0); }))"

FRAMES = """() => {
  const p = window.__cineglass, took = {row: [], head: []};
  const canvases = [p.panes.glass.canvas, p.panes.surface.canvas, p.curves.canvas, p.curves.dots].map((canvas) => canvas.getContext("2d"));
  const finish = () => { for (const context of canvases) context.getImageData(0, 0, 1, 1); document.body.offsetHeight; };
  for (let row = 1; row < 41; row += 1) {
    for (const [kind, time] of [['row', row * p.result.tr + 0.01], ['head', row * p.result.tr + 0.05], ['head', row * p.result.tr + 0.09]]) {
      const began = performance.now(); p.tick(time); finish(); took[kind].push(performance.now() - began);
    }
  }
  return took;
}"""

SEEKS = f"""async () => {{
  const p = window.__cineglass, took = [];
  for (let i = 0; i < 25; i += 1) {{
    const began = performance.now();
    p.clock.seek(((i * 17) % 55) + 0.4);
    await {PAINTED};
    took.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 120));
  }}
  return took;
}}"""

FIRST_PAINT = f"""async (text) => {{
  const p = window.__cineglass, took = [];
  for (let i = 0; i < 7; i += 1) {{
    const began = performance.now();
    p.take({{ ...JSON.parse(text), run_id: `again-${{i}}` }});
    await {PAINTED};
    took.push(performance.now() - began);
    p.clock.pause();
    await new Promise((done) => setTimeout(done, 200));
  }}
  return [took, p.curves.drawn.length];
}}"""


def values(folder: Path) -> tuple[dict, str]:
    """The value of the short result, and the JSON text of the long one."""
    from viz.payload import pack, pack_second

    clip = film(folder / "clip.webm", 60.0, size=(640, 360), fps=25)
    short = pack(planted(ROWS, ROWS * 1.49), spoken(ROWS), media_url=clip, media_kind="video", title="Benchmark", run_id="benchmark")
    long = planted(LONG_ROWS, LONG_ROWS * 1.49)
    address = {"chunk_url": lambda number: f"none/{number}"}
    second = pack_second(-long.values, long.valid, ["sim1", "sim2", "sim3", "sim5"], "another", "condition", **address)
    opens_with = ("Vis", "SomMot", "DorsAttn", "SalVentAttn", "Limbic", "Cont", "Default", "Auditory")
    told = {"media_url": None, "media_kind": "none", "title": "Benchmark", "opens_with": opens_with}
    value = pack(long, spoken(LONG_ROWS), **told, second=second, **address)
    return short, json.dumps(value, separators=(",", ":"))


def looped(tab, protocol, minutes: float) -> dict[str, float]:
    """Megabytes of script and number of nodes and listeners, each at the end of looping less what there was after its first fifth."""
    tab.evaluate("const { video } = window.__cineglass.part; video.loop = true; video.currentTime = 0; window.__cineglass.clock.play()")
    tab.wait_for_timeout(minutes * 60_000 / 5)
    before = kept(tab, protocol)
    tab.wait_for_timeout(minutes * 60_000 * 4 / 5)
    after = kept(tab, protocol)
    return {name: after[name] - before[name] for name in after}


def kept(tab, protocol) -> dict[str, float]:
    """What is there at one moment of the film, so that the words on the screen are the same ones."""
    tab.evaluate("window.__cineglass.clock.seek(5)")
    tab.wait_for_timeout(300)
    for _ in range(3):
        protocol.send("HeapProfiler.collectGarbage")
    counts = protocol.send("Memory.getDOMCounters")
    return {"heap": protocol.send("Runtime.getHeapUsage")["usedSize"] / 1e6, "nodes": counts["nodes"], "listeners": counts["jsEventListeners"]}


def main() -> int:
    """Measure, print a table, and return 1 when a limit is broken."""
    import gradio as gr
    from playwright.sync_api import sync_playwright
    from starlette.responses import FileResponse
    from starlette.routing import Route

    from ui.player import Player
    from viz.player_page import SURFACE, surface_address

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="of looping while memory is watched (default 2)")
    minutes = parser.parse_args().minutes

    async def surface(_) -> FileResponse:
        return FileResponse(SURFACE)

    with tempfile.TemporaryDirectory() as folder:
        value, long = values(Path(folder))
        size = len(json.dumps(value, separators=(",", ":"))) / (ROWS * 4)
        with gr.Blocks(analytics_enabled=False) as page:
            Player(value)
        routes = {"routes": [Route(f"/{surface_address()}", surface)]}
        _, address, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False, app_kwargs=routes)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=ARGUMENTS)
            tab = browser.new_page(viewport={"width": 1280, "height": 1000})
            tab.goto(address)
            tab.wait_for_function("window.__cineglass && window.__cineglass.state().time > 1 && window.__cineglass.panes.surface.ready")
            protocol = tab.context.new_cdp_session(tab)
            protocol.send("Performance.enable")

            def busy() -> float:
                return next(entry["value"] for entry in protocol.send("Performance.getMetrics")["metrics"] if entry["name"] == "TaskDuration")

            tab.evaluate("const { clock } = window.__cineglass; clock.frames = { seen: 0, missed: 0, last: 0 }; clock.video.loop = true")
            before = busy()
            tab.wait_for_timeout(PLAYED_S * 1000)
            spent = busy() - before
            frames = tab.evaluate("window.__cineglass.clock.frames")
            tab.evaluate("window.__cineglass.clock.pause()")
            took, seeks = tab.evaluate(FRAMES), tab.evaluate(SEEKS)
            grown = looped(tab, protocol, minutes)
            tab.evaluate("window.__cineglass.clock.pause()")
            paints, lines = tab.evaluate(FIRST_PAINT, long)
            browser.close()
        page.close()

    shown = frames["seen"] + frames["missed"]
    paint = f"{LONG_ROWS} TRs, {lines} lines, as many beside them: from {len(long) / 1e6:.1f} MB of text to the first paint"
    rows = [
        ("frame that moves only the playhead, median", statistics.median(took["head"]), 8, "ms"),
        ("frame that changes the TR, all panes, median", statistics.median(took["row"]), 40, "ms"),
        ("main thread for each film frame while playing, mean", 1000 * spent / max(1, frames["seen"]), 40, "ms"),
        (f"missed frames of {shown} in {PLAYED_S} s", 100 * frames["missed"] / max(1, shown), 2, "%"),
        ("seek to repaint, median", statistics.median(seeks), 50, "ms"),
        ("value for each TR and subject", size, 1500, "bytes"),
        (paint, statistics.median(paints), 300, "ms"),
        (f"script memory grown over {minutes:g} min of looping", grown["heap"], 1, "MB"),
        ("nodes and listeners grown meanwhile", max(grown["nodes"], grown["listeners"]), 20, ""),
    ]
    print("| what | measured | limit |\n|---|---|---|")
    for name, measured, limit, unit in rows:
        print(f"| {name} | {measured:.1f} {unit} | {limit} {unit} |".replace("  ", " "))
    return int(any(measured > limit for _, measured, limit, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
