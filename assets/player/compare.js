// The tab that says what is different between A and B: sizes with their intervals and the null edits, a sentence for each curve; in folds the same
// scene in both, and whether both go together.

const TICK_SHARES = [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10];

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

class Compare {
  constructor() {
    this.root = h("div", { class: "cg-panel cg-compare" });
    this.open = new Set(); // folds, by name; they stay as they are when another subject is chosen
  }

  /** `info` as Python packed it, `base` the result of A; of the settings it reads subject and palette. */
  show(info, base, settings) {
    this.dark = document.body.classList.contains("dark");
    Object.assign(this, { info, settings, simulated: base.value.simulated });
    const table = new Map((info.rows[settings.subject] || []).map((row) => [row.curve, row]));
    const said = info.said[settings.subject] || [];
    const lead = said.filter(({ curve }) => !table.has(curve));
    const rows = said.filter(({ curve }) => table.has(curve)).map((sentence) => ({ ...table.get(sentence.curve), text: sentence.text }));
    const { label } = base.choices.find(({ id }) => id === settings.subject);
    const parts = [
      ...lead.map(({ text }) => h("p", { class: "cg-lead", text })),
      ...(info.paired ? [] : [h("p", { class: "cg-lead", text: info.why })]),
      ...(rows.some(({ change }) => known(change)) ? [this.verdict(rows), this.changes(rows, label)] : []),
      ...(rows.some(({ difference }) => known(difference)) ? [info.paired ? this.differences(rows) : this.apart(rows)] : []),
      ...(info.scenes ? [this.scenes(rows, label)] : []),
      ...(info.association ? [this.association(rows, label)] : []),
      ...(rows.length || lead.length ? [] : [h("p", { class: "cg-none", text: "Nothing was worked out for this subject." })]),
      ...info.notes.map((text) => h("p", { class: "cg-note", text })),
    ];
    this.root.replaceChildren(...parts);
  }

  /** One line for who reads no further. */
  verdict(rows) {
    const beyond = rows.filter(({ outside }) => outside !== false).slice(0, 3).map(({ label }) => label);
    const text = beyond.length
      ? `Farthest apart: ${beyond.join(", then ")}.`
      : "Nothing changes more than it does by small changes that should not matter.";
    return h("p", { class: "cg-lead" }, text, " ", h("small", { text: `Rows come in this order, by ${this.calibrated ? "SD of A − B in z" : "share, and what hardly moves in A last"}. The bold share is of each curve's own ups and downs in A: where A hardly moves, it is large for next to nothing.` }));
  }

  swatch({ curve, kind }) {
    const found = CURVES.find(({ id }) => id === splitId(curve)[0]);
    const made = h("i", { class: "cg-swatch", "data-kind": kind });
    made.style.color = found ? curveColour(found, this.settings.palette, this.dark) : "currentColor";
    return made;
  }

  name(row) {
    return h("span", { class: "cg-name", title: row.kind === "group" ? "Not a Yeo network" : null }, this.swatch(row), h("b", { text: row.label }));
  }

