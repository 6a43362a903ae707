// The player: takes values, keeps settings, draws when the row or a setting has changed.

class CineglassPlayer {
  constructor(host, onReady) {
    this.host = host;
    this.onReady = onReady;
    this.part = buildView(host);
    this.panes = new Panes(this.part, {
      hover: (parcel, at) => this.result && this.picking.point(parcel, at),
      pick: (parcel, whole) => this.result && this.picking.pick(parcel, whole),
    });
    this.curves = new Curves(this.part.curves, this.part.dots);
    this.subtitles = new Subtitles(this.part.subtitles);
    this.words = new Words(this.part.words, this.part.wordsNote, (time) => this.clock.seek(time));
    this.clock = new Clock(this.part.video, (time) => this.tick(time), () => this.showTransport());
    this.values = new Float32Array(PARCELS);
    this.settings = { subject: "", threshold: 0, range: 1, rangeTyped: false, lag: 0, mapChoice: "auto", palette: "yeo", split: false, band: true, visible: new Set(ATLAS.network_keys), view: null, rate: 1, pins: [], locked: false, layer: "response", second: "beside", window: null };
    this.stale = { layout: true, brain: true, curves: true };
    this.shown = { row: -2, word: -2, film: "" };
    this.have = false; // whether `values` holds the row shown
    this.timings = { row: [], head: [] };
    this.tab = "now";
    this.scattered = false;
    this.onScreen = true;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.zoom = new Zoom(this.part.plot, this.curves, this, (window) => this.set({ window }, "curves"));
    this.picking = new Picking(this);
    this.controls = new Controls(this);
    this.link = new Link(this);
    this.part.tabs.open();
  }

  // ---- values ----

  /** Take a value from Python. One without responses changes the state and keeps what is shown. */
  take(value) {
    if (this.link.holds(value)) return;
    const state = value && value.state ? value.state : "empty";
    this.host.dataset.state = state;
    if (value && value.parcels) {
      const fresh = !this.result || value.run_id !== this.result.value.run_id;
      this.link.say(value.notice);
      try {
        this.setResult(new Result(value), fresh);
      } catch (error) {
        console.warn(error);
        this.host.dataset.state = "failed";
        this.showState("failed", { message: "This result cannot be shown.", hint: "Run the clip again." });
        return;
      }
    }
    this.showState(state, value || {});
  }

  setResult(result, fresh) {
    if (this.result) this.result.close();
    this.result = result;
    result.onChunk = () => {
      this.stale.brain = true;
      this.stale.curves = true;
      this.tick(this.clock.time);
    };
    const { value } = result;
    const { part, settings } = this;
    const chosen = result.choices.find(({ id }) => id === settings.subject);
    if (!chosen) settings.subject = result.choices[0].id;
    part.subjects.setOptions(result.choices.map((choice) => ({ ...choice, title: choice.id === MEAN ? `mean of the ${COUNTS[result.subjects.length] || result.subjects.length} predictions` : "" })));
    part.subjects.choose(settings.subject);
    if (!settings.rangeTyped || fresh) this.setRange(value.range, false);
    if (fresh) settings.window = null;
    if (fresh) this.openWith(value.opens_with.length ? value.opens_with : ATLAS.network_keys);
    part.title.textContent = value.title;
    part.badge.textContent = value.badge || "";
    part.badge.hidden = !value.badge;
    part.badge.dataset.kind = value.simulated ? "simulated" : "published";
    part.caption.textContent = value.caption || "";
    part.caption.hidden = !value.caption;
    const missing = [["audio", "sound"], ["text", "words"], ["video", "picture"]].filter(([stream]) => value.present && value.present[stream] === false);
    part.absent.textContent = missing.length ? `absent: ${missing.map(([, name]) => name).join(", ")}` : "";
    part.warnings.replaceChildren(...(value.warnings || []).map((text) => h("li", { text })));
    part.warnings.hidden = !(value.warnings || []).length;
    part.bandCheck.hidden = !result.spread;
    this.showBand();
    part.plot.setAttribute("aria-valuemax", result.duration.toFixed(1));
    this.subtitles.reset(result);
    this.words.reset(result);
    this.shown = { row: -2, word: -2, film: "" };
    this.panes.reset();
    this.picking.reset();
    this.offerLayers();
    this.offerSecond();
    this.stale = { layout: true, brain: true, curves: true };
    if (fresh) {
      const media = value.media || {};
      const url = media.file && media.file.url ? media.file.url : null;
      this.clock.load(url, media.kind, result.duration);
      part.soundPicture.hidden = media.kind === "video";
      part.soundText.textContent = media.kind === "audio" ? "Sound only: no picture" : "No film";
      part.sound.disabled = !(url && media.has_sound);
      this.showTransport();
    }
    part.body.hidden = false;
    part.empty.hidden = true;
    this.measure();
    this.tick(this.clock.time);
    const rests = fresh && this.link.open(result);
    if (fresh) {
      this.wantsToPlay = !this.still.matches && !rests;
      this.playWhenSeen();
      this.onReady();
    }
  }

