// The glass brain: four views on one canvas, one disc per parcel.
//
// Places and sizes of the discs never change with the data, so each pixel's list of discs is made once per size. A new row then only
// chooses, for every pixel, the disc that shows: the one farthest from zero, as in nilearn's glass brain, nearer ones favoured.

const VIEWS = [
  { key: "l", across: (c) => -c[1], up: (c) => c[2], near: (c) => -c[0] / 68, side: "L", row: 0, column: 0 },
  { key: "y", across: (c) => c[0], up: (c) => c[2], near: (c) => (64 - c[1]) / 160, side: "", row: 0, column: 1 },
  { key: "r", across: (c) => c[1], up: (c) => c[2], near: (c) => c[0] / 68, side: "R", row: 1, column: 0 },
  { key: "z", across: (c) => c[0], up: (c) => c[1], near: (c) => (c[2] + 40) / 115, side: "", row: 1, column: 1 },
];
const SMALLEST_MM = 2.5;
const LARGEST_MM = 4.1;
const TITLE_PX = 20;
const FOOT_PX = 20;

class Brain {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.values = new Float32Array(PARCELS);
    this.row = -2;
    this.width = 0;
  }

  /** Fit the canvas to a width in CSS pixels, the views in one row or two by two; returns the height it takes. */
  layout(width, ratio, theme, wide = width >= 860) {
    this.width = width;
    this.ratio = ratio;
    this.theme = theme;
    const span = VIEWS.map((view) => ATLAS.outlines[view.key].bounds).map(([left, right, bottom, top]) => [right - left, top - bottom]);
    const gap = 10;
    const across = wide ? span.reduce((sum, [w]) => sum + w, 0) : Math.max(span[0][0], span[2][0]) + Math.max(span[1][0], span[3][0]);
    const scale = Math.min((width - gap * (wide ? 4 : 2)) / across, 1.34);
    const columns = wide ? span.map(([w]) => w * scale) : [0, 1].map((c) => Math.max(span[c][0], span[c + 2][0]) * scale);
    const rows = wide ? [Math.max(...span.map(([, h]) => h * scale))] : [0, 1].map((r) => Math.max(span[2 * r][1], span[2 * r + 1][1]) * scale);
    const used = columns.reduce((sum, w) => sum + w + gap, 0);
    const left = Math.max(gap / 2, (width - used) / 2 + gap / 2);
    const bodyHeight = rows.reduce((sum, h) => sum + h + TITLE_PX, 0);
    this.height = Math.round(bodyHeight + FOOT_PX);
    this.scale = scale;
    this.places = VIEWS.map((view, number) => {
      const column = wide ? number : view.column;
      const row = wide ? 0 : view.row;
      const x0 = left + columns.slice(0, column).reduce((sum, w) => sum + w + gap, 0);
      const y0 = TITLE_PX + rows.slice(0, row).reduce((sum, h) => sum + h + TITLE_PX, 0);
      const [w, h] = span[number];
      const bounds = ATLAS.outlines[view.key].bounds;
      const x = x0 + (columns[column] - w * scale) / 2;
      const y = y0 + (rows[row] - h * scale) / 2;
      return { view, x, y, width: w * scale, height: h * scale, toX: (mm) => x + (mm - bounds[0]) * scale, toY: (mm) => y + (bounds[3] - mm) * scale };
    });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.height = `${this.height}px`;
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.rasterise();
    this.still = null;
    return this.height;
  }

  /** List, for every pixel, the discs that cover it and how much (0..255). */
  rasterise() {
    const { ratio } = this;
    const [wide, high] = [this.canvas.width, this.canvas.height];
    const discs = [];
    for (const { view, toX, toY } of this.places) {
      for (let parcel = 0; parcel < PARCELS; parcel += 1) {
        if (view.side && ATLAS.hemispheres[parcel] !== view.side) continue;
        const centre = ATLAS.centroids[parcel];
        const near = Math.min(1, Math.max(0, view.near(centre)));
        const radius = (SMALLEST_MM + (LARGEST_MM - SMALLEST_MM) * near) * this.scale * ratio;
        discs.push({ parcel, near, x: toX(view.across(centre)) * ratio, y: toY(view.up(centre)) * ratio, radius });
      }
    }
    const eachCover = (visit) => {
      discs.forEach((disc, number) => {
        const bottom = Math.min(high - 1, Math.ceil(disc.y + disc.radius));
        const right = Math.min(wide - 1, Math.ceil(disc.x + disc.radius));
        for (let y = Math.max(0, Math.floor(disc.y - disc.radius)); y <= bottom; y += 1) {
          const rise = (y + 0.5 - disc.y) ** 2;
          for (let x = Math.max(0, Math.floor(disc.x - disc.radius)); x <= right; x += 1) {
            const cover = disc.radius + 0.5 - Math.sqrt(rise + (x + 0.5 - disc.x) ** 2);
            if (cover > 0.04) visit(y * wide + x, number, cover);
          }
        }
      });
    };
    const counts = new Uint16Array(wide * high);
    let total = 0;
    eachCover((pixel) => {
      counts[pixel] += 1;
      total += 1;
    });
    const used = counts.reduce((sum, count) => sum + (count > 0), 0);
    const pixels = new Uint32Array(used);
    const starts = new Uint32Array(used + 1);
    const slot = new Uint32Array(counts.length);
    for (let pixel = 0, i = 0; pixel < counts.length; pixel += 1) {
      if (!counts[pixel]) continue;
      pixels[i] = pixel;
      slot[pixel] = starts[i];
      starts[i + 1] = starts[i] + counts[pixel];
      i += 1;
    }
    const coverDisc = new Uint16Array(total);
    const cover = new Uint8Array(total);
    eachCover((pixel, number, amount) => {
      const at = slot[pixel];
      slot[pixel] += 1;
      coverDisc[at] = number;
      cover[at] = Math.min(255, Math.round(amount * 255));
    });
    this.discs = discs;
    this.discParcel = Uint16Array.from(discs, (d) => d.parcel);
    this.discNear = Float32Array.from(discs, (d) => d.near);
    this.strength = new Float32Array(discs.length);
    this.ink = new Uint8Array(discs.length * 4);
    Object.assign(this, { pixels, starts, coverDisc, cover });
  }

  /** The disc that shows in the i-th covered pixel, as a place in the lists of covers. */
  winner(i) {
    const { starts, coverDisc, cover, strength } = this;
    let best = starts[i];
    for (let at = best + 1; at < starts[i + 1]; at += 1) {
      if (strength[coverDisc[at]] * cover[at] > strength[coverDisc[best]] * cover[best]) best = at;
    }
    return best;
  }

  /** Draw one row of values (NaN: unknown), or none (`row` -1, with `settings.absent` saying why). */
  draw(values, row, settings) {
    this.row = row;
    if (row >= 0) this.values.set(values);
    this.threshold = settings.threshold;
    this.paintDiscs(row, settings);
    const data = this.image.data;
    const { pixels, coverDisc, cover, ink } = this;
    for (let i = 0; i < pixels.length; i += 1) {
      const best = this.winner(i);
      const from = coverDisc[best] * 4;
      const to = pixels[i] * 4;
      data[to] = ink[from];
      data[to + 1] = ink[from + 1];
      data[to + 2] = ink[from + 2];
      data[to + 3] = (ink[from + 3] * cover[best]) >> 8;
    }
    this.context.putImageData(this.image, 0, 0);
    if (!this.still) this.drawStill(settings);
    this.context.drawImage(this.still, 0, 0);
    if (row < 0) this.drawNone(settings.absent);
  }

  /** Colour and strength of every disc for the present values. */
  paintDiscs(row, { range, threshold, map, dark }) {
    const table = colourTable(map);
    const { discParcel, discNear, strength, ink } = this;
    const unknown = rgbOf(this.theme.muted);
    for (let disc = 0; disc < discParcel.length; disc += 1) {
      const value = row >= 0 ? this.values[discParcel[disc]] : 0;
      if (value !== value) {
        strength[disc] = 0.01 * discNear[disc];
        ink.set(unknown, disc * 4);
        ink[disc * 4 + 3] = 70;
        continue;
      }
      const size = Math.abs(value);
      const level = levelOf(value, range) * 3;
      strength[disc] = size * (0.5 + 0.5 * discNear[disc]) + 0.02 * (0.1 + discNear[disc]);
      // The classic map is black in the middle, so there a small value is told by transparency as in nilearn.
      const clear = map === "classic" && !dark ? Math.min(1, (size / range) * 3) : 1;
      ink[disc * 4] = table[level];
      ink[disc * 4 + 1] = table[level + 1];
      ink[disc * 4 + 2] = table[level + 2];
      ink[disc * 4 + 3] = 255 * (row >= 0 ? 1 : 0.25) * clear * (threshold > 0 ? fade(size, threshold) : 1) * (0.55 + 0.45 * discNear[disc]);
    }
  }

  /** What stays while the film runs: outlines, letters, the word SIMULATED. */
  drawStill(settings) {
    const still = document.createElement("canvas");
    still.width = this.canvas.width;
    still.height = this.canvas.height;
    const context = still.getContext("2d");
    context.scale(this.ratio, this.ratio);
    for (const place of this.places) this.drawOutline(context, place);
    drawFoot(context, this, settings);
    this.still = still;
  }

  drawOutline(context, place) {
    const { view, toX, toY } = place;
    const drawing = ATLAS.outlines[view.key];
    for (const path of drawing.paths) {
      context.beginPath();
      for (const points of path.items) {
        context.moveTo(toX(points[0]), toY(points[1]));
        if (points.length === 4) context.lineTo(toX(points[2]), toY(points[3]));
        else context.bezierCurveTo(toX(points[2]), toY(points[3]), toX(points[4]), toY(points[5]), toX(points[6]), toY(points[7]));
      }
      context.strokeStyle = path.main ? this.theme.outline : this.theme.crease;
      context.lineWidth = path.main ? (path.width > 1 ? 1.2 : 0.7) : 0.8;
      context.stroke();
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "center";
    context.font = `11px ${this.theme.font}`;
    context.fillStyle = this.theme.muted;
    context.fillText(drawing.title, place.x + place.width / 2, place.y - 5);
    context.font = `700 13px ${this.theme.font}`;
    context.fillStyle = this.theme.text;
    if (view.side) {
      context.fillText(view.side, place.x + place.width * (view.side === "L" ? 0.06 : 0.94), place.y + 12);
    } else {
      context.fillText("L", place.x + place.width * 0.03 + 2, place.y + 12);
      context.fillText("R", place.x + place.width * 0.97 - 2, place.y + 12);
    }
  }

  drawNone(text) {
    const context = this.context;
    context.save();
    context.scale(this.ratio, this.ratio);
    const middle = this.places.reduce((sum, place) => sum + place.x + place.width / 2, 0) / this.places.length;
    context.font = `600 14px ${this.theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const half = context.measureText(text).width / 2 + 10;
    const y = (this.height - FOOT_PX) / 2 - 17; // above the names of the lower row
    context.fillStyle = this.theme.surface;
    context.fillRect(middle - half, y - 11, half * 2, 22);
    context.fillStyle = this.theme.text;
    context.fillText(text, middle, y);
    context.restore();
  }

  /** Parcel shown at a point in CSS pixels, or -1. */
  parcelAt(x, y) {
    if (x < 0 || x >= this.width) return -1; // pixels are counted on over the edge
    const pixel = Math.floor(y * this.ratio) * this.canvas.width + Math.floor(x * this.ratio);
    let low = 0;
    let high = this.pixels.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.pixels[middle] === pixel) return this.discParcel[this.coverDisc[this.winner(middle)]];
      if (this.pixels[middle] < pixel) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Where a parcel's disc stands in a view, in CSS pixels (for tests and keyboard readers). */
  placeOf(parcel, key) {
    const place = this.places.find(({ view }) => view.key === key);
    const centre = ATLAS.centroids[parcel];
    return { x: place.toX(place.view.across(centre)), y: place.toY(place.view.up(centre)) };
  }

  /** All places of a parcel on the canvas, for marks. */
  placesOf(parcel) {
    const side = ATLAS.hemispheres[parcel];
    return VIEWS.filter((view) => !view.side || view.side === side).map((view) => this.placeOf(parcel, view.key));
  }
}
