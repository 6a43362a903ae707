// The cortical surface: four still pictures of parcel numbers, coloured anew for every row.
//
// Which parcel and which shade of grey a pixel of the canvas shows is looked up once per size. A new row then makes one table of colours
// (parcel by shade) and copies from it, so its cost hardly depends on how much of the surface changes.

const SURFACE_WIDTH = 640; // until the maps are there, so that nothing jumps when they come
const SURFACE_HEIGHT = 432;
const SHADE_STEPS = 64;
const BRAIN_WITHOUT_PARCEL = 65535;
const NO_BRAIN = (PARCELS + 1) * SHADE_STEPS;
const QUARTERS = [0.25, 0.75]; // where a pixel is looked up, across and down, so that borders are soft

/** The maps from an address or from bytes; how they are stored is told in viz/surface_maps.py. */
async function loadSurface(source) {
  let bytes = source;
  if (typeof source === "string") {
    const answer = await fetch(source);
    if (!answer.ok) throw new Error("The surface maps could not be fetched.");
    bytes = new Uint8Array(await answer.arrayBuffer());
  }
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  if (header.version !== 1 || header.atlas_hash !== ATLAS.hash) throw new Error("The surface maps belong to another atlas.");
  const packed = new Blob([bytes.subarray(4 + size)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const stream = new Uint8Array(await new Response(packed).arrayBuffer());
  let at = 0;
  const plane = ({ width, height }) => {
    const found = stream.subarray(at, at + width * height);
    for (let i = width; i < found.length; i += 1) found[i] += found[i - width]; // each byte was its step from the row above
    at += width * height;
    return found;
  };
  const ids = header.views.map((view) => {
    const low = plane(view);
    const high = plane(view);
    return Uint16Array.from(low, (byte, i) => byte | (high[i] << 8));
  });
  const shades = header.views.map((view) => plane(view).slice());
  return { header, ids, shades };
}

class Surface {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.values = new Float32Array(PARCELS);
    this.colours = new Uint32Array((PARCELS + 2) * SHADE_STEPS);
    this.hidden = new Set();
    this.ready = false;
    this.row = -2;
    this.width = 0;
  }

  /** Take the maps of `loadSurface`; the next `draw` shows them. */
  setMaps(header, ids, shades) {
    this.header = header;
    this.maps = header.views.map((view, number) => ({ ...view, ids: ids[number], shades: shades[number], boxes: boxesOf(ids[number], view.width) }));
    this.hidden = new Set(header.hidden);
    this.ready = true;
    if (this.width) this.layout(this.width, this.ratio, this.theme);
  }

  /** The maps of another surface, which are large; the next `draw` shows them. */
  share({ header, maps, hidden }) {
    Object.assign(this, { header, maps, hidden, ready: true });
    if (this.width) this.layout(this.width, this.ratio, this.theme, this.wide);
  }

  /** Fit the canvas to a width in CSS pixels, the views in one row or two by two; returns the height it takes. */
  layout(width, ratio, theme, wide = width >= 760) {
    this.width = width;
    this.ratio = ratio;
    this.theme = theme;
    const gap = 10;
    const title = 20;
    this.wide = wide;
    const columns = wide ? 4 : 2;
    const cell = Math.min((width - gap * (columns + 1)) / columns, 460);
    const left = (width - columns * cell - (columns - 1) * gap) / 2;
    // Beside each other: lateral, medial, medial, lateral. In two rows: lateral above medial, left on the left.
    const order = wide ? [[0, 0], [1, 0], [2, 0], [3, 0]] : [[0, 0], [0, 1], [1, 1], [1, 0]];
    const views = this.ready ? this.maps : [];
    const high = (cell * (this.ready ? views[0].height : SURFACE_HEIGHT)) / (this.ready ? views[0].width : SURFACE_WIDTH);
    this.height = Math.round((title + high) * (wide ? 1 : 2) + 24);
    this.places = views.map((view, number) => {
      const [column, row] = order[number];
      return { view, x: left + column * (cell + gap), y: title + row * (high + title), width: cell, height: high, scale: view.width / cell };
    });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.height = `${this.height}px`;
    this.still = null;
    if (this.ready) this.lookUp();
    return this.height;
  }

  /** For every pixel of the canvas: which colour of the table it takes, or which four it mixes. */
  lookUp() {
    const { ratio } = this;
    const wide = this.canvas.width;
    this.image = this.context.createImageData(wide, this.canvas.height);
    this.ink = new Uint32Array(this.image.data.buffer);
    this.ringed = [];
    const area = wide * this.canvas.height;
    const pixels = new Uint32Array(area);
    const keys = new Uint16Array(area);
    const borders = new Uint32Array(area);
    const mixes = new Uint16Array(area * 4);
    let plain = 0;
    let mixed = 0;
    const four = new Uint16Array(4);
    for (const place of this.places) {
      const { view, scale } = place;
      const bottom = Math.ceil((place.y + place.height) * ratio);
      const right = Math.ceil((place.x + place.width) * ratio);
      const { ids, shades, width, height } = view;
      for (let y = Math.floor(place.y * ratio); y < bottom; y += 1) {
        const rows = QUARTERS.map((part) => Math.floor(((y + part) / ratio - place.y) * scale));
        for (let x = Math.floor(place.x * ratio); x < right; x += 1) {
          let shade = 0;
          let inside = 0;
          for (let i = 0; i < 4; i += 1) {
            const column = Math.floor(((x + QUARTERS[i & 1]) / ratio - place.x) * scale);
            const row = rows[i >> 1];
            const at = row * width + column;
            const id = column >= 0 && column < width && row >= 0 && row < height ? ids[at] : 0;
            four[i] = id === 0 ? PARCELS + 1 : id === BRAIN_WITHOUT_PARCEL ? 0 : id;
            if (id) {
              shade += shades[at];
              inside += 1;
            }
          }
          if (!inside) continue;
          const step = Math.round(((shade / inside - 1) / 254) * (SHADE_STEPS - 1));
          if (four[0] === four[1] && four[0] === four[2] && four[0] === four[3]) {
            pixels[plain] = y * wide + x;
            keys[plain] = four[0] * SHADE_STEPS + step;
            plain += 1;
          } else {
            borders[mixed] = y * wide + x;
            for (let i = 0; i < 4; i += 1) mixes[mixed * 4 + i] = four[i] > PARCELS ? NO_BRAIN : four[i] * SHADE_STEPS + step;
            mixed += 1;
          }
        }
      }
    }
    this.pixels = pixels.slice(0, plain);
    this.keys = keys.slice(0, plain);
    this.borders = borders.slice(0, mixed);
    this.mixes = mixes.slice(0, mixed * 4);
  }

  /** Draw one row of z values, or none (`row` -1: no prediction). `settings.marks`: parcels to ring, [{parcel, colour}]. */
  draw(values, row, settings) {
    this.row = row;
    if (row >= 0) this.values.set(values);
    if (this.ready) {
      this.mixColours(row, settings);
      this.paint();
      for (const { parcel } of settings.marks || []) this.ring(parcel, this.theme.surface, 3.2); // so that a line shows on a patch of its own hue
      for (const { parcel, colour } of settings.marks || []) this.ring(parcel, colour, 1.7);
      this.context.putImageData(this.image, 0, 0);
    }
    const told = `${settings.simulated} ${settings.who}`;
    if (!this.still || this.told !== told) this.drawStill(settings);
    this.told = told;
    this.context.drawImage(this.still, 0, 0);
    if (row < 0 && this.ready) this.drawNone(settings.absent || "no prediction here");
  }

  /** The table: colour of every parcel in every shade, the grey surface where nothing is drawn. */
  mixColours(row, { range, threshold, map, dark }) {
    const table = colourTable(map);
    const { colours, header } = this;
    const [low, high] = header.greys[dark ? "dark" : "light"];
    const light = new Float32Array(SHADE_STEPS);
    const grey = new Float32Array(SHADE_STEPS);
    for (let step = 0; step < SHADE_STEPS; step += 1) {
      const shade = (1 + (step * 254) / (SHADE_STEPS - 1)) / 255;
      light[step] = header.light_floor + (1 - header.light_floor) * shade;
      grey[step] = low + (high - low) * shade + 0.5;
    }
    for (let slot = 0; slot <= PARCELS; slot += 1) {
      const value = slot && row >= 0 ? this.values[slot - 1] : NaN;
      const size = Math.abs(value);
      let seen = 0;
      let level = 0;
      if (Number.isFinite(size)) {
        // The classic map is black in the middle, so there a small value lets the surface through.
        const clear = map === "classic" ? Math.min(1, (size / range) * 3) : 1;
        seen = clear * (threshold > 0 ? fade(size, threshold) : 1);
        level = levelOf(value, range) * 3;
      }
      const [red, green, blue] = [table[level] * seen, table[level + 1] * seen, table[level + 2] * seen];
      const rest = 1 - seen;
      for (let step = 0, at = slot * SHADE_STEPS; step < SHADE_STEPS; step += 1, at += 1) {
        const under = grey[step] * rest + 0.5 * seen;
        const lit = light[step];
        colours[at] = (255 << 24) | ((blue * lit + under) << 16) | ((green * lit + under) << 8) | (red * lit + under);
      }
    }
    colours[NO_BRAIN] = 0;
  }

  paint() {
    const { pixels, keys, borders, mixes, colours, ink } = this;
    for (const pixel of this.ringed) ink[pixel] = 0;
    this.ringed = [];
    for (let i = 0; i < pixels.length; i += 1) ink[pixels[i]] = colours[keys[i]];
    for (let i = 0; i < borders.length; i += 1) {
      let [red, green, blue, inside] = [0, 0, 0, 0];
      for (let at = i * 4; at < i * 4 + 4; at += 1) {
        const colour = colours[mixes[at]];
        if (mixes[at] === NO_BRAIN) continue;
        red += colour & 255;
        green += (colour >> 8) & 255;
        blue += (colour >> 16) & 255;
        inside += 1;
      }
      ink[borders[i]] = (((inside * 255) >> 2) << 24) | ((blue / inside) << 16) | ((green / inside) << 8) | (red / inside);
    }
  }

  /** A line around a parcel, outside it, in every view that shows it. The next `paint` takes it away. */
  ring(parcel, colour, width) {
    const [red, green, blue] = rgbOf(colour);
    const line = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    const reach = width * this.ratio;
    for (const place of this.places) {
      const { view, scale } = place;
      const box = view.boxes.get(parcel + 1);
      if (!box) continue;
      const toX = (column) => (place.x + column / scale) * this.ratio;
      const toY = (row) => (place.y + row / scale) * this.ratio;
      const step = scale / this.ratio;
      const holds = (x, y) => {
        const column = Math.floor((x / this.ratio - place.x) * scale);
        const row = Math.floor((y / this.ratio - place.y) * scale);
        return column >= 0 && column < view.width && row >= 0 && row < view.height && view.ids[row * view.width + column] === parcel + 1;
      };
      for (let y = Math.floor(toY(box.top) - reach - step); y <= toY(box.bottom + 1) + reach; y += 1) {
        for (let x = Math.floor(toX(box.left) - reach - step); x <= toX(box.right + 1) + reach; x += 1) {
          if (x < 0 || y < 0 || x >= this.canvas.width || y >= this.canvas.height || holds(x + 0.5, y + 0.5)) continue;
          for (let turn = 0; turn < 16; turn += 1) {
            const angle = (turn * Math.PI) / 8;
            const far = turn % 2 ? reach : reach / 2;
            if (!holds(x + 0.5 + far * Math.cos(angle), y + 0.5 + far * Math.sin(angle))) continue;
            this.ink[y * this.canvas.width + x] = line;
            this.ringed.push(y * this.canvas.width + x);
            break;
          }
        }
      }
    }
  }

  /** What stays while the film runs: titles, letters, the word SIMULATED. */
  drawStill(settings) {
    const still = document.createElement("canvas");
    still.width = this.canvas.width;
    still.height = this.canvas.height;
    const context = still.getContext("2d");
    this.drawRim(context);
    context.scale(this.ratio, this.ratio);
    context.textBaseline = "alphabetic";
    for (const { view, x, y, width } of this.places) {
      context.textAlign = "center";
      context.font = `11px ${this.theme.font}`;
      context.fillStyle = this.theme.muted;
      context.fillText(view.title, x + width / 2, y - 5);
      context.font = `700 13px ${this.theme.font}`;
      context.fillStyle = this.theme.text;
      context.fillText(view.side, x + width * (view.side === "L" ? 0.03 : 0.97), y + 12);
    }
    if (!this.ready) {
      context.textAlign = "center";
      context.font = `13px ${this.theme.font}`;
      context.fillStyle = this.theme.muted;
      context.fillText("The surface is being fetched.", this.width / 2, this.height / 2);
    }
    drawFoot(context, this, settings);
    this.still = still;
  }

  /** A fine line along the brain's edge: colours near zero may be those of the page. */
  drawRim(context) {
    if (!this.ready) return;
    const wide = this.canvas.width;
    const brain = new Uint8Array(wide * this.canvas.height);
    for (const pixel of this.pixels) brain[pixel] = 1;
    for (const pixel of this.borders) brain[pixel] = 1;
    context.fillStyle = this.theme.crease;
    for (let pixel = wide; pixel < brain.length - wide; pixel += 1) {
      if (!brain[pixel] || (brain[pixel - 1] && brain[pixel + 1] && brain[pixel - wide] && brain[pixel + wide])) continue;
      context.fillRect(pixel % wide, Math.floor(pixel / wide), 1, 1);
    }
  }

  drawNone(text) {
    const context = this.context;
    context.save();
    context.scale(this.ratio, this.ratio);
    context.font = `600 ${this.width < 480 ? 12 : 14}px ${this.theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const half = context.measureText(text).width / 2 + 6;
    const medial = this.places.find(({ view }) => view.key === "ml");
    const y = medial.y + medial.height * 0.92; // under the frontal lobes, where the medial views leave room between them
    context.fillStyle = this.theme.surface;
    context.fillRect(this.width / 2 - half, y - 8, half * 2, 16);
    context.fillStyle = this.theme.text;
    context.fillText(text, this.width / 2, y);
    context.restore();
  }

  /** Parcel shown at a point in CSS pixels, or -1. */
  parcelAt(x, y) {
    for (const { view, x: left, y: top, scale } of this.places) {
      const column = Math.floor((x - left) * scale);
      const row = Math.floor((y - top) * scale);
      if (column < 0 || row < 0 || column >= view.width || row >= view.height) continue;
      const id = view.ids[row * view.width + column];
      return id && id !== BRAIN_WITHOUT_PARCEL ? id - 1 : -1;
    }
    return -1;
  }

  /** A point well inside a parcel, in CSS pixels: in the view `key`, else in the one that shows most of it; null where none does. */
  placeOf(parcel, key) {
    let best = null;
    for (const place of this.places) {
      const box = place.view.boxes.get(parcel + 1);
      if (!box || (key ? place.view.key !== key : best && best.box.count >= box.count)) continue;
      best = { place, box };
    }
    if (!best) return null;
    const { place, box } = best;
    const { column, row } = deepest(place.view, box, parcel + 1);
    return { x: place.x + (column + 0.5) / place.scale, y: place.y + (row + 0.5) / place.scale, key: place.view.key };
  }
}

/** Where each parcel id of a map lies: Map of id to {left, right, top, bottom, count}. */
function boxesOf(ids, width) {
  const boxes = new Map();
  for (let at = 0; at < ids.length; at += 1) {
    const id = ids[at];
    if (!id || id === BRAIN_WITHOUT_PARCEL) continue;
    const column = at % width;
    const row = (at - column) / width;
    const box = boxes.get(id);
    if (!box) {
      boxes.set(id, { left: column, right: column, top: row, bottom: row, count: 1 });
      continue;
    }
    if (column < box.left) box.left = column;
    if (column > box.right) box.right = column;
    box.bottom = row;
    box.count += 1;
  }
  return boxes;
}

/** The pixel of a parcel that lies farthest from its border. */
function deepest({ ids, width }, box, id) {
  let best = { column: box.left, row: box.top, depth: -1 };
  for (let row = box.top; row <= box.bottom; row += 1) {
    for (let column = box.left; column <= box.right; column += 1) {
      if (ids[row * width + column] !== id) continue;
      let depth = 0;
      const holds = (far) => {
        for (const [x, y] of [[far, 0], [-far, 0], [0, far], [0, -far], [far, far], [-far, far], [far, -far], [-far, -far]]) {
          if (column + x < box.left || column + x > box.right || row + y < box.top || row + y > box.bottom) return false;
          if (ids[(row + y) * width + column + x] !== id) return false;
        }
        return true;
      };
      while (holds(depth + 1)) depth += 1;
      if (depth > best.depth) best = { column, row, depth };
    }
  }
  return best;
}
