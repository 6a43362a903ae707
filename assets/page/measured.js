// The Measured tab: a table of measured responses beside the prediction in the player. Text is set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.measured) return;
  window.CineglassPage.measured = true;
  const { make, fill, problem } = window.CineglassPage.tools;

  function labelled(text, input) {
    const label = make("label", "cp-measured-field");
    label.append(make("span", "", text), input);
    return label;
  }

  function select(options, chosen) {
    const field = make("select");
    for (const [value, text] of options) {
      const option = make("option", "", text);
      option.value = value;
      option.selected = value === chosen;
      field.append(option);
    }
    return field;
  }

  window.CineglassPage.add("measured", (root, { trigger, upload }) => {
    root.classList.add("cp-measured");
    const about = make("p", "cp-note", "Responses that were measured with this very film open beside the prediction, on the same clock: an Algonauts 2025 HDF5 file, or 1000 Schaefer parcels by TRs as TSV, CSV or NPY.");
    const fields = make("div", "cp-measured-fields");
    const said = make("div", "cp-measured-said");
    said.setAttribute("role", "status");
    said.setAttribute("aria-live", "polite");
    root.append(about, fields, said);
    const file = make("input");
    file.type = "file";
    file.setAttribute("aria-label", "Measured table");
    const tr = make("input");
    tr.type = "number";
    tr.min = "0.1";
    tr.max = "20";
    tr.step = "any";
    tr.value = "1.49";
    let subject = select([], "");
    let dataset = null;
    let most = 300;
    const run = () => (window.__cineglass && window.__cineglass.base ? window.__cineglass.base.value.run_id : "");
    const asked = () => ({ run: run(), tr: Number(tr.value), subject: Number(subject.value), dataset: dataset ? dataset.value : null });

    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (!chosen) return;
      if (chosen.size > most * 2 ** 20) {
        fill(said, [problem({ message: `This file has ${Math.round(chosen.size / 2 ** 20)} MB; at most ${most} MB are taken.`, hint: "Save the table of this film alone." })]);
        return;
      }
      fill(said, [make("p", "cp-note", "Reading the table …")]);
      dataset = null;
      try {
        const sent = await upload(chosen);
        trigger("dropped", { path: sent.path, name: chosen.name, ...asked() });
      } catch {
        fill(said, [problem({ message: "The file could not be sent.", hint: "Check the connection, then try again." })]);
      }
      file.value = "";
    });
    const again = () => {
      if (root.dataset.kept === "true") trigger("choose", asked());
    };
    tr.addEventListener("change", again);

    return (value) => {
      const chosen = subject.value;
      most = value.most_mb || most;
      root.dataset.kept = String(Boolean(value.kept));
      file.accept = (value.endings || []).join(",");
      subject = select((value.subjects || []).map(([id, label]) => [String(id), label]), String(value.subject || chosen));
      subject.addEventListener("change", again);
      const parts = [labelled("Table", file), labelled("TR, s", tr), labelled("Beside", subject)];
      dataset = null;
      if (value.datasets && value.datasets.length > 1) {
        const options = value.datasets.map(([name, rows]) => [name, `${name} (${rows} rows)`]);
        dataset = select(value.dataset ? options : [["", "Choose the film"], ...options], value.dataset || "");
        dataset.addEventListener("change", again);
        parts.push(labelled("Data set", dataset));
      }
      fields.hidden = !value.subjects;
      fill(fields, parts);
      const lines = [];
      if (!value.subjects) lines.push(make("p", "cp-note", "No result yet. Run a clip or open an example."));
      if (value.error) lines.push(problem(value.error));
      if (value.table) {
        lines.push(make("p", "cp-measured-head", value.head), ...value.notices.map((text) => make("p", "cp-note", text)));
        const grid = make("table", "cp-table");
        const top = make("thead");
        const head = make("tr");
        head.append(...["Where", "Parcels with numbers", "Mean r"].map((text) => make("th", "", text)));
        top.append(head);
        const body = make("tbody");
        for (const [where, parcels, r] of value.table) {
          const row = make("tr");
          row.append(make("th", "", where), make("td", "", parcels), make("td", "", r));
          body.append(row);
        }
        grid.append(top, body);
        const remove = make("button", "cp-button", "Take the table away");
        remove.type = "button";
        remove.addEventListener("click", () => trigger("remove", { run: run() }));
        lines.push(grid, remove);
      }
      fill(said, lines);
    };
  });
})();
