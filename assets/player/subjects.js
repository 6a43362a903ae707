// The Subjects tab: the subjects side by side on the player's clock, range and threshold, how alike they are, and how usual the clip is.

const ONE_ROW_PX = 340; // from this width of a brain on, its four views stand in one row
const SMALL_PX = 84;
const TOGETHER_PX = 210;
const AGREEMENT_PX = 96;
const POINT_HINT = "Point at a parcel of any brain to read all of them; click to pin its curves.";

class Subjects {
  constructor() {
    this.way = "response"; // or "difference", from the mean of the subjects
    this.curve = null;
    this.pins = [];
    this.cells = [];
    this.looked = null;
    this.mean = new Float32Array(PARCELS);
    this.ways = segments("Shown of each subject", [
      { id: "response", label: "Response" },
      { id: "difference", label: "Difference from the mean", title: "Each subject minus the mean of them all, parcel by parcel and curve by curve" },
    ], (way) => this.set({ way }));
    this.ways.choose(this.way);
    this.ownBox = h("input", { type: "checkbox" });
    this.ownBox.addEventListener("change", () => this.set({}));
    this.ownCheck = h("label", { class: "cg-check", hidden: true, title: "Without, a difference has the colours that a response of its size has" }, this.ownBox, "own scale");
    this.invented = h("p", { class: "cg-subjectsnote" });
    this.grid = h("div", { class: "cg-four" });
    this.bar = new ColourBar(h("canvas", { class: "cg-fourbar", role: "img" }));
    this.pointed = h("p", { class: "cg-fourpoint cg-num" });
    this.choice = h("select", { "aria-label": "Curve of all subjects" });
    this.choice.addEventListener("change", () => this.set({ curve: this.choice.value }));
    this.together = new TogetherCurves(h("canvas", { role: "img" }), h("canvas", { "aria-hidden": "true" }));
    this.agreement = new AgreementCurve(h("canvas", { role: "img", "aria-label": "Agreement of the subjects in a sliding window" }));
    this.plots = [this.plotOf(this.together, "cg-together"), this.plotOf(this.agreement, "cg-agreement")];
    this.agreeTitle = h("h3");
    this.agreeBox = h("div", {}, this.agreeTitle, this.plots[1].root);
    this.list = h("ol", { class: "cg-agreelist" });
    this.said = h("ul", { class: "cg-said" });
    this.onBrains = h("button", { type: "button", class: "cg-button", text: "Show the map on the brains" });
    this.domain = h("ul", { class: "cg-said" });
    this.aboutDomain = h("p", { class: "cg-foot" });
    this.alike = h("section", { class: "cg-alike", "aria-label": "Agreement" },
      h("div", {}, h("h3", { text: "Agreement of the subjects" }), this.list),
      h("div", {}, this.onBrains, this.said));
    this.root = h("div", { class: "cg-panel cg-subjects" },
      h("div", { class: "cg-subjectsbar" }, this.ways, this.ownCheck, this.invented),
      this.grid, this.bar.canvas, this.pointed,
      h("div", { class: "cg-togetherbar" }, h("h3", { text: "One curve of every subject" }), this.choice),
      this.plots[0].root, this.agreeBox, this.alike,
      h("section", { class: "cg-domain", "aria-label": "This clip and the training clips" }, h("h3", { text: "Is this clip like the training clips?" }), this.domain, this.aboutDomain));
  }

  /** The player whose clock, settings and results it follows. */
  attach(player) {
    this.player = player;
    this.onBrains.addEventListener("click", () => player.setLayer(player.settings.layer === "agreement" ? "response" : "agreement"));
  }

  get open() {
    return this.player.tab === "subjects";
  }

  set(change) {
    Object.assign(this, change);
    this.ways.choose(this.way);
    this.ownCheck.hidden = this.way !== "difference";
    this.player.set({}, "brain", "curves");
  }

  // ---- a new result ----

  take(base) {
    const { trust, simulated } = base.value;
    this.trust = trust || { ids: [], agreement: [], reference: null, reference_label: "", windows: null, difference_range: 0, said: [], domain: [], about_domain: "" };
    this.player.part.tabs.offer("subjects", base.subjects.length > 1);
    this.cells = base.subjects.map((subject, number) => this.cellOf(subject, number, simulated));
    this.grid.replaceChildren(...this.cells.map(({ root }) => root));
    this.looked = null;
    const { said, domain, about_domain: about } = this.trust;
    this.invented.textContent = said[0] || "";
    this.invented.classList.toggle("is-simulated", Boolean(simulated));
    this.said.replaceChildren(...said.slice(1).map((text) => h("li", { text })));
    this.domain.replaceChildren(...domain.map((text) => h("li", { text })));
    this.root.lastChild.hidden = !domain.length;
    this.aboutDomain.textContent = about;
    this.windows = windowsOf(this.trust);
    this.alike.hidden = !this.trust.ids.length;
    this.agreeBox.hidden = !this.trust.ids.length;
    this.onBrains.hidden = !base.layers.some(({ id }) => id === "agreement");
    this.rows = this.trust.ids.map((id, i) => this.rowOf(id, i));
    this.list.replaceChildren(...this.rows.map(({ root }) => root));
  }

