// The player: takes values, keeps settings, draws when the row or a setting has changed.

const HOTKEY_BLIND = "input, textarea, select, [contenteditable], [role=radio], [role=tab]";

class CineglassPlayer {
  constructor(host, onReady) {
    this.host = host;
    this.onReady = onReady;
    this.part = buildView(host);
    this.brain = new Brain(this.part.brain);
    this.curves = new Curves(this.part.curves, this.part.dots);
    this.subtitles = new Subtitles(this.part.subtitles);
    this.words = new Words(this.part.words, this.part.wordsNote, (time) => this.clock.seek(time));
    this.clock = new Clock(this.part.video, (time) => this.tick(time), () => this.showTransport());
    this.values = new Float32Array(PARCELS);
    this.settings = { subject: "", threshold: 0, range: 1, rangeTyped: false, lag: 0, mapChoice: "auto", palette: "yeo", split: false, band: true, visible: new Set(ATLAS.network_keys) };
    this.stale = { layout: true, brain: true, curves: true };
    this.shown = { row: -2, word: -2, film: "", hover: -1 };
    this.timings = { row: [], head: [] };
    this.tab = "now";
    this.onScreen = true;
    this.still = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
    this.part.tabs.open();
  }

  // ---- values ----

  /** Take a value from Python. One without responses changes the state and keeps what is shown. */
  take(value) {
    const state = value && value.state ? value.state : "empty";
    this.host.dataset.state = state;
    if (value && value.parcels) {
      const fresh = !this.result || value.run_id !== this.result.value.run_id;
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
    this.result = result;
    const { value } = result;
    const { part, settings } = this;
    const chosen = result.choices.find(({ id }) => id === settings.subject);
    if (!chosen) settings.subject = result.choices[0].id;
    part.subjects.setOptions(result.choices.map((choice) => ({ ...choice, title: choice.id === MEAN ? `mean of the ${COUNTS[result.subjects.length] || result.subjects.length} predictions` : "" })));
    part.subjects.choose(settings.subject);
    if (!settings.rangeTyped || fresh) this.setRange(value.range, false);
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
    this.shown = { row: -2, word: -2, film: "", hover: -1 };
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
    if (fresh) {
      this.wantsToPlay = !this.still.matches;
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
    this.set({ range, rangeTyped: typed }, "brain");
    if (this.settings.threshold > range) this.setThreshold(range);
  }

  setThreshold(value) {
    const threshold = Math.max(0, value || 0);
    this.part.threshold.value = String(threshold);
    this.part.thresholdNumber.value = String(Number(threshold.toFixed(2)));
    this.set({ threshold }, "brain");
  }

  setSubject(id) {
    this.part.subjects.choose(id);
    this.set({ subject: id }, "brain", "curves");
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

  get drawSettings() {
    const dark = document.body.classList.contains("dark");
    const { result, settings } = this;
    const choice = result.choices.find(({ id }) => id === settings.subject);
    const who = choice.id === MEAN ? `mean of the ${COUNTS[result.subjects.length] || result.subjects.length} predictions` : choice.label;
    return { ...settings, dark, map: mapName(settings.mapChoice, dark), simulated: result.value.simulated, who };
  }

  /** Follow the clock: the playhead always, brain and rankings only when the row or a setting changed. */
  tick(time) {
    if (!this.result || this.part.body.hidden || !this.onScreen) return;
    const began = performance.now();
    const { result, settings, shown, stale } = this;
    const inside = Math.min(time, result.duration - 1e-3);
    const row = result.rowAt(inside + settings.lag);
    const setting = stale.layout || stale.brain || stale.curves;
    if (stale.layout) this.layout();
    const draw = setting ? this.drawSettings : this.lastSettings;
    this.lastSettings = draw;
    if (stale.curves) this.curves.draw(result, draw);
    const rowChanged = row !== shown.row;
    if (rowChanged || stale.brain) {
      if (row >= 0) result.fill(settings.subject, row, this.values);
      if (stale.brain) this.brain.still = null;
      this.brain.draw(this.values, row, draw);
    }
    if (rowChanged || setting) {
      this.curves.drawDots(row);
      if (this.tab === "now") this.part.ranking.show(result, row, this.values, draw);
      if (shown.hover >= 0) this.showTip(shown.hover);
      shown.row = row;
      this.showRow(row);
    }
    this.stale = { layout: false, brain: false, curves: false };
    this.showTime(inside, row);
    this.record(rowChanged ? "row" : "head", performance.now() - began);
  }

  showRow(row) {
    const { part, result, settings } = this;
    part.rowText.textContent = row < 0 ? `– / ${result.rows}` : `${row} / ${result.rows}`;
    part.rowNote.textContent = row < 0 ? "no prediction here" : result.valid[row] ? "" : row < result.rows / 2 ? "warm-up: no full past yet" : "end of the film: less sure";
    part.band.hidden = row < 0;
    part.noHead.hidden = row >= 0;
    if (row >= 0) {
      const from = Math.max(0, row * result.tr - settings.lag);
      const to = Math.min(result.duration, (row + 1) * result.tr - settings.lag);
      const x = this.curves.xOf(from);
      part.band.style.transform = `translateX(${x}px)`;
      part.band.style.width = `${Math.max(0, this.curves.xOf(to) - x)}px`;
    }
  }

  showTime(time, row) {
    const { part, result, settings, shown } = this;
    shown.x = this.curves.xOf(time);
    part.head.style.transform = `translateX(${shown.x.toFixed(2)}px)`;
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

  layout() {
    const { part } = this;
    const style = getComputedStyle(this.host);
    const read = (name) => style.getPropertyValue(`--cg-${name}`).trim();
    const names = ["text", "muted", "outline", "crease", "grid", "hatch", "surface", "sunken", "warn"];
    const theme = { font: style.fontFamily, ...Object.fromEntries(names.map((name) => [name, read(name)])) };
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.brain.layout(Math.max(220, part.brainPane.clientWidth), ratio, theme);
    const width = Math.max(260, part.plot.clientWidth);
    this.curves.layout(width, part.plot.clientHeight, ratio, theme);
    this.size = [part.brainPane.clientWidth, part.plot.clientWidth];
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

  showTip(parcel, at) {
    const { part, shown } = this;
    shown.hover = parcel;
    part.tip.hidden = parcel < 0;
    if (parcel < 0) return;
    const [x, y, z] = ATLAS.centroids[parcel].map((mm) => (mm < 0 ? `−${-mm}` : String(mm)));
    part.tipName.textContent = parcelName(parcel);
    part.tipWhere.textContent = `${ATLAS.network_names[ATLAS.network_keys[ATLAS.networks[parcel]]]} · MNI ${x}, ${y}, ${z}`;
    part.tipValue.textContent = shown.row < 0 || this.brain.row < 0 ? "no prediction here" : `${signed(this.values[parcel])} z now`;
    if (!at) return;
    const wide = part.brainPane.clientWidth;
    const half = part.tip.offsetWidth / 2;
    const left = Math.min(Math.max(at.x, half + 2), Math.max(half + 2, wide - half - 2));
    part.tip.style.transform = `translate(${left - half}px, ${at.y + (at.y > 70 ? -part.tip.offsetHeight - 12 : 18)}px)`;
  }

  // ---- listening ----

  listen() {
    const { part } = this;
    part.onSubject = (id) => this.setSubject(id);
    part.onLag = (shifted) => {
      part.lag.choose(shifted ? "1" : "0");
      this.shown.film = "";
      this.set({ lag: shifted ? LAG_S : 0 }, "brain", "curves");
    };
    part.lag.choose("0");
    part.onTab = (id) => {
      this.tab = id;
      this.shown.word = -2;
      this.stale.brain = true;
      this.tick(this.clock.time);
    };
    part.play.addEventListener("click", () => this.clock.toggle());
    part.screen.addEventListener("click", () => this.clock.toggle());
    part.back.addEventListener("click", () => this.stepRows(-1));
    part.on.addEventListener("click", () => this.stepRows(1));
    part.sound.addEventListener("click", () => {
      part.video.muted = !part.video.muted;
    });
    part.threshold.addEventListener("input", () => this.setThreshold(Number(part.threshold.value)));
    part.thresholdNumber.addEventListener("change", () => this.setThreshold(Number(part.thresholdNumber.value)));
    part.range.addEventListener("change", () => {
      const typed = Number(part.range.value);
      if (typed >= 0.05 && typed <= 100) this.setRange(typed, true);
      else this.setRange(this.settings.range, this.settings.rangeTyped);
    });
    part.rangeAuto.addEventListener("click", () => this.setRange(this.result.value.range, false));
    part.map.addEventListener("change", () => this.set({ mapChoice: part.map.value }, "brain"));
    part.palette.addEventListener("change", () => {
      this.set({ palette: part.palette.value }, "curves");
      this.paintChips();
    });
    part.split.addEventListener("change", () => this.set({ split: part.split.checked }, "curves"));
    part.bandBox.addEventListener("change", () => {
      this.set({ band: part.bandBox.checked }, "curves");
      this.showBand();
    });
    part.chips.forEach((chip) => chip.addEventListener("click", () => this.toggle(chip.dataset.curve)));
    this.listenToPointer();
    this.onKey = (event) => this.hotkey(event);
    document.addEventListener("keydown", this.onKey);
    this.onVisible = () => this.playWhenSeen();
    document.addEventListener("visibilitychange", this.onVisible);
    this.resized = new ResizeObserver(() => {
      const [brain, plot] = this.size || [];
      if (part.body.hidden || (brain === part.brainPane.clientWidth && plot === part.plot.clientWidth)) return;
      this.measure();
      this.tick(this.clock.time);
    });
    this.resized.observe(this.host);
    this.seen = new IntersectionObserver((entries) => {
      this.onScreen = entries[entries.length - 1].isIntersecting;
      if (this.onScreen) this.tick(this.clock.time);
    }, { rootMargin: "100px" });
    this.seen.observe(this.host);
    this.themed = new MutationObserver(() => {
      this.paintChips();
      this.measure();
      this.tick(this.clock.time);
    });
    this.themed.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.paintChips();
    this.showTransport();
  }

  listenToPointer() {
    const { part } = this;
    const at = (event, element) => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const point = (event) => {
      if (!this.result) return;
      const place = at(event, part.brain);
      this.showTip(this.brain.parcelAt(place.x, place.y), place);
    };
    part.brain.addEventListener("pointermove", point);
    part.brain.addEventListener("pointerdown", point);
    part.brain.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") this.showTip(-1); // a tap's tip stays until the next tap
    });
    let dragging = false;
    let asked = null;
    const seekTo = (event) => {
      const time = this.curves.timeAt(at(event, part.plot).x);
      if (asked === null) {
        requestAnimationFrame(() => {
          this.clock.seek(asked);
          asked = null;
        });
      }
      asked = time;
    };
    part.plot.addEventListener("pointerdown", (event) => {
      if (!this.result || event.button > 0) return;
      dragging = true;
      part.plot.setPointerCapture(event.pointerId);
      this.clock.seek(this.curves.timeAt(at(event, part.plot).x));
    });
    part.plot.addEventListener("pointermove", (event) => {
      if (!this.result) return;
      if (dragging) seekTo(event);
      const { x } = at(event, part.plot);
      const inside = x >= this.curves.left && x <= this.curves.left + this.curves.plotWidth;
      part.ghost.hidden = !inside || dragging;
      if (!inside) return;
      part.ghost.style.transform = `translateX(${x}px)`;
      const time = this.curves.timeAt(x);
      const row = this.result.rowAt(time + this.settings.lag);
      part.ghostText.textContent = `${clockText(time, 1)} · ${row < 0 ? "no prediction" : `TR ${row}`}`;
    });
    for (const name of ["pointerup", "pointercancel"]) {
      part.plot.addEventListener(name, () => {
        dragging = false;
      });
    }
    part.plot.addEventListener("pointerleave", () => {
      part.ghost.hidden = true;
    });
  }

  paintChips() {
    const dark = document.body.classList.contains("dark");
    this.part.chips.forEach((chip, number) => {
      chip.firstChild.style.color = curveColour(CURVES[number], this.settings.palette, dark);
    });
  }

  stepRows(rows) {
    if (!this.result) return;
    this.clock.pause();
    const { tr } = this.result;
    const now = Math.floor(this.clock.time / tr + 1e-6);
    this.clock.seek(Math.min((now + rows) * tr + 0.001, this.result.duration));
  }

  /** Keys of the player; fields where text is typed, and other pages' controls, keep theirs. */
  hotkey(event) {
    if (!this.host.isConnected) {
      this.dispose();
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.result || this.part.body.hidden) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(HOTKEY_BLIND) || (target !== document.body && !this.host.contains(target))) return;
    const number = Number(event.key);
    if (event.key === " ") {
      if (target.closest("button, a, summary")) return;
      this.clock.toggle();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      this.stepRows((event.key === "ArrowRight" ? 1 : -1) * (event.shiftKey ? 5 : 1));
    } else if (number >= 1 && number <= ATLAS.network_keys.length) {
      this.toggle(ATLAS.network_keys[number - 1]);
    } else return;
    event.preventDefault();
  }

  dispose() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("visibilitychange", this.onVisible);
    for (const watcher of [this.resized, this.seen, this.themed]) watcher.disconnect();
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
      row: this.brain.row,
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
      hover: part.tip.hidden ? null : { parcel: shown.hover, text: part.tip.textContent },
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
