// Network and group curves over film time, with labels at their ends.

const MARKS = ["circle", "square", "up", "diamond", "down", "cross", "star"];

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
  }

  layout(width, height, ratio, theme) {
    Object.assign(this, { width, height, ratio, theme });
    for (const canvas of [this.canvas, this.dots]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.narrow = width < 560;
    this.left = this.narrow ? 34 : 52;
    this.right = this.narrow ? 88 : 176;
    this.top = 10;
    this.bottom = this.narrow ? 34 : 36;
  }

  get plotWidth() {
    return this.width - this.left - this.right;
  }

  xOf(time) {
    return this.left + (time / this.result.duration) * this.plotWidth;
  }

  timeAt(x) {
    return Math.min(this.result.duration, Math.max(0, ((x - this.left) / this.plotWidth) * this.result.duration));
  }

  yOf(value) {
    const half = (this.height - this.top - this.bottom) / 2;
    return this.top + half - (value / this.range) * half;
  }

  /** Film time that a row stands for: the middle of its TR, or 5 s before it when shifted back. */
  timeOf(row, lag) {
    return (row + 0.5) * this.result.tr - lag;
  }

  /** Draw everything but playhead and dots. */
  draw(result, settings) {
    this.result = result;
    this.range = result.curveRange;
    this.lag = settings.lag;
    const context = this.context;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.drawHatching(context);
    this.drawAxes(context, settings);
    this.drawn = [];
    for (const curve of CURVES) {
      if (!settings.visible.has(curve.id)) continue;
      for (const side of settings.split ? ["L", "R"] : [""]) {
        if (side && !parcelsOf(curve, side).length) continue;
        const band = settings.band ? result.band(settings.subject, curve, side) : null;
        this.drawn.push({ curve, side, band, values: result.curve(settings.subject, curve, side), colour: sideColour(curve, side, settings) });
      }
    }
    context.save();
    context.beginPath();
    context.rect(this.left, this.top, this.plotWidth, this.height - this.top - this.bottom);
    context.clip();
    for (const line of this.drawn) this.drawBand(context, line, settings);
    for (const line of this.drawn) this.drawLine(context, line, settings);
    context.restore();
    this.drawLabels(context);
    if (settings.simulated) {
      context.font = `600 10.5px ${this.theme.font}`;
      context.fillStyle = this.theme.warn;
      context.textAlign = "right";
      context.textBaseline = "top";
      context.letterSpacing = "1.5px";
      context.fillText("SIMULATED", this.width - 2, this.height - this.bottom + 20);
      context.letterSpacing = "0px";
    }
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
      context.fillText(tick === 0 ? "0" : signed(tick * step, step < 0.1 ? 2 : step < 1 ? 1 : 0), this.left - 6, y);
    }
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];
    const every = steps.find((seconds) => (seconds / this.result.duration) * this.plotWidth >= 52) || 1200;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (let time = 0; time <= this.result.duration + 1e-6; time += every) {
      const x = Math.round(this.xOf(time)) + 0.5;
      context.strokeStyle = this.theme.crease;
      context.beginPath();
      context.moveTo(x, bottom);
      context.lineTo(x, bottom + 4);
      context.stroke();
      context.fillText(clockText(time), x, bottom + 6);
    }
    const shifted = this.narrow ? "film time, shifted back 5 s" : "film time (min:s), response shifted back 5 s";
    context.fillText(settings.lag ? shifted : "film time (min:s)", this.left + this.plotWidth / 2, bottom + 20);
    if (!this.narrow) {
      context.save();
      context.translate(11, (this.top + bottom) / 2);
      context.rotate(-Math.PI / 2);
      context.textBaseline = "middle";
      context.fillText("predicted BOLD (z)", 0, 0);
      context.restore();
    }
  }

  /** One standard deviation between members to either side, under all lines. */
  drawBand(context, { band, values, colour }, settings) {
    if (!band) return;
    const path = new Path2D();
    const to = (row, z, first) => path[first ? "moveTo" : "lineTo"](this.xOf(this.timeOf(row, this.lag)), this.yOf(z));
    for (let row = 0; row < values.length; row += 1) to(row, values[row] + band[row], row === 0);
    for (let row = values.length - 1; row >= 0; row -= 1) to(row, values[row] - band[row], false);
    path.closePath();
    context.fillStyle = colour;
    context.globalAlpha = (settings.dark ? 0.26 : 0.2) / Math.max(1, Math.sqrt(this.drawn.length / 2)); // many bands over each other hide the lines
    context.fill(path);
    context.globalAlpha = 1;
  }

  drawLine(context, { curve, side, values, colour }, settings) {
    const path = new Path2D();
    values.forEach((value, row) => path[row ? "lineTo" : "moveTo"](this.xOf(this.timeOf(row, this.lag)), this.yOf(value)));
    context.lineJoin = "round";
    context.setLineDash([]);
    context.strokeStyle = this.theme.surface;
    context.lineWidth = side === "R" ? 3.4 : 4.4;
    context.stroke(path);
    if (curve.kind === "group") context.setLineDash(side === "R" ? [2, 3] : [7, 4]);
    else if (side === "R") context.setLineDash([4, 2.5]);
    if (!settings.dark && ["Limbic", "Cont"].includes(curve.id) && settings.palette !== "okabe-ito") {
      context.strokeStyle = mixed(colour, "#000000", 0.45);
      context.lineWidth = 2.9;
      context.stroke(path);
    }
    context.strokeStyle = colour;
    context.lineWidth = side === "R" ? 1.6 : 2;
    context.stroke(path);
    context.setLineDash([]);
    if (curve.kind === "network") {
      const every = Math.max(1, Math.round(70 / ((this.result.tr / this.result.duration) * this.plotWidth)));
      context.fillStyle = colour;
      for (let row = (curve.number * Math.ceil(every / 7)) % every; row < values.length; row += every) {
        drawMark(context, MARKS[curve.number], this.xOf(this.timeOf(row, this.lag)), this.yOf(values[row]), 3, this.theme.surface);
      }
    }
  }

  /** Names at the lines' ends, pushed apart so that none covers another. */
  drawLabels(context) {
    if (!this.drawn.length) return;
    const right = this.left + this.plotWidth;
    const labels = this.drawn.map((line) => {
      let row = this.result.rows - 1;
      while (row > 0 && this.timeOf(row, this.lag) > this.result.duration) row -= 1;
      return { ...line, x: this.xOf(this.timeOf(row, this.lag)), from: this.yOf(line.values[row]) };
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
    context.font = `${space < 12 ? 10 : 11.5}px ${this.theme.font}`;
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
      else {
        context.fillRect(right + 14, label.y - 1, 3.5, 2);
        context.fillRect(right + 19, label.y - 1, 3.5, 2);
      }
      context.fillStyle = this.theme.text;
      const told = this.narrow ? label.curve.short : label.curve.label;
      const name = label.side && !told.endsWith("(left)") ? `${told} ${label.side}` : told;
      context.fillText(name, right + 26, label.y);
    }
    this.labels = labels.map(({ curve, side, y }) => ({ id: side ? `${curve.id}-${side}` : curve.id, y }));
    this.labelSpace = space;
  }

  /** One dot per curve at the present row. */
  drawDots(row) {
    const context = this.dotContext;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    if (row < 0) return;
    const x = this.xOf(this.timeOf(row, this.lag));
    if (x < this.left || x > this.left + this.plotWidth) return;
    for (const { values, colour } of this.drawn) {
      context.beginPath();
      context.arc(x, this.yOf(values[row]), 4, 0, 7);
      context.fillStyle = colour;
      context.strokeStyle = this.theme.surface;
      context.lineWidth = 1.6;
      context.fill();
      context.stroke();
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