  /** Change in time course: a dot with its interval, before the grey of the null edits. */
  changes(rows, label) {
    const most = Math.max(0.1, ...rows.flatMap(({ change, high, null_change: small }) => [change, high, small].filter(known))) * 1.05;
    const step = TICK_SHARES.find((share) => most / share <= 5) || most / 4;
    const place = (share) => `${((100 * share) / most).toFixed(2)}%`;
    const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
    const scale = h("div", { class: "cg-changescale", "aria-hidden": "true" }, ...ticks.map((share) => {
      const tick = h("span", { text: percent(share) });
      tick.style.left = place(share);
      return tick;
    }));
    const list = h("ul", { class: "cg-changes" }, ...rows.map((row) => {
      const { change, low, high, r, null_change: small } = row;
      const picture = h("span", { class: "cg-dotplot", "aria-hidden": "true" });
      const mark = (name, from, to) => {
        const made = h("i", { class: name });
        made.style.left = place(from);
        if (to !== undefined) made.style.width = place(Math.max(0, to - from));
        picture.append(made);
        return made;
      };
      for (const share of ticks) mark("cg-dotgrid", share);
      if (known(small)) mark("cg-dotnull", 0, small);
      if (known(low) && known(high)) mark("cg-whisker", low, high);
      if (known(change)) mark("cg-dot", change).style.color = this.swatch(row).style.color;
      const figures = h("span", { class: "cg-figures cg-num" },
        h("b", { text: known(change) ? percent(change) : "–" }),
        h("span", { text: known(low) && known(high) ? `${Math.round(low * 100)} to ${percent(high)}` : "" }),
        h("span", { text: known(r) ? `r ${signed(r)}` : "" }));
      return h("li", { "data-curve": row.curve, "data-outside": row.outside === true ? "yes" : row.outside === false ? "no" : null }, this.name(row), picture, figures, h("p", { text: row.text }));
    }));
    const nulls = rows.some(({ null_change: small }) => known(small));
    const key = h("p", { class: "cg-comparekey" },
      h("span", {}, h("i", { class: "cg-keydot" }), "change: SD of A − B over SD of A; r: of A with B"),
      ...(rows.some(({ low }) => known(low)) ? [h("span", {}, h("i", { class: "cg-keywhisker" }), "variation over time within this clip")] : []),
      ...(nulls ? [h("span", {}, h("i", { class: "cg-keynull" }), "sensitivity to small changes")] : [h("span", { text: "Sensitivity to small changes is not known here, or not yet." })]));
    return h("section", {}, h("h3", {}, `Change in time course, ${label}`, this.mark()), key, scale, list);
  }

  /** The mean difference stands apart: unless the model is calibrated it is no size, so it has no unit and no order but that of the list. */
  differences(rows) {
    const list = h("ul", { class: "cg-means" }, ...inOrder(rows).map((row) => h("li", { "data-curve": row.curve }, this.name(row),
      h("span", { class: "cg-num", text: known(row.difference) ? `${signed(row.difference)}${this.calibrated ? " z" : ""}` : "–" }))));
    return h("section", { class: "cg-meanbox" }, this.meanTitle("Mean difference, A − B"), h("p", { class: "cg-note", text: this.meanNote }), list);
  }

  /** Conditions that are not paired: each has its own mean, its own power, and subjects that are more or less alike. */
  apart(rows) {
    const two = (number) => (known(number) ? number.toFixed(2) : "–");
    const columns = [
      [this.calibrated ? "mean A − B, z" : "mean A − B", ({ difference }) => (known(difference) ? signed(difference) : "–")],
      ["power, B over A", ({ power }) => two(power)],
      ["agree in A", ({ agreement_a: r }) => two(r)],
      ["agree in B", ({ agreement_b: r }) => two(r)],
    ].filter(([, text]) => rows.some((row) => text(row) !== "–"));
    const head = h("thead", {}, h("tr", {}, h("td"), ...columns.map(([text]) => h("th", { scope: "col", text }))));
    const body = inOrder(rows).flatMap((row) => [
      h("tr", { "data-curve": row.curve }, h("th", { scope: "row" }, this.name(row)), ...columns.map(([, text]) => h("td", { class: "cg-num", text: text(row) }))),
      h("tr", { class: "cg-saidrow" }, h("td", { colspan: columns.length + 1, text: row.text })),
    ]);
    const table = h("table", { class: "cg-table cg-apart" }, head, h("tbody", {}, ...body));
    const title = h("h3", {}, `Means${this.calibrated ? "" : " (uncalibrated)"}, spectra and agreement`, this.mark());
    const about = `${this.meanNote} Power: of the ups and downs, 0.01 to 0.15 Hz. Agree: mean correlation r between subjects; they share one film and one model, so it is high.`;
    return h("section", { class: "cg-meanbox" }, title, h("p", { class: "cg-note", text: about }), table);
  }

