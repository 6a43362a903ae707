// Two conditions: A is what the player was given, B is the changed one, and A − B stands where their rows belong together.

const CONDITION_NAMES = { a: "A", b: "B", difference: "A − B" };
const CHANGE_NAMES = { edit: "Stimulus edit", lesion: "Model lesion", film: "Another film" };
const MAGNIFIED = 4; // the axis of A − B is never finer than this: a small difference looks small

/** A letter with the condition's own name, where it has one. */
function namedCondition(letter, label) {
  return label && label !== letter ? `${letter}: ${label}` : letter;
}

/** A − B row by row, asked for the same things as a result while it is shown. Of the film it keeps the one in sight. */
class Difference {
  constructor(a, b, band) {
    const { rows, tr, subjects, duration } = a;
    Object.assign(this, { a, b, rows, tr, subjects, duration, film: a, isDifference: true, spread: null, second: null });
    this.scale = Math.max(a.scale, b.scale);
    this.valid = a.valid.map((valid, row) => valid && b.valid[row]);
    this.halves = band ? new Map(band.ids.map((id, number) => [id, number])) : null;
    this.made = new Map();
    this.other = new Float32Array(PARCELS);
    if (!band) return;
    this.count = band.n;
    this.unit = band.scale;
    this.codes = new Int16Array(bytesFrom(band.data).buffer);
    if (this.codes.length !== band.ids.length * (subjects.length + 1) * rows) throw new Error("The band and its labels differ in size.");
  }

  get value() {
    return this.film.value;
  }

  get words() {
    return this.film.words;
  }

  get lines() {
    return this.film.lines;
  }

  get everySeries() {
    return [this.a, this.b];
  }

  near(row) {
    for (const one of this.everySeries) one.near(row);
  }

  partNote(row) {
    return this.a.partNote(row) || this.b.partNote(row);
  }

  rowAt(time) {
    return this.a.rowAt(time);
  }

  fill(id, row, out) {
    const there = this.b.fill(id, row, this.other) && this.a.fill(id, row, out);
    for (let parcel = 0; parcel < PARCELS; parcel += 1) out[parcel] = there ? out[parcel] - this.other[parcel] : NaN;
    return there;
  }

  /** Kept under a name, and made anew when more rows have arrived. */
  keep(name, a, b) {
    if (!a || !b) return null;
    const kept = this.made.get(name);
    if (kept && kept.a === a && kept.b === b) return kept.values;
    const values = a.map((value, row) => value - b[row]);
    this.made.set(name, { a, b, values });
    return values;
  }

  curve(id, curve, side) {
    return this.keep(`${id}|${curve.id}|${side}`, this.a.curve(id, curve, side), this.b.curve(id, curve, side));
  }

  parcelCurve(id, parcel) {
    return this.keep(`${id}|${parcel}`, this.a.parcelCurve(id, parcel), this.b.parcelCurve(id, parcel));
  }

  /** No spread between members is known of a difference. */
  band() {
    return null;
  }

  /** How far small changes that should not matter moved a curve, one value per row; null where that is not known. */
  half(id, curve, side) {
    const name = side ? `${curve.id}-${side}` : curve.id;
    if (!this.halves || !this.halves.has(name)) return null;
    const places = this.subjects.length + 1;
    const place = id === MEAN ? places - 1 : this.subjects.findIndex((subject) => subject.id === id);
    const key = `half|${place}|${name}`;
    if (!this.made.has(key)) {
      const start = (this.halves.get(name) * places + place) * this.rows;
      this.made.set(key, Float32Array.from(this.codes.subarray(start, start + this.rows), (code) => code * this.unit));
    }
    return this.made.get(key);
  }

  /** The most that small changes move any curve of a subject, z; 0 where that is not known. */
  widest(id) {
    return CURVES.reduce((most, curve) => (this.half(id, curve, "") || []).reduce((one, size) => Math.max(one, size), most), 0);
  }

  get curveRange() {
    if (this.largest === undefined) this.largest = largestOf(this, (id, curve) => this.curve(id, curve, ""), (id, curve) => this.half(id, curve, ""));
    return Math.max(this.largest * 1.08, this.a.curveRange / MAGNIFIED);
  }
}

