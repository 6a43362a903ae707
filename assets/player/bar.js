// The colour bar: one for all panes, with unit, range and threshold.

const BAR_PX = 10;
const BAR_WIDEST = 460;

class ColourBar {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.width = 0;
  }

  /** Fit the canvas to a width in CSS pixels; returns the height it takes. */
  layout(width, ratio, theme) {
    Object.assign(this, { width, ratio, theme });
    this.narrow = width < 420; // the unit stands under the bar, else beside it
    this.height = this.narrow ? 48 : 34;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.height = `${this.height}px`;
    return this.height;
  }

  /** `low` is 0 for a map of one sign, else minus the range; `unknown` adds the sign for parcels without a value. */
  draw({ map, range, threshold, unit, low, unknown }) {
    const { context, theme, width, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, this.height);
    context.font = `11px ${theme.font}`;
    const unitWidth = this.narrow ? 0 : context.measureText(unit).width + 30;
    const aside = unknown ? 74 : 0;
    const long = Math.round(Math.min(BAR_WIDEST, width - 44 - unitWidth - aside));
    const x = Math.round((width - unitWidth - aside - long) / 2 + unitWidth);
    const y = 5;
    const placeOf = (value) => x + ((value - low) / (range - low)) * long;
    this.drawColours(x, y, long, { map, range, threshold, low });
    context.strokeStyle = theme.crease;
    context.lineWidth = 1;
    context.strokeRect(x - 0.5, y - 0.5, long + 1, BAR_PX + 1);
    if (threshold > 0 && threshold < range) {
      context.strokeStyle = theme.text;
      context.beginPath();
      for (const value of low < 0 ? [-threshold, threshold] : [threshold]) {
        context.moveTo(Math.round(placeOf(value)) + 0.5, y - 4);
        context.lineTo(Math.round(placeOf(value)) + 0.5, y + BAR_PX);
      }
      context.stroke();
    }
    context.fillStyle = theme.text;
    context.textBaseline = "top";
    context.textAlign = "center";
    const span = range - low;
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const value = low + share * span;
      const digits = span < 2 ? 2 : 1;
      context.fillText(Math.abs(value) < 1e-9 ? "0" : low < 0 ? signed(value, digits) : value.toFixed(digits), placeOf(value), y + BAR_PX + 4);
    }
    context.fillStyle = theme.muted;
    if (this.narrow) context.fillText(unit, x + long / 2, y + BAR_PX + 18);
    else {
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(unit, x - 18, y + BAR_PX / 2 + 0.5);
    }
    if (unknown) this.drawUnknown(x + long + 22, y);
    const ends = low < 0 ? `from minus ${range} to plus ${range}` : `from 0 to ${range}`;
    this.canvas.setAttribute("aria-label", `Colour bar: ${unit}, ${ends}${threshold > 0 ? `, weaker than ${threshold} faded` : ""}`);
  }

  drawColours(x, y, long, { map, range, threshold, low }) {
    const { context } = this;
    const table = colourTable(map);
    for (let i = 0; i < long; i += 1) {
      const value = low + (i / (long - 1)) * (range - low);
      const level = levelOf(value, range) * 3;
      context.globalAlpha = threshold > 0 ? fade(Math.abs(value), threshold) : 1;
      context.fillStyle = `rgb(${table[level]},${table[level + 1]},${table[level + 2]})`;
      context.fillRect(x + i, y, i < long - 1 ? 1.5 : 1, BAR_PX);
    }
    context.globalAlpha = 1;
  }

  drawUnknown(x, y) {
    const { context, theme } = this;
    context.globalAlpha = 0.5;
    context.fillStyle = theme.muted;
    context.fillRect(x, y, 14, BAR_PX);
    context.globalAlpha = 1;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText("unknown", x + 20, y + BAR_PX / 2 + 0.5);
  }
}