  /** A fresh result plays by itself, without sound at first, unless the visitor wants less motion. */
  playWhenSeen() {
    if (!this.wantsToPlay || document.visibilityState !== "visible") return;
    this.wantsToPlay = false;
    this.clock.play();
  }

  showState(state, value) {
    const { part } = this;
    const busy = state === "working" || state === "failed";
    part.status.hidden = !busy;
    part.status.setAttribute("role", state === "failed" ? "alert" : "status");
    part.message.textContent = busy ? value.message || "" : "";
    part.hint.textContent = state === "failed" ? value.hint || "" : "";
    const known = typeof value.progress === "number";
    part.progress.hidden = state !== "working";
    part.progress.classList.toggle("is-unknown", !known);
    part.progress.style.transform = known ? `scaleX(${Math.max(0, Math.min(1, value.progress))})` : "";
    if (!this.result || state === "empty") {
      part.emptyText.textContent = state === "empty" && value.message ? value.message : busy ? "" : "Choose an example or drop in a clip.";
      part.empty.hidden = false;
      part.body.hidden = true;
    } else {
      part.empty.hidden = true;
      part.body.hidden = false;
    }
    if (busy || state === "empty") this.clock.pause();
  }

  // ---- settings ----

  set(change, ...stale) {
    Object.assign(this.settings, change);
    for (const name of stale) this.stale[name] = true;
    this.tick(this.clock.time);
  }

  setRange(range, typed) {
    if (!(range > 0)) return;
    const { part } = this;
    part.range.value = String(Number(range.toPrecision(3)));
    part.rangeAuto.disabled = !typed;
    part.rangeAuto.textContent = typed ? "back to auto" : "auto: 98th percentile";
    part.threshold.max = String(range);
    part.threshold.step = String(range / 100);
    this.set({ range, rangeTyped: typed }, "brain", "curves");
    if (this.settings.threshold > range) this.setThreshold(range);
  }

  setThreshold(value) {
    const threshold = Math.max(0, value || 0);
    this.part.threshold.value = String(threshold);
    this.part.thresholdNumber.value = String(Number(threshold.toFixed(2)));
    this.set({ threshold }, "brain", "curves");
  }

  setSubject(id) {
    this.part.subjects.choose(id);
    this.settings.subject = id;
    this.stale.curves = true;
    this.offerLayers();
  }

  setView(view) {
    this.set({ view }, "layout", "brain", "curves");
  }

  setLag(lag) {
    this.part.lag.choose(lag ? "1" : "0");
    this.shown.film = "";
    this.set({ lag }, "brain", "curves");
  }

  setRate(rate) {
    this.part.rate.value = String(rate);
    this.settings.rate = rate;
    this.clock.setRate(rate);
  }

  /** A layer instead of the response, or "response". */
  setLayer(id) {
    const { part } = this;
    const layer = this.layerIds.includes(id) ? id : "response";
    part.layer.value = layer;
    this.set({ layer }, "brain");
    for (const field of [part.threshold, part.thresholdNumber, part.range]) field.disabled = layer !== "response";
    const unknown = this.layer ? this.layer.values.filter(Number.isNaN).length : 0;
    part.layerNote.textContent = this.layer ? [this.layer.note, unknown ? `${unknown} of ${PARCELS} parcels unknown, drawn grey.` : ""].filter(Boolean).join(" ") : "";
    this.picking.tell();
    this.picking.showMaximum();
  }

  /** A second series beside the first, as what is left of it, or not at all. */
  setSecond(second) {
    this.part.secondViews.choose(second);
    this.set({ second }, "curves");
    this.picking.tell();
  }

  offerSecond() {
    const { part, result } = this;
    const { second } = result;
    part.secondBox.hidden = !second;
    if (!second) return;
    part.secondName.textContent = second.label;
    part.secondNote.textContent = second.note;
    this.setSecond(this.settings.second);
  }

  get layerIds() {
    return this.result.layersOf(this.settings.subject).map(({ id }) => id);
  }

