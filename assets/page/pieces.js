// Pieces that several parts are made of: a button, a file to take away, and the line of something that is being made.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.tools.button) return;
  const { asks, make, fill, problem, ownLink } = window.CineglassPage.tools;

  function button(className, text, act) {
    const node = make("button", className, text);
    node.type = "button";
    node.addEventListener("click", act);
    return node;
  }

  const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

  /** The link of a file that can be taken away; null for an address that is not this page's. */
  function download({ href, name }) {
    const own = ownLink(href);
    if (!own) return null;
    const link = make("a", "", name);
    link.href = own;
    link.setAttribute("download", "");
    return link;
  }

  /** The same with its size beside it. */
  function sizedFile(file, className = "") {
    const link = download(file);
    if (!link) return null;
    const held = make("span", className);
    held.append(link, make("span", "cp-note cp-num", size(file.size)));
    return held;
  }

  /** What is being made: its words, a bar and Stop; and what went wrong. `tell` takes the value that Python gives. */
  function progressLine(stopped) {
    const line = make("div", "cp-export-line");
    line.setAttribute("role", "status");
    line.setAttribute("aria-live", "polite");
    const said = make("span", "cp-num");
    const file = make("span");
    const bar = make("div", "cp-bar");
    const filled = make("div", "cp-bar-fill");
    bar.append(filled);
    const stop = button("cp-button", "Stop", stopped);
    asks(stop);
    line.append(said, file, bar, stop);
    const trouble = make("div");
    return {
      nodes: [line, trouble],
      tell(value) {
        const working = value.state === "working";
        const link = value.file ? download(value.file) : null;
        line.hidden = !working && !value.message;
        bar.hidden = stop.hidden = !working;
        filled.style.width = `${Math.round(100 * (value.fraction || 0))}%`;
        said.textContent = link ? `${value.message} ${size(value.file.size)}` : value.message || "";
        file.hidden = !link;
        fill(file, link ? [link] : []);
        fill(trouble, value.state === "failed" ? [problem(value.error)] : []);
        return working;
      },
    };
  }

  Object.assign(window.CineglassPage.tools, { button, download, sizedFile, progressLine });
})();
