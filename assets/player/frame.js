// The frame of the curves: where time and values stand in the picture, hatching, axes, and what must be said in it.

const NOTE_PX = 16; // height of a line of notes
const NOTES_TOP = 10; // room between the notes and the axis
const NOTES_SIDE = 136; // room for the buttons of the zoom beside them

function niceStep(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough);
}

class PlotFrame {
  layout(width, height, ratio, theme) {
    Object.assign(this, { width, height, ratio, theme });
    for (const canvas of [this.canvas, this.dots]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.narrow = width < 560;
    this.left = this.narrow ? 40 : 58;
    this.right = this.narrow ? 88 : 176;
    this.top = NOTES_TOP + NOTE_PX;
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

  /** First and last row to draw: those in the window, and one more to either side. */
  get rowsSeen() {
    const { tr, rows } = this.result;
    const first = Math.floor((this.from + this.lag) / tr - 0.5);
    const last = Math.ceil((this.to + this.lag) / tr - 0.5);
    return [Math.max(0, first), Math.min(rows - 1, last)];
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
          context.fillText(this.lag ? "no prediction here" : "the last TR stays", 0, 0);
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
    const measured = this.second && this.second.kind !== "condition";
    context.fillText(this.residual ? `${shortened(this.second.label, 20)} − predicted (z)` : measured ? "BOLD (z)" : settings.quantity, 0, 0);
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

  /** What must be said in the picture: whose scale it is, what the broken lines are, what is not here. A text, and the dashes of its line. */
  notesOf(settings) {
    const says = [];
    const second = this.result.second ? shortened(this.result.second.label, this.narrow ? 12 : 28) : "";
    if (!settings.locked) says.push(["own scale"]);
    if (this.residual) says.push([`${second} minus predicted`]);
    else if (this.result.isDifference) says.push(["A − B"]);
    else if (this.second) says.push([shortened(this.result.comparison ? namedCondition("A", this.result.comparison.a.label) : "predicted", this.narrow ? 12 : 28), []], [second, OTHER_DASH]);
    if (this.missing) says.push([`${second}: none for ${settings.subject === MEAN ? "the mean" : "this subject"}`]);
    if (this.drawn.some(({ curve }) => curve.kind === "pin") && !this.result.everySeries.every(({ chunks }) => chunks.whole)) says.push(["pinned parcels: some TRs still loading"]);
    return says;
  }

  /** Place the notes in lines above the axis, where no curve can lie below them; as many lines as they need. */
  placeNotes(context, settings) {
    context.font = `11px ${this.theme.font}`;
    const most = this.width - this.left - (this.narrow ? 4 : NOTES_SIDE);
    let [x, line] = [0, 0];
    this.placed = this.notesOf(settings).map(([text, dash]) => {
      const sample = dash ? 24 : 0;
      const told = fitted(context, text, most - sample);
      const wide = sample + context.measureText(told).width;
      if (x > 0 && x + wide > most) [x, line] = [0, line + 1];
      const place = { text, told, dash, x: this.left + x, line, sample };
      x += wide + 16;
      return place;
    });
    this.top = NOTES_TOP + NOTE_PX * (line + 1);
  }

  /** The notes as they were placed, and that it is simulated. */
  drawNotes(context, settings) {
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = `11px ${this.theme.font}`;
    context.lineWidth = 1.5;
    context.fillStyle = this.theme.muted;
    context.strokeStyle = this.theme.muted;
    for (const { told, dash, x, line, sample } of this.placed) {
      const y = 9 + NOTE_PX * line;
      if (dash) {
        context.setLineDash(dash);
        context.beginPath();
        context.moveTo(x, y + 0.5);
        context.lineTo(x + 18, y + 0.5);
        context.stroke();
        context.setLineDash([]);
      }
      context.fillText(told, x + sample, y);
    }
    this.notes = this.placed.map(({ text }) => text);
    if (!settings.simulated) return;
    context.font = `600 10.5px ${this.theme.font}`;
    context.fillStyle = this.theme.warn;
    context.textAlign = "right";
    context.textBaseline = "top";
    context.letterSpacing = "1.5px";
    context.fillText("SIMULATED", this.width - 2, this.height - this.bottom + 20);
    context.letterSpacing = "0px";
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