  /** One subject: name and value, brain, small curves. */
  cellOf(subject, number, simulated) {
    const canvas = h("canvas", { class: "cg-one", role: "img", "aria-label": `Brain of ${subject.label}${simulated ? ", simulated" : ""}` });
    const rings = marks();
    const swatch = h("i", { class: "cg-swatch", "data-kind": "network" });
    const value = h("span", { class: "cg-value" });
    const lines = new SmallCurves(h("canvas", { "aria-hidden": "true" }), subject.id);
    const plot = this.plotOf(lines, "cg-small");
    const root = h("figure", { class: "cg-subject" },
      h("figcaption", {}, swatch, h("b", { text: subject.label }), value), h("div", { class: "cg-pane" }, canvas, rings), plot.root);
    const cell = { id: subject.id, label: subject.label, number, root, canvas, rings, swatch, value, lines, plot, glass: new Brain(canvas), surface: null, values: new Float32Array(PARCELS), have: false };
    this.listen(cell);
    return cell;
  }

  rowOf(id, i) {
    const curve = CURVES.find((one) => one.id === id);
    const { agreement, reference, reference_label: label } = this.trust;
    const own = agreement[i];
    const other = reference ? reference[i] : null;
    const fill = h("i", { class: "cg-agreefill" });
    fill.style.width = `${100 * Math.max(0, own || 0)}%`;
    const tick = h("i", { class: "cg-agreetick", hidden: other === null });
    if (other !== null) tick.style.left = `${100 * Math.max(0, other)}%`;
    const text = `${own === null ? "unknown" : own.toFixed(3)}${other === null ? "" : ` (${label} ${other.toFixed(3)})`}`;
    const swatch = h("i", { class: "cg-swatch", "data-kind": curve.kind });
    const root = h("li", {}, swatch, h("span", { class: "cg-name", text: curve.label }), h("span", { class: "cg-agreetrack", "aria-hidden": "true" }, fill, tick), h("span", { class: "cg-value", text }));
    return { root, swatch, curve };
  }

