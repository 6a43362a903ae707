// Curves over film time, of networks, groups and pinned parcels, with labels at their ends.

const MARKS = ["circle", "square", "up", "diamond", "down", "cross", "star"];
const PIN_DASH = [8, 3, 2, 3];
const OTHER_DASH = [3, 3];
const PIECE = 32; // points of a line that are drawn at once

function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough);
}

class Curves {
  constructor(canvas, dots) {
    this.canvas = canvas;
    this.dots = dots;
    this.context = canvas.getContext("2d");
    this.dotContext = dots.getContext("2d");
    this.drawn = [];
    this.onDraw = () => {};
  }

  layout(width, height, ratio, theme) {
    Object.assign(this, { width, height, ratio, theme });
    for (const canvas of [this.canvas, this.dots]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.narrow = width < 560;
    this.left = this.narrow ? 40 : 58;
    this.right = this.narrow ? 88 : 176;
    this.top = 10;
    this.bottom = this.narrow ? 34 : 36;
  }

  get plotWidth() {
    return this.width - this.left - this.right;
  }

  get span() {
    return this.to - this.from;
  }

  /** Whether less than the whole film is drawn. */
  get zoomed() {
    return this.span < this.result.duration - 1e-6;
  }

  xOf(time) {
    return this.left + ((time - this.from) / this.span) * this.plotWidth;
  }

  timeAt(x) {
    return Math.min(this.to, Math.max(this.from, this.from + ((x - this.left) / this.plotWidth) * this.span));
  }

  /** Whether a film time lies in the part that is drawn: elsewhere no playhead is to be seen. */
  sees(time) {
    return time >= this.from - 1e-6 && time <= this.to + 1e-6;
  }

  /** Where a value stands; beyond the axis at its end, as its colour is. */
  yOf(value) {
    const half = (this.height - this.top - this.bottom) / 2;
    return this.top + half - Math.max(-1, Math.min(1, value / this.range)) * half;
  }

  /** Film time that a row stands for: the middle of its TR, or 5 s before it when shifted back. */
  timeOf(row, lag) {
    return (row + 0.5) * this.result.tr - lag;
  }

  /**
   * Draw everything but playhead and dots. Of the settings it reads subject, visible, split, band, lag, palette, dark, simulated; pins (parcels
   * with a line of their own); second ("beside" | "residual" | "off"); window ([from, to] in film seconds, null: all); locked (the axis has
   * the brains' range); map, range and threshold (for the strip of colours at the axis).
   */
  draw(result, settings) {
    this.result = result;
    this.lag = settings.lag;
    [this.from, this.to] = windowOf(settings.window, result.duration);
    const { second } = result;
    const there = second && second.members(settings.subject).length > 0;
    this.second = there && settings.second !== "off" ? second : null;
    this.residual = Boolean(this.second) && settings.second === "residual";
    this.missing = Boolean(second) && !there && settings.second !== "off";
    this.drawn = this.linesOf(result, settings);
    this.range = settings.locked ? settings.range : this.ownRange(result);
    const context = this.context;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.drawHatching(context);
    this.drawAxes(context, settings);
    context.save();
    context.beginPath();
    context.rect(this.left, this.top, this.plotWidth, this.height - this.top - this.bottom);
    context.clip();
    for (const line of this.drawn) this.drawBand(context, line, settings);
    for (const line of this.drawn) this.drawOther(context, line);
    for (const line of this.drawn) this.drawLine(context, line, settings);
    context.restore();
    this.drawLabels(context);
    this.drawNotes(context, settings);
    this.onDraw();
  }

  /** The lines of the chosen curves, then those of the pinned parcels. */
  linesOf(result, settings) {
    const { subject } = settings;
    const lines = [];
    const add = (line, first, second, rest) => {
      if (!this.residual) lines.push({ ...line, values: first, other: second });
      else if (rest) lines.push({ ...line, values: rest, other: null, band: null });
    };
    for (const curve of CURVES) {
      if (!settings.visible.has(curve.id)) continue;
      for (const side of settings.split ? ["L", "R"] : [""]) {
        if (side && !parcelsOf(curve, side).length) continue;
        const line = { curve, side, band: settings.band ? result.band(subject, curve, side) : null, colour: sideColour(curve, side, settings) };
        const { second } = this;
        add(line, result.curve(subject, curve, side), second && !this.residual && second.curve(subject, curve, side), this.residual && second.residual(subject, curve, side));
      }
    }
    (settings.pins || []).forEach((parcel, place) => {
      const name = parcelName(parcel);
      const curve = { id: `parcel-${parcel}`, kind: "pin", number: place, label: name, short: name };
      const { second } = this;
      const line = { curve, side: "", band: null, colour: pinColour(place, settings) };
      add(line, result.parcelCurve(subject, parcel), second && !this.residual && second.parcelCurve(subject, parcel), this.residual && second.residual(subject, parcel));
    });
    return lines;
  }

  /** Range of an axis of its own: that of all curves, and of the pinned parcels, which are farther from zero. */
  ownRange(result) {
    let range = this.residual ? this.second.residualRange || 0.1 : Math.max(result.curveRange, this.second ? this.second.curveRange : 0);
    for (const { curve, values, other } of this.drawn) {
      if (curve.kind !== "pin") continue;
      for (const list of other ? [values, other] : [values]) {
        for (const value of list) if (Math.abs(value) * 1.08 > range) range = Math.abs(value) * 1.08;
      }
    }
    return range;
  }

  drawHatching(context) {
    const { result } = this;
    const bottom = this.height - this.bottom;
    const blocks = [];
    for (let row = 0; row < result.rows; row += 1) {
      if (result.valid[row]) continue;
      const last = blocks[blocks.length - 1];
      if (last && last[1] === row) last[1] = row + 1;
      else blocks.push([row, row + 1]);
    }
    const end = result.rows * result.tr - this.lag;
    const spans = blocks.map(([from, to]) => [from * result.tr - this.lag, to * result.tr - this.lag, this.theme.hatch]);
    if (end < result.duration - 1e-6) spans.push([end, result.duration, ""]);
    for (const [from, to, colour] of spans) {
      const x0 = Math.max(this.left, this.xOf(from));
      const x1 = Math.min(this.left + this.plotWidth, this.xOf(to));
      if (x1 <= x0) continue;
      context.save();
      context.beginPath();
      context.rect(x0, this.top, x1 - x0, bottom - this.top);
      context.clip();
      if (colour) {
        context.strokeStyle = colour;
        context.lineWidth = 1;
        context.beginPath();
        for (let x = x0 - (bottom - this.top) - ((x0 - (bottom - this.top)) % 7); x < x1; x += 7) {
          context.moveTo(x, bottom);
          context.lineTo(x + bottom - this.top, this.top);
        }
        context.stroke();
      } else {
        context.fillStyle = this.theme.sunken;
        context.fillRect(x0, this.top, x1 - x0, bottom - this.top);
        if (x1 - x0 > 14) {
          context.translate((x0 + x1) / 2, (this.top + bottom) / 2);
          context.rotate(-Math.PI / 2);
          context.fillStyle = this.theme.muted;
          context.font = `11px ${this.theme.font}`;
          context.textAlign = "center";
          context.textBaseline = "middle";
          context.fillText("no prediction here", 0, 0);
        }
      }
      context.restore();
    }
  }

  drawAxes(context, settings) {
    const bottom = this.height - this.bottom;
    const right = this.left + this.plotWidth;
    context.font = `11px ${this.theme.font}`;
    context.lineWidth = 1;
    const step = niceStep(this.range * 2, 5);
    for (let tick = Math.ceil(-this.range / step); tick * step <= this.range; tick += 1) {
      const y = Math.round(this.yOf(tick * step)) + 0.5;
      context.strokeStyle = tick === 0 ? this.theme.crease : this.theme.grid;
      context.beginPath();
      context.moveTo(this.left, y);
      context.lineTo(right, y);
      context.stroke();
      context.fillStyle = this.theme.muted;
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(tick === 0 ? "0" : signed(tick * step, step < 0.1 ? 2 : step < 1 ? 1 : 0), this.left - 12, y);
    }
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200];
    const every = steps.find((seconds) => (seconds / this.span) * this.plotWidth >= 52) || 3600;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (let time = Math.ceil(this.from / every - 1e-9) * every; time <= this.to + 1e-6; time += every) {
      const x = Math.round(this.xOf(time)) + 0.5;
      context.strokeStyle = this.theme.crease;
      context.beginPath();
      context.moveTo(x, bottom);
      context.lineTo(x, bottom + 4);
      context.stroke();
      context.fillText(clockText(time), x, bottom + 6);
    }
    if (!this.residual) this.drawStrip(context, settings);
    const lag = this.narrow ? "film time, shifted back 5 s" : "film time (min:s), response shifted back 5 s";
    context.fillStyle = this.theme.muted;
    context.fillText(settings.lag ? lag : "film time (min:s)", this.left + this.plotWidth / 2, bottom + 20);
    if (this.zoomed) {
      const x = (time) => this.left + (time / this.result.duration) * this.plotWidth;
      context.fillStyle = this.theme.grid;
      context.fillRect(this.left, this.height - 2, this.plotWidth, 2);
      context.fillStyle = this.theme.muted;
      context.fillRect(x(this.from), this.height - 3, Math.max(4, x(this.to) - x(this.from)), 3);
    }
    if (this.narrow) return;
    context.save();
    context.translate(11, (this.top + bottom) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(this.residual ? `${shortened(this.second.label, 20)} − predicted (z)` : this.second ? "BOLD (z)" : "predicted BOLD (z)", 0, 0);
    context.restore();
  }

  /** The brains' colours along the axis: what stands at a height has the colour beside it. */
  drawStrip(context, settings) {
    const table = colourTable(settings.map);
    const bottom = this.height - this.bottom;
    const half = (bottom - this.top) / 2;
    const [x, wide] = [Math.round((this.left - 8) * this.ratio), Math.round(6 * this.ratio)];
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0); // by the screen's own pixels, so that no seams show between them
    for (let y = Math.round(this.top * this.ratio); y < bottom * this.ratio; y += 1) {
      const value = ((this.top + half - (y + 0.5) / this.ratio) / half) * this.range;
      const start = levelOf(value, settings.range) * 3;
      context.globalAlpha = fade(Math.abs(value), settings.threshold);
      context.fillStyle = `rgb(${table[start]},${table[start + 1]},${table[start + 2]})`;
      context.fillRect(x, y, wide, 1);
    }
    context.restore();
    context.strokeStyle = this.theme.grid;
    context.strokeRect(this.left - 8.5, this.top - 0.5, 7, bottom - this.top + 1);
  }