  get layer() {
    if (!this.result) return null;
    return this.result.layersOf(this.settings.subject).find(({ id }) => id === this.settings.layer) || null;
  }

  /** The layers of the subject shown; the one on screen is followed from subject to subject by its name. */
  offerLayers() {
    const { part, result, settings } = this;
    const layers = result.layersOf(settings.subject);
    const shown = result.layers.find(({ id }) => id === settings.layer);
    const same = shown && layers.find(({ label }) => label === shown.label);
    part.layerField.hidden = !result.layers.length;
    part.layerNote.hidden = !result.layers.length;
    part.layer.replaceChildren(h("option", { value: "response", text: "response" }), ...layers.map(({ id, label }) => h("option", { value: id, text: label })));
    this.setLayer(same ? same.id : "response");
  }

  /** Say what the band is wherever it is drawn. */
  showBand() {
    const { part, result, settings } = this;
    part.bandNote.hidden = !(result.spread && settings.band);
    part.bandText.textContent = result.spread ? `Band: ± 1 SD between ${result.value.spread.members} checkpoints.` : "";
  }

  setVisible(ids) {
    this.settings.visible = new Set(ids);
    this.part.chips.forEach((chip) => chip.setAttribute("aria-pressed", String(this.settings.visible.has(chip.dataset.curve))));
    this.stale.curves = true;
  }

  openWith(ids) {
    const parts = ids.map(splitId);
    this.settings.split = parts.some(([, side]) => side);
    this.part.split.checked = this.settings.split;
    this.setVisible(parts.map(([id]) => id).filter((id) => CURVES.some((curve) => curve.id === id)));
  }

  toggle(id) {
    const next = new Set(this.settings.visible);
    if (!next.delete(id)) next.add(id);
    this.setVisible(next);
    this.tick(this.clock.time);
  }

  // ---- drawing ----

  get brain() {
    return this.panes.glass;
  }

  get drawSettings() {
    const dark = document.body.classList.contains("dark");
    const { result, settings } = this;
    const choice = result.choices.find(({ id }) => id === settings.subject);
    const who = choice.id === MEAN ? `mean of the ${COUNTS[result.subjects.length] || result.subjects.length} predictions` : choice.label;
    return { ...settings, dark, map: mapName(settings.mapChoice, dark), simulated: result.value.simulated, who };
  }

  /** What both brains and the bar are drawn with: those of the response, or of the layer with its own unit and range. */
  paneSettings(draw) {
    const { layer } = this;
    if (!layer) return { ...draw, absent: this.absence, bar: { map: draw.map, range: draw.range, threshold: draw.threshold, low: -draw.range, unit: "predicted BOLD (z)", unknown: false } };
    const map = layer.signed ? draw.map : draw.dark ? "one_sided_dark" : "one_sided_light";
    const whose = this.result.choices.find(({ id }) => id === layer.subject);
    const own = { map, range: layer.range, threshold: 0 };
    const unit = `${layer.label} (${layer.unit}), own scale`;
    const who = [whose && whose.label, layer.label, "own scale"].filter(Boolean).join(" · ");
    return { ...draw, ...own, who, absent: "", bar: { ...own, low: layer.signed ? -layer.range : 0, unit, unknown: layer.values.some(Number.isNaN) } };
  }

  /** Why there is no value to show. */
  get absence() {
    return this.shown.row < 0 ? "no prediction here" : this.result.partNote(this.shown.row);
  }

  /** Follow the clock: the playhead always, brain and rankings only when the row or a setting changed. */
  tick(time) {
    if (!this.result || this.part.body.hidden || !this.onScreen) return;
    const began = performance.now();
    const { result, settings, shown, stale } = this;
    const inside = Math.min(time, result.duration - 1e-3);
    const row = result.rowAt(inside + settings.lag);
    if (this.zoom.follow(inside)) stale.curves = true;
    const setting = stale.layout || stale.brain || stale.curves;
    if (stale.layout) this.layout();
    const draw = setting ? this.drawSettings : this.lastSettings;
    this.lastSettings = draw;
    if (stale.curves) {
      this.curves.draw(result, draw);
      this.controls.tellGhost();
    }
    const rowChanged = row !== shown.row;
    if (rowChanged || stale.brain) {
      shown.row = row;
      if (rowChanged) result.near(row);
      this.have = row >= 0 && result.fill(settings.subject, row, this.values);
      if (stale.brain) this.pane = this.paneSettings(draw);
      this.pane.absent = this.absence;
      const { layer } = this;
      if (!layer) this.panes.draw(this.values, this.have ? row : -1, this.pane, stale.brain);
      else if (stale.brain) this.panes.draw(layer.values, 0, this.pane, true); // one map for the whole film
    }
    if (rowChanged || setting) {
      if (!this.clock.playing) this.sayRow();
      this.curves.drawDots(row);
      this.showNow();
      this.picking.rowShown(row);
      this.showRow(row);
    }
    this.stale = { layout: false, brain: false, curves: false };
    this.showTime(inside, row);
    this.record(rowChanged ? "row" : "head", performance.now() - began);
  }

