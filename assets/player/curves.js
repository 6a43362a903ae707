// Curves over film time, of networks, groups and pinned parcels, with labels at their ends.

const MARKS = ["circle", "square", "up", "diamond", "down", "cross", "star"];
const PIN_DASH = [8, 3, 2, 3];
const OTHER_DASH = [3, 3];
const PALE = 0.38; // a line inside the grey of small changes
const PIECE = 32; // points of a line that are drawn at once

class Curves extends PlotFrame {
  constructor(canvas, dots) {
    super();
    this.canvas = canvas;
    this.dots = dots;
    this.context = canvas.getContext("2d");
    this.dotContext = dots.getContext("2d");
    this.drawn = [];
    this.onDraw = () => {};
  }

  /**
   * Draw everything but playhead and dots. Of the settings it reads subject, visible, split, band, lag, palette, dark, simulated; pins (parcels
   * with a line of their own); second ("beside" | "residual" | "off"); window ([from, to] in film seconds, null: all); locked (the axis has
   * the brains' range); map, range and threshold (for the strip of colours at the axis); quantity (what the axis counts). A difference of two
   * conditions has a grey band for each curve, about zero, and a line is pale where it stays inside its own.
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
    this.placeNotes(context, settings);
    context.clearRect(0, 0, this.width, this.height);
    this.drawHatching(context);
    this.drawAxes(context, settings);
    context.save();
    context.beginPath();
    context.rect(this.left, this.top, this.plotWidth, this.height - this.top - this.bottom);
    context.clip();
    for (const line of this.drawn) this.drawBand(context, line, settings);
    for (const line of this.drawn) this.drawHalf(context, line);
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
        const line = { curve, side, band: settings.band ? result.band(subject, curve, side) : null, half: result.isDifference ? result.half(subject, curve, side) : null, colour: sideColour(curve, side, settings) };
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

  /** How far small changes moved a curve, about zero. */
  drawHalf(context, { half }) {
    if (!half) return;
    const path = new Path2D();
    const [first, last] = this.rowsSeen;
    for (let row = first; row <= last; row += 1) path[row === first ? "moveTo" : "lineTo"](this.xOf(this.timeOf(row, this.lag)), this.yOf(half[row]));
    for (let row = last; row >= first; row -= 1) path.lineTo(this.xOf(this.timeOf(row, this.lag)), this.yOf(-half[row]));
    path.closePath();
    context.fillStyle = this.theme.muted;
    context.globalAlpha = 0.34 / Math.sqrt(this.drawn.length);
    context.fill(path);
    context.globalAlpha = 1;
  }

  /** The second series beside a line: the same colour, thin and broken. */
  drawOther(context, { other, colour }) {
    if (other) this.stroke(context, this.piecesOf(other), OTHER_DASH, colour, this.dense ? 1 : 1.5);
  }

  drawLine(context, line, settings) {
    if (line.half) {
      context.globalAlpha = PALE;
      this.drawWhole(context, line, settings);
      context.globalAlpha = 1;
      this.drawWhole(context, { ...line, values: outsideOf(line) }, settings);
    } else this.drawWhole(context, line, settings);
  }

  drawWhole(context, { curve, side, values, colour }, settings) {
    const pieces = this.piecesOf(values);
    const beside = this.second && this.second.kind === "condition" && !this.residual;
    const solid = (beside || this.result.isDifference) && side !== "R"; // where B's lines are dashed, a group's line is whole, in A − B too
    const dash = { pin: () => PIN_DASH, group: () => (solid ? [] : side === "R" ? [2, 3] : [7, 4]), network: () => (side === "R" ? [4, 2.5] : []) }[curve.kind]();
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

/** The rows of a difference that lie outside its own band, and those beside them, so that a line leads there; NaN elsewhere. */
function outsideOf({ values, half }) {
  const out = values.map((value, row) => (Math.abs(value) > half[row] ? 1 : 0));
  return values.map((value, row) => (out[row] || out[row - 1] || out[row + 1] ? value : NaN));
}