  /** What must be said in the picture: whose scale it is, what the broken lines are, what is not here, and that it is simulated. */
  drawNotes(context, settings) {
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = `11px ${this.theme.font}`;
    context.lineWidth = 1.5;
    const says = [];
    const second = this.result.second ? shortened(this.result.second.label, this.narrow ? 12 : 28) : "";
    if (!settings.locked) says.push(["own scale"]);
    if (this.residual) says.push([`${second} minus predicted`]);
    else if (this.second) says.push(["predicted", []], [second, OTHER_DASH]);
    if (this.missing) says.push([`${second}: none for ${settings.subject === MEAN ? "the mean" : "this subject"}`]);
    if (this.drawn.some(({ curve }) => curve.kind === "pin") && !this.result.everySeries.every(({ chunks }) => chunks.whole)) says.push(["pinned parcels: some TRs still loading"]);
    const room = this.plotWidth - 12;
    let y = this.top + 4;
    for (const [text, dash] of says) {
      const sample = dash ? 24 : 0;
      const told = fitted(context, text, room - sample - 8);
      context.globalAlpha = 0.92;
      context.fillStyle = this.theme.surface;
      context.fillRect(this.left + 4, y, context.measureText(told).width + sample + 8, 15);
      context.globalAlpha = 1;
      context.fillStyle = this.theme.muted;
      context.strokeStyle = this.theme.muted;
      if (dash) {
        context.setLineDash(dash);
        context.beginPath();
        context.moveTo(this.left + 8, y + 7.5);
        context.lineTo(this.left + 26, y + 7.5);
        context.stroke();
        context.setLineDash([]);
      }
      context.fillText(told, this.left + 8 + sample, y + 8);
      y += 16;
    }
    this.notes = says.map(([text]) => text);
    if (!settings.simulated) return;
    context.font = `600 10.5px ${this.theme.font}`;
    context.fillStyle = this.theme.warn;
    context.textAlign = "right";
    context.textBaseline = "top";
    context.letterSpacing = "1.5px";
    context.fillText("SIMULATED", this.width - 2, this.height - this.bottom + 20);
    context.letterSpacing = "0px";
  }

