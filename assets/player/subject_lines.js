// Curves of several subjects: the chosen one of all of them together, the visible ones of each, and how alike they are over the film.

const SUBJECT_COLOURS = {
  light: ["#0a66b0", "#b8450b", "#0b7a55", "#8a35a5"],
  dark: ["#69b4f4", "#f4a05a", "#57cfa2", "#d293e8"],
};

/** Colour of a subject at a place of the list. */
function subjectColour(place, { dark }) {
  const colours = SUBJECT_COLOURS[dark ? "dark" : "light"];
  return colours[place % colours.length];
}

/** Lines less those of the mean of the subjects; what is known of their spread is not known of the difference. */
function lessMean(lines, means) {
  const less = (values, mean) => (values && mean ? values.map((value, row) => value - mean[row]) : null);
  return lines.flatMap((line, i) => {
    const values = means[i] && less(line.values, means[i].values);
    return values ? [{ ...line, values, other: less(line.other, means[i].other), band: null, half: null }] : [];
  });
}

/** Largest |value| of lines. */
function reachOf(lines) {
  let reach = 0;
  for (const { values, other } of lines) {
    for (const list of other ? [values, other] : [values]) for (const value of list) reach = Math.max(reach, Math.abs(value) || 0);
  }
  return reach;
}

/** One curve of every subject, named at the lines' ends. Of the settings it also reads curve, pin (a parcel, or null), lessMean, ownScale. */
class TogetherCurves extends Curves {
  linesOf(result, settings) {
    const { curve, pin } = settings;
    const only = { ...settings, split: false, visible: new Set(pin === null ? [curve] : []), pins: pin === null ? [] : [pin] };
    const mean = super.linesOf(result, { ...only, subject: MEAN });
    this.ownScale = settings.lessMean && settings.ownScale;
    return result.subjects.flatMap(({ id, label }, number) => {
      const lines = super.linesOf(result, { ...only, subject: id });
      const drawn = settings.lessMean ? lessMean(lines, mean) : lines;
      const subject = { id, kind: "network", number, label, short: label }; // marked and named as networks are
      return drawn.map((line) => ({ ...line, curve: subject, colour: subjectColour(number, settings) }));
    });
  }

  ownRange(result) {
    const reach = reachOf(this.drawn) * 1.08;
    return this.ownScale ? Math.max(0.02, reach) : Math.max(super.ownRange(result), reach);
  }
}

/** The visible curves of one subject, small and without names: the chips above name them. */
class SmallCurves extends Curves {
  constructor(canvas, subject) {
    super(canvas, document.createElement("canvas"));
    this.subject = subject;
  }

  layout(width, height, ratio, theme) {
    super.layout(width, height, ratio, theme);
    Object.assign(this, { narrow: true, left: 36, right: 4, top: 4, bottom: 4 });
  }

  linesOf(result, settings) {
    const own = super.linesOf(result, { ...settings, subject: this.subject });
    this.ownScale = settings.lessMean && settings.ownScale ? settings.range : 0;
    this.pinned = settings.pins;
    return settings.lessMean ? lessMean(own, super.linesOf(result, { ...settings, subject: MEAN })) : own;
  }

  /** One range for all subjects: that of every curve, and of the pinned parcels of every subject. */
  ownRange(result) {
    const pinned = this.pinned.flatMap((parcel) => result.subjects.map(({ id }) => ({ values: result.parcelCurve(id, parcel) })));
    return this.ownScale || Math.max(super.ownRange(result), reachOf(pinned) * 1.08);
  }

