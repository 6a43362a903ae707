// The page around the player when both lie in one file: hands over the film and the result, turns the theme, says how all of it was made.
(() => {
  "use strict";

  const { value, about, films } = JSON.parse(document.getElementById("cs-value").textContent);

  /** A film in the file, in pieces of base64, becomes an address that only this page knows; the text is let go. */
  function filmAddress(name) {
    const pieces = [...document.querySelectorAll(`script[data-film="${name}"]`)].map((script) => {
      const letters = atob(script.textContent);
      const bytes = new Uint8Array(letters.length);
      for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
      script.remove();
      return bytes;
    });
    return URL.createObjectURL(new Blob(pieces, { type: films[name] }));
  }

  function turn(dark) {
    document.body.classList.toggle("dark", dark);
    const button = document.getElementById("cs-theme");
    button.setAttribute("aria-pressed", String(dark));
  }

  function line(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  /** Blocks of text: {title, text} or {title, lines}. */
  function tell(blocks) {
    return blocks.map(({ title, text, lines }) => {
      const section = document.createElement("section");
      section.append(line("h2", title));
      if (text) section.append(line("p", text));
      if (lines) {
        const list = document.createElement("ul");
        list.append(...lines.map((words) => line("li", words)));
        section.append(list);
      }
      return section;
    });
  }

  turn(document.body.classList.contains("dark") || window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.getElementById("cs-theme").addEventListener("click", () => turn(!document.body.classList.contains("dark")));
  document.getElementById("cs-about").append(...tell(about));
  const addresses = Object.fromEntries(Object.keys(films).map((name) => [name, filmAddress(name)]));
  if (addresses.a) value.media.file = { url: addresses.a };
  if (value.other && (addresses.b || addresses.a) && value.other.media.kind !== "none") value.other.media.file = { url: addresses.b || addresses.a };
  window.CineglassPlayer.mount(document.getElementById("cs-player"), { value }, () => {}, () => {});
})();