  /** First and last row to draw: those in the window, and one more to either side. */
  get rowsSeen() {
    const { tr, rows } = this.result;
    const first = Math.floor((this.from + this.lag) / tr - 0.5);
    const last = Math.ceil((this.to + this.lag) / tr - 0.5);
    return [Math.max(0, first), Math.min(rows - 1, last)];
  }

  /** Whether rows lie so close that casings and marks would hide the lines. */
  get dense() {
    const [first, last] = this.rowsSeen;
    return this.plotWidth / (last - first + 1) < 3;
  }

  /**
   * A line through the rows that are seen, with a gap where a value is NaN, in pieces: one long path that crosses itself often takes several
   * times as long to fill. Where many rows fall on one pixel, only the lowest and the highest of them are joined: the picture is the same, and
   * a long film costs no more than a short one.
   */
  piecesOf(values) {
    const pieces = [];
    const [first, last] = this.rowsSeen;
    const each = Math.max(1, Math.floor((last - first + 1) / this.plotWidth / 1.5));
    let piece = null;
    let points = 0;
    const to = (row) => {
      const x = this.xOf(this.timeOf(row, this.lag));
      const y = this.yOf(values[row]);
      if (piece) piece.lineTo(x, y);
      points += 1;
      if (piece && points < PIECE) return;
      piece = new Path2D();
      pieces.push(piece);
      piece.moveTo(x, y);
      points = 0;
    };
    for (let row = first; row <= last; row += each) {
      let low = -1;
      let high = -1;
      for (let i = row; i < Math.min(last + 1, row + each); i += 1) {
        if (Number.isNaN(values[i])) continue;
        if (low < 0 || values[i] < values[low]) low = i;
        if (high < 0 || values[i] > values[high]) high = i;
      }
      if (low < 0) piece = null;
      else for (const i of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) to(i);
    }
    return pieces;
  }

