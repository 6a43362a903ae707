// The Export tab: what can be made from the result in the player, what is being made, and what is ready. Text is set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.exports) return;
  window.CineglassPage.exports = true;
  const { make, fill, download, sizedFile, progressLine } = window.CineglassPage.tools;
  const LOOK_MS = 400;
  const WHO = { mean: "mean of all" };
  const VIEWS = { glass: "glass brain", surface: "surface", both: "glass brain and surface" };
  const clock = (value) => `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`;

  /** What the player shows now, as far as a file can show it too. */
  function playerNow() {
    const player = window.__cineglass;
    if (!player || !player.result) return null;
    const now = player.state();
    return {
      run: now.run,
      tr: now.shownRow,
      time: now.time,
      subject: now.subject,
      threshold: now.threshold,
      range: now.range,
      lag: now.lag,
      view: now.view,
      classic: now.map === "classic",
      curves: now.lines,
    };
  }

  function field(label, placeholder, name) {
    const input = make("input");
    input.type = "text";
    input.placeholder = placeholder;
    input.maxLength = 200;
    input.dataset.field = name;
    input.setAttribute("aria-label", label);
    input.spellcheck = false;
    return input;
  }

  window.CineglassPage.add("export", (root, { trigger }) => {
    root.classList.add("cp-export");
    const mark = make("p", "cp-simulated");
    const now = make("p", "cp-note cp-num cp-export-now");
    const dark = make("input");
    dark.type = "checkbox";
    const background = make("label", "cp-export-dark");
    background.append(dark, " dark background");
    const makers = make("div", "cp-makers");
    const ready = make("div", "cp-files");
    const head = make("div", "cp-export-head");
    const whole = make("p", "cp-export-whole", "A whole experiment, with its films if you like, words, changes, results, figures and methods text, is saved as one file, a capsule: ");
    const toRuns = make("button", "cp-link", "My runs");
    toRuns.type = "button";
    toRuns.addEventListener("click", () => {
      const tabs = document.querySelectorAll("#cp-tabs [role=tab], #cp-tabs .overflow-dropdown button"); // those that find no room stand in a menu
      [...tabs].find((tab) => tab.textContent.trim() === "My runs")?.click();
      window.CineglassPage.tools.toPlace("#cp-tabs");
    });
    whole.append(toRuns, ".");
    head.append(mark, now, background, whole);
    root.append(head, makers, ready);
    let buttons = [];
    let busy = false;
    let drawn = "";

    const settle = () => buttons.forEach((button) => (button.disabled = busy));

    function maker(item) {
      const row = make("li", "cp-maker");
      const words = make("div", "cp-maker-words");
      words.append(make("strong", "", item.label), make("span", "cp-note", item.note));
      const fields = item.fields.map((one) => field(`${item.label}: ${one.label}`, one.placeholder, one.name));
      const ask = (id) => {
        const player = playerNow();
        if (!player || busy) return;
        const asked = Object.fromEntries(fields.map((input) => [input.dataset.field, input.value]));
        trigger("make", { kind: id, player, dark: dark.checked, ...asked });
      };
      const forms = make("div", "cp-maker-forms");
      for (const { id, label } of item.forms) {
        const button = make("button", "cp-button", label);
        button.type = "button";
        button.dataset.kind = id;
        button.setAttribute("aria-label", `Make ${item.label} as ${label}`);
        button.addEventListener("click", () => ask(id));
        buttons.push(button);
        forms.append(button);
      }
      fields.forEach((input) => input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") ask(item.forms[0].id);
      }));
      row.append(words, forms);
      if (fields.length) {
        const box = make("div", "cp-maker-fields");
        box.append(...fields);
        row.append(box);
      }
      return row;
    }

    function section(title, list) {
      const made = make("section");
      made.append(make("h3", "", title), list);
      return made;
    }

    function showNow() {
      if (!root.isConnected) return;
      setTimeout(showNow, LOOK_MS);
      if (!root.offsetParent) return;
      const player = playerNow();
      const text = player
        ? `From the player now: ${player.tr < 0 ? "no prediction here" : `TR ${player.tr}`}, film ${clock(player.time)}, ${WHO[player.subject] || player.subject.replace(/^(sim|subject)/, (word) => (word === "sim" ? "Sim " : "Subject "))}, ` +
          `${VIEWS[player.view] || ""}, range ± ${player.range}, threshold ${player.threshold}, ${player.lag ? "shifted back 5 s" : "with BOLD delay"}`
        : "";
      if (now.textContent !== text) now.textContent = text;
    }
    setTimeout(showNow, LOOK_MS);

    document.addEventListener("cineglass-export", (event) => {
      busy = event.detail.busy;
      settle();
    });

    return (value) => {
      const key = JSON.stringify(value);
      if (key === drawn) return;
      drawn = key;
      mark.textContent = value.mark || "";
      mark.dataset.kind = value.simulated ? "simulated" : "published";
      head.hidden = !value.makers;
      buttons = [];
      if (!value.makers) {
        fill(makers, [make("p", "cp-note", "No result yet. Run a clip or open an example.")]);
        fill(ready, []);
        return;
      }
      fill(makers, value.makers.map((group) => {
        const list = make("ul");
        list.append(...group.items.map(maker));
        return section(group.title, list);
      }));
      fill(ready, value.groups.map((group) => {
        const list = make("ul");
        for (const file of group.files) {
          const link = download(file);
          if (!link) continue;
          const item = make("li");
          item.append(link, make("span", "cp-note", file.note));
          list.append(item);
        }
        return section(group.title, list);
      }));
      settle();
    };
  });

  // what is being made, and what was
  window.CineglassPage.add("exported", (root, { trigger }) => {
    root.classList.add("cp-exported");
    const { nodes, tell } = progressLine(() => trigger("stop", {}));
    const list = make("ul", "cp-made");
    root.append(...nodes, list);
    return (value) => {
      const working = tell(value);
      document.dispatchEvent(new CustomEvent("cineglass-export", { detail: { busy: working } }));
      root.hidden = !value.state;
      fill(list, (value.made || []).map((one) => {
        const item = make("li");
        const links = one.files.map((file) => sizedFile(file, "cp-made-file"));
        item.append(make("strong", "", one.label), ...links.filter(Boolean));
        return item;
      }));
    };
  });
})();
