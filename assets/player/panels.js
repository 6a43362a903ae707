// Subtitles, running words, and the ranking at the playhead. Every text is set as text, never as markup.

/** The line being spoken, with the present word marked. */
class Subtitles {
  constructor(host) {
    this.host = host;
    this.line = -2;
  }

  reset(result) {
    this.result = result;
    this.line = -2;
    this.host.replaceChildren();
  }

  show(time, word) {
    const { lines, words } = this.result;
    let index = lastBefore(lines, "start", time + 0.02);
    if (index >= 0 && time > lines[index].end + 0.7) index = -1;
    if (index !== this.line) {
      this.line = index;
      this.spans = [];
      if (index < 0) this.host.replaceChildren();
      else {
        const { first, last } = lines[index];
        this.spans = words.slice(first, last + 1).map((spoken) => h("span", { text: spoken.text }));
        this.host.replaceChildren(h("span", { class: "cg-cue" }, ...this.spans.flatMap((span, i) => (i ? [" ", span] : [span]))));
      }
    }
    if (index >= 0) this.spans.forEach((span, i) => span.classList.toggle("is-now", lines[index].first + i === word));
  }
}

/** Running words; a click on one goes there. */
class Words {
  constructor(host, note, onSeek) {
    this.host = host;
    this.note = note;
    this.now = -1;
    host.addEventListener("click", (event) => {
      const target = event.target.closest("[data-time]");
      if (target && host.contains(target)) onSeek(Number(target.dataset.time));
    });
  }

  reset(result) {
    this.now = -1;
    this.note.textContent = result.value.transcript_note || "";
    this.spans = [];
    const rows = result.lines.map((line) => {
      const spans = result.words.slice(line.first, line.last + 1).map((word) => h("span", { class: "cg-word", "data-time": word.onset, text: word.text }));
      this.spans.push(...spans);
      const label = `Go to ${clockText(line.start)}`;
      const button = h("button", { type: "button", class: "cg-time", "data-time": line.start, "aria-label": label, text: clockText(line.start) });
      return h("p", { class: "cg-line" }, button, h("span", { class: "cg-said" }, ...spans.flatMap((span, i) => (i ? [" ", span] : [span]))));
    });
    this.host.replaceChildren(...(rows.length ? rows : [h("p", { class: "cg-none", text: "No words in this clip." })]));
  }

  show(word, follow) {
    if (word === this.now) return;
    if (this.now >= 0) this.spans[this.now].classList.remove("is-now");
    this.now = word;
    if (word < 0) return;
    const span = this.spans[word];
    span.classList.add("is-now");
    if (!follow || !this.host.clientHeight) return;
    const top = span.offsetTop - this.host.offsetTop;
    if (top < this.host.scrollTop || top > this.host.scrollTop + this.host.clientHeight - 40) this.host.scrollTop = top - 30;
  }
}

const STRONGEST = 11;