  stroke(context, pieces, dash, colour, width) {
    context.lineJoin = "round";
    context.lineCap = dash.length ? "butt" : "round";
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = width;
    for (const piece of pieces) context.stroke(piece);
    context.setLineDash([]);
    context.lineCap = "butt";
  }

  /** One standard deviation between members to either side, under all lines. */
  drawBand(context, { band, values, colour }, settings) {
    if (!band) return;
    const path = new Path2D();
    const [first, last] = this.rowsSeen;
    const to = (row, z, start) => path[start ? "moveTo" : "lineTo"](this.xOf(this.timeOf(row, this.lag)), this.yOf(z));
    for (let row = first; row <= last; row += 1) to(row, values[row] + band[row], row === first);
    for (let row = last; row >= first; row -= 1) to(row, values[row] - band[row], false);
    path.closePath();
    context.fillStyle = colour;
    context.globalAlpha = (settings.dark ? 0.26 : 0.2) / Math.max(1, Math.sqrt(this.drawn.length / 2)); // many bands over each other hide the lines
    context.fill(path);
    context.globalAlpha = 1;
  }

  /** The second series beside a line: the same colour, thin and broken. */
  drawOther(context, { other, colour }) {
    if (other) this.stroke(context, this.piecesOf(other), OTHER_DASH, colour, this.dense ? 1 : 1.5);
  }

  drawLine(context, { curve, side, values, colour }, settings) {
    const pieces = this.piecesOf(values);
    const dash = { pin: () => PIN_DASH, group: () => (side === "R" ? [2, 3] : [7, 4]), network: () => (side === "R" ? [4, 2.5] : []) }[curve.kind]();
    const { dense } = this;
    if (!dense) this.stroke(context, pieces, [], this.theme.surface, side === "R" ? 3.4 : 4.4);
    const pale = !settings.dark && ["Limbic", "Cont"].includes(curve.id) && settings.palette !== "okabe-ito";
    if (pale) this.stroke(context, pieces, dash, mixed(colour, "#000000", 0.45), dense ? 2.2 : 2.9);
    this.stroke(context, pieces, dash, colour, (side === "R" ? 1.6 : 2) - (dense ? 0.5 : 0));
    if (curve.kind === "network") {
      const every = Math.max(1, Math.round(70 / ((this.result.tr / this.span) * this.plotWidth)));
      const [first, last] = this.rowsSeen;
      const phase = (curve.number * Math.ceil(every / 7)) % every;
      context.fillStyle = colour;
      for (let row = first + ((phase - first) % every + every) % every; row <= last; row += every) {
        if (Number.isNaN(values[row])) continue;
        drawMark(context, MARKS[curve.number], this.xOf(this.timeOf(row, this.lag)), this.yOf(values[row]), 3, this.theme.surface);
      }
    }
  }

