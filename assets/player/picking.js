// Which parcels a person has picked: pointed at, pinned, gone to. Names and values beside them, rings on both brains.

class Picking {
  /** `player` gives settings, values and the clock, and is told to draw anew. */
  constructor(player) {
    this.player = player;
    this.part = player.part;
    this.panes = player.panes;
    this.hovered = -1;
    this.went = null; // {parcel, value, row}: the film's maximum, while its row is on screen
    this.maxima = new Map();
    this.paint();
  }

  get pins() {
    return this.player.settings.pins;
  }

  /** A new result: what was pointed at is let go, pinned parcels stay. */
  reset() {
    this.hovered = -1;
    this.went = null;
    this.maxima.clear();
    this.part.tip.hidden = true;
  }

  /** Another condition is shown: its maximum is elsewhere. */
  swapped() {
    this.went = null;
    this.ring();
  }

  // ---- pointing ----

  /** Name a parcel (-1: none) beside the pointer, or beside the parcel itself where nothing points. */
  point(parcel, at) {
    const changed = parcel !== this.hovered;
    this.hovered = parcel;
    this.panes.hovered = parcel;
    if (changed) this.ring();
    const place = parcel < 0 ? null : at || this.panes.pointOf(parcel);
    this.part.tip.hidden = !place;
    if (!place) return;
    this.tell();
    this.panes.placeTip(place);
  }

  /** Name, network, place and value of the hovered parcel at the present row. */
  tell() {
    const { part, player, hovered } = this;
    if (hovered < 0 || part.tip.hidden) return;
    const [x, y, z] = ATLAS.centroids[hovered].map((mm) => (mm < 0 ? `−${-mm}` : String(mm)));
    part.tipName.textContent = parcelName(hovered);
    part.tipWhere.textContent = `${ATLAS.network_names[ATLAS.network_keys[ATLAS.networks[hovered]]]} · MNI ${x}, ${y}, ${z}`;
    const { name, unit } = player.conditions;
    part.tipValue.textContent = player.have ? `${name && `${name}: `}${signed(player.values[hovered])}${unit && ` ${unit}`} now` : player.absence;
    part.tipMore.textContent = this.besides().join("\n");
    part.tipMore.hidden = !part.tipMore.textContent;
  }

  /** What else is known of the hovered parcel: the second series now, the layer shown. */
  besides() {
    const { player, hovered } = this;
    const { layer, result, settings, shown } = player;
    const told = player.conditions.besides(hovered, shown.row);
    if (result.second && result.second.kind !== "condition" && settings.second !== "off" && shown.row >= 0) {
      const values = result.second.parcelCurve(settings.subject, hovered);
      const value = values ? values[shown.row] : NaN;
      told.push(`${result.second.label}: ${Number.isNaN(value) ? "no value" : `${signed(value)} z`}`);
    }
    if (layer) told.push(`${layer.label}: ${Number.isNaN(layer.values[hovered]) ? "unknown" : `${signed(layer.values[hovered])} ${layer.unit}`}`);
    return told;
  }

  // ---- pins ----

  /** Pin a parcel's curve or let it go; `whole` switches the curve of its network. */
  pick(parcel, whole) {
    if (whole) {
      this.player.toggle(ATLAS.network_keys[ATLAS.networks[parcel]]);
      return;
    }
    if (this.pins.includes(parcel)) this.setPins(this.pins.filter((pinned) => pinned !== parcel));
    else if (this.pins.length < MOST_PINS) this.setPins([...this.pins, parcel]);
    else this.part.pins.say("Five parcels are pinned: let one go to pin another.");
  }

  setPins(pins) {
    this.player.settings.pins = pins;
    this.paint();
    this.player.set({}, "curves");
  }

  /** Chips and rings in the colours of the theme. */
  paint() {
    const dark = document.body.classList.contains("dark");
    this.part.pins.set(this.pins, this.pins.map((_, i) => pinColour(i, { dark })));
    this.part.pins.show(this.player.have ? this.player.values : null);
    this.ring();
  }