  /** The same scene in A and in B, a column each. */
  scenes(rows, label) {
    const { scenes, differences, notes } = this.info.scenes;
    const means = differences[this.settings.subject] || {};
    const told = notes.map((text) => h("p", { class: "cg-note", text }));
    if (!scenes.length || !rows.some(({ curve }) => means[curve])) return this.fold("scenes", "Scene by scene", ...told);
    const span = ([start, end]) => `${clockText(start)}–${clockText(end)}`;
    const length = ([start, end]) => `${(end - start).toFixed(1)} s`;
    const both = (name, inA, inB) => (scenes.every((scene) => inA(scene) === inB(scene)) ? [[name, inA]] : [[`${name} in A`, inA], [`${name} in B`, inB]]);
    const heads = [
      ["in A", ({ a, backwards }) => span(backwards ? [...a].reverse() : a)],
      ["in B", ({ b }) => span(b)],
      ...both("length", ({ a }) => length(a), ({ b }) => length(b)),
      ...both("TRs that count", ({ rows: count }) => String(count[0]), ({ rows: count }) => String(count[1])),
    ];
    const head = h("thead", {}, ...heads.map(([name, text]) => h("tr", {}, h("th", { scope: "row", text: name }), ...scenes.map((scene) => h("th", { scope: "col", class: "cg-num", text: text(scene) })))));
    const body = h("tbody", {}, ...inOrder(rows).filter(({ curve }) => means[curve]).map((row) => h("tr", { "data-curve": row.curve },
      h("th", { scope: "row" }, this.name(row)), ...means[row.curve].map((mean) => h("td", { class: "cg-num", text: signed(mean) })))));
    const sideways = h("div", { class: "cg-sideways", tabindex: 0, role: "region", "aria-label": "Scene by scene" }, h("table", { class: "cg-table cg-scenes" }, head, body));
    sideways.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow") && sideways.scrollWidth > sideways.clientWidth) event.stopPropagation(); // scrolls, and steps no TR
    });
    const title = this.meanTitle(`Mean difference of each scene, A − B${this.calibrated ? ", z" : ""}, ${label}`);
    const why = this.calibrated ? [] : [h("p", { class: "cg-note", text: this.meanNote })];
    return this.fold("scenes", "Scene by scene", title, ...why, sideways, ...told);
  }

  /** Whether A and B rise and fall together: the only p of a single clip, and none of the difference. */
  association(rows, label) {
    const { rows: found, notes } = this.info.association;
    const table = new Map((found[this.settings.subject] || []).map((row) => [row.curve, row]));
    const [about, ...rest] = notes.map((text) => h("p", { class: "cg-note", text }));
    if (!table.size) return this.fold("association", "Do A and B go together?", about, ...rest);
    const head = h("thead", {}, h("tr", {}, h("td"), h("th", { scope: "col", text: "r" }), h("th", { scope: "col", text: "p" })));
    const body = h("tbody", {}, ...inOrder(rows).filter(({ curve }) => table.has(curve)).map((row) => {
      const { r, p } = table.get(row.curve);
      return h("tr", { "data-curve": row.curve }, h("th", { scope: "row" }, this.name(row)),
        h("td", { class: "cg-num", text: known(r) ? signed(r) : "–" }), h("td", { class: "cg-num", text: known(p) ? (p >= 0.001 ? p.toFixed(3) : p.toPrecision(2)) : "–" }));
    }));
    const title = h("h3", {}, `Association of A with B, ${label}`, this.mark());
    return this.fold("association", "Do A and B go together?", title, about, h("table", { class: "cg-table cg-associations" }, head, body), ...rest);
  }

  fold(name, title, ...parts) {
    const made = h("details", { class: "cg-fold", "data-fold": name, open: this.open.has(name) }, h("summary", { text: title }), ...parts);
    made.addEventListener("toggle", () => this.open[made.open ? "add" : "delete"](name));
    return made;
  }

  get calibrated() {
    return this.info.calibrated === "yes";
  }

  meanTitle(title) {
    return h("h3", {}, this.calibrated ? title : `${title}: uncalibrated`, this.mark());
  }

  get meanNote() {
    return this.calibrated
      ? "Over the valid rows, in the units of training."
      : "Nothing says that this model's offset and gain are calibrated: read no size from these means, and do not compare networks by them.";
  }

  mark() {
    return this.simulated ? h("span", { class: "cg-simulated", text: "SIMULATED" }) : "";
  }
}

/** Networks and groups as the list of curves has them. */
function inOrder(rows) {
  const order = CURVES.map(({ id }) => id);
  return [...rows].sort((a, b) => order.indexOf(splitId(a.curve)[0]) - order.indexOf(splitId(b.curve)[0]));
}

function known(number) {
  return typeof number === "number";
}