class Conditions {
  constructor(player) {
    this.player = player;
    this.part = player.part;
    this.tab = player.part.compare;
    this.b = null;
    this.film = "a"; // the condition whose film is in sight, also while A − B is drawn
    this.part.onShown = (shown) => this.show(shown);
  }

  get on() {
    return Boolean(this.b);
  }

  get paired() {
    return Boolean(this.difference);
  }

  /** What can be shown. */
  get offered() {
    return this.on ? (this.paired ? ["a", "b", "difference"] : ["a", "b"]) : ["a"];
  }

  get shown() {
    return this.player.settings.shown;
  }

  get showsDifference() {
    return this.on && this.shown === "difference";
  }

  /** What the curves are drawn from: A, with B beside it, where the rows belong together; else what is shown. */
  get drawn() {
    return this.paired && !this.showsDifference ? this.a : this.player.result;
  }

  /** Unit of what is shown: an uncalibrated difference has none. */
  get unit() {
    return this.showsDifference && this.info.calibrated !== "yes" ? "" : "z";
  }

  get quantity() {
    if (!this.showsDifference) return "predicted BOLD (z)";
    return this.unit ? "A − B, predicted BOLD (z)" : "A − B, uncalibrated";
  }

  /** Name of what is shown, for the line under the brains; "" without a second condition. */
  get name() {
    return this.on ? CONDITION_NAMES[this.shown] : "";
  }

  /** A new result, with or without a second condition. */
  take(result, fresh) {
    const { player } = this;
    this.a = result;
    this.b = result.other;
    this.info = result.comparison;
    this.difference = result.difference;
    if (fresh || !this.offered.includes(this.shown)) {
      this.film = "a";
      player.settings.shown = "a";
    }
    player.result = this.resultOf(this.shown);
  }

  /** Its film, its switch and its tab, when the rest of the player has been set up. */
  open(fresh) {
    const { part, player, on } = this;
    for (const element of [part.shown, part.conditions, part.filmTag, part.shownNote]) element.hidden = !on;
    part.tabs.offer("compare", on);
    if (on) {
      player.clock.prepare(urlOf(this.b));
      part.shown.setOptions([
        { id: "a", label: "A", title: "Condition A: its film, words and response (key x swaps A and B)" },
        { id: "b", label: "B", title: "Condition B: its film, words and response (key x swaps A and B)" },
        { id: "difference", label: "A − B", title: this.paired ? "What A has more than B, parcel by parcel (key d)" : this.info.why, disabled: !this.paired },
      ]);
      this.describe();
    }
    if (fresh) part.tabs.choose(on ? "compare" : "now");
    this.show(this.shown);
    this.tell();
  }

  resultOf(shown) {
    return { a: this.a, b: this.b, difference: this.difference }[shown];
  }

  /** Show A, B or A − B in place: time, playing, range, pins and tab stay. */
  show(shown) {
    const { player, part } = this;
    if (!this.offered.includes(shown)) {
      if (this.on) player.say(this.info.why);
      return;
    }
    if (shown !== "difference") this.film = shown;
    player.settings.shown = shown;
    player.result = this.resultOf(shown);
    if (this.difference) this.difference.film = this.resultOf(this.film);
    part.shown.choose(shown);
    part.filmTag.textContent = CONDITION_NAMES[this.film];
    for (const line of part.conditions.querySelectorAll("[data-is]")) line.classList.toggle("is-shown", shown === "difference" || line.dataset.is === shown);
    this.tellLegend();
    player.showFilmOf(this.resultOf(this.film));
    player.picking.swapped();
    player.set({}, "brain", "curves");
  }

  /** Key x: the other condition. */
  swap() {
    if (!this.on) return;
    this.show(this.film === "a" ? "b" : "a");
    this.say();
  }

  /** Key d: A − B, and back. */
  toggleDifference() {
    if (!this.on) return;
    this.show(this.showsDifference ? this.film : "difference");
    if (this.paired) this.say();
  }