  /** A plot with its playhead; a press in it goes to that time. */
  plotOf(plot, name) {
    const head = h("i", { class: "cg-fourhead" });
    const root = h("div", { class: `cg-lines ${name}` }, plot.canvas, ...(plot.dots.isConnected || name === "cg-together" ? [plot.dots] : []), head);
    root.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      this.player.clock.seek(plot.timeAt(event.clientX - root.getBoundingClientRect().left));
    });
    return { plot, root, head };
  }

  /** Pointing at a parcel of one brain names it on all; a click pins it. */
  listen(cell) {
    let touch = false;
    const at = (event) => {
      const box = cell.canvas.getBoundingClientRect();
      return parcelNear(this.brainOf(cell), event.clientX - box.left, event.clientY - box.top, touch ? FINGER_PX : 0);
    };
    const point = (event) => {
      touch = event.pointerType === "touch";
      if (this.brainOf(cell).width) this.player.picking.point(at(event));
    };
    cell.canvas.addEventListener("pointermove", (event) => event.pointerType !== "touch" && point(event));
    cell.canvas.addEventListener("pointerdown", point);
    cell.canvas.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.player.picking.point(-1));
    cell.canvas.addEventListener("click", (event) => {
      const parcel = at(event);
      if (parcel >= 0) this.player.picking.pick(parcel, event.shiftKey);
    });
  }

  // ---- drawing ----

  get onSurface() {
    return this.player.settings.view === "surface";
  }

  brainOf(cell) {
    return this.onSurface ? cell.surface : cell.glass;
  }

  /** Another row, or with `setting` anything else, has to be drawn; nothing is while the tab is closed. */
  follow(row, draw, setting) {
    if (!this.open) return;
    const { look } = this.player;
    const fit = `${this.grid.clientWidth} ${this.onSurface}`;
    const fresh = this.looked !== look || this.fit !== fit;
    if (fresh) {
      this.looked = look;
      this.fit = fit;
      this.layout(look);
    }
    const mine = { ...draw, lessMean: this.way === "difference", ownScale: this.ownBox.checked };
    if (setting || fresh) this.prepare(mine);
    this.drawBrains(row, setting || fresh);
    this.together.drawDots(row);
    this.tellValues(row);
  }

  layout({ ratio, theme }) {
    const all = this.cells.map((cell) => cell.canvas.parentNode.clientWidth);
    const width = Math.max(120, Math.min(...all));
    this.fitNames = width >= 260;
    for (const cell of this.cells) {
      if (this.onSurface && !cell.surface) this.openSurface(cell);
      this.brainOf(cell).layout(width, ratio, theme, width >= ONE_ROW_PX);
      cell.lines.layout(width, SMALL_PX, ratio, theme);
    }
    const wide = Math.max(260, this.plots[0].root.clientWidth);
    this.together.layout(wide, TOGETHER_PX, ratio, theme);
    this.agreement.layout(wide, AGREEMENT_PX, ratio, theme);
    this.bar.layout(Math.max(220, this.grid.clientWidth), ratio, theme);
    this.mark(this.player.panes.marks);
  }

  /** The first surface cuts the maps up, the others share them. */
  async openSurface(cell) {
    cell.surface = new Surface(cell.canvas);
    try {
      const { header, ids, shades } = await fetchSurface();
      const done = [this.player.panes.surface, ...this.cells.map(({ surface }) => surface)].find((one) => one && one.ready);
      if (done) cell.surface.share(done);
      else cell.surface.setMaps(header, ids, shades);
      if (this.open) this.player.set({}, "brain");
    } catch (error) {
      console.warn(error);
      cell.surface = null; // asked for again with the next layout
    }
  }

  /** What stays from row to row: the curves, the bar, whose brain it is. */
  prepare(mine) {
    const { player, trust } = this;
    const { base, conditions } = player;
    this.offer();
    const own = mine.lessMean && mine.ownScale && trust.difference_range > 0;
    const range = own ? trust.difference_range : mine.range;
    const measured = base.second && base.second.kind !== "condition";
    const pin = this.curve.startsWith("pin-") ? Number(this.curve.slice(4)) : null;
    this.mine = { ...mine, range, curve: this.curve, pin, second: mine.lessMean && measured ? "off" : mine.second, quantity: mine.lessMean ? "minus the mean (z)" : mine.quantity };
    const { dark } = mine;
    for (const cell of this.cells) {
      cell.swatch.style.color = subjectColour(cell.number, { dark });
      cell.lines.draw(conditions.drawn, this.mine);
    }
    for (const { swatch, curve } of this.rows) swatch.style.color = curveColour(curve, mine.palette, dark);
    this.together.draw(conditions.drawn, this.mine);
    const named = this.choice.selectedOptions[0].textContent;
    this.together.canvas.setAttribute("aria-label", `${named}${mine.lessMean ? ", difference from the mean" : ""}: one line for each subject`);
    this.drawAgreement(pin);
    this.layers = this.cells.map(({ id }) => player.layer && player.layer.subject !== null && base.layersOf(id).find(({ label }) => label === player.layer.label));
    const shown = this.layers.find(Boolean);
    const mapOf = (layer) => (layer.signed ? mine.map : dark ? "one_sided_dark" : "one_sided_light");
    this.panes = this.cells.map(({ label }, i) => {
      const layer = this.layers[i];
      if (layer) return { ...mine, map: mapOf(layer), range: layer.range, threshold: layer.fade || 0, who: `${label} · ${layer.label}` };
      return { ...mine, range, who: [conditions.name, label, mine.lessMean && "minus the mean"].filter(Boolean).join(" · ") };
    });
    if (shown) this.bar.draw({ map: mapOf(shown), range: shown.range, threshold: shown.fade || 0, low: shown.signed ? -shown.range : 0, unit: `${shown.label} (${shown.unit})`, unknown: shown.values.some(Number.isNaN) });
    else this.bar.draw({ map: mine.map, range, threshold: mine.threshold, low: -range, unit: `${this.mine.quantity}${own ? ", own scale" : ""}`, unknown: false });
    this.onBrains.setAttribute("aria-pressed", String(player.settings.layer === "agreement"));
    this.onBrains.textContent = player.settings.layer === "agreement" ? "Back to the response" : "Show the map on the brains";
  }

  drawAgreement(pin) {
    const { windows, reference, reference_label: label, ids } = this.trust;
    if (!ids.length) return;
    const place = pin === null ? ids.indexOf(this.curve) : ids.indexOf(ATLAS.network_keys[ATLAS.networks[pin]]);
    const name = CURVES.find(({ id }) => id === ids[place]).label;
    this.agreeTitle.textContent = `Agreement over the film: ${name}${pin === null ? "" : " (the parcel's network)"}; mean pairwise r in windows of ${windows.trs} TRs${this.player.conditions.on ? ", condition A" : ""}`;
    this.agreement.draw(this.player.base, this.mine, { values: this.windows[place], centres: windows.centres, trs: windows.trs, reference: reference ? reference[place] : null, label });
  }

  /** Curves to choose from; a parcel that has just been pinned is chosen. */
  offer() {
    const { settings } = this.player;
    const fresh = settings.pins.find((parcel) => !this.pins.includes(parcel));
    this.pins = [...settings.pins];
    const ids = [...CURVES.map(({ id }) => id), ...this.pins.map((parcel) => `pin-${parcel}`)];
    if (fresh !== undefined) this.curve = `pin-${fresh}`;
    if (!ids.includes(this.curve)) this.curve = [...settings.visible][0] || CURVES[0].id;
    const key = ids.join();
    if (key !== this.offered) {
      this.offered = key;
      const option = (value, text) => h("option", { value, text });
      const group = (label, kind) => h("optgroup", { label }, ...CURVES.filter((curve) => curve.kind === kind).map(({ id, label: name }) => option(id, name)));
      const pinned = this.pins.length ? [h("optgroup", { label: "Pinned parcels" }, ...this.pins.map((parcel) => option(`pin-${parcel}`, parcelName(parcel))))] : [];
      this.choice.replaceChildren(...pinned, group("Networks", "network"), group("Not Yeo networks", "group"));
    }
    this.choice.value = this.curve;
  }

  drawBrains(row, still) {
    const { result, absence } = this.player;
    const mean = this.way === "difference" && row >= 0 && result.fill(MEAN, row, this.mean);
    this.cells.forEach((cell, i) => {
      const layer = this.layers[i];
      const brain = this.brainOf(cell);
      if (!brain || (layer && !still)) return; // one map for the whole film
      cell.have = row >= 0 && result.fill(cell.id, row, cell.values);
      if (mean) for (let parcel = 0; parcel < PARCELS; parcel += 1) cell.values[parcel] -= this.mean[parcel];
      if (still) brain.still = null;
      const pane = { ...this.panes[i], absent: absence, marks: this.player.panes.marks };
      if (layer) brain.draw(layer.values, 0, pane);
      else brain.draw(cell.values, cell.have ? row : -1, pane);
    });
  }

  /** The chosen curve's value of every subject now, and the pointed parcel's. */
  tellValues(row) {
    const { together } = this;
    const named = this.fitNames ? this.choice.selectedOptions[0].textContent : "";
    for (const { id, value } of this.cells) {
      const line = together.drawn.find(({ curve }) => curve.id === id);
      const now = line && row >= 0 ? line.values[row] : NaN;
      value.textContent = `${named} ${Number.isNaN(now) ? "–" : signed(now)}`;
    }
    const { hovered } = this.player.picking;
    const told = hovered < 0 ? [] : this.cells.map(({ label, values, have }, i) => {
      const of = this.layers[i] ? this.layers[i].values[hovered] : have ? values[hovered] : NaN;
      return `${label} ${Number.isNaN(of) ? "–" : signed(of)}`;
    });
    this.pointed.textContent = told.length ? `${parcelName(hovered)}: ${told.join(" · ")}` : POINT_HINT;
  }

  /** The same rings on every brain as on the large ones. */
  mark(list) {
    if (!this.open || !this.looked) return;
    for (const cell of this.cells) {
      this.player.panes.ring(cell.rings, this.onSurface ? [] : list, (parcel) => cell.glass.placesOf(parcel));
    }
    if (!this.panes) return;
    if (this.onSurface) this.drawBrains(this.player.shown.row, true);
    this.tellValues(this.player.shown.row);
  }

  /** Every plot's playhead. */
  head(time) {
    if (!this.open || !this.mine) return;
    for (const { plot, head } of [...this.plots, ...this.cells.map((cell) => cell.plot)]) {
      if (plot.from === undefined) continue;
      head.hidden = !plot.sees(time);
      head.style.transform = `translateX(${plot.xOf(time).toFixed(1)}px)`;
    }
  }
}

/** Agreement in windows: one array for each curve, NaN where it is unknown. */
function windowsOf({ ids, windows }) {
  if (!windows) return [];
  const codes = decodeInt8(windows.data);
  const each = windows.centres.length;
  if (codes.length !== ids.length * each) throw new Error("The agreement and its labels differ in size.");
  return ids.map((_, i) => Float32Array.from(codes.subarray(i * each, (i + 1) * each), (code) => (code === GAP ? NaN : code * windows.scale)));
}