  ring() {
    const { theme } = this.panes;
    if (!theme) return;
    const dark = document.body.classList.contains("dark");
    const marks = this.pins.map((parcel, i) => ({ parcel, kind: "pin", colour: pinColour(i, { dark }) }));
    if (this.went) marks.push({ parcel: this.went.parcel, kind: "maximum", colour: theme.head });
    if (this.hovered >= 0) marks.push({ parcel: this.hovered, kind: "hover", colour: theme.text });
    this.panes.mark(marks);
    this.part.sideBySide.mark(marks);
  }

  // ---- maximum ----

  /** The parcel farthest from zero now, and whether the surface views show it. */
  get maximum() {
    const { player } = this;
    if (!player.have) return null;
    const [parcel] = farthest(player.values, 1);
    return { parcel, value: player.values[parcel], hidden: this.panes.hides(parcel) };
  }

  /** A value with the unit of what is shown. */
  sized(value) {
    const { name, unit } = this.player.conditions;
    return [name, signed(value), unit].filter(Boolean).join(" ");
  }

  /** How many parcels have a value now that the colours do not reach, and take the colour of the bar's end; "" when they reach all. */
  get beyond() {
    const { layer, settings, values } = this.player;
    const count = layer ? 0 : values.filter((value) => Math.abs(value) > settings.range).length;
    return count ? ` Beyond ±\u00a0${Number(settings.range.toPrecision(3))}: ${count} ${count === 1 ? "parcel" : "parcels"}.` : "";
  }

  /** Say it below the brains. */
  showMaximum() {
    const { part, maximum } = this;
    const hidden = maximum && maximum.hidden && this.panes.showsSurface;
    part.largest.textContent = !maximum
      ? "Largest now: none."
      : hidden
        ? `The maximum, ${parcelName(maximum.parcel)}, lies where the surface views do not show it.`
        : `${this.player.layer ? "Largest response now" : "Largest now"}: ${parcelName(maximum.parcel)}, ${this.sized(maximum.value)}.${this.beyond}`;
  }

  /** Where |z| is largest in the valid rows of the film, for the subject shown: {parcel, value, row}, or null while nothing is loaded. */
  filmMaximum() {
    const { result, settings } = this.player;
    const key = `${settings.shown}|${settings.subject}`;
    const known = this.maxima.get(key);
    if (known) return known;
    const any = result.valid.includes(true);
    const values = new Float32Array(PARCELS);
    let best = null;
    let whole = true;
    for (let row = 0; row < result.rows; row += 1) {
      if (any && !result.valid[row]) continue;
      if (!result.fill(settings.subject, row, values)) {
        whole = false;
        continue;
      }
      for (let parcel = 0; parcel < PARCELS; parcel += 1) {
        if (!best || Math.abs(values[parcel]) > Math.abs(best.value)) best = { parcel, value: values[parcel], row };
      }
    }
    if (whole && best) this.maxima.set(key, best);
    return best && { ...best, whole };
  }

  goToMaximum() {
    const best = this.filmMaximum();
    if (!best) return;
    const { player } = this;
    player.clock.pause();
    this.went = best;
    player.clock.seek(Math.max(0, (best.row + 0.5) * player.result.tr - player.settings.lag));
    this.ring();
    const partly = best.whole === false ? " in the part loaded so far" : "";
    player.say(`The film's maximum${partly}: ${parcelName(best.parcel)}, ${this.sized(best.value)} at TR ${best.row}.`);
  }

  /** A new row is on screen. */
  rowShown(row) {
    if (this.went && this.went.row !== row) {
      this.went = null;
      this.ring();
    }
    this.tell();
    this.showMaximum();
    this.part.pins.show(this.player.have ? this.player.values : null);
  }
}