  /** Names at the lines' ends, pushed apart so that none covers another. */
  drawLabels(context) {
    this.labels = [];
    if (!this.drawn.length) return;
    const right = this.left + this.plotWidth;
    const [first, last] = this.rowsSeen;
    const labels = this.drawn.map((line) => {
      let row = last;
      while (row > first && (this.timeOf(row, this.lag) > this.to || Number.isNaN(line.values[row]))) row -= 1;
      const value = line.values[row];
      return { ...line, x: this.xOf(this.timeOf(row, this.lag)), from: this.yOf(Number.isNaN(value) ? 0 : value) };
    });
    labels.sort((a, b) => a.from - b.from);
    const low = this.top + 6;
    const high = this.height - this.bottom - 2;
    const space = Math.min(15, (high - low) / Math.max(1, labels.length - 1));
    labels.forEach((label, i) => {
      label.y = Math.max(label.from, i ? labels[i - 1].y + space : low);
    });
    for (let i = labels.length - 1; i >= 0; i -= 1) labels[i].y = Math.min(labels[i].y, i === labels.length - 1 ? high : labels[i + 1].y - space);
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.font = `${space < 12 ? 10 : this.narrow ? 10.5 : 11.5}px ${this.theme.font}`;
    for (const label of labels) {
      context.strokeStyle = label.colour;
      context.lineWidth = 1;
      context.globalAlpha = 0.4;
      context.beginPath();
      context.moveTo(label.x, label.from);
      context.lineTo(right + 2, label.from);
      context.lineTo(right + 10, label.y);
      context.lineTo(right + 14, label.y);
      context.stroke();
      context.globalAlpha = 1;
      context.fillStyle = label.colour;
      if (label.curve.kind === "network") drawMark(context, MARKS[label.curve.number], right + 18, label.y, 3.2, null);
      else if (label.curve.kind === "group") {
        context.fillRect(right + 14, label.y - 1, 3.5, 2);
        context.fillRect(right + 19, label.y - 1, 3.5, 2);
      } else {
        context.fillRect(right + 14, label.y - 1, 5, 2);
        context.fillRect(right + 20.5, label.y - 1, 2, 2);
      }
      context.fillStyle = this.theme.text;
      const told = this.narrow ? label.curve.short : label.curve.label;
      const name = label.side && !told.endsWith("(left)") ? `${told} ${label.side}` : told;
      context.fillText(fitted(context, name, this.width - right - 28), right + 26, label.y);
    }
    this.labels = labels.map(({ curve, side, y }) => ({ id: side ? `${curve.id}-${side}` : curve.id, y }));
    this.labelSpace = space;
  }

  /** One dot per curve at the present row (-1: none), hollow for the second series. */
  drawDots(row) {
    const context = this.dotContext;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (row < 0) return;
    const x = this.xOf(this.timeOf(row, this.lag));
    if (x < this.left || x > this.left + this.plotWidth) return;
    for (const { values, other, colour } of this.drawn) {
      for (const [list, hollow] of [[other, true], [values, false]]) {
        if (!list || Number.isNaN(list[row])) continue;
        context.beginPath();
        context.arc(x, this.yOf(list[row]), hollow ? 3.2 : 4, 0, 7);
        context.fillStyle = hollow ? this.theme.surface : colour;
        context.strokeStyle = hollow ? colour : this.theme.surface;
        context.lineWidth = 1.6;
        context.fill();
        context.stroke();
      }
    }
  }
}

/** One marker shape per network, so that colour is never alone in telling them apart. */
function drawMark(context, kind, x, y, size, casing) {
  context.beginPath();
  if (kind === "circle") context.arc(x, y, size, 0, 7);
  else if (kind === "square") context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else {
    const corners = { up: [3, -90], down: [3, 90], diamond: [4, 0], cross: [4, 45], star: [5, -90] }[kind];
    const points = kind === "cross" || kind === "star" ? corners[0] * 2 : corners[0];
    for (let i = 0; i < points; i += 1) {
      const angle = ((corners[1] + (360 / points) * i) * Math.PI) / 180;
      const reach = size * (points > 4 && i % 2 ? 0.45 : 1.35);
      context[i ? "lineTo" : "moveTo"](x + reach * Math.cos(angle), y + reach * Math.sin(angle));
    }
    context.closePath();
  }
  if (casing) {
    context.strokeStyle = casing;
    context.lineWidth = 1.6;
    context.stroke();
  }
  context.fill();
}

/** The part of a film that is drawn: `window`, [from, to] in seconds, kept inside; all of it for null or for one that makes no sense. */
function windowOf(window, duration) {
  const from = window ? Math.max(0, window[0]) : 0;
  const to = window ? Math.min(duration, window[1]) : duration;
  return to > from ? [from, to] : [0, duration];
}

/** A name that may be long, cut for a line in the picture. */
function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** A text cut so that it is no wider than `width`. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