/** Networks ranked at the playhead, and the parcels farthest from zero. */
class Ranking {
  /** `on.point(parcel)` when a parcel is pointed at or has the focus (-1: none any more), `on.pick(parcel)` to pin it. */
  constructor(networks, parcels, on) {
    this.parcelHost = parcels;
    this.networkHost = networks;
    this.rows = CURVES.map((curve) => {
      const swatch = h("i", { class: "cg-swatch", "data-kind": curve.kind });
      const bar = h("i", { class: "cg-bar" });
      const value = h("span", { class: "cg-value" });
      const spread = h("span", { class: "cg-sd", hidden: true });
      const item = h("li", { class: "cg-rank", title: curve.note }, swatch, h("span", { class: "cg-name", text: curve.label }), h("span", { class: "cg-track" }, bar), value, spread);
      return { curve, item, swatch, bar, value, spread };
    });
    this.parcels = Array.from({ length: STRONGEST }, (_, place) => {
      const cells = { swatch: h("i", { class: "cg-swatch" }), name: h("span", { class: "cg-name" }), value: h("span", { class: "cg-value" }) };
      const button = h("button", { type: "button", class: "cg-rank", "aria-pressed": "false", tabindex: place ? -1 : 0 }, cells.swatch, cells.name, cells.value);
      const line = { ...cells, button, item: h("li", {}, button), parcel: -1 };
      button.addEventListener("click", () => line.parcel >= 0 && on.pick(line.parcel));
      for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => on.point(line.parcel));
      for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => on.point(-1));
      return line;
    });
    parcels.addEventListener("keydown", (event) => this.move(event));
    networks.replaceChildren(...this.rows.map((row) => row.item));
    parcels.replaceChildren(...this.parcels.map((row) => row.item));
    this.order = "";
  }

  /** Arrow keys go from parcel to parcel; one of them is in the page's order of focus. */
  move(event) {
    const now = this.parcels.findIndex(({ button }) => button === document.activeElement);
    const last = this.parcels.length - 1;
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: last }[event.key];
    if (now < 0 || next === undefined) return;
    event.preventDefault();
    const place = Math.min(last, Math.max(0, next));
    this.parcels.forEach(({ button }, i) => {
      button.tabIndex = i === place ? 0 : -1;
    });
    this.parcels[place].button.focus();
  }

  /** `values` null: no prediction at this row, or none loaded yet. */
  show(result, row, values, settings) {
    const none = row < 0;
    for (const line of this.rows) {
      const z = none ? 0 : result.curve(settings.subject, line.curve, "")[row];
      const colour = curveColour(line.curve, settings.palette, settings.dark);
      line.z = z;
      line.value.textContent = none ? "–" : signed(z);
      const band = settings.band ? result.band(settings.subject, line.curve, "") : null;
      line.spread.hidden = !band;
      line.spread.textContent = band && !none ? `± ${band[row].toFixed(2)}` : "";
      line.swatch.style.color = colour;
      line.bar.style.color = colour;
      const share = Math.max(-1, Math.min(1, z / result.curveRange));
      line.bar.style.transform = `scaleX(${share.toFixed(3)})`;
    }
    const ranked = none ? this.rows : [...this.rows].sort((a, b) => b.z - a.z);
    const order = ranked.map((line) => line.curve.id).join();
    if (order !== this.order) {
      this.order = order;
      this.networkHost.append(...ranked.map((line) => line.item));
    }
    const strongest = none || !values ? [] : farthest(values, STRONGEST);
    this.parcels.forEach((line, i) => {
      const parcel = strongest[i];
      const there = parcel !== undefined;
      line.parcel = there ? parcel : -1;
      line.button.disabled = !there;
      line.button.setAttribute("aria-pressed", String(there && settings.pins.includes(parcel)));
      line.button.title = there ? (settings.pins.includes(parcel) ? "Unpin its curve" : "Pin its curve") : "";
      line.name.textContent = there ? parcelName(parcel) : "–";
      line.value.textContent = there ? signed(values[parcel]) : "";
      line.swatch.style.color = there ? curveColour(CURVES[ATLAS.networks[parcel]], settings.palette, settings.dark) : "transparent";
    });
  }
}

const MOST_PINS = 5;

/** The pinned parcels: name and value now; a press lets one go. */
class Pins {
  constructor(onUnpin) {
    this.onUnpin = onUnpin;
    this.list = h("span", { class: "cg-pinlist" });
    this.said = h("span", { class: "cg-pinsaid", role: "status" });
    this.root = h("div", { class: "cg-pins", role: "group", "aria-label": "Pinned parcels" }, this.list, this.said);
    this.shown = [];
  }

  /** Show these parcels, each with the colour of its line. */
  set(pins, colours) {
    this.shown = pins.map((parcel, i) => {
      const value = h("span", { class: "cg-value" });
      const name = parcelName(parcel);
      const swatch = h("i", { class: "cg-swatch", "data-kind": "pin" });
      swatch.style.color = colours[i];
      const button = h("button", { type: "button", class: "cg-chip cg-pin", "aria-label": `Unpin ${name}`, title: `Unpin ${name}` },
        swatch, h("span", { text: name }), value, h("span", { class: "cg-cross", "aria-hidden": "true", text: "×" }));
      button.addEventListener("click", () => this.onUnpin(parcel));
      return { parcel, value, button };
    });
    this.list.replaceChildren(...this.shown.map(({ button }) => button));
    const how = matchMedia("(pointer: coarse)").matches
      ? `Tap a parcel twice to keep its curve here, up to ${MOST_PINS}.`
      : `Click a parcel to keep its curve here, up to ${MOST_PINS}; shift-click for its whole network.`;
    this.say(pins.length ? "" : how);
  }

  say(text) {
    this.said.textContent = text;
  }

  show(values) {
    for (const { parcel, value } of this.shown) value.textContent = values ? signed(values[parcel]) : "–";
  }
}

/** Indices of the `count` values farthest from zero, farthest first. */
function farthest(values, count) {
  const best = [];
  for (let i = 0; i < values.length; i += 1) {
    const size = Math.abs(values[i]);
    if (best.length === count && size <= Math.abs(values[best[count - 1]])) continue;
    let at = best.length;
    while (at > 0 && Math.abs(values[best[at - 1]]) < size) at -= 1;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
  }
  return best;
}
