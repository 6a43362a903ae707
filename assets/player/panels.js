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
    let index = lastBefore(lines, "start", time + 0.05);
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
  constructor(networks, parcels) {
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
    this.parcels = Array.from({ length: STRONGEST }, () => {
      const cells = { swatch: h("i", { class: "cg-swatch" }), name: h("span", { class: "cg-name" }), value: h("span", { class: "cg-value" }) };
      return { ...cells, item: h("li", { class: "cg-rank" }, cells.swatch, cells.name, cells.value) };
    });
    networks.replaceChildren(...this.rows.map((row) => row.item));
    parcels.replaceChildren(...this.parcels.map((row) => row.item));
    this.order = "";
  }

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
    const strongest = none ? [] : farthest(values, STRONGEST);
    this.parcels.forEach((line, i) => {
      const parcel = strongest[i];
      line.name.textContent = parcel === undefined ? "–" : parcelName(parcel);
      line.value.textContent = parcel === undefined ? "" : signed(values[parcel]);
      line.swatch.style.color = parcel === undefined ? "transparent" : curveColour(CURVES[ATLAS.networks[parcel]], settings.palette, settings.dark);
    });
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
