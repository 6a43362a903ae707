// The page around the player when both lie in one file: hands over the film and the result, turns the theme, says how all of it was made.
(() => {
  "use strict";

  const { value, about, film } = JSON.parse(document.getElementById("cs-value").textContent);

  /** The film in the file, in pieces of base64, becomes an address that only this page knows; the text is let go. */
  function filmAddress() {
    const pieces = [...document.querySelectorAll("script[data-film]")].map((script) => {
      const letters = atob(script.textContent);
      const bytes = new Uint8Array(letters.length);
      for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
      script.remove();
      return bytes;
    });
    return URL.createObjectURL(new Blob(pieces, { type: film }));
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
  if (film) value.media.file = { url: filmAddress() };
  window.CineglassPlayer.mount(document.getElementById("cs-player"), { value }, () => {}, () => {});
})();
