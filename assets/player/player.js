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
    this.base = null; // the result that was given; `result` is what is shown of it: itself, the other condition, or their difference
    this.result = null;
    this.values = new Float32Array(PARCELS);
    this.settings = { subject: "", threshold: 0, range: 1, rangeTyped: false, lag: 0, mapChoice: "auto", palette: "yeo", split: false, band: true, visible: new Set(ATLAS.network_keys), view: null, rate: 1, pins: [], locked: false, layer: "response", second: "beside", window: null, shown: "a" };
    this.stale = { layout: true, brain: true, curves: true };
    this.shown = { row: -2, word: -2, film: "" };
    this.have = false; // whether `values` holds the row shown
    this.over = new Set(); // jobs whose end was told
    this.timings = { row: [], head: [] };
    this.tab = "now";
    this.scattered = false;
    this.onScreen = true;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.zoom = new Zoom(this.part.plot, this.curves, this, (window) => this.set({ window }, "curves"));
    this.picking = new Picking(this);
    this.conditions = new Conditions(this);
    this.voice = new Voice(this);
    this.part.sideBySide.attach(this);
    this.controls = new Controls(this);
    this.link = new Link(this);
    this.part.tabs.choose();
  }

  // ---- values ----

  /** Take a value from Python. One without responses changes the state and keeps what is shown. */
  take(value) {
    if (this.link.holds(value)) return;
    const state = value && value.state ? value.state : "empty";
    const job = value && value.job;
    if (state === "working" && this.over.has(job)) return; // overtaken by the answer to Stop, or by an example
    if (job && state !== "working") this.over.add(job);
    this.host.dataset.state = state;
    if (value && value.parcels) {
      const fresh = !this.base || value.run_id !== this.base.value.run_id;
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
    const before = this.base;
    if (before) before.close();
    this.base = result;
    this.conditions.take(result, fresh);
    for (const one of [result, result.other]) if (one) one.onChunk = () => this.set({}, "brain", "curves");
    const { value } = result;
    const { part, settings } = this;
    const chosen = result.choices.find(({ id }) => id === settings.subject);
    if (!chosen) settings.subject = result.choices[0].id;
    part.subjects.setOptions(result.choices.map((choice) => ({ ...choice, title: choice.id === MEAN ? `mean of the ${COUNTS[result.subjects.length] || result.subjects.length} predictions` : "" })));
    part.subjects.choose(settings.subject);
    if (!settings.rangeTyped || fresh) this.setRange(value.range, false);
    if (fresh) settings.window = null;
    if (fresh) this.openCurves(result, before);
    part.badge.textContent = value.badge || "";
    part.badge.hidden = !value.badge;
    part.badge.dataset.kind = value.simulated ? "simulated" : "published";
    part.caption.textContent = value.caption || "";
    part.caption.hidden = !value.caption;
    part.bandCheck.hidden = !result.spread;
    this.showBand();
    this.panes.reset();
    this.picking.reset();
    this.offerLayers();
    this.offerSecond();
    this.stale = { layout: true, brain: true, curves: true };
    if (fresh) this.clock.load(urlOf(result), (value.media || {}).kind, result.duration);
    part.sideBySide.take(result);
    this.conditions.open(fresh);
    const { warnings } = this.conditions;
    part.warnings.replaceChildren(...warnings.map((text) => h("li", { text })));
    part.warnings.hidden = !warnings.length;
    part.body.hidden = false;
    part.empty.hidden = true;
    this.measure();
    this.tick(this.clock.time);
    const rests = fresh && this.link.open(result);
    if (fresh) {
      this.wantsToPlay = !this.still.matches && !rests;
      this.playWhenSeen();
      document.dispatchEvent(new CustomEvent("cineglass-shows", { detail: value.run_id }));
      this.onReady();
    }
  }

  /** The film of a result, with what belongs to it: words, what is absent. The time stays. */
  showFilmOf(result) {
    const { part, conditions } = this;
    const media = result.value.media || {};
    const url = urlOf(result);
    this.clock.swap(url, media.kind, result.duration);
    const gone = !url && media.kind !== "none"; // a capsule without its film
    part.soundPicture.hidden = media.kind === "video" && !gone;
    const { audio, video } = result.value.present || {};
    part.soundWave.hidden = media.kind !== "audio" || gone;
    part.soundText.textContent = gone ? "The film is not here. Brains, curves and words work without it." : media.kind === "audio" ? "Sound only: no picture" : audio === false && video === false ? "Words only: no picture, no sound" : "No film";
    part.sound.disabled = !(url && media.has_sound);
    const both = conditions.on ? [conditions.a, conditions.b] : [result];
    inTurn(part.title, both.map(({ value }) => value.title), result.value.title);
    inTurn(part.absent, both.map(absentIn), absentIn(result));
    part.plot.setAttribute("aria-valuemax", result.duration.toFixed(1));
    this.subtitles.reset(result);
    this.words.reset(result);
    this.shown = { row: -2, word: -2, film: "" };
    this.showTransport();
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
    part.rangeAuto.title = `98th percentile of |z| over the valid rows${this.conditions.paired ? ", the largest of A, B and A − B, so that one scale fits all three" : ""}; never below the model's floor`;
    part.rangeAuto.textContent = typed ? "back to auto" : this.conditions.paired ? "auto: A, B and A − B" : "auto: 98th percentile";
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
    this.conditions.tell();
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
    const { part, base } = this;
    const { second } = base;
    part.secondBox.hidden = !second || second.kind === "condition";
    if (part.secondBox.hidden) return;
    part.secondName.textContent = second.label;
    part.secondNote.textContent = second.note;
    this.setSecond(this.settings.second);
  }

  get layerIds() {
    return this.base.layersOf(this.settings.subject).map(({ id }) => id);
  }

  get layer() {
    if (!this.base) return null;
    return this.base.layersOf(this.settings.subject).find(({ id }) => id === this.settings.layer) || null;
  }

  /** The layers of the subject shown; the one on screen is followed from subject to subject by its name. */
  offerLayers() {
    const { part, base, settings } = this;
    const layers = base.layersOf(settings.subject);
    const shown = base.layers.find(({ id }) => id === settings.layer);
    const same = shown && layers.find(({ label }) => label === shown.label);
    part.layerField.hidden = !base.layers.length;
    part.layerNote.hidden = !base.layers.length;
    part.layer.replaceChildren(h("option", { value: "response", text: "response" }), ...layers.map(({ id, label }) => h("option", { value: id, text: label })));
    this.setLayer(same ? same.id : "response");
  }

  /** Say what the band is wherever it is drawn. */
  showBand() {
    const { part, base, settings } = this;
    part.bandNote.hidden = !(base.spread && settings.band);
    part.bandText.textContent = base.spread ? `Band: ± 1 SD between ${base.value.spread.members} checkpoints.` : "";
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

  /** The curves of a fresh result. A comparison of the film that was shown keeps those that were; what changes most is among them. */
  openCurves(result, before) {
    const own = result.value.opens_with.length ? result.value.opens_with : ATLAS.network_keys;
    const { visible } = this.settings;
    const chosen = before && (before.value.opens_with.length > 0 || visible.size !== ATLAS.network_keys.length || ATLAS.network_keys.some((id) => !visible.has(id)));
    if (!chosen || !result.other || result.value.caption || !sameFilm(before, result)) this.openWith(own);
    else this.setVisible(own.some((id) => visible.has(splitId(id)[0])) ? visible : [...visible, splitId(own[0])[0]]);
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
    const { base, conditions, settings } = this;
    const choice = base.choices.find(({ id }) => id === settings.subject);
    const whose = choice.id === MEAN ? `mean of the ${COUNTS[base.subjects.length] || base.subjects.length} predictions` : choice.label;
    const who = [conditions.name, whose].filter(Boolean).join(" · ");
    const second = conditions.paired ? "beside" : settings.second;
    return { ...settings, dark, map: mapName(settings.mapChoice, dark), simulated: base.value.simulated, who, second, quantity: conditions.quantity };
  }

  /** What both brains and the bar are drawn with: those of the response, or of the layer with its own unit and range. */
  paneSettings(draw) {
    const { layer } = this;
    if (!layer) return { ...draw, absent: this.absence, bar: { map: draw.map, range: draw.range, threshold: draw.threshold, low: -draw.range, unit: draw.quantity, unknown: false } };
    const map = layer.signed ? draw.map : draw.dark ? "one_sided_dark" : "one_sided_light";
    const whose = this.base.choices.find(({ id }) => id === layer.subject);
    const own = { map, range: layer.range, threshold: layer.fade || 0 };
    const unit = `${layer.label} (${layer.unit}), own scale`;
    const who = [whose && whose.label, layer.label, "own scale"].filter(Boolean).join(" · ");
    return { ...draw, ...own, who, absent: "", bar: { ...own, low: layer.signed ? -layer.range : 0, unit, unknown: layer.values.some(Number.isNaN) } };
  }

  /** Why there is no value to show. */
  get absence() {
    return this.shown.row < 0 ? "no prediction here" : this.result.partNote(this.shown.row);
  }

  /**
   * Row of a film time. A film ends with a part of a TR, for which nothing is predicted: the last whole one stays until the end. A time that is
   * shifted beyond the last row has none.
   */
  rowAt(time) {
    const { result, settings } = this;
    const row = result.rowAt(time + settings.lag);
    return row < 0 && !settings.lag && time < (result.rows + 1) * result.tr ? result.rows - 1 : row;
  }

  /** Follow the clock: the playhead always, brain and rankings only when the row or a setting changed. */
  tick(time) {
    if (!this.result || this.part.body.hidden || !this.onScreen) return;
    const began = performance.now();
    const { part, result, settings, shown, stale } = this;
    const inside = Math.min(time, result.duration - 1e-3);
    const row = this.rowAt(inside);
    const held = row >= 0 && inside + settings.lag >= result.rows * result.tr;
    if (this.zoom.follow(inside)) stale.curves = true;
    const setting = stale.layout || stale.brain || stale.curves;
    if (stale.layout) this.layout();
    const draw = setting ? this.drawSettings : this.lastSettings;
    this.lastSettings = draw;
    if (stale.curves) {
      this.curves.draw(this.conditions.drawn, draw);
      part.plot.style.setProperty("--cg-plottop", `${this.curves.top}px`);
      this.controls.tellGhost();
    }
    const rowChanged = row !== shown.row || held !== shown.held;
    if (rowChanged || stale.brain) {
      Object.assign(shown, { row, held });
      if (rowChanged) result.near(row);
      this.have = row >= 0 && result.fill(settings.subject, row, this.values);
      if (stale.brain) this.pane = this.paneSettings(draw);
      this.pane.absent = this.absence;
      const { layer } = this;
      if (!layer) this.panes.draw(this.values, this.have ? row : -1, this.pane, stale.brain);
      else if (stale.brain) this.panes.draw(layer.values, 0, this.pane, true); // one map for the whole film
    }
    if (rowChanged || setting) {
      if (!this.clock.playing) this.voice.sayRow();
      this.curves.drawDots(row);
      this.showNow();
      this.picking.rowShown(row);
      this.showRow(row);
      part.sideBySide.follow(row, draw, setting);
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
    part.rowNote.textContent = row < 0 ? "no prediction here" : this.shown.held ? "end of the film: the last whole TR stays" : result.valid[row] ? "" : row < result.rows / 2 ? "warm-up: no full past yet" : "end of the film: less sure";
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
    part.sideBySide.head(time);
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
    this.look = { ratio, theme };
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
    part.video = clock.video;
    setIcon(part.play, clock.playing ? "pause" : "play", clock.playing ? "Pause (space)" : "Play (space)");
    const muted = part.video.muted;
    setIcon(part.sound, muted ? "mute" : "sound", part.sound.disabled ? "This film has no sound" : muted ? "Sound on" : "Sound off");
    part.filmNote.hidden = !clock.error;
    part.filmNote.textContent = clock.error;
    this.host.classList.toggle("is-playing", clock.playing);
  }

  say(text) {
    this.voice.say(text);
  }

  paintChips() {
    const dark = document.body.classList.contains("dark");
    this.part.chips.forEach((chip, number) => {
      chip.firstChild.style.color = curveColour(CURVES[number], this.settings.palette, dark);
    });
    this.conditions.tell();
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
    this.voice.dispose();
    this.clock.pause();
  }

  /** What is on screen, for tests and for people at the console. */
  state() {
    return stateOf(this);
  }
}

/** Whether two results are of one film, whatever made them. */
function sameFilm({ value: a }, { value: b }) {
  return a.title === b.title && a.n_trs === b.n_trs && a.duration === b.duration;
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
