// Which model runs, and what a run of it would take. Text is set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.models) return;
  window.CineglassPage.models = true;
  const { make, fill, table, teller, wayOut, MANY } = window.CineglassPage.tools;
  const FADE_PX = 28; // at the lower edge of a list that scrolls by itself

  // which model runs: one row each with its state, and what the chosen one lacks
  window.CineglassPage.add("models", (root, { trigger }) => {
    root.classList.add("cp-models");
    const set = make("fieldset", "cp-model-list");
    const missing = make("div", "cp-missing");
    missing.setAttribute("role", "status");
    const legend = make("legend", "", "Model");
    const list = make("div", "cp-model-rows");
    set.append(legend, list);
    root.append(set, missing);
    const name = `model-${Math.random().toString(36).slice(2)}`;
    const rows = new Map();
    let wanted = ""; // what was clicked last: answers to earlier clicks do not move the mark back
    let drawn = "";
    const told = teller((key) => trigger("choose", { key }));
    let inView = "";
    const choose = (key) => {
      wanted = key;
      told.say(key);
    };
    return (value) => {
      const models = value.models || [];
      const keys = models.map((model) => model.key);
      told.heard(value.chosen);
      root.dataset.chosen = value.chosen; // for the player's link, which names a model that is not the usual one
      root.dataset.usual = root.dataset.usual || value.chosen;
      list.classList.toggle("cp-many", models.length > MANY);
      legend.textContent = models.length > MANY ? `Model: ${models.length} to choose from` : "Model";
      if (!keys.includes(wanted)) wanted = "";
      if (wanted && wanted !== value.chosen && told.idle) told.say(wanted); // an older answer was taken for that of the last click
      for (const [key, row] of rows) {
        if (!keys.includes(key)) {
          row.label.remove();
          rows.delete(key);
        }
      }
      for (const model of models) {
        let row = rows.get(model.key);
        if (!row) {
          const label = make("label", "cp-model");
          const field = make("input");
          field.type = "radio";
          field.name = name;
          field.value = model.key;
          field.addEventListener("change", () => choose(model.key));
          row = { label, field, title: make("span", "cp-model-title"), line: make("span", "cp-model-state"), about: make("span", "cp-model-about") };
          label.append(field, row.title, row.line, row.about);
          rows.set(model.key, row);
          list.append(label);
        }
        row.label.dataset.state = model.state;
        row.title.textContent = model.title;
        row.title.title = model.title;
        row.line.textContent = model.line;
        row.about.textContent = model.about;
        if (!wanted || wanted === value.chosen) row.field.checked = model.key === value.chosen;
      }
      const label = rows.get(value.chosen)?.label;
      if (label && value.chosen !== inView && models.length > MANY) {
        const [box, frame] = [label.getBoundingClientRect(), list.getBoundingClientRect()];
        if (box.top < frame.top || box.bottom > frame.bottom - FADE_PX) list.scrollTop += box.top - frame.top - FADE_PX;
      }
      inView = value.chosen;
      const key = JSON.stringify(value.missing || null);
      if (key === drawn) return; // what is read aloud is not read again
      drawn = key;
      missing.hidden = !value.missing;
      if (!value.missing) {
        fill(missing, []);
        return;
      }
      const again = make("button", "cp-link", "Look again");
      again.type = "button";
      again.addEventListener("click", () => choose(wanted || value.chosen));
      fill(missing, [
        make("strong", "", value.missing.message),
        value.missing.more ? make("p", "", value.missing.more) : null,
        ...wayOut(value.missing.way_out),
        again,
      ]);
    };
  });

  // what a run of the chosen model would take here
  window.CineglassPage.add("plan", (root, { trigger }) => {
    root.classList.add("cp-plan");
    root.setAttribute("role", "status");
    const box = make("details");
    const line = make("summary");
    const inside = make("div", "cp-plan-inside");
    box.append(line, inside);
    const word = make("p", "cp-note cp-plan-busy");
    const trouble = make("div", "cp-missing");
    root.append(word, box, trouble);
    let asked = "";
    return (value) => {
      if (value.ask && value.ask !== asked) {
        asked = value.ask;
        setTimeout(() => trigger("again", {}));
      }
      root.hidden = !value.state;
      word.hidden = value.state !== "busy";
      box.hidden = value.state !== "ready";
      trouble.hidden = value.state !== "problem";
      word.textContent = value.message && value.state === "busy" ? value.message : "";
      if (value.state === "problem") {
        const again = make("button", "cp-link", "Look again");
        again.type = "button";
        again.addEventListener("click", () => trigger("again", {}));
        fill(trouble, [make("strong", "", value.message), ...wayOut(value.way_out), again]);
      }
      if (value.state !== "ready") return;
      line.textContent = value.summary;
      fill(inside, [table(value.table), ...value.notes.map((text) => make("p", "cp-note", text))]);
    };
  });
})();