  /** The lists, or the strips, of the present row. */
  showNow() {
    if (this.tab !== "now") return;
    const { part, result, shown, lastSettings } = this;
    const values = this.have ? this.values : null;
    if (this.scattered) part.scatter.draw(values, 127 * result.scale, lastSettings);
    else part.ranking.show(result, shown.row, values, lastSettings);
  }

  showRow(row) {
    const { part, result, settings } = this;
    part.rowText.textContent = row < 0 ? `– / ${result.rows}` : `${row} / ${result.rows}`;
    part.rowNote.textContent = row < 0 ? "no prediction here" : result.valid[row] ? "" : row < result.rows / 2 ? "warm-up: no full past yet" : "end of the film: less sure";
    part.band.hidden = row < 0;
    part.noHead.hidden = row >= 0;
    if (row >= 0) {
      const from = Math.max(this.curves.from, row * result.tr - settings.lag);
      const to = Math.min(this.curves.to, (row + 1) * result.tr - settings.lag);
      const x = this.curves.xOf(from);
      part.band.style.transform = `translateX(${x}px)`;
      part.band.style.width = `${Math.max(0, this.curves.xOf(to) - x)}px`;
    }
  }

  showTime(time, row) {
    const { part, result, settings, shown } = this;
    shown.x = this.curves.xOf(time);
    part.head.style.transform = `translateX(${shown.x.toFixed(2)}px)`;
    part.head.hidden = !this.curves.sees(time);
    if (row < 0) part.noHead.style.transform = `translateX(${Math.min(shown.x, this.curves.left + this.curves.plotWidth - 120).toFixed(1)}px)`;
    const film = clockText(time, 1);
    if (film !== shown.film || row !== shown.readRow) {
      shown.film = film;
      shown.readRow = row;
      part.filmTime.textContent = film;
      part.boldTime.textContent = row < 0 ? "–" : clockText(time + settings.lag, 1);
      part.plot.setAttribute("aria-valuenow", time.toFixed(1));
      part.plot.setAttribute("aria-valuetext", `${film}, TR ${row < 0 ? "none, no prediction here" : `${row} of ${result.rows}`}`);
    }
    const last = lastBefore(result.words, "onset", time + 0.02);
    const word = last >= 0 && time <= result.words[last].end + 0.15 ? last : -1;
    if (word !== shown.word || this.subtitles.line === -2 || !this.clock.playing || time > (shown.until || 0)) {
      shown.until = time + 0.1;
      this.subtitles.show(time, word);
      if (this.tab === "transcript") this.words.show(word, this.clock.playing);
      shown.word = word;
    }
  }

  /** Read the size of things from the page, once, before drawing. */
  measure() {
    this.stale = { layout: true, brain: true, curves: true };
  }

  redraw() {
    this.measure();
    if (this.result) this.tick(this.clock.time);
  }

  layout() {
    const { part } = this;
    const style = getComputedStyle(this.host);
    const read = (name) => style.getPropertyValue(`--cg-${name}`).trim();
    const names = ["text", "muted", "outline", "crease", "grid", "hatch", "surface", "sunken", "warn", "head"];
    const theme = { font: style.fontFamily, ...Object.fromEntries(names.map((name) => [name, read(name)])) };
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.panes.show(this.settings.view || (this.host.clientWidth >= BESIDE_PX ? "both" : "glass"));
    this.panes.layout(ratio, theme);
    if (this.panes.showsSurface) this.panes.open(() => this.set({}, "brain"));
    if (this.scattered) part.scatter.layout(ratio, theme);
    const width = Math.max(260, part.plot.clientWidth);
    this.curves.layout(width, part.plot.clientHeight, ratio, theme);
    this.picking.ring();
    this.size = [part.panes.clientWidth, part.plot.clientWidth];
  }

  record(kind, took) {
    const list = this.timings[kind];
    list.push(took);
    if (list.length > 2000) list.shift();
  }