  say() {
    this.player.say(this.showsDifference ? "A − B." : `Condition ${namedCondition(this.name, this.info[this.shown].label)}.`);
  }

  /** What is different, in words, above everything; it does not change with what is shown. */
  describe() {
    const { info, part } = this;
    const changes = (kind, texts) => texts.flatMap((text) => [h("em", { class: "cg-change", "data-kind": kind, text: CHANGE_NAMES[kind] }), h("span", { text })]);
    const line = (letter, label, ...parts) => h("p", { class: "cg-condition", "data-is": letter.toLowerCase() }, h("b", { text: letter }), ...(label ? [h("span", { text: label })] : []), ...parts);
    const titles = [this.a, this.b].map(({ value }) => value.title);
    const own = (letter, label) => (label !== letter ? label : "");
    part.conditions.replaceChildren(
      line("A", own("A", info.a.label) || titles[0]),
      line("B", own("B", info.b.label) || (titles[1] === titles[0] ? "" : titles[1]), ...(info.kind === "film" ? changes("film", [""]) : []), ...changes("edit", info.b.edits), ...changes("lesion", info.b.lesions)),
      ...(this.paired ? [] : [h("p", { class: "cg-why", text: `A − B is not drawn. ${info.why}` })]));
  }

  /** What the lines and the grey of the curves are. */
  tellLegend() {
    if (!this.on) return;
    const { part, info } = this;
    part.shownSwatch.dataset.kind = this.showsDifference ? "band" : "lines";
    part.shownSwatch.hidden = this.showsDifference ? !info.band : !this.paired;
    part.shownText.textContent = !this.showsDifference
      ? this.paired ? "Solid: A. Dashed: B." : `Curves of ${this.name}.`
      : info.band
        ? `Grey: sensitivity to small changes, ± the most that any of ${info.band.n} such changes moved each curve (here at most ${this.difference.widest(this.player.settings.subject).toFixed(2)} z). A line is pale inside its own grey.`
        : "No grey: sensitivity to small changes is not known here, or not yet.";
  }

  /** The tab of the subject shown. */
  tell() {
    const { player } = this;
    if (!this.on) return;
    this.tab.show(this.info, player.base, player.settings);
    this.tellLegend();
  }

  /** What the parcel under the pointer has in the other conditions now. */
  besides(parcel, row) {
    if (!this.paired || row < 0) return [];
    return ["a", "b"].filter((one) => one !== this.shown).map((one) => {
      const value = this.resultOf(one).parcelCurve(this.player.settings.subject, parcel)[row];
      return `${CONDITION_NAMES[one]}: ${Number.isNaN(value) ? "no value" : `${signed(value)} z`}`;
    });
  }

  /** Warnings of both, so that the list does not change with what is shown. */
  get warnings() {
    const own = (result) => (result && result.value.warnings) || [];
    const [a, b] = [own(this.a), own(this.b)];
    const both = a.filter((text) => !this.on || b.includes(text));
    return [...both, ...a.filter((text) => !both.includes(text)).map((text) => `A: ${text}`), ...b.filter((text) => !both.includes(text)).map((text) => `B: ${text}`)];
  }
}

/** Address of a result's film, or null. */
function urlOf(result) {
  const { file } = result.value.media || {};
  return file && file.url ? file.url : null;
}

/** Streams that a result was made without, in a reader's words. */
function absentIn({ value }) {
  const missing = [["audio", "sound"], ["text", "words"], ["video", "picture"]].filter(([stream]) => value.present && value.present[stream] === false);
  return missing.length ? `absent: ${missing.map(([, name]) => name).join(", ")}` : "";
}

/** Texts that take turns in one place, which is as large as the largest of them: nothing around it moves. */
function inTurn(host, texts, chosen) {
  const different = [...new Set(texts)];
  host.classList.toggle("cg-inturn", different.length > 1);
  if (different.length < 2) host.textContent = different[0];
  else host.replaceChildren(...different.map((text) => h("span", { text, class: text === chosen ? "" : "is-away" })));
}
