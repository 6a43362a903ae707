// The tab that says what is different between A and B: sizes with their intervals and the null edits, a sentence for each curve.

const TICK_SHARES = [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10];

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

class Compare {
  constructor() {
    this.root = h("div", { class: "cg-panel cg-compare" });
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
      ...(rows.some(({ difference }) => known(difference)) ? [this.differences(rows)] : []),
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
    return h("p", { class: "cg-lead" }, text, " ", h("small", { text: "Rows come in this order, by SD of A − B in z. The bold share is of each curve's own ups and downs in A: where A hardly moves, it is large for next to nothing." }));
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
      ...(nulls ? [h("span", {}, h("i", { class: "cg-keynull" }), "sensitivity to small changes")] : [h("span", { text: "No noise band here, or not yet: nothing says how much a small change does." })]));
    return h("section", {}, h("h3", {}, `Change in time course, ${label}`, this.mark()), key, scale, list);
  }

  /** The mean difference stands apart: unless the model is calibrated it is no size, so it has no unit and no order but that of the list. */
  differences(rows) {
    const calibrated = this.info.calibrated === "yes";
    const order = CURVES.map(({ id }) => id);
    const sorted = [...rows].sort((a, b) => order.indexOf(splitId(a.curve)[0]) - order.indexOf(splitId(b.curve)[0]));
    const alone = !rows.some(({ change }) => known(change));
    const list = h("ul", { class: "cg-means" }, ...sorted.map((row) => h("li", { "data-curve": row.curve }, this.name(row),
      h("span", { class: "cg-num", text: known(row.difference) ? `${signed(row.difference)}${calibrated ? " z" : ""}` : "–" }), ...(alone ? [h("p", { text: row.text })] : []))));
    const title = calibrated ? "Mean difference, A − B" : "Mean difference, A − B: uncalibrated";
    const why = calibrated
      ? "Over the valid rows, in the units of training."
      : "Nothing says that this model's offset and gain are calibrated: read no size from these, and do not compare networks by them.";
    return h("section", { class: "cg-meanbox" }, h("h3", {}, title, this.mark()), h("p", { class: "cg-note", text: why }), list);
  }

  mark() {
    return this.simulated ? h("span", { class: "cg-simulated", text: "SIMULATED" }) : "";
  }
}

function known(number) {
  return typeof number === "number";
}