  showTransport() {
    const { part, clock } = this;
    setIcon(part.play, clock.playing ? "pause" : "play", clock.playing ? "Pause (space)" : "Play (space)");
    const muted = part.video.muted;
    setIcon(part.sound, muted ? "mute" : "sound", part.sound.disabled ? "This film has no sound" : muted ? "Sound on" : "Sound off");
    part.filmNote.hidden = !clock.error;
    part.filmNote.textContent = clock.error;
    this.host.classList.toggle("is-playing", clock.playing);
  }

  /** Tell people who listen: the row when the film rests, and what a key has done. */
  say(text) {
    clearTimeout(this.saying);
    this.part.live.textContent = text;
  }

  sayRow() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      const { result, shown, clock, have, settings } = this;
      if (!result || clock.playing || this.part.body.hidden) return;
      const where = `Film ${clockText(clock.time, 1)}, TR ${shown.row < 0 ? "none" : `${shown.row} of ${result.rows}`}.`;
      if (!have) this.say(`${where} ${this.absence}.`);
      else {
        const ranked = CURVES.slice(0, ATLAS.network_keys.length).map((curve) => [curve.label, result.curve(settings.subject, curve, "")[shown.row]]).sort((a, b) => b[1] - a[1]);
        const [name, z] = ranked[0];
        this.say(`${where} Highest network ${name}, ${signed(z)} z. ${this.part.largest.textContent}`);
      }
    }, 500);
  }

  paintChips() {
    const dark = document.body.classList.contains("dark");
    this.part.chips.forEach((chip, number) => {
      chip.firstChild.style.color = curveColour(CURVES[number], this.settings.palette, dark);
    });
  }

  showScatter(on) {
    const { part } = this;
    this.scattered = on;
    part.nowViews.choose(on ? "scatter" : "ranked");
    part.lists.hidden = on;
    part.scatter.root.hidden = !on;
    if (!this.result) return;
    this.redraw();
  }

  stepRate(step) {
    const place = Math.min(RATES.length - 1, Math.max(0, RATES.indexOf(this.settings.rate) + step));
    this.setRate(RATES[place]);
    this.say(`Speed ${RATES[place]}`);
  }

  dispose() {
    this.controls.dispose();
    this.link.dispose();
    clearTimeout(this.saying);
    this.clock.pause();
  }

  /** What is on screen, for tests and for people at the console. */
  state() {
    const { settings, shown, clock, result, part } = this;
    return {
      state: this.host.dataset.state,
      run: result ? result.value.run_id : null,
      time: clock.time,
      playing: clock.playing,
      stopwatch: clock.stopwatch.on,
      row: this.layer ? shown.row : this.panes.row,
      surfaceRow: this.panes.surface.row,
      view: this.panes.view,
      viewChosen: settings.view !== null,
      rate: settings.rate,
      pins: [...settings.pins],
      locked: settings.locked,
      layer: settings.layer,
      second: settings.second,
      window: settings.window,
      maximum: result ? this.picking.maximum : null,
      markers: this.panes.marks.map(({ parcel, kind }) => ({ parcel, kind })),
      shownRow: shown.row,
      playheadX: shown.x,
      plot: { left: this.curves.left, width: this.curves.plotWidth },
      word: shown.word >= 0 ? result.words[shown.word].text : null,
      subject: settings.subject,
      range: settings.range,
      threshold: settings.threshold,
      lag: settings.lag,
      map: this.lastSettings ? this.lastSettings.map : null,
      visible: [...settings.visible],
      lines: this.curves.drawn.map(({ curve, side }) => (side ? `${curve.id}-${side}` : curve.id)),
      labels: this.curves.labels,
      bands: this.curves.drawn.filter(({ band }) => band).length,
      labelSpace: this.curves.labelSpace,
      hover: part.tip.hidden ? null : { parcel: this.picking.hovered, text: part.tip.innerText },
      frames: { ...clock.frames },
      timings: { row: [...this.timings.row], head: [...this.timings.head] },
    };
  }
}

const COUNTS = { 2: "two", 3: "three", 4: "four" };

window.CineglassPlayer = {
  /** Called once by the component; `onReady` fires when a fresh result is drawn. */
  mount(element, props, watch, onReady) {
    const host = element.querySelector("[data-mount]");
    if (!host || host.cineglass) return;
    const player = new CineglassPlayer(host, onReady);
    host.cineglass = player;
    element.cineglass = player;
    window.__cineglass = player;
    // A plain copy: the page's value is a proxy that is slow to read.
    const take = () => player.take(props.value ? JSON.parse(JSON.stringify(props.value)) : null);
    watch("value", () => {
      if (!host.isConnected) player.dispose();
      else take();
    });
    take();
  },
};