  drawAxes(context) {
    context.font = `10px ${this.theme.font}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    const step = niceStep(this.range * 2, 3);
    for (let tick = Math.ceil(-this.range / step); tick * step <= this.range; tick += 1) {
      const y = Math.round(this.yOf(tick * step)) + 0.5;
      context.strokeStyle = tick === 0 ? this.theme.crease : this.theme.grid;
      context.beginPath();
      context.moveTo(this.left, y);
      context.lineTo(this.left + this.plotWidth, y);
      context.stroke();
      context.fillStyle = this.theme.muted;
      context.fillText(tick === 0 ? "0" : signed(tick * step, step < 0.1 ? 2 : 1), this.left - 4, y);
    }
  }

  drawLabels() {
    this.labels = [];
  }

  placeNotes() {
    this.notes = [];
  }

  drawNotes(context, settings) {
    if (settings.simulated) markSimulated(context, this.theme, this.left + this.plotWidth - 2, this.height - this.bottom - 8);
  }
}

/** SIMULATED in a small picture, its right end at x. */
function markSimulated(context, theme, x, y) {
  context.font = `600 9px ${theme.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.letterSpacing = "1px";
  const wide = context.measureText("SIMULATED").width;
  context.globalAlpha = 0.85;
  context.fillStyle = theme.surface;
  context.fillRect(x - wide - 2, y - 6, wide + 3, 12);
  context.globalAlpha = 1;
  context.fillStyle = theme.warn;
  context.fillText("SIMULATED", x, y);
  context.letterSpacing = "0px";
}

/** Agreement in a sliding window, from 0 (or the lowest) to 1, with what it may be held against. */
class AgreementCurve extends PlotFrame {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.dots = document.createElement("canvas");
    this.context = canvas.getContext("2d");
  }

  yOf(r) {
    return this.top + ((1 - Math.max(this.low, r)) / (1 - this.low)) * (this.height - this.top - this.bottom);
  }

  layout(width, height, ratio, theme) {
    super.layout(width, height, ratio, theme);
    Object.assign(this, { top: 8, bottom: 8 });
  }

  /** `values` and `centres` (rows) of the windows of `trs` rows; `reference` a number or null, with its name. */
  draw(result, settings, { values, centres, trs, reference, label }) {
    const { context, theme, ratio } = this;
    this.result = result;
    this.lag = settings.lag;
    [this.from, this.to] = windowOf(settings.window, result.duration);
    const known = Array.from(values).filter((value) => !Number.isNaN(value));
    this.low = Math.min(0, ...known);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.drawHatching(context);
    const right = this.left + this.plotWidth;
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    for (const r of [0, 0.5, 1]) {
      const y = Math.round(this.yOf(r)) + 0.5;
      this.rule(y, theme.grid, []);
      context.fillStyle = theme.muted;
      context.textAlign = "right";
      context.fillText(String(r), this.left - 12, y);
    }
    context.textAlign = "left";
    if (reference !== null) {
      this.rule(this.yOf(reference), theme.muted, [2, 3]);
      context.fillText(fitted(context, `${label} ${reference.toFixed(3)}`, this.width - right - 8), right + 8, this.yOf(reference));
    }
    context.save();
    context.beginPath();
    context.rect(this.left, 0, this.plotWidth, this.height);
    context.clip();
    context.strokeStyle = theme.text;
    context.lineWidth = 1.8;
    context.lineJoin = "round";
    context.beginPath();
    let before = null;
    centres.forEach((centre, i) => {
      if (Number.isNaN(values[i])) before = null;
      else {
        context[before !== null && centre - before < 1.5 ? "lineTo" : "moveTo"](this.xOf(this.timeOf(centre, this.lag)), this.yOf(values[i]));
        before = centre;
      }
    });
    context.stroke();
    context.restore();
    if (!known.length) {
      context.fillStyle = theme.muted;
      context.textAlign = "center";
      context.fillText(fitted(context, centres.length ? "unknown: the curves do not change" : `the clip has no ${trs} valid TRs in a row`, this.plotWidth), this.left + this.plotWidth / 2, this.height / 2);
    }
    if (settings.simulated) markSimulated(context, theme, right - 4, this.height - this.bottom - 8);
  }

  rule(y, colour, dash) {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(this.left, y);
    context.lineTo(this.left + this.plotWidth, y);
    context.stroke();
    context.setLineDash([]);
  }
}
